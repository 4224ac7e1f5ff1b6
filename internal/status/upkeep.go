package status

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/problem"
)

// WithUpkeep returns the status of a server that answers, with the condition that says what the operator can't do there.
func WithUpkeep(server *v1alpha1.DatabaseServer, failures []problem.Problem, now time.Time) v1alpha1.DatabaseServerStatus {
	result := *server.Status.DeepCopy()
	if len(failures) == 0 {
		meta.RemoveStatusCondition(&result.Conditions, v1alpha1.ConditionUpkeepFailed)
		return result
	}
	found := problem.Together(failures...)
	condition.Set(&result.Conditions, server.Generation, now, v1alpha1.ConditionUpkeepFailed,
		condition.State{Status: metav1.ConditionTrue, Reason: found.Reason, Message: found.Message})
	return result
}
