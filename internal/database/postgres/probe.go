package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// registryLock is the key of the advisory lock in the maintenance database that operators hold while they change
// the registry or roles: the bytes of "tenantry".
const registryLock = 0x74656e616e747279

// lockRegistry takes that lock for the rest of the transaction. After that, the transaction waits only a short
// time for locks that a tenant may hold.
var lockRegistry = fmt.Sprintf("SELECT set_config('lock_timeout', '%d', true), pg_advisory_xact_lock(%d), set_config('lock_timeout', '%d', true)",
	registryTimeout.Milliseconds(), registryLock, registryLockTimeout.Milliseconds())

// hardening can be run any number of times, also concurrently. The registry is the table tenantry.tenants. secured
// is the oid of the database whose schema public was given to the tenant, so that a database that was recreated
// with the same name doesn't count; with a shared database it is the oid of the one that the tenant is placed in.
// digest is a digest of the accepted state of roles and database. cluster is the tenant's Kubernetes cluster, and
// abandoned says that the tenant was removed without the operator. tenantry.superusers has the expected
// superusers.
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
ALTER TABLE tenantry.tenants
	ADD COLUMN IF NOT EXISTS extensions text[] NOT NULL DEFAULT '{}',
	ADD COLUMN IF NOT EXISTS digest text,
	ADD COLUMN IF NOT EXISTS cluster text NOT NULL DEFAULT '',
	ADD COLUMN IF NOT EXISTS abandoned boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS tenants_tenant ON tenantry.tenants (tenant);
DO $$
BEGIN
	IF to_regclass('tenantry.superusers') IS NULL THEN
		CREATE TABLE tenantry.superusers (name text PRIMARY KEY);
		INSERT INTO tenantry.superusers SELECT rolname FROM pg_roles WHERE rolsuper;
	END IF;
END $$`

// openDatabases selects those of the databases that every server has, and of our own, on which PUBLIC has any
// right.
const openDatabases = `SELECT datname
	FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
	WHERE datname IN ('postgres', 'template1', current_database()) AND acl.grantee = 0
	GROUP BY datname`

const retainedListed = 100

// drifted selects the tenants whose state differs from the accepted one. It compares a digest of a line for each
// role, membership, setting and database, its own or a shared one. It finds roles by equality of names, which the
// server can hash; anything else would compare each role with each tenant.
var drifted = `SELECT json_agg(json_build_object('UID', uid, 'Tenant', tenant, 'Name', name, 'Digest', now))
	FROM (
		WITH role AS (
			SELECT name, pg_authid.* FROM tenantry.tenants, unnest(ARRAY[name, name || '_0', name || '_1']) AS own
			JOIN pg_authid ON rolname = own::name
		), line(name, text) AS (
			SELECT name, format('role %s %s %s %s %s', rolname, rolconnlimit, ` + boundedVerifier + `, rolvaliduntil,
				(rolcanlogin, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls)) FROM role
			UNION ALL
			SELECT name, format('member %s %s %s', roleid, member, admin_option) FROM role JOIN pg_auth_members ON role.oid IN (roleid, member)
			UNION ALL
			SELECT name, format('setting %s %s', rolname, coalesce(` + boundedSettings + `::text, pg_column_size(setconfig)::text)) FROM role JOIN pg_db_role_setting ON setrole = role.oid
			UNION ALL
			SELECT name, format('database %s %s %s %s %s %s %s', pg_database.oid, datdba, datallowconn, datconnlimit, datistemplate, datacl,
				(SELECT array_agg(setconfig) FROM pg_db_role_setting WHERE setdatabase = pg_database.oid AND setrole = 0))
			FROM tenantry.tenants JOIN pg_database ON datname = name::name
			UNION ALL
			SELECT tenants.name, format('shared %s', pg_database.oid)
			FROM tenantry.tenants JOIN (VALUES ` + sharedDatabases + `) AS shared(isolation, name, owner) USING (isolation) JOIN pg_database ON datname = shared.name
		), current AS (
			SELECT name, md5(string_agg(text, E'\n' ORDER BY text)) AS now FROM line GROUP BY name
		)
		SELECT uid, tenant, name, coalesce(now, '') AS now
		FROM tenantry.tenants LEFT JOIN current USING (name)
		WHERE state = 'Active' AND digest IS DISTINCT FROM coalesce(now, '')
		ORDER BY name LIMIT ` + strconv.Itoa(service.MaxDrifted) + `
	) AS drifted`

var serverStatus = `
SELECT count(*) FILTER (WHERE state = 'Active'),
	count(*) FILTER (WHERE state = 'Retained'),
	(SELECT json_agg(json_build_object('Name', name, 'Tenant', tenant, 'Since', since))
		FROM (SELECT * FROM tenantry.tenants WHERE state = 'Retained' ORDER BY since DESC, name LIMIT ` + strconv.Itoa(retainedListed) + `) AS newest),
	EXISTS (SELECT FROM pg_roles WHERE rolname = '` + database.PlatformOwner + `') AND NOT EXISTS (` + openDatabases + `),
	(` + drifted + `),
	(SELECT json_agg(rolname ORDER BY rolname) FROM pg_roles
		WHERE rolsuper AND rolname <> current_user AND rolname::text NOT IN (SELECT name FROM tenantry.superusers)),
	(` + namedIntruders + `)
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

