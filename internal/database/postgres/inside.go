package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// maxSharedConnections is how many sessions the operator has in a shared database.
const maxSharedConnections = 4

// dependents selects the databases with objects that depend on the roles $1. It leaves out databases that nobody
// can connect to; PostgreSQL names them if a role can't be dropped.
const dependents = `SELECT DISTINCT datname::text FROM pg_shdepend JOIN pg_database ON pg_database.oid = dbid
WHERE refclassid = 'pg_authid'::regclass AND refobjid IN (SELECT oid FROM pg_roles WHERE rolname::text = ANY ($1))
	AND datallowconn AND datconnlimit <> -2
ORDER BY 1`

// runEverywhere runs the batch in each database with objects that depend on the roles of the tenant. These may be
// objects of another tenant, which has granted the roles a right, for example.
func (s *server) runEverywhere(ctx context.Context, batch Batch) error {
	logins := database.Logins(batch.Owner)
	var names []string
	err := s.acquire(ctx, changeTimeout, func(ctx context.Context, conn *conn) error {
		rows, err := conn.Query(ctx, dependents, []string{batch.Owner, logins[0], logins[1]})
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	for _, name := range names {
		batch.Database = name
		err = errors.Join(err, s.runInside(ctx, batch))
	}
	return err
}

// runInside runs the batch in a tenant's database, on a connection of its own.
func (s *server) runInside(ctx context.Context, batch Batch) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	config := s.pool.Config().ConnConfig
	config.Database = batch.Database
	err := s.connectAndSend(ctx, config, batch)
	if hasCode(err, sqlstateUndefinedSchema) {
		// The tenant, which can already connect and owns the schema, has dropped it.
		return nil
	}
	return err
}

func (s *server) connectAndSend(ctx context.Context, config *pgx.ConnConfig, batch Batch) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return s.send(ctx, conn.PgConn(), batch)
}

// runAsTenant runs the batch in a session of a tenant that has no other sessions, with a temporary password.
// Whatever happens, nobody knows the password afterwards.
func (s *server) runAsTenant(ctx context.Context, batch Batch) error {
	password := service.Sensitive(service.GeneratePassword())
	if err := s.changeRole(ctx, database.EnableLogin{Login: batch.Login, ConnectionLimit: 1, Password: password}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	config := s.pool.Config().ConnConfig
	config.Database, config.User, config.Password = batch.Database, batch.Login, string(password)
	if err := s.deleteInPortions(ctx, config, batch); err != nil {
		return err
	}
	return s.changeRole(ctx, database.DisableLogin{Login: batch.Login})
}

// changeRole executes an action on a role whose SQL is the same for all versions of PostgreSQL.
func (s *server) changeRole(ctx context.Context, action database.Action) error {
	return s.runAll(ctx, Statements([]database.Action{action}, oldestVersion))
}

// runShared runs the batch in a database that tenants share.
func (s *server) runShared(ctx context.Context, batch Batch) error {
	return s.acquireShared(ctx, batch.Database, changeTimeout, s.running(batch))
}

// readShared does what read does in a shared database.
func (s *server) readShared(ctx context.Context, name string, fn func(context.Context, *conn) error) error {
	err := s.acquireShared(ctx, name, readTimeout, fn)
	if connectionLost(err) {
		err = s.acquireShared(ctx, name, readTimeout, fn)
	}
	return s.classify(ctx, err)
}

func (s *server) acquireShared(ctx context.Context, name string, timeout time.Duration, fn func(context.Context, *conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pool, err := s.sharedPool(ctx, name)
	if err != nil {
		return err
	}
	err = pool.AcquireFunc(ctx, func(conn *conn) error { return fn(ctx, conn) })
	if connectionLost(err) {
		pool.Reset()
	}
	return err
}

// sharedPool returns the pool for a shared database. It opens connections when they are needed.
func (s *server) sharedPool(ctx context.Context, name string) (*pgxpool.Pool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pool := s.shared[name]; pool != nil {
		return pool, nil
	}
	config := s.pool.Config()
	config.ConnConfig.Database = name
	config.MaxConns = maxSharedConnections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if s.shared == nil {
		s.shared = map[string]*pgxpool.Pool{}
	}
	s.shared[name] = pool
	return pool, nil
}

func (s *server) close() {
	s.pool.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pool := range s.shared {
		pool.Close()
	}
}
