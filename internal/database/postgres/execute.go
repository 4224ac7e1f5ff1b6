package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/database"
)

const (
	// firstWithStrategy is the first major version whose CREATE DATABASE has STRATEGY. Earlier ones always copy
	// files.
	firstWithStrategy = 15
	// firstWithGrantOptions is the first major version in which a membership can be for inheriting
	// rights only.
	firstWithGrantOptions = 16
	// terminateTimeout is how long to wait until a session has ended.
	terminateTimeout = 5 * time.Second
)

func (s *server) execute(ctx context.Context, actions []database.Action) error {
	major, err := s.majorVersion(ctx)
	if err != nil {
		return err
	}
	return s.classify(ctx, s.runAll(ctx, Statements(actions, major)))
}

// runAll stops at the first batch that fails.
func (s *server) runAll(ctx context.Context, batches []Batch) error {
	for _, batch := range batches {
		if err := s.run(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) run(ctx context.Context, batch Batch) error {
	switch batch.kind {
	case inDatabase:
		return s.runInside(ctx, batch)
	case inShared:
		return s.runShared(ctx, batch)
	case inPortions:
		return s.runInPortions(ctx, batch)
	case asTenant:
		return s.runAsTenant(ctx, batch)
	case everywhere:
		return s.runEverywhere(ctx, batch)
	case databaseChange:
		select {
		case s.databaseChanges <- struct{}{}:
			defer func() { <-s.databaseChanges }()
		case <-ctx.Done():
			return ctx.Err()
		}
		return s.acquire(ctx, databaseTimeout, s.running(batch))
	default:
		return s.acquire(ctx, changeTimeout, s.running(batch))
	}
}

// running returns a function that runs the batch.
func (s *server) running(batch Batch) func(context.Context, *conn) error {
	return func(ctx context.Context, conn *conn) error { return s.send(ctx, conn.Conn().PgConn(), batch) }
}

// send uses the simple protocol, in which any number of statements are one round trip and one
// transaction.
func (s *server) send(ctx context.Context, conn *pgconn.PgConn, batch Batch) error {
	end := noBlockers
	if batch.removes {
		end = anyBlockers
	}
	return s.watchLocks(ctx, conn, end, func() error {
		_, err := conn.Exec(ctx, batch.SQL()).ReadAll()
		return err
	})
}

func hasCode(err error, code string) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == code
}
