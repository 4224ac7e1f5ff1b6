package controller

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/status"
)

const (
	// indexServer finds the tenants that use, or are to use, a DatabaseServer.
	indexServer = "databaseServer"
	// indexWaiting finds those of them that can't get on until the server can.
	indexWaiting = "waitingForDatabaseServer"
	// indexPlaced finds the tenants that have, or may have, something on a DatabaseServer.
	indexPlaced = "placedOnDatabaseServer"

	// anyServer stands in indexWaiting for all servers: a tenant waits for one to be chosen.
	anyServer = "*"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller, and what makes it look at which tenant. connected
// tells of servers that the operator has just logged in to, drifted of tenants whose databases want a
// closer look.
func (r *TenantReconciler) SetupWithManager(manager ctrl.Manager, connected, drifted <-chan event.GenericEvent) error {
	for name, servers := range map[string]func(*v1alpha1.Tenant) []string{
		indexServer: serversOf, indexWaiting: serversWaitedFor, indexPlaced: serversPlacedOn,
	} {
		extract := func(object client.Object) []string { return servers(object.(*v1alpha1.Tenant)) }
		if err := manager.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.Tenant{}, name, extract); err != nil {
			return err
		}
	}
	controller := ctrl.NewControllerManagedBy(manager).
		For(&v1alpha1.Tenant{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: tenantNews})).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(byName), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(byNamespace), builder.WithPredicates(podNews)).
		Watches(&v1alpha1.DatabaseServer{}, handler.Funcs{
			CreateFunc: r.serverCreated, UpdateFunc: r.serverUpdated, DeleteFunc: r.serverDeleted,
		}).
		WatchesRawSource(source.Channel(connected, handler.EnqueueRequestsFromMapFunc(r.waitingFor))).
		WatchesRawSource(source.Channel(drifted, handler.EnqueueRequestsFromMapFunc(byName)))
	for _, kind := range ownedKinds() {
		controller = controller.Watches(kind, handler.Funcs{
			CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, q, byNamespace(ctx, e.Object)) },
			DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, q, byNamespace(ctx, e.Object)) },
			UpdateFunc: objectUpdated,
		})
	}
	return controller.Complete(r)
}

// serversOf are the DatabaseServers that a tenant has, or is to have, something on.
func serversOf(tenant *v1alpha1.Tenant) []string {
	servers := naming.DatabaseServers(tenant.Finalizers)
	if spec := tenant.Spec.Database; spec != nil && spec.ServerRef.Name != "" && !slices.Contains(servers, spec.ServerRef.Name) {
		servers = append(servers, spec.ServerRef.Name)
	}
	return servers
}

// serversPlacedOn are the DatabaseServers that a tenant has, or may have, something on.
func serversPlacedOn(tenant *v1alpha1.Tenant) []string {
	return naming.DatabaseServers(tenant.Finalizers)
}

// serversWaitedFor are the same for a tenant whose database isn't known to be as its present spec
// wants it.
func serversWaitedFor(tenant *v1alpha1.Tenant) []string {
	ready := apimeta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionDatabaseReady)
	if tenant.DeletionTimestamp.IsZero() && ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == tenant.Generation {
		return nil
	}
	servers := serversOf(tenant)
	if spec := tenant.Spec.Database; spec != nil && spec.ServerSelector != nil && tenant.Status.Database == nil {
		servers = append(servers, anyServer)
	}
	return servers
}

// tenantNews leaves out the operator's own writes. A periodic resync, by which the same object
// comes again, does count.
func tenantNews(e event.UpdateEvent) bool {
	return e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() || metadataChanged(e.ObjectOld, e.ObjectNew)
}

// metadataChanged says whether metadata that the operator has a say in differs. Where the API
// server counts generations, that includes the spec.
func metadataChanged(was, is client.Object) bool {
	return was.GetGeneration() != is.GetGeneration() ||
		was.GetDeletionTimestamp().IsZero() != is.GetDeletionTimestamp().IsZero() ||
		!equality.Semantic.DeepEqual(was.GetLabels(), is.GetLabels()) ||
		!equality.Semantic.DeepEqual(was.GetAnnotations(), is.GetAnnotations()) ||
		!equality.Semantic.DeepEqual(was.GetOwnerReferences(), is.GetOwnerReferences()) ||
		!slices.Equal(was.GetFinalizers(), is.GetFinalizers())
}

