package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/database"
)

// maxSharedConnections is how many sessions the operator has in a shared database.
const maxSharedConnections = 4

// dependents are the databases with objects that depend on the roles $1. One that nobody can connect to
// is left out; PostgreSQL names it when a role can't be dropped.
const dependents = `SELECT DISTINCT datname::text FROM pg_shdepend JOIN pg_database ON pg_database.oid = dbid
WHERE refclassid = 'pg_authid'::regclass AND refobjid IN (SELECT oid FROM pg_roles WHERE rolname::text = ANY ($1))
	AND datallowconn AND datconnlimit <> -2
ORDER BY 1`

// runEverywhere runs the batch in each database that has something that depends on the roles of the
// tenant, also where another tenant has made it: by a right that it gave them, say.
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

// runInside runs the batch in a tenant's database, on a connection that is only for it.
func (s *server) runInside(ctx context.Context, batch Batch) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	config := s.pool.Config().ConnConfig
	config.Database = batch.Database
	err := s.connectAndSend(ctx, config, batch)
	if hasCode(err, sqlstateUndefinedSchema) {
		// The tenant, who is let in before, has dropped the schema: it was its own already.
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

// runAsTenant runs the batch in a session of a tenant that has no other, by a password for this
// once. Whatever happens, the password is known to nobody afterwards.
func (s *server) runAsTenant(ctx context.Context, batch Batch) error {
	password := database.Sensitive(database.GeneratePassword())
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

// changeRole carries out an action about a role, which is the same on each version of PostgreSQL.
func (s *server) changeRole(ctx context.Context, action database.Action) error {
	return s.runAll(ctx, Statements([]database.Action{action}, oldestVersion))
}

// runShared runs the batch in a database that tenants share.
func (s *server) runShared(ctx context.Context, batch Batch) error {
	return s.acquireShared(ctx, batch.Database, changeTimeout, s.running(batch))
}

// readShared does in a shared database what read does in the maintenance database.
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

// sharedPool returns the connections to a shared database, which are opened when they are needed.
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
