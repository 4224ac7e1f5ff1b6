// Package tenantclass has the controller of TenantClasses: it keeps what each has said as revisions, counts its
// tenants, and keeps it from being deleted while it has some.
package tenantclass

import (
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/report"
	"github.com/tenantry/tenantry/internal/retry"
	"github.com/tenantry/tenantry/internal/status"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantclasses,verbs=get;list;watch;patch;manage
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantclasses/status,verbs=patch
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantclassrevisions,verbs=get;list;watch;create;delete

// Reconciler reconciles TenantClasses.
type Reconciler struct {
	client.Client
	// Live reads from the API server what the cache may not have yet.
	Live client.Reader
	// Fleet counts the tenants of each class.
	Fleet *fleet.Fleet
	// Recorder records Events.
	Recorder events.EventRecorder
	// Rules has the compiled rules of classes.
	Rules *effective.Compiled

	mistakes mistakes
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller with its index and watches.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	err := manager.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.TenantClassRevision{}, naming.IndexRevision,
		func(object client.Object) []string {
			return []string{object.(*v1alpha1.TenantClassRevision).Spec.ClassName}
		})
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(manager).
		For(&v1alpha1.TenantClass{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.Funcs{UpdateFunc: resynced}))).
		Watches(&v1alpha1.TenantClass{}, handler.EnqueueRequestsFromMapFunc(r.others), builder.WithPredicates(predicate.AnnotationChangedPredicate{})).
		Watches(&v1alpha1.TenantClassRevision{}, handler.EnqueueRequestsFromMapFunc(ofRevision)).
		Watches(&v1alpha1.Tenant{}, handler.Funcs{CreateFunc: r.tenantCreated, UpdateFunc: r.tenantUpdated, DeleteFunc: r.tenantDeleted}).
		WithOptions(controller.Options{RateLimiter: retry.RateLimiter()}).
		Complete(r)
}

// resynced lets periodic resyncs and deletions through, and no writes of the status.
func resynced(e event.UpdateEvent) bool {
	return e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() ||
		e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
}

// others returns all classes, since another one may have become the default.
func (r *Reconciler) others(ctx context.Context, _ client.Object) (requests []reconcile.Request) {
	classes := &v1alpha1.TenantClassList{}
	if err := r.List(ctx, classes, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't list the classes")
	}
	for i := range classes.Items {
		requests = append(requests, requestFor(classes.Items[i].Name))
	}
	return requests
}

func ofRevision(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{requestFor(object.(*v1alpha1.TenantClassRevision).Spec.ClassName)}
}

func requestFor(class string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: class}}
}

func (r *Reconciler) tenantCreated(_ context.Context, e event.CreateEvent, q queue) {
	r.note(e.Object.(*v1alpha1.Tenant), q)
}

func (r *Reconciler) tenantUpdated(_ context.Context, e event.UpdateEvent, q queue) {
	if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
		count(q, r.Fleet.Classes.Forget(e.ObjectOld.GetUID()))
	}
	r.note(e.ObjectNew.(*v1alpha1.Tenant), q)
}

func (r *Reconciler) tenantDeleted(_ context.Context, e event.DeleteEvent, q queue) {
	count(q, r.Fleet.Classes.Forget(e.Object.GetUID()))
	count(q, naming.ClassOf(e.Object.(*v1alpha1.Tenant)))
}

// note counts a tenant as it is now.
func (r *Reconciler) note(tenant *v1alpha1.Tenant, q queue) {
	member := memberOf(tenant)
	before := r.Fleet.Classes.Note(tenant.UID, member)
	count(q, member.Class)
	if before != member.Class {
		count(q, before)
	}
}

// count enqueues a class whose tenants have changed.
func count(q queue, class string) {
	if class != "" {
		q.Add(requestFor(class))
	}
}

// memberOf returns a tenant as its class counts it.
func memberOf(tenant *v1alpha1.Tenant) fleet.ClassMember {
	member := fleet.ClassMember{
		Class:    naming.ClassOf(tenant),
		Ready:    apimeta.IsStatusConditionTrue(tenant.Status.Conditions, v1alpha1.ConditionReady),
		Pinned:   tenant.Spec.ClassRevision != "",
		HeldBack: apimeta.IsStatusConditionTrue(tenant.Status.Conditions, v1alpha1.ConditionHeldBack),

		ReleaseMember: readinessOf(tenant),
	}
	if member.Pinned {
		member.Revisions = append(member.Revisions, tenant.Spec.ClassRevision)
	}
	if class := tenant.Status.Class; class != nil && class.Revision != "" && class.Revision != tenant.Spec.ClassRevision {
		member.Revisions = append(member.Revisions, class.Revision)
	}
	return member
}

// Reconcile makes the current revision of a class, writes its status, and deletes revisions that nobody needs.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	class := &v1alpha1.TenantClass{}
	err := r.Get(ctx, request.NamespacedName, class)
	if apierrors.IsNotFound(err) {
		r.Fleet.Classes.ForgetClass(request.Name)
		forgetMetrics(request.Name)
		r.mistakes.forget(request.Name)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if held, err := r.hold(ctx, class); err != nil || !held {
		return ctrl.Result{}, err
	}
	revision, err := r.currentRevision(ctx, class)
	if err != nil {
		return ctrl.Result{}, err
	}
	return r.release(ctx, class, revision, time.Now())
}

