package tenant

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/internal/naming"
)

// loadApp reads what others decide about the app: whether an autoscaler scales it, and the LimitRange that its
// pods get.
func (r *Reconciler) loadApp(ctx context.Context, run *pass) error {
	tenant := run.tenant()
	autoscalers := &autoscalingv2.HorizontalPodAutoscalerList{}
	if err := r.List(ctx, autoscalers, client.InNamespace(tenant.Name)); err != nil {
		return err
	}
	run.inputs.Autoscaled = slices.ContainsFunc(autoscalers.Items, func(autoscaler autoscalingv2.HorizontalPodAutoscaler) bool {
		return scalesApp(&autoscaler)
	})
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

// scalesApp reports whether an autoscaler targets the app of the tenant in its namespace.
func scalesApp(object client.Object) bool {
	target := object.(*autoscalingv2.HorizontalPodAutoscaler).Spec.ScaleTargetRef
	version, err := schema.ParseGroupVersion(target.APIVersion)
	return err == nil && version.Group == appsv1.GroupName && target.Kind == "Deployment" && target.Name == naming.App
}

// autoscalerTargetChanged lets only changes of an autoscaler's target through. The status changes all the time.
var autoscalerTargetChanged = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return scalesApp(e.Object) },
	UpdateFunc: func(e event.UpdateEvent) bool { return scalesApp(e.ObjectOld) != scalesApp(e.ObjectNew) },
	DeleteFunc: func(e event.DeleteEvent) bool { return scalesApp(e.Object) },
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
