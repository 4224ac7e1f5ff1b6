package tenant

import (
	"context"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/budget"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/retry"
	"github.com/tenantry/tenantry/internal/workload"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller with its indexes and watches.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	if err := indexFields(manager.GetFieldIndexer()); err != nil {
		return err
	}
	r.retries = retry.New(r.Client, r.Live)
	r.DNS.tenants = r.allTenants
	r.Secrets.tenants = r.byPrimaryNamespace
	owned := handler.Funcs{CreateFunc: r.objectCreated, DeleteFunc: r.objectDeleted, UpdateFunc: r.objectUpdated}
	build := ctrl.NewControllerManagedBy(manager).
		For(&v1alpha1.Tenant{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: tenantChanged})).
		Watches(&v1alpha1.Tenant{}, handler.Funcs{
			CreateFunc: r.neighborCreated, UpdateFunc: r.neighborUpdated, DeleteFunc: r.neighborDeleted,
		}).
		Watches(&v1alpha1.Tenant{}, handler.Funcs{UpdateFunc: beganToWait}).
		Watches(&v1alpha1.TenantClass{}, handler.Funcs{
			CreateFunc: r.classCreated, UpdateFunc: r.classUpdated, DeleteFunc: r.classDeleted,
		}).
		Watches(&v1alpha1.TenantClassRevision{}, handler.EnqueueRequestsFromMapFunc(r.byPin)).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(byNamespaceOwners), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.byOwnersNamespace), builder.WithPredicates(namespaceChangesHands)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(byOwners), builder.WithPredicates(podSignsChanged)).
		Watches(&autoscalingv2.HorizontalPodAutoscaler{}, handler.EnqueueRequestsFromMapFunc(byNamespace), builder.WithPredicates(autoscalerTargetChanged)).
		Watches(&networkingv1.IngressClass{}, handler.EnqueueRequestsFromMapFunc(r.byEntrance), builder.WithPredicates(metadataChanges)).
		Watches(&corev1.Event{}, handler.EnqueueRequestsFromMapFunc(r.byRefusal), builder.WithPredicates(refusalReported)).
		Watches(&corev1.Event{}, handler.EnqueueRequestsFromMapFunc(r.byJob), builder.WithPredicates(jobRefusalReported)).
		Watches(&v1alpha1.DatabaseServer{}, handler.Funcs{
			CreateFunc: r.serverCreated, UpdateFunc: r.serverUpdated, DeleteFunc: r.serverDeleted,
		}).
		WithOptions(controller.Options{RateLimiter: retry.RateLimiter()}).
		WatchesRawSource(noticed(&r.Fleet.AvailableServers, r.waitingFor)).
		WatchesRawSource(noticed(&r.Fleet.DriftedTenants, byName)).
		WatchesRawSource(noticed(&r.Fleet.Provisioning.Turns, byName)).
		WatchesRawSource(noticed(&r.ClassObjects.changes, byName)).
		WatchesRawSource(source.Kind[client.Object](r.Certificates, certificate(), handler.EnqueueRequestsFromMapFunc(r.byCertificate), comesOrGoes)).
		WatchesRawSource(r.Secrets).
		WatchesRawSource(r.DNS)
	build = build.Watches(&corev1.PersistentVolumeClaim{}, owned, builder.WithPredicates(predicate.NewPredicateFuncs(isTenants)))
	for _, kind := range ownedKinds() {
		build = build.Watches(kind, owned)
	}
	running, err := build.Build(r)
	if err != nil {
		return err
	}
	r.gateways = &gateways{
		mapper: manager.GetRESTMapper(), cache: manager.GetCache(), controller: running, routes: owned,
	}
	_, err = r.gateways.ensure()
	return err
}

// tenantChanged leaves out status writes, but lets periodic resyncs through.
func tenantChanged(e event.UpdateEvent) bool {
	return e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() || metadataChanged(e.ObjectOld, e.ObjectNew)
}

// metadataChanged reports whether metadata that concerns the operator differs. The generation covers the spec of
// kinds that have one. The UID can differ because the watch was interrupted while the object was replaced by
// another one with its name.
func metadataChanged(was, is client.Object) bool {
	return was.GetUID() != is.GetUID() ||
		was.GetGeneration() != is.GetGeneration() ||
		was.GetDeletionTimestamp().IsZero() != is.GetDeletionTimestamp().IsZero() ||
		!equality.Semantic.DeepEqual(was.GetLabels(), is.GetLabels()) ||
		!equality.Semantic.DeepEqual(was.GetAnnotations(), is.GetAnnotations()) ||
		!equality.Semantic.DeepEqual(was.GetOwnerReferences(), is.GetOwnerReferences()) ||
		!slices.Equal(was.GetFinalizers(), is.GetFinalizers())
}

