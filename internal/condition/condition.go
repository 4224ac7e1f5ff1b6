// Package condition decides and sets the conditions of a tenant's parts and of database servers. It is pure.
package condition

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
)

// State is the content of a condition.
type State struct {
	// Status is the condition's status.
	Status metav1.ConditionStatus
	// Reason is the condition's reason.
	Reason string
	// Message is the condition's message, a sentence.
	Message string
	// Stalled says that somebody has to change something.
	Stalled bool
}

// Ready returns the state of a part that is in place.
func Ready(format string, args ...any) State {
	return State{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: fmt.Sprintf(format, args...)}
}

// Progressing returns the state of a part that is being worked on.
func Progressing(format string, args ...any) State {
	return State{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing, Message: fmt.Sprintf(format, args...)}
}

// Of returns the state of a part that has a problem.
func Of(p problem.Problem) State {
	return State{Status: metav1.ConditionFalse, Reason: p.Reason, Message: p.Message, Stalled: p.Stalled}
}

// What the API server accepts as the reason and the message of a condition. It would refuse the whole status
// otherwise, and reasons and messages of pods come from other components.
const (
	maxReason  = 1024
	maxMessage = 32768
)

var reason = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

// Set sets the condition with that type.
func Set(conditions *[]metav1.Condition, generation int64, now time.Time, condition string, s State) {
	if len(s.Reason) > maxReason || !reason.MatchString(s.Reason) {
		s.Reason = v1alpha1.ReasonFailed
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: condition, Status: s.Status, Reason: s.Reason, Message: strings.ToValidUTF8(s.Message[:min(len(s.Message), maxMessage)], ""),
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now),
	})
}