// scanAll allows sequential scans for one transaction, for a query that reads all rows in any case.
const scanAll = "SELECT set_config('enable_seqscan', 'on', true)"

// spill makes queries of one transaction use temporary files on the server's own disk, which no setting of the
// server forbids or logs. writeToDisk then writes a file of 256 kB, which ends with it. Nothing else does so without a
// trace: rows go to free room in files that are there, until a page or a segment of the write-ahead log has to be added,
// and PostgreSQL ends if that can't be done.
const (
	spill = "SELECT set_config('work_mem', '64kB', true), set_config('temp_tablespaces', '', true)," +
		" set_config('temp_file_limit', '-1', true), set_config('log_temp_files', '-1', true)"
	writeToDisk = "WITH written AS MATERIALIZED (SELECT repeat('x', 8000) AS page FROM generate_series(1, 32))" +
		" SELECT sum(length(page)) FROM written"
)

func readStatus(ctx context.Context, conn *conn) (status database.ServerStatus, hardened bool, err error) {
	status.Version = version(conn.Conn().PgConn())
	status.Certificate = shownCertificate(conn.Conn().PgConn())
	batch, complete := &pgx.Batch{}, false
	batch.Queue(scanAll)
	batch.Queue(serverStatus).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&status.Tenants, &status.RetainedTotal, &status.Retained, &hardened, &status.Drifted, &status.Superusers, &status.Intruders)
		complete = err == nil
		return err
	})
	batch.Queue(spill)
	batch.Queue(writeToDisk)
	err = conn.SendBatch(ctx, batch).Close()
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && complete && isDiskFull(answer) {
		status.DiskFull, err = answer.Message, nil
	}
	return status, hardened, err
}

// isDiskFull reports whether a temporary file could not be written. PostgreSQL gives no SQLSTATE of its own if not even
// its name could be.
func isDiskFull(answer *pgconn.PgError) bool {
	return answer.Code == sqlstateDiskFull ||
		answer.Code == sqlstateInternal && strings.HasPrefix(answer.Message, "could not create temporary file")
}

// shownCertificate returns the certificate that the server has presented for this connection.
func shownCertificate(conn *pgconn.PgConn) []byte {
	if encrypted, ok := conn.Conn().(*tls.Conn); ok {
		return encrypted.ConnectionState().PeerCertificates[0].Raw
	}
	return nil
}

func harden(ctx context.Context, conn *conn) error {
	_, err := conn.Exec(ctx, hardening, pgx.QueryExecModeSimpleProtocol)
	return err
}

// registered selects the tenants of the operator's own cluster that use the server.
const registered = `SELECT coalesce(json_agg(` + registration + `), '[]') FROM tenantry.tenants
WHERE state = 'Active' AND cluster = current_setting('` + clusterSetting + `', true) AND cluster <> ''`

func readRegistered(ctx context.Context, conn *conn) (found []service.Registration, err error) {
	err = conn.QueryRow(ctx, registered).Scan(&found)
	return found, err
}

// acceptance stores the digests $2 of the names $1 as accepted.
const acceptance = `UPDATE tenantry.tenants SET digest = accepted.digest
FROM unnest($1::text[], $2::text[]) AS accepted(name, digest) WHERE tenants.name = accepted.name`

func accept(ctx context.Context, conn *conn, drifts []service.Drift) error {
	names, digests := make([]string, len(drifts)), make([]string, len(drifts))
	for i, drift := range drifts {
		names[i], digests[i] = drift.Name, drift.Digest
	}
	_, err := conn.Exec(ctx, acceptance, names, digests)
	return err
}