func (r *Reconciler) objectCreated(ctx context.Context, e event.CreateEvent, q queue) {
	if quota, ok := e.Object.(*corev1.ResourceQuota); ok {
		r.noteQuota(&corev1.ResourceQuota{}, quota)
	}
	enqueue(ctx, q, byOwners(ctx, e.Object))
}

func (r *Reconciler) objectDeleted(ctx context.Context, e event.DeleteEvent, q queue) {
	if quota, ok := e.Object.(*corev1.ResourceQuota); ok {
		r.Fleet.Admissions.ForgetQuota(quota)
		r.Fleet.Meters.ForgetQuota(quota, time.Now())
	}
	enqueue(ctx, q, byOwners(ctx, e.Object))
}

// noteQuota notes a change of a quota, or of what it counts.
func (r *Reconciler) noteQuota(was, is *corev1.ResourceQuota) {
	now := time.Now()
	r.Fleet.Admissions.Note(was, is, now)
	r.Fleet.Meters.Note(was, is, now)
}

// objectUpdated enqueues the tenant of an object that others have changed or whose status has changed. A change of
// a quota's use alone may wait, unless it is a slice that may be too small.
func (r *Reconciler) objectUpdated(ctx context.Context, e event.UpdateEvent, q queue) {
	if e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() {
		return
	}
	requests := owners(e.ObjectOld, e.ObjectNew)
	quota, isQuota := e.ObjectNew.(*corev1.ResourceQuota)
	if isQuota {
		r.noteQuota(e.ObjectOld.(*corev1.ResourceQuota), quota)
	}
	switch {
	case rolledOut(e.ObjectOld, e.ObjectNew):
		enqueueAhead(ctx, q, requests)
		return
	case objectChanged(e.ObjectOld, e.ObjectNew):
		enqueue(ctx, q, requests)
		return
	}
	if isQuota {
		if tenant := tenantControlling(quota); tenant != nil {
			r.Fleet.UsageChanged(tenant.Name, tenant.UID, time.Now())
		}
		for _, request := range requests {
			q.AddAfter(request, usagePatience(quota))
		}
	}
}

// usagePatience returns how long a change of a quota's use may wait.
func usagePatience(quota *corev1.ResourceQuota) time.Duration {
	if _, isSlice := quota.Annotations[naming.AnnotationSlice]; isSlice {
		if slice, err := sliceOf(quota); err == nil && budget.Strained(slice) {
			return 0
		}
	}
	return fleet.UsageInterval
}

func objectChanged(was, is client.Object) bool {
	if metadataChanged(was, is) {
		return true
	}
	same := equality.Semantic.DeepEqual
	switch is := is.(type) {
	case *policyv1.PodDisruptionBudget, *batchv1.CronJob:
		return false
	case *batchv1.Job:
		return jobSigns(was.(*batchv1.Job)) != jobSigns(is)
	case *autoscalingv2.HorizontalPodAutoscaler:
		was := was.(*autoscalingv2.HorizontalPodAutoscaler)
		return !same(was.Spec, is.Spec) || !same(was.Status, is.Status)
	case *appsv1.Deployment:
		return !same(was.(*appsv1.Deployment).Status, is.Status)
	case *corev1.ResourceQuota:
		was := was.(*corev1.ResourceQuota)
		return !same(was.Spec, is.Spec) || !same(was.Status.Hard, is.Status.Hard)
	default:
		return true
	}
}

// rolledOut reports whether an update completes the rollout of an app.
func rolledOut(was, is client.Object) bool {
	before, isDeployment := was.(*appsv1.Deployment)
	return isDeployment && !workload.RolledOut(before) && workload.RolledOut(is.(*appsv1.Deployment))
}

// podSignsChanged lets changes of a pod through that don't show in the status of its Deployment.
var podSignsChanged = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return workload.Signs(e.Object.(*corev1.Pod)) != "" },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return workload.Signs(e.ObjectOld.(*corev1.Pod)) != workload.Signs(e.ObjectNew.(*corev1.Pod))
	},
	// The next migration waits for the pods of the last one.
	DeleteFunc: func(e event.DeleteEvent) bool {
		return e.Object.GetLabels()[naming.LabelAppComponent] == naming.ComponentMigration
	},
}

// byNamespaceOwners returns the tenants in a namespace's label and owner reference, and the one with its name,
// whose primary namespace it is, or which it conflicts with.
func byNamespaceOwners(_ context.Context, object client.Object) []reconcile.Request {
	return requestsFor(append(ownersOf(object), object.GetName()))
}

// byOwners returns the tenants in an object's label and owner reference.
func byOwners(_ context.Context, object client.Object) []reconcile.Request {
	return owners(object)
}

