package tenantclass

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/hibernation"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/release"
	"github.com/tenantry/tenantry/internal/status"
)

// What a rollout is where its fields are left out. The comments of the fields say it, too.
const (
	defaultMaxUnavailable   = 1
	defaultProgressDeadline = 600
)

// plan is how the current revision of a class goes out now.
type plan struct {
	fleet.Progress
	settings release.Settings
	canaries labels.Selector
	// opens is when the next window opens; zero if one is open. again is when windows have to be looked at again.
	opens, again time.Time
}

// rollout returns how a class is released now. With an error, which says what is wrong with spec.rollout, nobody is
// told to change.
func rollout(class *v1alpha1.TenantClass, now time.Time) (plan, error) {
	spec := class.Spec.Rollout
	p := plan{canaries: labels.Nothing(), settings: release.Settings{
		MaxUnavailable: ptr.Deref(spec.MaxUnavailable, intstr.FromInt32(defaultMaxUnavailable)),
		MaxFailures:    int(ptr.Deref(spec.MaxFailures, 0)),
		MinReady:       time.Duration(ptr.Deref(spec.MinReadySeconds, 0)) * time.Second,
		Deadline:       time.Duration(ptr.Deref(spec.ProgressDeadlineSeconds, defaultProgressDeadline)) * time.Second,
		Most:           v1alpha1.MaxInFlight,
		Paused:         spec.Paused,
	}}
	failing := func(err error) (plan, error) {
		p.settings.Paused = true
		return p, err
	}
	if spec.CanarySelector != nil {
		canaries, err := metav1.LabelSelectorAsSelector(spec.CanarySelector)
		if err != nil {
			return failing(problem.RolloutInvalid("spec.rollout.canarySelector: " + err.Error()))
		}
		p.canaries = canaries
	}
	var windows []release.Window
	for _, window := range spec.Windows {
		duration, err := time.ParseDuration(window.Duration)
		if err != nil {
			return failing(err)
		}
		windows = append(windows, release.Window{Schedule: window.Schedule, Duration: duration, TimeZone: window.TimeZone})
	}
	parsed, err := release.ParseWindows(windows, now)
	if err != nil {
		return failing(problem.RolloutInvalid(err.Error()))
	}
	open, again := parsed.At(now)
	p.settings.Closed, p.again = !open, again
	if !open {
		p.opens = again
	}
	return p, nil
}

// decide decides who moves to the current revision next. Nothing of it takes effect until the status of the class is
// written.
func (r *Reconciler) decide(ctx context.Context, class *v1alpha1.TenantClass, revision string, now time.Time) (plan, *problem.Problem, error) {
	var found *problem.Problem
	p, invalid := rollout(class, now)
	if invalid != nil {
		found = new(problem.Of(invalid))
	}
	var flights []release.Flight
	for _, entry := range class.Status.InFlight {
		flights = append(flights, release.Flight{Name: entry.Name, Revision: entry.Revision, AssignedAt: entry.AssignedAt.Time, Exempt: entry.Exempt})
	}
	r.Fleet.Classes.Steer(class.Name, fleet.Target{
		Canaries: p.canaries, Current: revision, Stable: class.Status.StableRevision, InFlight: flights,
	})
	for {
		p.Progress = r.Fleet.Classes.Decide(class.Name, p.settings, now)
		if len(p.Unknown) == 0 {
			return p, found, nil
		}
		for _, name := range p.Unknown {
			if err := r.compare(ctx, class, name, revision); err != nil {
				return p, found, err
			}
		}
	}
}

// compare finds out whether the current revision of a class changes something for a tenant.
func (r *Reconciler) compare(ctx context.Context, class *v1alpha1.TenantClass, name, revision string) error {
	tenant := &v1alpha1.Tenant{}
	err := r.Get(ctx, types.NamespacedName{Name: name}, tenant, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return errUnheard
	}
	if err != nil {
		return err
	}
	member := memberOf(tenant)
	affected, err := r.affects(ctx, class, tenant, member.At, revision)
	if err != nil {
		return err
	}
	r.Fleet.Classes.Note(tenant.UID, member)
	r.Fleet.Classes.Compared(class.Name, tenant.UID, tenant.Generation, member.At, affected)
	return nil
}

