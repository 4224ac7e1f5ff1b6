// Package problem says what keeps a tenant or a server from being as its spec asks: one constructor a
// problem, with the reason and the sentence that people read, and Of and OfServer, which say what any
// error means. It is pure: it knows no clients, contexts and clocks.
package problem

import (
	"fmt"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Problem is what keeps a part from being in place. It is comparable, and an error, so that what finds
// it can return it.
//
//nolint:errname // It is what a condition says; that it can be returned as an error comes second.
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

// Error is the sentence.
func (p Problem) Error() string { return p.Message }

// Retry says when a part that has a problem is tried again. Of several, the greatest counts.
type Retry int

const (
	// OnChange : when something that is watched changes.
	OnChange Retry = iota
	// Later : also after a while, since what has to change isn't watched.
	Later
	// WithBackoff : soon, and less and less often.
	WithBackoff
	// Again : as WithBackoff, since something was decided on old data. That is no failure until it has
	// happened too often in a row.
	Again
)

// stalled is a problem that somebody has to mend.
func stalled(reason string, retry Retry, format string, args ...any) Problem {
	return Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Stalled: true, Retry: retry}
}

// temporary is a problem that may pass by itself.
func temporary(reason string, retry Retry, format string, args ...any) Problem {
	return Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Retry: retry}
}

// progressing is no fault: work is under way.
func progressing(format string, args ...any) Problem {
	return temporary(v1alpha1.ReasonProgressing, OnChange, format, args...)
}
