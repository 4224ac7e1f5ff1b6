package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/database"
)

const (
	// firstWithStrategy is the first major version whose CREATE DATABASE has STRATEGY; those
	// before copy files in any case.
	firstWithStrategy = 15
	// terminateTimeout is how long to wait for the end of a session.
	terminateTimeout = 5 * time.Second
)

func (s *server) execute(ctx context.Context, actions []database.Action) error {
	var major int
	err := s.acquire(ctx, changeTimeout, func(_ context.Context, conn *conn) error {
		major = majorVersion(conn.Conn().PgConn())
		return nil
	})
	if err != nil {
		return s.classify(ctx, err)
	}
	for _, batch := range Statements(actions, major) {
		if err := s.classify(ctx, s.run(ctx, batch)); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) run(ctx context.Context, batch Batch) error {
	switch batch.kind {
	case inDatabase:
		return s.runInside(ctx, batch)
	case databaseChange:
		select {
		case s.databaseChanges <- struct{}{}:
			defer func() { <-s.databaseChanges }()
		case <-ctx.Done():
			return ctx.Err()
		}
		return s.acquire(ctx, databaseTimeout, batch.run)
	default:
		return s.acquire(ctx, changeTimeout, batch.run)
	}
}

func (b Batch) run(ctx context.Context, conn *conn) error {
	return send(ctx, conn.Conn().PgConn(), b)
}

// runInside runs the batch in a tenant's database, on a connection that is only for it.
func (s *server) runInside(ctx context.Context, batch Batch) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	config := s.pool.Config().ConnConfig
	config.Database = batch.Database
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	err = send(ctx, conn.PgConn(), batch)
	if hasCode(err, sqlstateUndefinedSchema) {
		// The tenant, who is let in before, has dropped the schema: it was its own already.
		return nil
	}
	return err
}

// send uses the simple protocol, in which any number of statements are one round trip and one
// transaction.
func send(ctx context.Context, conn *pgconn.PgConn, batch Batch) error {
	_, err := conn.Exec(ctx, batch.SQL()).ReadAll()
	return err
}

func hasCode(err error, code string) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == code
}
