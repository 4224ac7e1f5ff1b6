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

// watchLocks calls the function, which uses the connection. If it didn't get a lock in time, the error is a
// [database.LockedError] with the session that has the lock. PostgreSQL shows that only while a session waits.
func (s *server) watchLocks(ctx context.Context, conn *pgconn.PgConn, fn func() error) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	seen := make(chan *database.LockHolder)
	go func() { seen <- s.lastBlocking(watching, conn.PID()) }()
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
func (s *server) lastBlocking(ctx context.Context, pid uint32) (holder *database.LockHolder) {
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
			if err == nil {
				holder = &found
			}
			return err
		})
	}
}
