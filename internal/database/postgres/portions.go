package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/service"
)

// portionsTimeout is how long a removal in portions may take before it reports how much is left.
const portionsTimeout = 30 * time.Second

// portion is a part of what must be removed.
type portion struct {
	// commands are the statements that remove it.
	commands []string
	// left is how much there is to remove, including this portion.
	left int64
}

// runInPortions runs the statements that the batch's query returns, until it returns none. Each answer is a
// transaction of its own, so that neither its locks nor its time depend on how much the tenant has.
func (s *server) runInPortions(ctx context.Context, batch Batch) error {
	for end := time.Now().Add(portionsTimeout); ; {
		var next portion
		err := s.acquireShared(ctx, batch.Database, changeTimeout, func(ctx context.Context, conn *conn) (err error) {
			if next, err = nextPortion(ctx, conn, batch); err != nil || len(next.commands) == 0 {
				return err
			}
			return s.send(ctx, conn.Conn().PgConn(), Batch{Statements: next.commands, removes: true})
		})
		if err != nil || len(next.commands) == 0 {
			return err
		}
		if time.Now().After(end) {
			return &service.UnfinishedError{Left: next.left - int64(len(next.commands)), What: "tables and other objects"}
		}
	}
}

func nextPortion(ctx context.Context, conn *conn, batch Batch) (next portion, err error) {
	rows, err := conn.Query(ctx, batch.SQL(), pgx.QueryExecModeExec)
	if err != nil {
		return next, err
	}
	var command string
	_, err = pgx.ForEachRow(rows, []any{&command, &next.left}, func() error {
		next.commands = append(next.commands, command)
		return nil
	})
	return next, err
}

// deleteInPortions runs the batch in a session of the tenant until nothing is left to delete. Each run takes
// some seconds, and is committed.
func (s *server) deleteInPortions(ctx context.Context, config *pgx.ConnConfig, batch Batch) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for end := time.Now().Add(portionsTimeout); ; {
		var left int64
		err := s.watchLocks(ctx, conn.PgConn(), guestBlockers, func() error { return conn.QueryRow(ctx, batch.SQL()).Scan(&left) })
		if err != nil || left == 0 {
			return err
		}
		if time.Now().After(end) {
			return &service.UnfinishedError{Left: left, What: "rows"}
		}
	}
}
