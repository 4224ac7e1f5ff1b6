package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/hibernation"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

// +kubebuilder:rbac:groups=batch,resources=cronjobs/status,verbs=patch

// sleep is what a pass knows of a tenant's hibernation.
type sleep struct {
	// changes is when the tenant falls asleep or wakes by itself; zero if never.
	changes time.Time
	// invalid is why the spec doesn't say when the tenant sleeps; nil if it does.
	invalid error
	// ended says that nothing of the app runs.
	ended bool
}

// loadSleep decides whether the tenant is to sleep, and reads what of it still runs. A spec that doesn't say leaves it
// as it is.
func (r *Reconciler) loadSleep(ctx context.Context, run *pass) error {
	tenant := run.tenant()
	state, err := hibernation.At(tenant.Spec.Hibernation, time.Now())
	if invalid, ok := errors.AsType[*hibernation.InvalidError](err); ok {
		recorded := tenant.Status.Hibernation
		state.Asleep = recorded != nil && (recorded.State == v1alpha1.HibernationAsleep || recorded.State == v1alpha1.HibernationFallingAsleep)
		run.sleep.invalid = problem.HibernationInvalid(invalid.Message)
	} else if err != nil {
		return err
	}
	run.inputs.Asleep, run.sleep.changes = state.Asleep, state.Changes
	run.sleep.ended = true
	if tenant.Spec.App == nil {
		return nil
	}
	if err := r.loadScales(ctx, run); err != nil {
		return err
	}
	if !state.Asleep {
		return nil
	}
	observed := parts.Observation{Tenant: tenant, Release: run.inputs.Release}
	if err := r.readApp(ctx, tenant, &observed); err != nil {
		return err
	}
	run.sleep.ended = observed.AppEnded()
	return nil
}

// loadScales reads how many replicas the app and its workers have.
func (r *Reconciler) loadScales(ctx context.Context, run *pass) error {
	tenant := run.tenant()
	run.inputs.Scales = map[string]parts.Scale{}
	for _, name := range parts.Scaled(tenant.Spec.App) {
		deployment, err := owned(ctx, r, tenant, name, &appsv1.Deployment{})
		if err != nil {
			return err
		}
		if deployment != nil {
			run.inputs.Scales[name] = parts.ScaleOf(deployment)
		}
	}
	return nil
}

// holdApp keeps the app of a tenant that wakes without pods until its database is open for them, and its migration has
// run or failed.
func (p *pass) holdApp(databaseMissing bool) {
	if p.inputs.Waking() && (databaseMissing || p.inputs.Release.MayComplete()) {
		p.inputs.Asleep = true
	}
}

// missRuns notes that the schedules of a tenant that wakes have nothing to make up for. A CronJob begins a run at once
// if one was due since its last one, which it takes from its status.
func (r *Reconciler) missRuns(ctx context.Context, run *pass) error {
	tenant := run.tenant()
	if tenant.Spec.App == nil || run.inputs.Asleep {
		return nil
	}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status":{"lastScheduleTime":%q}}`, time.Now().UTC().Format(time.RFC3339)))
	for _, schedule := range tenant.Spec.App.Schedules {
		cronJob, err := owned(ctx, r, tenant, string(schedule.Name), &batchv1.CronJob{})
		if err != nil {
			return err
		}
		if cronJob == nil || !parts.IsSuspended(cronJob) {
			continue
		}
		woken := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: cronJob.Namespace, Name: cronJob.Name}}
		err = client.IgnoreNotFound(r.Status().Patch(ctx, woken, patch, client.FieldOwner(naming.FieldOwner)))
		if err != nil {
			return err
		}
	}
	return nil
}

// fallInterval is the time between two looks at the pods of an app that ends. The cache reports no end of a pod.
const fallInterval = time.Second

// wakeUp returns after which time the tenant's hibernation must be looked at again; zero if there is none.
func (p *pass) wakeUp(next *v1alpha1.TenantHibernationStatus, now time.Time) time.Duration {
	wait := time.Duration(0)
	if !p.sleep.changes.IsZero() {
		wait = max(p.sleep.changes.Sub(now), time.Millisecond)
	}
	if next != nil && next.State == v1alpha1.HibernationFallingAsleep && len(p.problems) == 0 {
		wait = sooner(wait, fallInterval)
	}
	return wait
}
