package desired

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Owning says how the operator owns the objects of a kind.
type Owning struct {
	// Fields says that the operator owns the fields that it sets, and others may set all other fields. If it is
	// false, the operator owns the whole object.
	Fields bool
	// Keep are paths of fields whose values stay when they are no longer desired, since somebody else sets them
	// from then on.
	Keep [][]string
}

// OwningOf returns how objects of this kind are owned: workloads by their fields, since injectors, autoscalers and
// platforms add to them, and walls as a whole.
func OwningOf(kind runtime.Object) Owning {
	switch kind.(type) {
	case *corev1.ServiceAccount, *corev1.Service, *policyv1.PodDisruptionBudget, *appsv1.StatefulSet, *batchv1.CronJob, *batchv1.Job,
		*autoscalingv2.HorizontalPodAutoscaler, *networkingv1.Ingress, *gatewayv1.HTTPRoute:
		return Owning{Fields: true}
	case *appsv1.Deployment:
		return Owning{Fields: true, Keep: [][]string{{"spec", "replicas"}}}
	}
	return Owning{}
}