// currentRevision makes the current revision of a class, and returns its name. What has mistakes gets none, and so
// concerns no tenant.
func (r *Reconciler) currentRevision(ctx context.Context, class *v1alpha1.TenantClass) (string, error) {
	if r.mistakes.in(class) == nil {
		return r.ensureRevision(ctx, class)
	}
	return class.Status.CurrentRevision, nil
}

// release decides who moves to a revision next, and writes that to the status of the class.
func (r *Reconciler) release(ctx context.Context, class *v1alpha1.TenantClass, revision string, now time.Time) (ctrl.Result, error) {
	decided, invalid, err := r.decide(ctx, class, revision, now)
	if errors.Is(err, errUnheard) {
		return ctrl.Result{RequeueAfter: fleet.ClassInterval}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	observation, err := r.observe(ctx, class, revision, now)
	if err != nil {
		return ctrl.Result{}, err
	}
	observation.Release = releaseOf(decided)
	if invalid != nil {
		observation.Problem = invalid
	}
	next := status.OfClass(observation)
	measure(class.Name, next, decided.Stopped)
	wait, err := r.writeStatus(ctx, class, next, now)
	if err != nil || wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	r.Fleet.Classes.Assigned(class.Name, decided.Progress, now)
	return ctrl.Result{RequeueAfter: decided.next(now)}, r.prune(ctx, class)
}

// errUnheard means that a tenant is gone, of which the release has not been told yet.
var errUnheard = errors.New("a tenant is gone, and the release of its class has not been told so yet")

// hold keeps a class from being deleted while it has tenants, and reports whether it is still there.
func (r *Reconciler) hold(ctx context.Context, class *v1alpha1.TenantClass) (held bool, err error) {
	before := class.DeepCopy()
	var changed bool
	switch {
	case class.DeletionTimestamp.IsZero():
		changed = controllerutil.AddFinalizer(class, naming.FinalizerClass)
	case r.Fleet.Classes.Of(class.Name).Tenants > 0:
		return controllerutil.ContainsFinalizer(class, naming.FinalizerClass), nil
	default:
		changed = controllerutil.RemoveFinalizer(class, naming.FinalizerClass)
	}
	if changed {
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		err = r.Patch(ctx, class, patch, client.FieldOwner(naming.FieldOwner))
	}
	return class.DeletionTimestamp.IsZero(), client.IgnoreNotFound(err)
}

// observe returns what the status of a class depends on.
func (r *Reconciler) observe(ctx context.Context, class *v1alpha1.TenantClass, revision string, now time.Time) (status.ClassObservation, error) {
	classes := &v1alpha1.TenantClassList{}
	if err := r.List(ctx, classes, client.UnsafeDisableDeepCopy); err != nil {
		return status.ClassObservation{}, err
	}
	count := r.Fleet.Classes.Of(class.Name)
	observation := status.ClassObservation{
		Class: class, Revision: revision, Default: effective.DefaultClass(classes.Items), Now: now,
		Tenants: count.Tenants, Ready: count.Ready, Pinned: count.Pinned, HeldBack: count.HeldBack,
	}
	if _, err := r.Rules.Of(class); err != nil {
		observation.Problem = new(problem.RulesInvalid(err))
	}
	if err := r.mistakes.in(class); err != nil {
		observation.Problem = new(problem.ObjectsInvalid(err))
	}
	return observation, nil
}

// writeStatus writes a status that differs from the one that the class has, unless somebody has changed the class since
// it was read: tenants change when it says so, and never twice by what was decided once. It may have to wait; then
// writeStatus returns how long.
func (r *Reconciler) writeStatus(ctx context.Context, class *v1alpha1.TenantClass, next v1alpha1.TenantClassStatus, now time.Time) (time.Duration, error) {
	if equality.Semantic.DeepEqual(class.Status, next) {
		return 0, nil
	}
	if wait := r.Fleet.Classes.Wait(class.Name, now); wait > 0 {
		return wait, nil
	}
	ctx, cancel := report.Context(ctx)
	defer cancel()
	before := class.DeepCopy()
	class.Status = next
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Status().Patch(ctx, class, patch, client.FieldOwner(naming.FieldOwner)); err != nil {
		if apierrors.IsConflict(err) {
			r.Fleet.Classes.Lose(class.Name)
			return fleet.ClassInterval, nil
		}
		return 0, client.IgnoreNotFound(err)
	}
	r.Fleet.Classes.Written(class.Name, now)
	r.announce(class, before.Status, class.Status)
	if was, is := readyOf(before), readyOf(class); !ofRelease(was) && !ofRelease(is) {
		report.Transition(r.Recorder, class, was, is)
	}
	return 0, nil
}

// ofRelease reports whether a condition only says how far a release is, of which there are other Events.
func ofRelease(ready *metav1.Condition) bool {
	return ready != nil && slices.Contains([]string{
		v1alpha1.ReasonReady, v1alpha1.ReasonReleaseStopped, v1alpha1.ReasonPaused, v1alpha1.ReasonWindowClosed,
	}, ready.Reason)
}

func readyOf(class *v1alpha1.TenantClass) *metav1.Condition {
	return apimeta.FindStatusCondition(class.Status.Conditions, v1alpha1.ConditionReady)
}
