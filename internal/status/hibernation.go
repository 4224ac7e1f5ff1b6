package status

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
)

// hibernated returns the summary of a tenant that sleeps.
func hibernated(o Observation) condition.State {
	result := condition.Ready("The tenant sleeps until spec.hibernation.suspended is false.")
	if !o.Wakes.IsZero() {
		result = condition.Ready("The tenant sleeps until %s.", o.Wakes.UTC().Format(time.RFC3339))
	}
	result.Reason = v1alpha1.ReasonHibernated
	return result
}

// hibernation returns what the status says about the tenant's hibernation; nil if there is nothing to say.
func hibernation(o Observation, summary condition.State) *v1alpha1.TenantHibernationStatus {
	was := o.Tenant.Status.Hibernation
	ready := summary.Status == metav1.ConditionTrue
	result := &v1alpha1.TenantHibernationStatus{State: v1alpha1.HibernationAwake}
	switch {
	case o.Asleep && ready:
		result.State = v1alpha1.HibernationAsleep
	case o.Asleep && was != nil && was.State == v1alpha1.HibernationAsleep && o.AppEnded():
		result.State = v1alpha1.HibernationAsleep // Something else is wrong.
	case o.Asleep:
		result.State = v1alpha1.HibernationFallingAsleep
	case !ready && was != nil && was.State != v1alpha1.HibernationAwake:
		result.State = v1alpha1.HibernationWaking
	case o.Tenant.Spec.Hibernation == nil:
		return nil
	}
	result.NextWake, result.NextSleep = TimeOrNil(o.Wakes), TimeOrNil(o.Sleeps)
	return result
}

// TimeOrNil returns a time as a status has it; nil for the zero time.
func TimeOrNil(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	return new(metav1.NewTime(at))
}
