package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/workload"
)

// classOf returns the class that a tenant has, of which summary says how it is; nil if it has none.
func classOf(o Observation, summary condition.State) *v1alpha1.TenantStatusClass {
	class := o.Tenant.Class
	if class == nil {
		return nil
	}
	result := &v1alpha1.TenantStatusClass{Name: class.Name, Revision: class.Revision, AssignedAt: metav1.NewTime(o.Now.Truncate(time.Second))}
	recorded := o.Tenant.Status.Class
	if recorded != nil && recorded.Name == class.Name {
		result.AssignedAt = recorded.AssignedAt
	}
	result.ReadyAt = readyAt(o, summary, recorded != nil && recorded.Name == class.Name && recorded.Revision == class.Revision)
	return result
}

// readyAt returns since when a tenant is Ready at its revision; nil if it isn't, or if nobody has noted that. stays
// says that it was at that revision before.
func readyAt(o Observation, summary condition.State, stays bool) *metav1.Time {
	ready := summary.Status == metav1.ConditionTrue
	switch {
	case stays && (ready && meta.IsStatusConditionTrue(o.Tenant.Status.Conditions, v1alpha1.ConditionReady) || scales(o, summary)):
		return o.Tenant.Status.Class.ReadyAt
	case stays && ready && o.Tenant.Status.Class.ReadyAt != nil: // It was scaled.
		return o.Tenant.Status.Class.ReadyAt
	case ready:
		return new(metav1.NewTime(o.Now.Truncate(time.Second)))
	default:
		return nil
	}
}

// scales reports whether a tenant isn't Ready only because further pods of its app are starting, which says nothing
// about those that it has.
func scales(o Observation, summary condition.State) bool {
	if summary.Reason != v1alpha1.ReasonProgressing || o.Deployment == nil {
		return false
	}
	deployed := o.Deployment.Status
	if deployed.ObservedGeneration < o.Deployment.Generation || deployed.UpdatedReplicas != deployed.Replicas {
		return false
	}
	return !slices.ContainsFunc(o.Pods, func(pod corev1.Pod) bool { return workload.Signs(&pod) != "" })
}

// setHeldBack sets the condition HeldBack while the class says something else about what is fixed.
func setHeldBack(conditions *[]metav1.Condition, o Observation) {
	if len(o.Tenant.HeldBack) == 0 {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionHeldBack)
		return
	}
	condition.Set(conditions, o.Tenant.Generation, o.Now, v1alpha1.ConditionHeldBack, condition.State{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonImmutable,
		Message: fmt.Sprintf("The class %s says otherwise about what is fixed once the database is placed: %s. Everything else is as the class says.",
			o.Tenant.Class.Name, strings.Join(o.Tenant.HeldBack, "; ")),
	})
}
