package postgres

import (
	"errors"
	"sync/atomic"

	"github.com/tenantry/tenantry/internal/database"
)

// breaker remembers that a server takes no session, so that those who need one don't wait for
// the same answer.
type breaker struct {
	cause atomic.Pointer[error]
}

// err returns why the server takes no session; nil if it does, as far as is known.
func (b *breaker) err() error {
	if cause := b.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// trip opens the breaker if the error is about the server and not about one call.
func (b *breaker) trip(err error) {
	_, unreachable := errors.AsType[*database.UnreachableError](err)
	_, refused := errors.AsType[*database.AuthenticationError](err)
	if unreachable || refused {
		b.cause.Store(&err)
	}
}

// record opens or closes the breaker by the outcome of a probe.
func (b *breaker) record(err error) {
	if err == nil {
		b.cause.Store(nil)
		return
	}
	b.trip(err)
}
