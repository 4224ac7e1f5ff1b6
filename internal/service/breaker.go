package service

import (
	"errors"
	"sync/atomic"
)

// Breaker remembers that a server takes no session, so that those who need one don't wait for
// the same answer. The zero value is closed: the server is believed to take sessions.
type Breaker struct {
	cause atomic.Pointer[error]
}

// Err returns why the server takes no session; nil if it does, as far as is known.
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

// Record opens or closes the breaker by the outcome of a probe, which is the one call that is tried at any time.
func (b *Breaker) Record(err error) {
	if err == nil {
		b.cause.Store(nil)
		return
	}
	b.Trip(err)
}
