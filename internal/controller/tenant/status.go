package tenant

import (
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/report"
	"github.com/tenantry/tenantry/internal/retry"
	"github.com/tenantry/tenantry/internal/status"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants,verbs=get;list;watch;patch;manage
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// observe reads the state of the tenant's objects from the cache.
func (r *Reconciler) observe(ctx context.Context, run *pass) (status.Observation, error) {
	tenant := run.tenant()
	observation := status.Observation{
		Observation: parts.Observation{
			Tenant: tenant, Problems: run.problems, Database: run.database.recorded, Namespaces: run.members.List(),
			ObjectKinds: run.class.kinds, Objects: run.class.live(), Needs: run.needs, Release: run.inputs.Release,
			UntrustedNamespaces: run.inputs.UntrustedNamespaces, Claims: run.inputs.Claims,
			Entrance: run.inputs.Entrance, ForeignHostnames: run.inputs.ForeignHostnames,
			Now: time.Now(), Asleep: run.database.asleep,
		},
		Failure: run.failure, Memberships: run.database.memberships,
	}
	if observation.Asleep {
		observation.Wakes = run.sleep.changes
	} else {
		observation.Sleeps = run.sleep.changes
	}
	if err := r.observeApp(ctx, tenant, &observation); err != nil {
		return observation, err
	}
	if len(tenant.Spec.Quota) > 0 {
		quotas, err := r.quotas(ctx, tenant)
		if err != nil {
			return observation, err
		}
		observation.Quota = quotas[tenant.Name]
		if observation.Quota != nil {
			observation.Slice = observation.Quota.Status.Used
		}
		if len(quotas) > 1 {
			observation.Quota = totalUsage(quotas, tenant.Spec.Quota)
		}
	}
	return observation, nil
}

func (r *Reconciler) read(ctx context.Context, key types.NamespacedName, into client.Object) (found bool, err error) {
	err = r.Get(ctx, key, into)
	return err == nil, client.IgnoreNotFound(err)
}

// report writes the status if it has changed, and returns when to reconcile again. After a pass with decisions on
// old data, it writes nothing.
func (r *Reconciler) report(ctx context.Context, run *pass) (ctrl.Result, error) {
	if run.outdated {
		return ctrl.Result{RequeueAfter: r.retries.After(run.tenant().Name, problem.Again)}, nil
	}
	ctx, cancel := report.Context(ctx)
	defer cancel()
	observation, err := r.observe(ctx, run)
	if err != nil {
		return r.reportFailure(ctx, run.tenant(), errors.Join(err, run.err))
	}
	again := r.retries.After(run.tenant().Name, run.retry)
	next := status.Of(observation)
	wait, err := r.writeStatus(ctx, run.tenant(), next, observation.Now, run.err)
	if err := errors.Join(err, run.err); err != nil {
		return ctrl.Result{}, err
	}
	wait = sooner(wait, again)
	if !parts.AppSettled(observation.Observation) {
		wait = sooner(wait, problem.Grace)
	}
	wait = sooner(wait, run.wakeUp(next.Hibernation, observation.Now))
	wait = sooner(wait, parts.AutoscalerPatience(observation.Observation))
	wait = sooner(wait, observation.AnswerDue())
	if run.quotaBusy {
		wait = sooner(wait, r.Fleet.Admissions.QuietTime())
	}
	if slices.ContainsFunc(run.members.All, membership.Member.IsTerminating) {
		wait = sooner(wait, podsInterval)
	}
	return ctrl.Result{RequeueAfter: sooner(wait, run.database.nextLook())}, nil
}

// reportFailure writes to the status what kept a pass from reaching the tenant's parts.
func (r *Reconciler) reportFailure(ctx context.Context, tenant *effective.Tenant, err error) (ctrl.Result, error) {
	return r.reportProblem(ctx, tenant, err, status.Failing)
}

// reportProblem writes the status that follows from an error, unless it only means that a decision was made on old
// data, and returns when to reconcile again.
func (r *Reconciler) reportProblem(ctx context.Context, tenant *effective.Tenant, err error,
	of func(status.Observation, problem.Problem) v1alpha1.TenantStatus,
) (ctrl.Result, error) {
	found, shown := problem.Of(err), r.retries.Rounds(tenant.Name) >= retry.TooOften
	again := r.retries.After(tenant.Name, found.Retry)
	if problem.Outdated(err) && !shown {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	ctx, cancel := report.Context(ctx)
	defer cancel()
	now := time.Now()
	var failure error
	if found.Retry == problem.WithBackoff {
		failure = err
	}
	wait, writeErr := r.writeStatus(ctx, tenant, of(observationAt(tenant, now), found), now, failure)
	if err := errors.Join(writeErr, failure); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: sooner(wait, again)}, nil
}

// observationAt returns the observation of a tenant whose parts were not observed.
func observationAt(tenant *effective.Tenant, now time.Time) status.Observation {
	return status.Observation{Observation: parts.Observation{Tenant: tenant, Now: now}}
}

// sooner returns the shorter of two times to wait, where zero means not to wait for anything.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// writeStatus writes a status that differs from the one that the tenant has, and records transitions as Events. A
// status that only reports progress may wait; then writeStatus returns how long. failure is the error that the
// pass ends with, if any.
func (r *Reconciler) writeStatus(ctx context.Context, tenant *effective.Tenant, next v1alpha1.TenantStatus, now time.Time, failure error) (time.Duration, error) {
	r.Fleet.SawPlace(tenant.Name, tenant.UID, placeIn(next), now)
	if equality.Semantic.DeepEqual(tenant.Status, next) {
		r.Fleet.StatusWritten(tenant.UID, now)
		return 0, nil
	}
	if wait := r.mayWait(tenant, next, now, failure); wait > 0 {
		return wait, nil
	}
	before, after := objectOf(tenant), objectOf(tenant)
	before.Status, after.Status = tenant.Status, next
	if err := r.Status().Patch(ctx, after, client.MergeFrom(before), client.FieldOwner(naming.FieldOwner)); err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	r.Fleet.StatusWritten(tenant.UID, now)
	r.announce(before, after, now)
	return 0, nil
}

// placeIn returns the class and the server in a status.
func placeIn(recorded v1alpha1.TenantStatus) (place fleet.Place) {
	if recorded.Class != nil {
		place.Class = recorded.Class.Name
	}
	if recorded.Database != nil {
		place.Server = recorded.Database.Server
	}
	return place
}

// mayWait returns how long a new status may wait. After a failure it must not wait, since nobody knows when the
// next pass comes.
func (r *Reconciler) mayWait(tenant *effective.Tenant, next v1alpha1.TenantStatus, now time.Time, failure error) time.Duration {
	if failure != nil {
		return 0
	}
	return r.Fleet.Pace.Wait(tenant.UID, tenant.Status, next, now)
}

// announce records an Event if Ready has changed.
func (r *Reconciler) announce(before, after *v1alpha1.Tenant, now time.Time) {
	was := apimeta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := apimeta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	report.Transition(r.Recorder, after, was, is)
	if is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionUnknown {
		metrics.ProvisioningSeconds.Observe(now.Sub(after.CreationTimestamp.Time).Seconds())
	}
}
