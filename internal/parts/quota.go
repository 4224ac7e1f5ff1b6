package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/internal/naming"
)

func resourceQuota(in Inputs, place Place) Object {
	object := &corev1.ResourceQuota{
		ObjectMeta: metaIn(place.Name, in.Tenant, naming.Quota),
		Spec:       corev1.ResourceQuotaSpec{Hard: in.Tenant.Spec.Quota},
	}
	if slice := place.Quota; slice != nil {
		object.ResourceVersion = slice.Version
		object.Spec.Hard = slice.Hard
		if slice.Note != "" {
			object.Annotations = map[string]string{naming.AnnotationSlice: slice.Note}
		}
	}
	if !place.Usable {
		object.Spec.Hard = withoutPods(object.Spec.Hard)
	}
	if len(object.Spec.Hard) == 0 {
		return nil
	}
	return object
}

// withoutPods is a quota in which there is no room for pods.
func withoutPods(hard corev1.ResourceList) corev1.ResourceList {
	result := hard.DeepCopy()
	if result == nil {
		result = corev1.ResourceList{}
	}
	result[corev1.ResourcePods] = resource.Quantity{Format: resource.DecimalSI}
	return result
}

func limitRange(in Inputs, place Place) Object {
	limits := in.Tenant.Spec.Containers
	if !place.Usable || len(limits.Default)+len(limits.DefaultRequest)+len(limits.Max) == 0 {
		return nil
	}
	return &corev1.LimitRange{
		ObjectMeta: metaIn(place.Name, in.Tenant, naming.ContainerLimits),
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			Default:        limits.Default,
			DefaultRequest: limits.DefaultRequest,
			Max:            limits.Max,
		}}},
	}
}