// objectUpdated looks at a tenant one of whose objects was changed by others, or got on. That the
// quota is used differently may wait.
func objectUpdated(ctx context.Context, e event.UpdateEvent, q queue) {
	if e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() {
		return
	}
	requests := byNamespace(ctx, e.ObjectNew)
	if objectNews(e.ObjectOld, e.ObjectNew) {
		enqueue(ctx, q, requests)
		return
	}
	if _, ok := e.ObjectNew.(*corev1.ResourceQuota); ok {
		for _, request := range requests {
			q.AddAfter(request, usageInterval)
		}
	}
}

func objectNews(was, is client.Object) bool {
	if metadataChanged(was, is) {
		return true
	}
	same := equality.Semantic.DeepEqual
	switch is := is.(type) {
	case *policyv1.PodDisruptionBudget:
		return false
	case *appsv1.Deployment:
		return !same(was.(*appsv1.Deployment).Status, is.Status)
	case *corev1.ResourceQuota:
		was := was.(*corev1.ResourceQuota)
		return !same(was.Spec, is.Spec) || !same(was.Status.Hard, is.Status.Hard)
	default:
		return true
	}
}

// podNews are the changes of a pod that its Deployment doesn't tell of.
var podNews = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return inTrouble(e.Object) != "" },
	UpdateFunc: func(e event.UpdateEvent) bool { return inTrouble(e.ObjectOld) != inTrouble(e.ObjectNew) },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
}

func inTrouble(object client.Object) string {
	reason, _ := status.PodTrouble(object.(*corev1.Pod))
	return reason
}

// byName: a tenant's namespace has the tenant's name, and so does one that is in its way.
func byName(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: object.GetName()}}}
}

func byNamespace(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: object.GetNamespace()}}}
}

func enqueue(_ context.Context, q queue, requests []reconcile.Request) {
	for _, request := range requests {
		q.Add(request)
	}
}

func (r *TenantReconciler) serverCreated(ctx context.Context, e event.CreateEvent, q queue) {
	enqueue(ctx, q, r.waitingFor(ctx, e.Object))
}

// serverUpdated looks at all tenants of a server when what they need of it changed, and otherwise
// at those that wait for it.
func (r *TenantReconciler) serverUpdated(ctx context.Context, e event.UpdateEvent, q queue) {
	was, is := e.ObjectOld.(*v1alpha1.DatabaseServer), e.ObjectNew.(*v1alpha1.DatabaseServer)
	switch {
	case was.ResourceVersion == is.ResourceVersion:
	case was.Generation != is.Generation || readyStatus(was) != readyStatus(is) ||
		!slices.Equal(was.Status.Addresses, is.Status.Addresses) || was.Status.CABundle != is.Status.CABundle:
		enqueue(ctx, q, r.tenantsBy(ctx, indexServer, is.Name))
		enqueue(ctx, q, r.tenantsBy(ctx, indexWaiting, anyServer))
	default:
		enqueue(ctx, q, r.waitingFor(ctx, is))
	}
}

func readyStatus(server *v1alpha1.DatabaseServer) metav1.ConditionStatus {
	ready := apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return metav1.ConditionUnknown
	}
	return ready.Status
}

func (r *TenantReconciler) serverDeleted(ctx context.Context, e event.DeleteEvent, q queue) {
	enqueue(ctx, q, r.tenantsBy(ctx, indexServer, e.Object.GetName()))
	enqueue(ctx, q, r.tenantsBy(ctx, indexWaiting, anyServer))
}

func (r *TenantReconciler) waitingFor(ctx context.Context, server client.Object) []reconcile.Request {
	return append(r.tenantsBy(ctx, indexWaiting, server.GetName()), r.tenantsBy(ctx, indexWaiting, anyServer)...)
}

func (r *TenantReconciler) tenantsBy(ctx context.Context, index, server string) []reconcile.Request {
	tenants := &v1alpha1.TenantList{}
	err := r.List(ctx, tenants, client.MatchingFields{index: server},
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't list the tenants of a database server", "server", server)
		return nil
	}
	requests := make([]reconcile.Request, 0, len(tenants.Items))
	for i := range tenants.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&tenants.Items[i])})
	}
	return requests
}