// owners returns the tenants in the labels and owner references of the objects. If there are none, it returns the
// tenant with the name of the namespace, which the object may conflict with.
func owners(objects ...client.Object) []reconcile.Request {
	var names []string
	for _, object := range objects {
		names = append(names, ownersOf(object)...)
	}
	if len(names) == 0 {
		names = append(names, objects[0].GetNamespace())
	}
	return requestsFor(names)
}

func ownersOf(object client.Object) []string {
	names := labelOf(object)
	if owner := tenantControlling(object); owner != nil {
		names = append(names, owner.Name)
	}
	return names
}

func requestsFor(names []string) []reconcile.Request {
	slices.Sort(names)
	var requests []reconcile.Request
	for _, name := range slices.Compact(names) {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	return requests
}

func enqueue(_ context.Context, q queue, requests []reconcile.Request) {
	for _, request := range requests {
		q.Add(request)
	}
}

// priorityFinishing is higher than the priority of new tenants, which is 0.
const priorityFinishing = 1

// enqueueAhead enqueues tenants that are about to be Ready ahead of those that are new. Otherwise, if many are
// created at once, all would be begun before the first one is Ready.
func enqueueAhead(ctx context.Context, q queue, requests []reconcile.Request) {
	ahead, canPass := q.(priorityqueue.PriorityQueue[reconcile.Request])
	if !canPass {
		enqueue(ctx, q, requests)
		return
	}
	ahead.AddWithOpts(priorityqueue.AddOpts{Priority: new(priorityFinishing)}, requests...)
}

func (r *Reconciler) serverCreated(ctx context.Context, e event.CreateEvent, q queue) {
	enqueue(ctx, q, r.waitingFor(ctx, e.Object.GetName()))
}

// serverUpdated enqueues all tenants of a server if something that they depend on has changed, and otherwise those
// that wait for it.
func (r *Reconciler) serverUpdated(ctx context.Context, e event.UpdateEvent, q queue) {
	was, is := e.ObjectOld.(*v1alpha1.DatabaseServer), e.ObjectNew.(*v1alpha1.DatabaseServer)
	switch {
	case was.ResourceVersion == is.ResourceVersion:
	case concernsTenants(was, is):
		enqueue(ctx, q, r.tenantsBy(ctx, indexServer, is.Name))
		enqueue(ctx, q, r.tenantsBy(ctx, indexWaiting, anyServer))
	default:
		enqueue(ctx, q, r.waitingFor(ctx, is.Name))
	}
}

// concernsTenants reports whether a change of a server affects the objects or the status of its tenants. Their
// status has the version and storage of a dedicated server.
func concernsTenants(was, is *v1alpha1.DatabaseServer) bool {
	if was.UID != is.UID || was.Generation != is.Generation || readyStatus(was) != readyStatus(is) || isStalled(was) != isStalled(is) {
		return true
	}
	if !slices.Equal(was.Status.Addresses, is.Status.Addresses) || was.Status.CABundle != is.Status.CABundle ||
		!equality.Semantic.DeepEqual(was.Status.Service, is.Status.Service) {
		return true
	}
	return is.Spec.Dedicated != nil &&
		(was.Status.Version != is.Status.Version || !equality.Semantic.DeepEqual(was.Status.Storage, is.Status.Storage))
}

func isStalled(server *v1alpha1.DatabaseServer) bool {
	return apimeta.IsStatusConditionTrue(server.Status.Conditions, v1alpha1.ConditionStalled)
}

func readyStatus(server *v1alpha1.DatabaseServer) metav1.ConditionStatus {
	ready := apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return metav1.ConditionUnknown
	}
	return ready.Status
}

func (r *Reconciler) serverDeleted(ctx context.Context, e event.DeleteEvent, q queue) {
	enqueue(ctx, q, r.tenantsBy(ctx, indexServer, e.Object.GetName()))
	enqueue(ctx, q, r.tenantsBy(ctx, indexWaiting, anyServer))
}

// waitingFor returns the tenants that wait for a server, or for any server.
func (r *Reconciler) waitingFor(ctx context.Context, server string) []reconcile.Request {
	return append(r.tenantsBy(ctx, indexWaiting, server), r.tenantsBy(ctx, indexWaiting, anyServer)...)
}

func (r *Reconciler) tenantsBy(ctx context.Context, index, value string) []reconcile.Request {
	tenants := &v1alpha1.TenantList{}
	err := r.List(ctx, tenants, client.MatchingFields{index: value},
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't list tenants by an index", "index", index, "value", value)
		return nil
	}
	return requestsOf(tenants)
}

func requestsOf(tenants *v1alpha1.TenantList) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(tenants.Items))
	for i := range tenants.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&tenants.Items[i])})
	}
	return requests
}
