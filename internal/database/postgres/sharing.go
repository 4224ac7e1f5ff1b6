package postgres

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/database"
)

// unprotectedListed is how many unprotected tables are listed by name.
const unprotectedListed = 20

// rowInterface creates the schema tenantry in the shared database of isolation Row.
//
//go:embed row.sql
var rowInterface string

// share prepares the shared databases that aren't prepared, and returns their state.
func (s *server) share(ctx context.Context, sharing database.Sharing) (status database.SharingStatus, err error) {
	for _, isolation := range sharing.Isolations {
		script := preparation(isolation, sharing.Extensions)
		prepared, err := s.isPrepared(ctx, isolation, script)
		if err != nil {
			return status, err
		}
		if !prepared {
			if err := s.prepare(ctx, isolation, script); err != nil {
				return status, err
			}
		}
		if isolation == database.IsolationRow {
			if status, err = s.unprotected(ctx); err != nil {
				return status, err
			}
		}
	}
	return status, nil
}

// sharedState selects whether a shared database exists, whether it is ours, and whether only those who may connect
// can.
const sharedState = `
SELECT pg_get_userbyid(datdba) = $2, datallowconn
	AND (SELECT count(*) = 0 FROM ` + databaseACL + ` WHERE grantee = 0)
	AND EXISTS (SELECT FROM ` + databaseACL + ` JOIN pg_roles ON pg_roles.oid = grantee WHERE rolname = $1 AND privilege_type = 'CONNECT')
FROM pg_database WHERE datname = $1`

// isCurrentScript selects whether the script with the digest was the last one to prepare a shared database, and
// whether no schema has been opened to all tenants since.
const isCurrentScript = `
SELECT EXISTS (SELECT FROM tenantry.preparation WHERE digest = $1)
	AND NOT EXISTS (SELECT FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
		WHERE nspname IN ('public', 'extensions', 'tenantry') AND grantee = 0)`

// isPrepared reports whether nothing is left to prepare. It returns an error if somebody else has a database with
// that name.
func (s *server) isPrepared(ctx context.Context, isolation database.Isolation, script string) (prepared bool, err error) {
	name := database.SharedDatabase(isolation)
	var ours bool
	err = s.read(ctx, func(ctx context.Context, conn *conn) error {
		return conn.QueryRow(ctx, sharedState, name, database.PlatformOwner).Scan(&ours, &prepared)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case !ours:
		return false, s.unsuitable(nil, "it has a database %s that does not belong to the role %s; rename or drop it, or take %s out of spec.isolations",
			name, database.PlatformOwner, isolation)
	case !prepared:
		return false, nil
	}
	var current bool
	err = s.readShared(ctx, name, func(ctx context.Context, conn *conn) error {
		return conn.QueryRow(ctx, isCurrentScript, digest(script)).Scan(&current)
	})
	if notHardened(err) {
		return false, nil
	}
	return current, err
}

// prepare creates a shared database. It allows connections of tenants at the end, when the database is ready.
func (s *server) prepare(ctx context.Context, isolation database.Isolation, script string) error {
	name := database.SharedDatabase(isolation)
	major, err := s.majorVersion(ctx)
	if err != nil {
		return err
	}
	create, err := s.missing(ctx, name)
	if err != nil {
		return err
	}
	batches := []Batch{{kind: inRegistry, Statements: []string{lockRegistry, createRoles(isolation)}}}
	if create {
		batches = append(batches, Statements([]database.Action{database.CreateDatabase{Database: name}}, major)...)
	}
	searchPath := `"$user"`
	if isolation == database.IsolationRow {
		searchPath = "public"
	}
	batches = append(batches,
		Batch{kind: onDatabase, Statements: []string{
			"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
			"ALTER DATABASE " + name + " ALLOW_CONNECTIONS true CONNECTION LIMIT -1 IS_TEMPLATE false",
			"ALTER DATABASE " + name + " SET search_path TO " + searchPath + ", extensions",
		}},
		Batch{kind: inShared, Database: name, Statements: []string{script,
			"CREATE TABLE IF NOT EXISTS tenantry.preparation (digest text NOT NULL)", "DELETE FROM tenantry.preparation",
			"INSERT INTO tenantry.preparation VALUES (" + literal(digest(script)) + ")"}},
		Batch{kind: onDatabase, Statements: []string{grantConnect(isolation)}})
	for _, batch := range batches {
		err := s.run(ctx, batch)
		if hasCode(err, sqlstateNotSupported) || hasCode(err, sqlstateUndefinedFile) {
			return s.unsuitable(err, "it lacks an extension: %v; install that on its machine, or take it out of spec.extensions", err)
		}
		if err := s.classify(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) missing(ctx context.Context, name string) (missing bool, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *conn) error {
		return conn.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&missing)
	})
	return missing, err
}

