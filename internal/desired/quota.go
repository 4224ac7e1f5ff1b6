package desired

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

func resourceQuota(tenant *v1alpha1.Tenant) Object {
	if len(tenant.Spec.Quota) == 0 {
		return nil
	}
	return &corev1.ResourceQuota{
		ObjectMeta: meta(tenant, naming.Quota),
		Spec:       corev1.ResourceQuotaSpec{Hard: tenant.Spec.Quota},
	}
}

func limitRange(tenant *v1alpha1.Tenant) Object {
	limits := tenant.Spec.Containers
	if len(limits.Default)+len(limits.DefaultRequest)+len(limits.Max) == 0 {
		return nil
	}
	return &corev1.LimitRange{
		ObjectMeta: meta(tenant, naming.ContainerLimits),
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			Default:        limits.Default,
			DefaultRequest: limits.DefaultRequest,
			Max:            limits.Max,
		}}},
	}
}