// affects reports whether a tenant would be another one at another revision.
func (r *Reconciler) affects(ctx context.Context, class *v1alpha1.TenantClass, tenant *v1alpha1.Tenant, from, to string) (bool, error) {
	rules, _ := r.Rules.Of(class) // The class says which don't compile.
	var made [2]*effective.Tenant
	for i, name := range []string{from, to} {
		revision := &v1alpha1.TenantClassRevision{}
		err := r.Get(ctx, types.NamespacedName{Name: name}, revision, client.UnsafeDisableDeepCopy)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if made[i], err = effective.OfClass(tenant, effective.At(class, revision, rules)); err != nil { //nolint:contextcheck // It is pure and waits for nothing.
			return true, nil //nolint:nilerr // The tenant says so once it is told.
		}
	}
	return !effective.Same(made[0], made[1]), nil
}

// releaseOf returns how far a release is, as the status of the class has it.
func releaseOf(p plan) status.ClassRelease {
	result := status.ClassRelease{
		Updated: p.Updated, Failing: p.Failing, States: p.States, Stopped: p.Stopped, Complete: p.Complete,
		Paused: p.settings.Paused, Opens: p.opens,
	}
	for _, flight := range p.InFlight {
		result.InFlight = append(result.InFlight, v1alpha1.TenantClassAssignment{
			Name: flight.Name, Revision: flight.Revision, AssignedAt: metav1.NewTime(flight.AssignedAt.Truncate(time.Second)), Exempt: flight.Exempt,
		})
	}
	return result
}

// next returns when to decide again if nothing changes; zero if that isn't needed.
func (p plan) next(now time.Time) time.Duration {
	wait := p.Wait
	if !p.Complete && !p.again.IsZero() {
		if until := p.again.Sub(now); wait == 0 || until < wait {
			wait = until
		}
	}
	return wait
}

// announce records Events on a class for the start, the stop and the end of a release.
func (r *Reconciler) announce(class *v1alpha1.TenantClass, was, is v1alpha1.TenantClassStatus) {
	note := func(kind, reason, format string, args ...any) {
		r.Recorder.Eventf(class, nil, kind, reason, "Release", format, args...)
	}
	tenants := ptr.Deref(is.Tenants, 0)
	if tenants > 0 && replaced(was.CurrentRevision, is.CurrentRevision) {
		note(corev1.EventTypeNormal, v1alpha1.ReasonReleaseStarted, "%s goes out to %d tenants, in place of %s", is.CurrentRevision, tenants, was.CurrentRevision)
	}
	stopped, before := stoppedBy(is), stoppedBy(was)
	switch {
	case stopped != nil && before == nil:
		note(corev1.EventTypeWarning, v1alpha1.ReasonReleaseStopped, "%s", stopped.Message)
	case before != nil && stopped == nil && is.CurrentRevision == was.CurrentRevision:
		note(corev1.EventTypeNormal, v1alpha1.ReasonReleaseResumed, "%s goes on, with %d of %d tenants updated", is.CurrentRevision, ptr.Deref(is.Updated, 0), tenants)
	}
	if tenants > 0 && replaced(was.StableRevision, is.StableRevision) {
		note(corev1.EventTypeNormal, v1alpha1.ReasonReleaseCompleted, "%s has reached all of the %d tenants that take part", is.StableRevision, ptr.Deref(is.Updated, 0))
	}
}

// replaced reports whether a revision took the place of another one.
func replaced(was, is string) bool { return was != "" && was != is }

// stoppedBy returns the condition that says that a release has stopped; nil if it has not.
func stoppedBy(of v1alpha1.TenantClassStatus) *metav1.Condition {
	if ready := apimeta.FindStatusCondition(of.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Reason == v1alpha1.ReasonReleaseStopped {
		return ready
	}
	return nil
}

// readinessOf returns what the release of its class has to know about a tenant.
func readinessOf(tenant *v1alpha1.Tenant) fleet.ReleaseMember {
	member := fleet.ReleaseMember{
		Name: tenant.Name, Generation: tenant.Generation, Labels: tenant.Labels,
		Skipped: tenant.Spec.ClassRevision != "" || tenant.Spec.Cordoned || !tenant.DeletionTimestamp.IsZero(),
		Asleep:  !hibernation.IsAwake(tenant.Status.Hibernation),
		Stalled: apimeta.IsStatusConditionTrue(tenant.Status.Conditions, v1alpha1.ConditionStalled),
	}
	if class := tenant.Status.Class; class != nil && class.Name == naming.ClassOf(tenant) {
		member.At = class.Revision
	}
	if ready := apimeta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		member.State = ready.Message
		member.Current = ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == tenant.Generation
		member.ReadyAt = ready.LastTransitionTime.Time
	}
	if class := tenant.Status.Class; class != nil && class.ReadyAt != nil {
		member.ReadyAt = class.ReadyAt.Time
	}
	return member
}