// createRoles returns a statement that creates the role whose members may connect and, for isolation Row, the one
// that owns the tables.
func createRoles(isolation database.Isolation) string {
	roles := []string{database.SharedDatabase(isolation)}
	if isolation == database.IsolationRow {
		roles = append(roles, database.TablesOwner)
	}
	var body strings.Builder
	for _, role := range roles {
		fmt.Fprintf(&body, `
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN
		CREATE ROLE %[1]s NOLOGIN;
	END IF;`, role)
	}
	return "DO " + literal("BEGIN"+body.String()+"\nEND")
}

func grantConnect(isolation database.Isolation) string {
	name := database.SharedDatabase(isolation)
	grant := fmt.Sprintf("GRANT CONNECT ON DATABASE %[1]s TO %[1]s", name)
	if isolation == database.IsolationRow {
		grant += fmt.Sprintf(";\nGRANT CREATE, TEMPORARY ON DATABASE %s TO %s", name, database.TablesOwner)
	}
	return grant
}

// preparation returns the script that prepares a shared database. It can be run any number of times.
func preparation(isolation database.Isolation, extensions []string) string {
	guests, owner := database.SharedDatabase(isolation), database.PlatformOwner
	statements := []string{
		"CREATE SCHEMA IF NOT EXISTS tenantry",
		"CREATE SCHEMA IF NOT EXISTS extensions",
		"REVOKE ALL ON SCHEMA tenantry, extensions FROM PUBLIC",
		"GRANT USAGE ON SCHEMA extensions TO " + guests,
		// An app checks with to_regproc whether tenantry.isolate exists. Without USAGE on the schema, PostgreSQL would
		// raise an error instead of returning NULL as in a database without the schema.
		"GRANT USAGE ON SCHEMA tenantry TO " + guests,
		"DO " + literal(fmt.Sprintf(`
BEGIN
	IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public') THEN
		REVOKE ALL ON SCHEMA public FROM PUBLIC;
		ALTER SCHEMA public OWNER TO %s;
	END IF;
END`, owner)),
	}
	if isolation == database.IsolationRow {
		statements[len(statements)-1] = "REVOKE ALL ON SCHEMA public FROM PUBLIC"
		statements = append(statements,
			"ALTER SCHEMA public OWNER TO "+database.TablesOwner,
			"GRANT USAGE ON SCHEMA public TO "+guests,
			"GRANT USAGE ON SCHEMA extensions TO "+database.TablesOwner,
			rowInterface)
	}
	for _, extension := range slices.Sorted(slices.Values(extensions)) {
		statements = append(statements, createExtension(extension))
	}
	return strings.Join(statements, ";\n")
}

func digest(script string) string {
	sum := sha256.Sum256([]byte(script))
	return hex.EncodeToString(sum[:])
}

var listUnprotected = fmt.Sprintf(`
SELECT count(*), (SELECT json_agg(json_build_object('Name', relation::text, 'Problem', problem))
	FROM (SELECT * FROM tenantry.unprotected ORDER BY relation::text LIMIT %d) AS first)
FROM tenantry.unprotected`, unprotectedListed)

func (s *server) unprotected(ctx context.Context) (status database.SharingStatus, err error) {
	err = s.readShared(ctx, database.SharedDatabase(database.IsolationRow), func(ctx context.Context, conn *conn) error {
		return s.watchLocks(ctx, conn.Conn().PgConn(), noBlockers, func() error {
			return conn.QueryRow(ctx, listUnprotected).Scan(&status.UnprotectedTotal, &status.Unprotected)
		})
	})
	return status, err
}
