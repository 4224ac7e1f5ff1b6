package tenant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

const (
	// indexHostname finds the tenants that have a hostname or wildcard in their spec.
	indexHostname = "hostname"
	// indexHostnameBelow finds the tenants that have a hostname below a wildcard.
	indexHostnameBelow = "hostnameBelow"
)

// hostnamesOf returns the hostnames that a tenant claims.
func hostnamesOf(tenant *effective.Tenant) []string {
	hostnames := make([]string, len(tenant.Spec.Policy.Hostnames))
	for i, hostname := range tenant.Spec.Policy.Hostnames {
		hostnames[i] = string(hostname)
	}
	return hostnames
}

// wildcardsOver returns the wildcards that a tenant's hostnames are below.
func wildcardsOver(tenant *effective.Tenant) []string {
	over := sets.New[string]()
	for _, hostname := range hostnamesOf(tenant) {
		over.Insert(above(hostname)...)
	}
	return sets.List(over)
}

// above returns the wildcards that cover a hostname: for *.shop.acme.example those are *.acme.example and
// *.example.
func above(hostname string) []string {
	var wildcards []string
	_, rest, found := strings.Cut(strings.TrimPrefix(hostname, "*."), ".")
	for found {
		wildcards = append(wildcards, "*."+rest)
		_, rest, found = strings.Cut(rest, ".")
	}
	return wildcards
}

// overlapping returns the other tenants that claim a hostname, a wildcard that covers it, or a name that it
// covers.
func (r *Reconciler) overlapping(ctx context.Context, tenant *effective.Tenant, hostname string) ([]v1alpha1.Tenant, error) {
	found := map[string]v1alpha1.Tenant{}
	lookups := []client.MatchingFields{{indexHostname: hostname}, {indexHostnameBelow: hostname}}
	for _, wildcard := range above(hostname) {
		lookups = append(lookups, client.MatchingFields{indexHostname: wildcard})
	}
	for _, lookup := range lookups {
		others := &v1alpha1.TenantList{}
		if err := r.List(ctx, others, lookup, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
			return nil, err
		}
		for i := range others.Items {
			if others.Items[i].UID != tenant.UID {
				found[others.Items[i].Name] = others.Items[i]
			}
		}
	}
	var result []v1alpha1.Tenant
	for _, name := range slices.Sorted(maps.Keys(found)) {
		result = append(result, found[name])
	}
	return result, nil
}

// networkPhase puts the network policies in place, and reports which of the tenant's hostnames belong to another
// tenant.
type networkPhase struct {
	// foreignHostnames are the hostnames of others, each with the tenant that has it.
	foreignHostnames []string
}

func (n networkPhase) run(ctx context.Context, o objects, run *pass) error {
	if err := o.apply(ctx, run, parts.Network); err != nil {
		return err
	}
	return hostnameConflict(n.foreignHostnames)
}

// loadHostnames finds the hostnames of the tenant that an older tenant claims.
func (r *Reconciler) loadHostnames(ctx context.Context, run *pass) error {
	for _, hostname := range run.tenant().Spec.Policy.Hostnames {
		others, err := r.overlapping(ctx, run.tenant(), string(hostname))
		if err != nil {
			return err
		}
		for i := range others {
			if older(&others[i], run.tenant()) {
				run.inputs.ForeignHostnames = append(run.inputs.ForeignHostnames, hostname)
				run.network.foreignHostnames = append(run.network.foreignHostnames, fmt.Sprintf("%s (Tenant %q)", hostname, others[i].Name))
				break
			}
		}
	}
	return nil
}

// older reports whether a is the one of two tenants that keeps a hostname that both claim.
func older(a, b metav1.Object) bool {
	ofA, ofB := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if !ofA.Equal(&ofB) {
		return ofA.Before(&ofB)
	}
	return a.GetUID() < b.GetUID()
}

// hostnameConflict returns a problem if some of a tenant's hostnames belong to others.
func hostnameConflict(foreign []string) error {
	if len(foreign) == 0 {
		return nil
	}
	return problem.HostnamesTaken(foreign)
}

// neighborCreated, neighborUpdated and neighborDeleted enqueue the tenants that claim a hostname that another
// tenant has claimed or given up.
func (r *Reconciler) neighborCreated(ctx context.Context, e event.CreateEvent, q queue) {
	tenant := effective.Of(e.Object.(*v1alpha1.Tenant))
	r.enqueueNeighbors(ctx, q, tenant, hostnamesOf(tenant))
}

func (r *Reconciler) neighborUpdated(ctx context.Context, e event.UpdateEvent, q queue) {
	was, is := effective.Of(e.ObjectOld.(*v1alpha1.Tenant)), effective.Of(e.ObjectNew.(*v1alpha1.Tenant))
	before, after := sets.New(hostnamesOf(was)...), sets.New(hostnamesOf(is)...)
	changed := before.SymmetricDifference(after)
	if was.UID != is.UID {
		changed = before.Union(after) // A new tenant of the same name may be younger than others.
	}
	r.enqueueNeighbors(ctx, q, is, sets.List(changed))
}

func (r *Reconciler) neighborDeleted(ctx context.Context, e event.DeleteEvent, q queue) {
	tenant := effective.Of(e.Object.(*v1alpha1.Tenant))
	r.enqueueNeighbors(ctx, q, tenant, hostnamesOf(tenant))
}

func (r *Reconciler) enqueueNeighbors(ctx context.Context, q queue, tenant *effective.Tenant, hostnames []string) {
	for _, hostname := range hostnames {
		others, err := r.overlapping(ctx, tenant, hostname)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Can't list the tenants of a hostname", "hostname", hostname)
			return
		}
		for i := range others {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&others[i])})
		}
	}
}
