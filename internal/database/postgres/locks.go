package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/database"
)

// lockCheckInterval is the time between two checks of what a session that gets no answer waits for. It is shorter
// than any lock timeout.
const lockCheckInterval = 300 * time.Millisecond

// blocking selects the session that has blocked the one with the process ID $1 for the longest time.
const blocking = `SELECT json_build_object('PID', pid, 'Role', coalesce(usename, ''), 'Since', coalesce(xact_start, backend_start))
FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1)) ORDER BY coalesce(xact_start, backend_start) LIMIT 1`

// blockers says which tenants' sessions are ended when they block a statement: a condition on pg_stat_activity.
type blockers string

const (
	// noBlockers are for what can be tried again for as long as somebody holds a lock.
	noBlockers blockers = "false"
	// anyBlockers are for the removal of what only the tenant that is gone should have had to do with.
	anyBlockers blockers = "true"
	// guestBlockers are for the removal of rows from tables that tenants share, which those that manage the
	// tables lock rightly.
	guestBlockers blockers = `NOT EXISTS (SELECT FROM pg_auth_members WHERE pg_get_userbyid(roleid) = '` + database.TablesOwner + `'
		AND pg_get_userbyid(member) = left(usename, -2))`
)

// end returns a statement that ends those of the sessions that block the one with the process ID $1.
func (b blockers) end() string {
	return `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid = ANY (pg_blocking_pids($1)) AND ` + isTenant + ` AND ` + string(b)
}

// watchLocks calls the function, which uses the connection, and ends the blockers that are given. If the function
// didn't get a lock in time, the error is a [database.LockedError] with the session that has the lock. PostgreSQL
// shows that only while a session waits.
func (s *server) watchLocks(ctx context.Context, conn *pgconn.PgConn, end blockers, fn func() error) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	seen := make(chan *database.LockHolder)
	go func() { seen <- s.lastBlocking(watching, conn.PID(), end) }()
	err := fn()
	stop()
	holder := <-seen
	if hasCode(err, sqlstateLockNotAvailable) {
		return &database.LockedError{Server: s.address.Name, Holder: holder, Err: err}
	}
	return err
}

// lastBlocking returns, once the context has ended, the session that was last seen to block a session; nil if
// there was none.
func (s *server) lastBlocking(ctx context.Context, pid uint32, end blockers) (holder *database.LockHolder) {
	looks := time.NewTicker(lockCheckInterval)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return holder
		case <-looks.C:
		}
		// All sessions of the other pool may be waiting for the same lock.
		_ = s.acquireShared(ctx, s.address.Maintenance(), readTimeout, func(ctx context.Context, conn *conn) error {
			var found database.LockHolder
			err := conn.QueryRow(ctx, blocking, int32(pid)).Scan(&found)
			if err != nil {
				return err
			}
			holder = &found
			if _, err := conn.Exec(ctx, endIntruders); err != nil {
				return err
			}
			_, err = conn.Exec(ctx, end.end(), int32(pid))
			return err
		})
	}
}
