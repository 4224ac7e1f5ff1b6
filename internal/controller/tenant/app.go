package tenant

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/internal/naming"
)

// loadApp reads what others decide about the app: whether autoscalers scale it and its workers, and the LimitRange that
// its pods get.
func (r *Reconciler) loadApp(ctx context.Context, run *pass) error {
	tenant := run.tenant()
	autoscalers := &autoscalingv2.HorizontalPodAutoscalerList{}
	if err := r.List(ctx, autoscalers, client.InNamespace(tenant.Name)); err != nil {
		return err
	}
	run.inputs.Autoscaled = sets.New[string]()
	for i := range autoscalers.Items {
		if name := scaledBy(&autoscalers.Items[i]); name != "" {
			run.inputs.Autoscaled.Insert(name)
		}
	}
	deployment := &appsv1.Deployment{}
	running, err := r.read(ctx, types.NamespacedName{Namespace: tenant.Name, Name: naming.App}, deployment)
	if err != nil {
		return err
	}
	if running && metav1.IsControlledBy(deployment, tenant) {
		run.inputs.Running = &deployment.Spec.Template
	}
	if err := r.loadClaims(ctx, run); err != nil {
		return err
	}
	limits := &corev1.LimitRange{}
	found, err := r.read(ctx, types.NamespacedName{Namespace: tenant.Name, Name: naming.ContainerLimits}, limits)
	if found && metav1.IsControlledBy(limits, tenant) {
		run.inputs.Limits = limits
	}
	return err
}

// scaledBy returns the name of the Deployment that an autoscaler targets, which may be the tenant's app or a worker of it;
// empty if it targets something else.
func scaledBy(object client.Object) string {
	target := object.(*autoscalingv2.HorizontalPodAutoscaler).Spec.ScaleTargetRef
	version, err := schema.ParseGroupVersion(target.APIVersion)
	if err != nil || version.Group != appsv1.GroupName || target.Kind != "Deployment" {
		return ""
	}
	return target.Name
}

// autoscalerTargetChanged lets only changes of an autoscaler's target through. The status changes all the time.
var autoscalerTargetChanged = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return scaledBy(e.Object) != "" },
	UpdateFunc: func(e event.UpdateEvent) bool { return scaledBy(e.ObjectOld) != scaledBy(e.ObjectNew) },
	DeleteFunc: func(e event.DeleteEvent) bool { return scaledBy(e.Object) != "" },
}

// byNamespace returns the tenant with the name of an object's namespace.
func byNamespace(_ context.Context, object client.Object) []reconcile.Request {
	return requestsFor([]string{object.GetNamespace()})
}

// TrimAutoscaler drops everything from an autoscaler that isn't the operator's but its target, which is all that the
// controller reads.
func TrimAutoscaler(object any) (any, error) {
	whole, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return object, nil
	}
	trimmed := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{
		Namespace: whole.Namespace, Name: whole.Name, UID: whole.UID, ResourceVersion: whole.ResourceVersion,
	}}
	trimmed.Spec.ScaleTargetRef = whole.Spec.ScaleTargetRef
	return trimmed, nil
}
