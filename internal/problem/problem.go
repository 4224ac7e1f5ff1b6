// Package problem has what can keep a tenant or a server from being as its spec asks. Each problem has a
// constructor with the reason and the message that users read. Of and OfServer return what any error means. The
// package is pure: it has no clients, contexts or clocks.
package problem

import (
	"fmt"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Problem is what keeps a part from being in place. It is comparable, and an error, so that functions can return
// it.
//
//nolint:errname // It is first of all what a condition says.
type Problem struct {
	// Reason is the condition's reason.
	Reason string
	// Message is a sentence that says what is wrong and what to do about it.
	Message string
	// Stalled says that retrying won't help, and somebody must change something.
	Stalled bool
	// Retry says when to retry.
	Retry Retry
}

func (p Problem) Error() string { return p.Message }

// Retry says when to retry a part that has a problem. Of several, the greatest applies.
type Retry int

const (
	// OnChange retries when something that is watched changes.
	OnChange Retry = iota
	// Later also retries after a while, since what has to change isn't watched.
	Later
	// WithBackoff retries soon, and then less and less often.
	WithBackoff
	// Again is like WithBackoff, for a decision that was made on old data. That is no failure until it has happened
	// too often in a row.
	Again
)

// stalled returns a problem that somebody has to fix.
func stalled(reason string, retry Retry, format string, args ...any) Problem {
	return Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Stalled: true, Retry: retry}
}

// temporary returns a problem that may pass by itself.
func temporary(reason string, retry Retry, format string, args ...any) Problem {
	return Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Retry: retry}
}

// progressing returns a problem that only says that work is under way.
func progressing(format string, args ...any) Problem {
	return temporary(v1alpha1.ReasonProgressing, OnChange, format, args...)
}
