package postgres

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/database"
)

// isTenant is a condition on pg_stat_activity: that the session is one of a tenant. Only the operator makes roles
// of this form.
const isTenant = `usename ~ '^t_[a-z2-7]{20}_[01]$'`

// intruders selects the sessions of tenants that have to do with a database as only its owner may, or with one that
// they aren't in. PostgreSQL takes the lock before it asks for the right: one session that holds a weak lock on a
// database, by a setting of its login there, and another that waits to drop it, keep everybody from connecting to
// the database, or from copying it. NOTIFY locks no database, but the number 0.
const intruders = `SELECT pid, usename FROM pg_stat_activity
WHERE ` + isTenant + ` AND EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = pg_stat_activity.pid
	AND locktype = 'object' AND classid = 'pg_database'::regclass AND objid <> 0
	AND (objid <> datid OR mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')))`

// endIntruders ends these sessions.
const endIntruders = `SELECT count(pg_terminate_backend(pid)) FROM (` + intruders + `) AS intruders`

// namedIntruders does the same, and selects the names of the tenants.
const namedIntruders = `WITH ended AS MATERIALIZED (SELECT usename, pg_terminate_backend(pid) FROM (` + intruders + `) AS intruders)
SELECT json_agg(DISTINCT tenant ORDER BY tenant) FROM ended JOIN tenantry.tenants ON name = left(usename, -2)`

// watchConnect ends the intruders if a connection that is being opened takes long, as it does behind them. The
// context ends with the attempt.
func (s *server) watchConnect(ctx context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
	go func() {
		looks := time.NewTicker(lockCheckInterval)
		defer looks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-looks.C:
				s.endIntruders(ctx)
			}
		}
	}()
	return conn, nil
}

// endIntruders ends the intruders from a session that is open already or, if there is none, as after a restart of
// the operator, from whichever database one can still connect to. What waits for that goes on when the first of them
// has ended, and so may the context; the others must end all the same.
func (s *server) endIntruders(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	idle := s.pool.AcquireAllIdle(ctx)
	for n, conn := range idle {
		if n > 0 {
			conn.Release()
		}
	}
	if len(idle) > 0 {
		defer idle[0].Release()
		_, _ = idle[0].Exec(ctx, endIntruders) // It is tried again.
		return
	}
	for _, name := range []string{"template1", database.SharedDatabase(database.IsolationSchema), database.SharedDatabase(database.IsolationRow)} {
		if s.endIntrudersFrom(ctx, name) == nil {
			return
		}
	}
}

func (s *server) endIntrudersFrom(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, lockCheckInterval)
	defer cancel()
	config := s.pool.Config().ConnConfig
	config.Database, config.AfterNetConnect = name, nil
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, endIntruders)
	return err
}
