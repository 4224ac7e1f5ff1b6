package postgres

import (
	"context"
	"fmt"

	"github.com/tenantry/tenantry/internal/database"
)

// observation selects a database.Observed as JSON, for the UID $1 and the name $2.
var observation = `
WITH own AS (SELECT * FROM tenantry.tenants WHERE uid = $1),
	target AS (SELECT coalesce((SELECT name FROM own), $2)::name AS name),
	owner AS (SELECT * FROM pg_authid WHERE rolname = (SELECT name FROM target))
SELECT json_build_object(
	'Name', target.name,
	'Registration', (SELECT ` + registration + ` FROM own),
	'Holder', (SELECT ` + registration + ` FROM tenantry.tenants WHERE name = target.name::text AND uid <> $1),
	'Owner', (SELECT json_build_object(` + roleAttributes + `) FROM owner),
	'Logins', (SELECT json_agg(CASE WHEN oid IS NOT NULL THEN json_build_object(` + roleAttributes + `,
			'MemberOfOwner', EXISTS (SELECT FROM pg_auth_members WHERE member = pg_authid.oid AND roleid = (SELECT oid FROM owner)),
			'SetRole', (SELECT split_part(setting, '=', 2) FROM pg_db_role_setting, unnest(` + boundedSettings + `) AS setting
				WHERE setrole = pg_authid.oid AND setdatabase = 0 AND setting LIKE 'role=%'),
			'Settings', (SELECT json_object_agg(split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1))
				FROM pg_db_role_setting, unnest(` + boundedSettings + `) AS setting
				WHERE setrole = pg_authid.oid AND setdatabase = 0 AND split_part(setting, '=', 1) IN ('temp_file_limit', 'statement_timeout'))) END ORDER BY suffix)
		FROM (VALUES ('_0'), ('_1')) AS login(suffix) LEFT JOIN pg_authid ON rolname = (target.name || suffix)::name),
	'Database', (SELECT json_build_object(
			'Owner', pg_get_userbyid(datdba),
			'AllowConnections', datallowconn,
			'ConnectionLimit', datconnlimit,
			'IsTemplate', datistemplate,
			'PublicAccess', (SELECT count(*) > 0 FROM ` + databaseACL + ` WHERE grantee = 0),
			'OwnerAccess', (SELECT count(DISTINCT privilege_type) = 3 FROM ` + databaseACL + ` WHERE grantee = (SELECT oid FROM owner)),
			'Secured', EXISTS (SELECT FROM tenantry.tenants WHERE name = target.name::text AND secured = pg_database.oid),
			'Extensions', (SELECT extensions FROM tenantry.tenants WHERE name = target.name::text))
		FROM pg_database WHERE datname = target.name),
	'Shared', (SELECT json_object_agg(isolation, json_build_object(
			'Ready', datallowconn AND EXISTS (SELECT FROM ` + databaseACL + ` WHERE grantee = guests.oid AND privilege_type = 'CONNECT'),
			'Member', EXISTS (SELECT FROM pg_auth_members WHERE roleid = guests.oid AND member = (SELECT oid FROM owner)),
			'Manager', EXISTS (SELECT FROM pg_auth_members WHERE roleid = tables.oid AND member = (SELECT oid FROM owner)),
			'Placed', EXISTS (SELECT FROM tenantry.tenants WHERE name = target.name::text AND secured = pg_database.oid)))
		FROM (VALUES ` + sharedDatabases + `) AS shared(isolation, name, owner)
			JOIN pg_database ON datname = shared.name AND pg_get_userbyid(datdba) = '` + database.PlatformOwner + `'
			LEFT JOIN pg_roles AS guests ON guests.rolname = shared.name
			LEFT JOIN pg_roles AS tables ON tables.rolname = shared.owner),
	'Memberships', (SELECT json_agg(json_build_object('Role', role, 'Member', member) ORDER BY role, member)
		FROM (SELECT DISTINCT pg_get_userbyid(roleid)::text AS role, pg_get_userbyid(member)::text AS member
			FROM pg_authid, LATERAL (SELECT roleid, member FROM pg_auth_members WHERE roleid = pg_authid.oid
				UNION ALL SELECT roleid, member FROM pg_auth_members WHERE member = pg_authid.oid) AS either
			WHERE rolname IN (target.name, target.name || '_0', target.name || '_1')) AS membership
		WHERE NOT (role = target.name::text AND member IN (target.name || '_0', target.name || '_1'))
			AND NOT (member = target.name::text AND EXISTS (SELECT FROM tenantry.tenants JOIN (VALUES ` + sharedDatabases + `) AS shared(isolation, name, owner) USING (isolation)
				WHERE tenants.name = target.name::text AND role IN (shared.name, shared.owner)))))
FROM target`

var sharedDatabases = fmt.Sprintf("('%s', '%s', ''), ('%s', '%s', '%s')",
	database.IsolationSchema, database.SharedDatabase(database.IsolationSchema),
	database.IsolationRow, database.SharedDatabase(database.IsolationRow), database.TablesOwner)

var roleAttributes = `
			'CanLogin', rolcanlogin,
			'Privileged', rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls,
			'ConnectionLimit', rolconnlimit,
			'Verifier', ` + boundedVerifier + `,
			'Tampered', EXISTS (SELECT FROM (
				SELECT 0::oid AS database UNION ALL
				SELECT pg_database.oid FROM pg_database WHERE datname = (SELECT name FROM target) UNION ALL
				SELECT pg_database.oid FROM (VALUES ` + sharedDatabases + `) AS shared(isolation, name, owner) JOIN pg_database ON datname = shared.name
			) AS place JOIN pg_db_role_setting ON setdatabase = place.database AND setrole = oid
			WHERE ` + boundedSettings + ` IS NULL OR EXISTS (SELECT FROM unnest(` + boundedSettings + `) AS setting
				WHERE split_part(setting, '=', 1) IN ('row_security', 'local_preload_libraries')))`

const (
	registration = `json_build_object('UID', uid, 'Tenant', tenant, 'Name', name, 'Isolation', isolation, 'State', state)`

	// boundedSettings are the settings of a row of pg_db_role_setting, or NULL if they are implausibly large, since a
	// tenant can make them as large as the server's memory.
	boundedSettings = `CASE WHEN pg_column_size(setconfig) <= 8192 THEN setconfig END`
	// boundedVerifier does the same for a password, which a tenant can set to a verifier of any size.
	boundedVerifier = `CASE WHEN pg_column_size(rolpassword) > 1024 THEN 'too long' ELSE rolpassword END`

	databaseACL = `aclexplode(coalesce(datacl, acldefault('d', datdba)))`
)

func observe(ctx context.Context, conn *conn, uid, name string) (database.Observed, error) {
	observed, err := readObservation(ctx, conn, uid, name)
	if notHardened(err) {
		if err := harden(ctx, conn); err != nil {
			return database.Observed{}, err
		}
		observed, err = readObservation(ctx, conn, uid, name)
	}
	return observed, err
}

func readObservation(ctx context.Context, conn *conn, uid, name string) (observed database.Observed, err error) {
	err = conn.QueryRow(ctx, observation, uid, name).Scan(&observed)
	return observed, err
}
