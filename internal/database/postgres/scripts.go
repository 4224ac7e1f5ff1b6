package postgres

import (
	"fmt"

	"github.com/tenantry/tenantry/internal/database"
)

// checkCapacity returns a statement that fails if the server is full. The detail of its error is the number of
// tenants.
func checkCapacity(capacity *int32) []string {
	if capacity == nil {
		return nil
	}
	return []string{"DO " + literal(fmt.Sprintf(`
DECLARE
	tenants bigint := (SELECT count(*) FROM tenantry.tenants WHERE state = 'Active');
BEGIN
	IF tenants >= %d THEN
		RAISE 'full' USING ERRCODE = '%s', DETAIL = tenants, HINT = '%d';
	END IF;
END`, *capacity, sqlstateFull, *capacity))}
}

// checkFormer returns a statement that fails if a former tenant with the same name, which was removed without the
// operator, has left a database.
func checkFormer(a database.Register) string {
	return "DO " + literal(fmt.Sprintf(`
DECLARE
	former record;
BEGIN
	SELECT name, uid INTO former FROM tenantry.tenants
	WHERE tenant = %[1]s AND uid <> %[2]s AND (state = 'Active' OR abandoned) AND cluster = current_setting('%[3]s', true) AND cluster <> ''
	ORDER BY since DESC LIMIT 1;
	IF FOUND THEN
		RAISE 'conflict' USING ERRCODE = '%[4]s',
			DETAIL = format('the server has the database %%s of a former Tenant %%s (UID %%s) that was removed before the operator could retain or drop it; write %%s in spec.database.adopt to take it over, or New to start with an empty one', former.name, %[1]s, former.uid, former.name);
	END IF;
END`, literal(a.Tenant), literal(a.UID), clusterSetting, sqlstateConflict))
}

// takeOver returns a statement that moves an entry to the tenant, and fails if another tenant was first.
func takeOver(a database.Adopt) string {
	return "DO " + literal(fmt.Sprintf(`
BEGIN
	UPDATE tenantry.tenants SET uid = %s, tenant = %s, state = 'Active', since = now(), abandoned = false,
		cluster = coalesce(current_setting('%s', true), '') WHERE name = %s AND uid = %s;
	IF NOT FOUND THEN
		RAISE 'another tenant has the database' USING ERRCODE = '%s';
	END IF;
END`, literal(a.UID), literal(a.Tenant), clusterSetting, literal(a.Name), literal(a.From), sqlstateChanged))
}

// checkRegistered returns a statement that fails if the name is no longer registered as it was.
func checkRegistered(a database.CheckRegistered) string {
	return "DO " + literal(fmt.Sprintf(`
BEGIN
	IF NOT EXISTS (SELECT FROM tenantry.tenants WHERE uid = %s AND name = %s AND state = %s) THEN
		RAISE 'the database has been adopted or retained' USING ERRCODE = '%s';
	END IF;
END`, literal(a.UID), literal(a.Name), literal(string(a.State)), sqlstateChanged))
}

// createSchema returns a statement that fails if somebody else has a schema with that name.
func createSchema(name string) string {
	return "DO " + literal(fmt.Sprintf(`
DECLARE
	owner name := (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = %[1]s);
BEGIN
	IF owner IS NULL THEN
		CREATE SCHEMA %[2]s AUTHORIZATION %[3]s;
	ELSIF owner <> '%[3]s' THEN
		RAISE 'conflict' USING ERRCODE = '%[4]s',
			DETAIL = format('database %%s already has a schema %%s, not made for this tenant but of role %%s; rename or drop it', current_database(), %[1]s, owner);
	END IF;
	GRANT USAGE, CREATE ON SCHEMA %[2]s TO %[2]s;
END`, literal(name), identifier(name), database.PlatformOwner, sqlstateConflict))
}

