package parts

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/budget"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// +kubebuilder:rbac:groups="",resources=resourcequotas;limitranges,verbs=get;list;watch;create;update;delete

// Quota is the part with the limits for the tenant as a whole, and for each of its containers.
var Quota = &Part{
	Condition: v1alpha1.ConditionQuotaReady,
	Wall:      true,
	Kinds:     []desired.Object{&corev1.ResourceQuota{}, &corev1.LimitRange{}},
	objects:   func(in Inputs) []desired.Object { return in.each(resourceQuota, limitRange) },
	inPlace:   quotaInPlace,
}

func resourceQuota(in Inputs, place Place) desired.Object {
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

// withoutPods returns a quota that has no room for pods.
func withoutPods(hard corev1.ResourceList) corev1.ResourceList {
	result := hard.DeepCopy()
	if result == nil {
		result = corev1.ResourceList{}
	}
	result[corev1.ResourcePods] = resource.Quantity{Format: resource.DecimalSI}
	return result
}

func limitRange(in Inputs, place Place) desired.Object {
	limits := in.Tenant.Spec.Containers
	if !place.Usable || len(limits.Default)+len(limits.DefaultRequest)+len(limits.Max) == 0 {
		return nil
	}
	object := &corev1.LimitRange{
		ObjectMeta: metaIn(place.Name, in.Tenant, naming.ContainerLimits),
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			Default:        limits.Default,
			DefaultRequest: limits.DefaultRequest,
			Max:            limits.Max,
		}}},
	}
	if in.isPrimary(place) {
		markChange(in, object)
	}
	return object
}

func quotaInPlace(o Observation) condition.State {
	if len(o.Tenant.Spec.Quota) == 0 {
		return condition.Ready("The tenant has no quota.")
	}
	if short := overuse(o.Tenant.Spec.Quota, o.Needs); short != "" {
		return condition.Of(problem.QuotaBelowNeeds(short))
	}
	if o.Quota != nil {
		if over := overuse(o.Tenant.Spec.Quota, o.Quota.Status.Used); over != "" {
			return condition.Of(problem.QuotaBelowUse(over))
		}
	}
	return condition.Ready("Quota and container limits are in force.")
}

// overuse returns what is used beyond the quota, as text; empty if nothing is.
func overuse(quota, used corev1.ResourceList) string {
	var words []string
	for _, name := range budget.Overused(quota, used) {
		in, of := used[name], quota[name]
		words = append(words, fmt.Sprintf("%s %s of %s", name, in.String(), of.String()))
	}
	return strings.Join(words, ", ")
}
