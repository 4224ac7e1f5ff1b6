package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/internal/budget"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
)

// quotas returns the ResourceQuotas of a tenant by namespace, as they were at one moment.
func (r *Reconciler) quotas(ctx context.Context, tenant *effective.Tenant) (map[string]*corev1.ResourceQuota, error) {
	list := &corev1.ResourceQuotaList{}
	if err := r.List(ctx, list, client.MatchingFields{indexLabel: tenant.Name}); err != nil {
		return nil, err
	}
	quotas := map[string]*corev1.ResourceQuota{}
	for i := range list.Items {
		if quota := &list.Items[i]; quota.Name == naming.Quota && metav1.IsControlledBy(quota, tenant) {
			quotas[quota.Namespace] = quota
		}
	}
	return quotas, nil
}

// divide gives each place its slice of the tenant's quota.
func (r *Reconciler) divide(ctx context.Context, run *pass) error {
	var err error
	if run.quotas, err = r.quotas(ctx, run.tenant()); err != nil || len(run.tenant().Spec.Quota) == 0 {
		return err
	}
	slices, err := r.slicesOf(ctx, run)
	if err != nil {
		return err
	}
	grants := budget.Plan(run.tenant().Spec.Quota, slices, r.Identity)
	for i := range run.inputs.Places {
		place, grant := &run.inputs.Places[i], grants[i]
		if len(slices) == 1 && grant.Note.Holder == "" {
			continue // It has all.
		}
		place.Quota = &parts.Slice{Hard: grant.Hard}
		if place.Quota.Note, err = noteText(grant.Note); err != nil {
			return err
		}
		if quota := run.quotas[place.Name]; quota != nil && grant.Changed {
			place.Quota.Version = quota.ResourceVersion
		}
		run.quotaBusy = run.quotaBusy || slices[i].Busy
	}
	return nil
}

// slicesOf returns the slices of the places, in their order, then those of other namespaces that still have one.
func (r *Reconciler) slicesOf(ctx context.Context, run *pass) ([]budget.Slice, error) {
	var slices []budget.Slice
	needs := parts.Needs(run.inputs)
	run.needs = total(needs)
	known := map[string]bool{}
	for _, place := range run.inputs.Places {
		known[place.Name] = true
		slice, err := r.sliceIn(ctx, run, place)
		if err != nil {
			return nil, err
		}
		slice.Usable, slice.Needs = place.Usable, needs[place.Name]
		slices = append(slices, slice)
	}
	for name, quota := range run.quotas {
		if known[name] {
			continue
		}
		slice, err := sliceOf(quota)
		if err != nil {
			return nil, err
		}
		slice.Leaving = true
		slices = append(slices, slice)
	}
	return slices, nil
}

// sliceIn returns the slice of a place, with what was refused there lately. It ignores refusals in a tenant's only
// place, which has the whole quota.
func (r *Reconciler) sliceIn(ctx context.Context, run *pass, place parts.Place) (budget.Slice, error) {
	quota := run.quotas[place.Name]
	if quota == nil {
		return budget.Slice{Usable: place.Usable}, nil
	}
	slice, err := sliceOf(quota)
	if err == nil && len(run.inputs.Places) > 1 {
		var refusals []budget.Refusal
		refusals, err = r.refusals(ctx, run.tenant().UID, place.Name, slice.Used)
		slice.Wanted, slice.RefusedAt = budget.Demand(refusals, time.Now())
	}
	slice.Usable = place.Usable
	slice.Busy, slice.Uncounted = r.Fleet.Admissions.Of(run.tenant().UID, quota, time.Now())
	return slice, err
}

func sliceOf(quota *corev1.ResourceQuota) (budget.Slice, error) {
	slice := budget.Slice{Exists: true, Granted: quota.Spec.Hard, Enforced: quota.Status.Hard, Used: quota.Status.Used}
	if text, found := quota.Annotations[naming.AnnotationSlice]; found {
		var err error
		if slice.Note, err = readNote(text); err != nil {
			return slice, fmt.Errorf("the annotation %s of ResourceQuota %q in namespace %q can't be read; remove it: %w",
				naming.AnnotationSlice, quota.Name, quota.Namespace, err)
		}
	}
	return slice, nil
}

// hugeExponent matches quantities that no quota has, and that would take hours to parse.
var hugeExponent = regexp.MustCompile(`[eE][+-]?0*[1-9]\d{2}`)

func readNote(text string) (budget.Note, error) {
	var written struct {
		Holder string
		Used   map[corev1.ResourceName]string
	}
	if err := json.Unmarshal([]byte(text), &written); err != nil {
		return budget.Note{}, err
	}
	note := budget.Note{Holder: written.Holder}
	for name, used := range written.Used {
		if hugeExponent.MatchString(used) {
			return note, fmt.Errorf("%q is too large or too small", used)
		}
		amount, err := resource.ParseQuantity(used)
		if err != nil {
			return note, err
		}
		if note.Used == nil {
			note.Used = corev1.ResourceList{}
		}
		note.Used[name] = amount
	}
	return note, nil
}

func noteText(note budget.Note) (string, error) {
	if note.Holder == "" {
		return "", nil
	}
	text, err := json.Marshal(note)
	return string(text), err
}

// total returns what all namespaces need together.
func total(needs map[string]corev1.ResourceList) corev1.ResourceList {
	sum := corev1.ResourceList{}
	for _, list := range needs {
		for name, number := range list {
			sum[name] = plus(sum[name], number)
		}
	}
	return sum
}

// totalUsage returns the sum of the quotas' usage as one quota with the given limits; nil if none of them is counted
// yet.
func totalUsage(quotas map[string]*corev1.ResourceQuota, hard corev1.ResourceList) *corev1.ResourceQuota {
	var sum *corev1.ResourceQuota
	for _, quota := range quotas {
		if len(quota.Status.Hard) == 0 {
			continue
		}
		if sum == nil {
			sum = &corev1.ResourceQuota{Status: corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{}}}
		}
		for name := range hard {
			if used, found := quota.Status.Used[name]; found {
				sum.Status.Used[name] = plus(sum.Status.Used[name], used)
			}
		}
	}
	return sum
}

func plus(a, b resource.Quantity) resource.Quantity {
	sum := b.DeepCopy()
	sum.Add(a)
	return sum
}
