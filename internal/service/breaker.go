package service

import (
	"errors"
	"sync/atomic"
)

// Breaker is a circuit breaker: it remembers that a server accepts no sessions, so that callers don't all wait for
// the same answer. The zero value is closed, which means that the server is assumed to accept sessions.
type Breaker struct {
	cause atomic.Pointer[error]
}

// Err returns why the server accepts no sessions; nil if it does, as far as is known.
func (b *Breaker) Err() error {
	if cause := b.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// Trip opens the breaker if the error is about the server and not about one call.
func (b *Breaker) Trip(err error) {
	_, unreachable := errors.AsType[*UnreachableError](err)
	_, refused := errors.AsType[*AuthenticationError](err)
	if unreachable || refused {
		b.cause.Store(&err)
	}
}

// Record opens or closes the breaker depending on the result of a probe. Probes are sent even while the breaker is
// open.
func (b *Breaker) Record(err error) {
	if err == nil {
		b.cause.Store(nil)
		return
	}
	b.Trip(err)
}