// nextInSchema returns a query for the statements that drop the next objects of the tenant, and for the number of
// all that are left. Views come before tables, partitions before their table, and the schema last. There are only
// as many at a time as the lock table has room for. A schema of somebody else with that name is not touched.
func nextInSchema(name string) string {
	logins := database.Logins(name)
	return fmt.Sprintf(`
WITH inside AS (
	SELECT d.classid, d.objid AS oid
	FROM pg_namespace AS n JOIN pg_depend AS d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid AND d.deptype = 'n'
	WHERE n.nspname = %[1]s AND n.nspowner = '%[2]s'::regrole
		AND NOT EXISTS (SELECT FROM pg_depend AS part WHERE part.classid = d.classid AND part.objid = d.objid AND part.deptype IN ('a', 'i', 'e')
			AND part.refclassid <> 'pg_class'::regclass)
), found(kind, oid, command) AS (
	SELECT 1, oid, format('DROP %%s IF EXISTS %%s CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
		WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, oid::regclass)
	FROM inside JOIN pg_class USING (oid)
	WHERE classid = 'pg_class'::regclass AND (relkind IN ('r', 'p', 'v', 'm', 'f') OR relkind = 'S' AND NOT EXISTS (
		SELECT FROM pg_depend WHERE pg_depend.classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype IN ('a', 'i')))
	UNION ALL
	SELECT 2, oid, format('DROP ROUTINE IF EXISTS %%s CASCADE', oid::regprocedure)
	FROM inside WHERE classid = 'pg_proc'::regclass
	UNION ALL
	SELECT 3, oid, format('DROP TYPE IF EXISTS %%s CASCADE', oid::regtype)
	FROM inside JOIN pg_type USING (oid)
	WHERE classid = 'pg_type'::regclass AND (typtype IN ('d', 'e', 'r') OR typtype = 'c' AND (SELECT relkind FROM pg_class WHERE pg_class.oid = typrelid) = 'c')
	UNION ALL
	SELECT 4, objid, format('SELECT lo_unlink(%%s)', objid)
	FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid IN (SELECT pg_roles.oid FROM pg_roles WHERE rolname IN (%[3]s))
		AND deptype = 'o' AND classid = 'pg_largeobject'::regclass AND dbid = (SELECT pg_database.oid FROM pg_database WHERE datname = current_database())
	UNION ALL
	SELECT 5, oid, 'DROP SCHEMA ' || oid::regnamespace || ' CASCADE'
	FROM pg_namespace WHERE nspname = %[1]s AND nspowner = '%[2]s'::regrole
)
SELECT command, count(*) OVER () FROM found
ORDER BY kind, oid DESC LIMIT greatest(1, current_setting('max_locks_per_transaction')::int / 32)`,
		literal(name), database.PlatformOwner, list(literal, name, logins[0], logins[1]))
}

// dropOwned returns a statement that skips roles that don't exist.
func dropOwned(owner string) string {
	logins := database.Logins(owner)
	return "DO " + literal(fmt.Sprintf(`
DECLARE
	role name;
BEGIN
	FOR role IN SELECT rolname FROM pg_roles WHERE rolname IN (%s) LOOP
		EXECUTE format('DROP OWNED BY %%I CASCADE', role);
	END LOOP;
END`, list(literal, owner, logins[0], logins[1])))
}

// resetSettings returns a statement that also resets the settings for single databases.
func resetSettings(role string) string {
	return "DO " + literal(fmt.Sprintf(`
DECLARE
	found record;
BEGIN
	FOR found IN SELECT datname FROM pg_db_role_setting LEFT JOIN pg_database ON oid = setdatabase
		WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = %[1]s)
	LOOP
		IF found.datname IS NULL THEN
			ALTER ROLE %[2]s RESET ALL;
		ELSE
			EXECUTE format('ALTER ROLE %[2]s IN DATABASE %%I RESET ALL', found.datname);
		END IF;
	END LOOP;
END`, literal(role), identifier(role)))
}
