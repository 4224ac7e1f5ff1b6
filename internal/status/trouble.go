package status

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
)

// TroubleBegun returns when trouble has begun, according to the conditions, for an operator that was restarted and
// doesn't know. about is the type of the condition about it. If the tenant is Stalled for the same reason, the
// grace period is over.
func TroubleBegun(conditions []metav1.Condition, about string, now time.Time) time.Time {
	told, stalled := meta.FindStatusCondition(conditions, about), meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled)
	if told != nil && told.Status == metav1.ConditionFalse && stalled != nil && stalled.Reason == told.Reason {
		return now.Add(-problem.Grace)
	}
	return now
}
