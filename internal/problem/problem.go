// Package problem says what keeps a tenant or a server from being as its spec asks. Each problem has a
// constructor with the reason and the sentence that people read; Of and OfServer say what any error means.
// The package is pure: it has no clients, contexts or clocks.
package problem

import (
	"fmt"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Problem is what keeps a part from being in place. It is comparable, and an error, so that what finds
// it can return it.
//
//nolint:errname // It is first of all what a condition says.
type Problem struct {
	// Reason is the condition's reason.
	Reason string
	// Message is a sentence that says what is wrong and what to do about it.
	Message string
	// Stalled says that trying again won't help; somebody has to change something.
	Stalled bool
	// Retry says when it is tried again.
	Retry Retry
}

// Error returns the sentence.
func (p Problem) Error() string { return p.Message }

// Retry says when a part that has a problem is tried again. Of several, the greatest counts.
type Retry int

const (
	// OnChange waits until something that is watched changes.
	OnChange Retry = iota
	// Later also tries again after a while, since what has to change isn't watched.
	Later
	// WithBackoff tries again soon, and then less and less often.
	WithBackoff
	// Again is WithBackoff for a decision that was made on old data, which is no failure until it has
	// happened too often in a row.
	Again
)

// stalled returns a problem that somebody has to mend.
func stalled(reason string, retry Retry, format string, args ...any) Problem {
	return Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Stalled: true, Retry: retry}
}

// temporary returns a problem that may pass by itself.
func temporary(reason string, retry Retry, format string, args ...any) Problem {
	return Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Retry: retry}
}

// progressing is no fault: work is under way.
func progressing(format string, args ...any) Problem {
	return temporary(v1alpha1.ReasonProgressing, OnChange, format, args...)
}
