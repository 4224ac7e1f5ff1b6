// Package condition says what a condition says of a part of a tenant, or of a database server, and writes
// it. It is pure.
package condition

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
)

// State is what a condition says.
type State struct {
	// Status is True when all is well, for conditions for which that is so.
	Status metav1.ConditionStatus
	// Reason is the condition's reason.
	Reason string
	// Message is a sentence.
	Message string
	// Stalled says that somebody has to change something.
	Stalled bool
}

// Ready is that everything is as it should be.
func Ready(format string, args ...any) State {
	return State{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: fmt.Sprintf(format, args...)}
}

// Progressing is that work is under way.
func Progressing(format string, args ...any) State {
	return State{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing, Message: fmt.Sprintf(format, args...)}
}

// Of is what a condition says of a problem.
func Of(p problem.Problem) State {
	return State{Status: metav1.ConditionFalse, Reason: p.Reason, Message: p.Message, Stalled: p.Stalled}
}

// maxMessage is what the API server takes as the message of a condition.
const maxMessage = 32768

// Set makes the condition of that type say so.
func Set(conditions *[]metav1.Condition, generation int64, now time.Time, condition string, s State) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: condition, Status: s.Status, Reason: s.Reason, Message: s.Message[:min(len(s.Message), maxMessage)],
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now),
	})
}
