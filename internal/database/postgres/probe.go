package postgres

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/database"
)

// registryLock is the key of the advisory lock, in the maintenance database, that whoever changes
// the registry or roles holds: the bytes of "tenantry".
const registryLock = 0x74656e616e747279

var lockRegistry = "SELECT pg_advisory_xact_lock(" + strconv.Itoa(registryLock) + ")"

// hardening can be run any number of times, also by several at once. What the registry says of
// a name is in tenantry.tenants; secured is the oid of the database whose schema public has been
// handed over, so that a database made anew under the same name doesn't count; in a shared database
// it is that of the database in which the tenant has its place.
var hardening = lockRegistry + `;
DO $$
DECLARE
	open name;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '` + database.PlatformOwner + `') THEN
		CREATE ROLE ` + database.PlatformOwner + ` NOLOGIN;
	END IF;
	FOR open IN ` + openDatabases + ` LOOP
		EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', open);
	END LOOP;
END $$;
CREATE SCHEMA IF NOT EXISTS tenantry;
CREATE TABLE IF NOT EXISTS tenantry.tenants (
	uid       text PRIMARY KEY,
	tenant    text NOT NULL,
	name      text NOT NULL UNIQUE,
	isolation text NOT NULL,
	state     text NOT NULL CHECK (state IN ('Active', 'Retained')),
	since     timestamptz NOT NULL DEFAULT now(),
	secured   oid
);
ALTER TABLE tenantry.tenants ADD COLUMN IF NOT EXISTS extensions text[] NOT NULL DEFAULT '{}'`

// openDatabases are those that every server has, and our own, as far as PUBLIC has any right.
const openDatabases = `SELECT datname
	FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
	WHERE datname IN ('postgres', 'template1', current_database()) AND acl.grantee = 0
	GROUP BY datname`

const retainedListed = 100

var serverStatus = `
SELECT count(*) FILTER (WHERE state = 'Active'),
	count(*) FILTER (WHERE state = 'Retained'),
	(SELECT json_agg(json_build_object('Name', name, 'Tenant', tenant, 'Since', since))
		FROM (SELECT * FROM tenantry.tenants WHERE state = 'Retained' ORDER BY since DESC, name LIMIT ` + strconv.Itoa(retainedListed) + `) AS newest),
	EXISTS (SELECT FROM pg_roles WHERE rolname = '` + database.PlatformOwner + `') AND NOT EXISTS (` + openDatabases + `)
FROM tenantry.tenants`

func probe(ctx context.Context, conn *conn) (database.ServerStatus, error) {
	status, hardened, err := readStatus(ctx, conn)
	if notHardened(err) || err == nil && !hardened {
		if err := harden(ctx, conn); err != nil {
			return database.ServerStatus{}, err
		}
		status, _, err = readStatus(ctx, conn)
	}
	return status, err
}

func readStatus(ctx context.Context, conn *conn) (status database.ServerStatus, hardened bool, err error) {
	status.Version = version(conn.Conn().PgConn())
	err = conn.QueryRow(ctx, serverStatus).Scan(&status.Tenants, &status.RetainedTotal, &status.Retained, &hardened)
	return status, hardened, err
}

func harden(ctx context.Context, conn *conn) error {
	_, err := conn.Exec(ctx, hardening, pgx.QueryExecModeSimpleProtocol)
	return err
}
