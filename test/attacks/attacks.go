// Package attacks has the SQL by which a tenant tries to get at a server, at other tenants and at their data. It is
// tried on each release of PostgreSQL by internal/database/postgres, and beside an operator by test/isolation.
package attacks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/database"
)

// The SQLSTATEs with which PostgreSQL refuses attacks.
const (
	InsufficientPrivilege = "42501"
	UndefinedObject       = "42704"
	TooManyConnections    = "53300"
	NotAccepting          = "55000"
	NoSuchRelation        = "XX000" // could not open relation with this OID
)

// Attack is SQL that must be refused with a SQLSTATE. Each runs in a session of its own.
type Attack struct {
	// SQL may have the names of [Sides] in it.
	SQL string
	// Code is the SQLSTATE.
	Code string
}

// On returns the attacks on a neighbor that has the same isolation.
func On(isolation database.Isolation) []Attack {
	switch isolation {
	case database.IsolationSchema:
		return slices.Concat(onServer, onShared, onSchemas)
	case database.IsolationRow:
		return slices.Concat(onServer, onShared, onRows)
	}
	return slices.Concat(onServer, onDatabases)
}

// Sides are who attacks and who is attacked.
type Sides struct {
	Isolation database.Isolation
	// Attacker and Victim are the names of their databases.
	Attacker, Victim string
	// Admin is the role that the operator logs in as.
	Admin string
	// PID is the number of a session of the victim.
	PID uint32
}

// Replacer puts these into SQL: $DATABASE is the attacker's database, $OTHER another one, $OWN and $LOGIN its roles,
// $VICTIM and $VICTIM_LOGIN those of the victim, $ADMIN the operator's role, and $PID the victim's session.
func (s Sides) Replacer() *strings.Replacer {
	other := "postgres"
	if s.Isolation == database.IsolationDatabase {
		other = s.Victim
	}
	return strings.NewReplacer(
		"$DATABASE", database.ConnectTo(s.Isolation, s.Attacker), "$OTHER", other, "$ADMIN", s.Admin,
		"$LOGIN", database.Logins(s.Attacker)[0], "$OWN", s.Attacker,
		"$VICTIM_LOGIN", database.Logins(s.Victim)[0], "$VICTIM", s.Victim, "$PID", fmt.Sprint(s.PID))
}

// Belongings returns the SQL by which the victim creates what is attacked. With rows, tenants share [RowTables].
func Belongings(isolation database.Isolation) string {
	switch isolation {
	case database.IsolationSchema:
		return schemaBelongings
	case database.IsolationRow:
		return RowsOf("the victim", 1, 424242)
	}
	return databaseBelongings
}

const databaseBelongings = `
	CREATE TABLE secrets AS SELECT 'of the victim' AS word;
	CREATE SEQUENCE invoice_number;
	SELECT lo_from_bytea(424242, 'of the victim')`

const schemaBelongings = `
	CREATE TABLE secrets (word text PRIMARY KEY);
	INSERT INTO secrets VALUES ('of the victim');
	COMMENT ON TABLE secrets IS 'for a customer';
	GRANT ALL ON secrets TO PUBLIC;
	CREATE SEQUENCE invoice_number;
	CREATE FUNCTION answer() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT word FROM secrets';
	SELECT lo_from_bytea(424242, 'of the victim')`

// RowsOf returns the SQL by which a tenant adds its rows to [RowTables]. The number is that of its note, and large
// is that of its large object and of its entry in the ledger.
func RowsOf(whom string, number, large int) string {
	return fmt.Sprintf(`
	INSERT INTO notes VALUES (%[1]d, 'of %[2]s');
	INSERT INTO ledger (id, word) VALUES (%[3]d, 'of the ledger');
	INSERT INTO parts VALUES (1);
	SELECT lo_from_bytea(%[3]d, 'large')`, number, whom, large)
}

// RowTables are the tables of an app's migrations: notes as an ORM creates it, ledger and entries strict.
const RowTables = `
	CREATE TABLE notes (id int PRIMARY KEY, word text UNIQUE);
	CREATE TABLE replies (id serial PRIMARY KEY, note int REFERENCES notes);
	SELECT tenantry.isolate('notes'), tenantry.isolate('replies');
	CREATE TABLE ledger (tenant_id text NOT NULL DEFAULT tenantry.tenant_id(), id int, word text, PRIMARY KEY (tenant_id, id));
	CREATE TABLE entries (tenant_id text NOT NULL DEFAULT tenantry.tenant_id(), id int, ledger int, PRIMARY KEY (tenant_id, id),
		FOREIGN KEY (tenant_id, ledger) REFERENCES ledger);
	SELECT tenantry.isolate('ledger', strict => true), tenantry.isolate('entries', strict => true);
	CREATE TABLE parts (id int) PARTITION BY LIST (id);
	CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
	SELECT tenantry.isolate('parts');
	CREATE TABLE countries (code text);
	INSERT INTO countries VALUES ('at');
	SELECT tenantry.share('countries');
	CREATE TABLE forgotten (word text);
	CREATE VIEW latest AS SELECT * FROM notes;
	GRANT SELECT ON latest TO tenantry_row;
	CREATE FUNCTION all_notes() RETURNS SETOF notes LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM notes'`

// onServer are attacks on the server and on other tenants' roles, which are the same for all kinds of isolation.
var onServer = []Attack{
	// Becoming somebody else.
	{"SET ROLE $VICTIM", InsufficientPrivilege},
	{"SET ROLE $VICTIM_LOGIN", InsufficientPrivilege},
	{"SET ROLE tenantry_owner", InsufficientPrivilege},
	{"SET ROLE $ADMIN", InsufficientPrivilege},
	{"SET ROLE pg_read_server_files", InsufficientPrivilege},
	{"SET SESSION AUTHORIZATION $VICTIM_LOGIN", InsufficientPrivilege},
	{"SET SESSION AUTHORIZATION $ADMIN", InsufficientPrivilege},
	{"GRANT $VICTIM TO $OWN", InsufficientPrivilege},
	{"GRANT pg_execute_server_program TO $OWN", InsufficientPrivilege},
	{"GRANT tenantry_owner TO $OWN", InsufficientPrivilege},

	// Roles.
	{"CREATE ROLE accomplice", InsufficientPrivilege},
	{"ALTER ROLE $OWN SUPERUSER", InsufficientPrivilege},
	{"ALTER ROLE $OWN LOGIN PASSWORD 'x'", InsufficientPrivilege},
	{"ALTER ROLE $LOGIN CONNECTION LIMIT 1000", InsufficientPrivilege},
	{"ALTER ROLE $LOGIN VALID UNTIL 'infinity'", InsufficientPrivilege},
	{"ALTER ROLE $VICTIM_LOGIN PASSWORD 'x'", InsufficientPrivilege},
	{"ALTER ROLE $VICTIM_LOGIN SET search_path TO evil", InsufficientPrivilege},
	{"ALTER ROLE $ADMIN SET search_path TO evil", InsufficientPrivilege},
	{"ALTER ROLE ALL SET search_path TO evil", InsufficientPrivilege},
	{"ALTER ROLE $VICTIM RENAME TO mine", InsufficientPrivilege},
	{"DROP ROLE $VICTIM_LOGIN", InsufficientPrivilege},
	{"REASSIGN OWNED BY $VICTIM TO $OWN", InsufficientPrivilege},
	{"DROP OWNED BY $VICTIM", InsufficientPrivilege},
	{"ALTER ROLE $LOGIN SET temp_file_limit TO -1", InsufficientPrivilege},
	{"SET ROLE NONE; ALTER ROLE $LOGIN RESET temp_file_limit", InsufficientPrivilege},
	{"COMMENT ON ROLE $VICTIM IS 'x'", InsufficientPrivilege},
	{"SELECT rolpassword FROM pg_authid", InsufficientPrivilege},
	{"SELECT passwd FROM pg_shadow", InsufficientPrivilege},

	// Databases, the own one included.
	{"CREATE DATABASE another", InsufficientPrivilege},
	{"CREATE DATABASE copy TEMPLATE $OTHER", InsufficientPrivilege},
	{"ALTER DATABASE $DATABASE CONNECTION LIMIT -1", InsufficientPrivilege},
	{"ALTER DATABASE $DATABASE IS_TEMPLATE true", InsufficientPrivilege},
	{"ALTER DATABASE $DATABASE ALLOW_CONNECTIONS false", InsufficientPrivilege},
	{"ALTER DATABASE $DATABASE SET search_path TO evil", InsufficientPrivilege},
	{"ALTER DATABASE $DATABASE OWNER TO $OWN", InsufficientPrivilege},
	{"ALTER DATABASE $DATABASE RENAME TO mine", InsufficientPrivilege},
	{"ALTER DATABASE $DATABASE SET TABLESPACE pg_default", InsufficientPrivilege},
	{"DROP DATABASE $DATABASE", InsufficientPrivilege},
	{"COMMENT ON DATABASE $DATABASE IS 'x'", InsufficientPrivilege},
	{"ALTER DATABASE $OTHER CONNECTION LIMIT 0", InsufficientPrivilege},
	{"ALTER DATABASE $OTHER SET search_path TO evil", InsufficientPrivilege},
	{"DROP DATABASE $OTHER", InsufficientPrivilege},
	{"GRANT CONNECT ON DATABASE $OTHER TO $OWN", InsufficientPrivilege},
	{"REVOKE CONNECT ON DATABASE $OTHER FROM $VICTIM", InsufficientPrivilege},

	// The server's files and programs.
	{"SELECT pg_read_file('/etc/passwd')", InsufficientPrivilege},
	{"SELECT pg_read_binary_file('pg_hba.conf')", InsufficientPrivilege},
	{"SELECT pg_ls_dir('.')", InsufficientPrivilege},
	{"SELECT pg_stat_file('pg_hba.conf')", InsufficientPrivilege},
	{"SELECT * FROM pg_hba_file_rules", InsufficientPrivilege},
	{"CREATE TEMP TABLE t (line text); COPY t FROM '/etc/passwd'", InsufficientPrivilege},
	{"CREATE TEMP TABLE t (line text); COPY t FROM PROGRAM 'id'", InsufficientPrivilege},
	{"COPY (SELECT 1) TO '/tmp/tenantry-attack'", InsufficientPrivilege},
	{"COPY (SELECT 1) TO PROGRAM 'cat'", InsufficientPrivilege},
	{"SELECT lo_import('/etc/passwd')", InsufficientPrivilege},
	{"SELECT lo_export(lo_from_bytea(0, 'x'), '/tmp/tenantry-attack')", InsufficientPrivilege},
	{"CREATE TABLESPACE mine LOCATION '/tmp'", InsufficientPrivilege},

	// Code of one's own in the server.
	{"CREATE EXTENSION dblink", InsufficientPrivilege},
	{"CREATE EXTENSION postgres_fdw", InsufficientPrivilege},
	{"CREATE EXTENSION file_fdw", InsufficientPrivilege},
	{"CREATE EXTENSION pg_stat_statements", InsufficientPrivilege},
	{"LOAD 'dblink'", InsufficientPrivilege},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'dblink', 'dblink_connect'", InsufficientPrivilege},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_backend_pid'", InsufficientPrivilege},
	{`CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()`, InsufficientPrivilege},
	{"CREATE FOREIGN DATA WRAPPER w", InsufficientPrivilege},

	// Replication.
	{"CREATE SUBSCRIPTION s CONNECTION 'dbname=$OTHER' PUBLICATION p", InsufficientPrivilege},
	{"CREATE PUBLICATION p FOR ALL TABLES", InsufficientPrivilege},
	{"SELECT pg_create_physical_replication_slot('s')", InsufficientPrivilege},
	{"SELECT pg_create_logical_replication_slot('s', 'test_decoding')", InsufficientPrivilege},

	// Other sessions and the server as a whole.
	{"SELECT pg_terminate_backend($PID)", InsufficientPrivilege},
	{"SELECT pg_cancel_backend($PID)", InsufficientPrivilege},
	{"SELECT pg_reload_conf()", InsufficientPrivilege},
	{"SELECT pg_switch_wal()", InsufficientPrivilege},
	{"SELECT pg_stat_reset()", InsufficientPrivilege},
	{"ALTER SYSTEM SET max_connections = 1", InsufficientPrivilege},
	{"CHECKPOINT", InsufficientPrivilege},
	{"SET temp_file_limit = -1", InsufficientPrivilege},
	{"SET session_replication_role = replica", InsufficientPrivilege},
	{"SET log_statement = 'none'", InsufficientPrivilege},
	{"BEGIN; LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE", InsufficientPrivilege},
	{"SELECT FROM pg_catalog.pg_database FOR UPDATE", InsufficientPrivilege},
	{"UPDATE pg_catalog.pg_database SET datconnlimit = -1", InsufficientPrivilege},
	{"CREATE FUNCTION pg_catalog.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", InsufficientPrivilege},
	{"BEGIN; PREPARE TRANSACTION 'x'", NotAccepting},
}

// onDatabases are attacks on what another tenant has, from a database of one's own.
var onDatabases = []Attack{
	{"SELECT lo_get(424242)", UndefinedObject},
}

// onShared are attacks that are possible only in a shared database.
var onShared = []Attack{
	{"CREATE TABLE public.mine (id int)", InsufficientPrivilege},
	{"CREATE FUNCTION public.now() RETURNS int LANGUAGE sql AS 'SELECT 1'", InsufficientPrivilege},
	{"CREATE FUNCTION extensions.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", InsufficientPrivilege},
	{"CREATE SCHEMA mine", InsufficientPrivilege},
	{"CREATE TEMP TABLE mine (id int)", InsufficientPrivilege},
	{"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", InsufficientPrivilege},
	{"CREATE EXTENSION citext", InsufficientPrivilege},
	{"CREATE PUBLICATION p", InsufficientPrivilege},
	{"CREATE LANGUAGE mine HANDLER plpgsql_call_handler", InsufficientPrivilege},
	{"ALTER SCHEMA extensions RENAME TO mine", InsufficientPrivilege},
	{"SELECT digest FROM tenantry.preparation", InsufficientPrivilege},
	{"SELECT lo_get(424242)", InsufficientPrivilege},
	{"SELECT lo_put(424242, 0, 'x')", InsufficientPrivilege},
	{"SELECT lo_unlink(424242)", InsufficientPrivilege},
	{"SELECT data FROM pg_largeobject", InsufficientPrivilege},
	{"ALTER LARGE OBJECT 424242 OWNER TO $OWN", InsufficientPrivilege},
}

// onSchemas are attacks on the schema of another tenant, and on the place of one's own.
var onSchemas = []Attack{
	{"SELECT * FROM $VICTIM.secrets", InsufficientPrivilege},
	{"INSERT INTO $VICTIM.secrets VALUES ('x')", InsufficientPrivilege},
	{"TRUNCATE $VICTIM.secrets", InsufficientPrivilege},
	{"BEGIN; LOCK TABLE $VICTIM.secrets IN ACCESS SHARE MODE", InsufficientPrivilege},
	{"SELECT $VICTIM.answer()", InsufficientPrivilege},
	{"CREATE TABLE $VICTIM.mine (id int)", InsufficientPrivilege},
	{"CREATE TABLE mine (word text REFERENCES $VICTIM.secrets)", InsufficientPrivilege},
	{"CREATE VIEW mine AS SELECT * FROM $VICTIM.secrets", InsufficientPrivilege},
	{"ALTER TABLE $VICTIM.secrets OWNER TO $OWN", InsufficientPrivilege},
	{"DROP SCHEMA $VICTIM CASCADE", InsufficientPrivilege},
	{"GRANT USAGE ON SCHEMA $VICTIM TO $OWN", InsufficientPrivilege},
	{"ALTER DEFAULT PRIVILEGES FOR ROLE $VICTIM GRANT ALL ON TABLES TO $OWN", InsufficientPrivilege},
	{"SET search_path TO $VICTIM; SELECT * FROM secrets", "42P01"},
	{"SELECT nextval((SELECT oid FROM pg_class WHERE relname = 'invoice_number')::regclass)", InsufficientPrivilege},
	{"SELECT currval((SELECT oid FROM pg_class WHERE relname = 'invoice_number')::regclass)", InsufficientPrivilege},
	{"SELECT table_to_xml((SELECT oid FROM pg_class WHERE relname = 'secrets')::regclass, true, false, '')", InsufficientPrivilege},
	// Not even its own schema can be given away, lost, or put in the way of its removal.
	{"DROP SCHEMA $OWN CASCADE", InsufficientPrivilege},
	{"CREATE SCHEMA IF NOT EXISTS $OWN", InsufficientPrivilege},
	{"ALTER SCHEMA $OWN RENAME TO mine", InsufficientPrivilege},
	{"ALTER SCHEMA $OWN OWNER TO $VICTIM", InsufficientPrivilege},
	{"CREATE TABLE mine (id int); ALTER TABLE mine OWNER TO $VICTIM", InsufficientPrivilege},
}

// onRows are attacks on the rows of another tenant, and on the tables that both share.
var onRows = []Attack{
	// Rows of the victim.
	{"INSERT INTO notes (id, tenant_id) VALUES (100, '$VICTIM')", InsufficientPrivilege},
	{"INSERT INTO notes (id, tenant_id) VALUES (100, NULL)", InsufficientPrivilege},
	{"UPDATE notes SET tenant_id = '$VICTIM'", InsufficientPrivilege},
	{"UPDATE notes SET tenant_id = DEFAULT", InsufficientPrivilege},
	{"INSERT INTO notes VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET word = 'taken'", InsufficientPrivilege},
	{"INSERT INTO ledger (id, tenant_id) VALUES (424242, '$VICTIM') ON CONFLICT (tenant_id, id) DO UPDATE SET word = 'taken'", InsufficientPrivilege},
	{"INSERT INTO entries (id, ledger) VALUES (100, 424242)", "23503"},
	{"INSERT INTO entries (id, ledger, tenant_id) VALUES (100, 424242, '$VICTIM')", InsufficientPrivilege},
	{"SET row_security TO off; SELECT * FROM notes", InsufficientPrivilege},
	{"TRUNCATE notes", InsufficientPrivilege},
	{"TRUNCATE ledger", InsufficientPrivilege},
	{"COPY notes (id, tenant_id) FROM STDIN", "0A000"},
	// What the tables are.
	{"ALTER TABLE notes DISABLE ROW LEVEL SECURITY", InsufficientPrivilege},
	{"ALTER TABLE notes NO FORCE ROW LEVEL SECURITY", InsufficientPrivilege},
	{"ALTER TABLE notes OWNER TO $OWN", InsufficientPrivilege},
	{"DROP POLICY tenantry ON notes", InsufficientPrivilege},
	{"CREATE POLICY mine ON notes USING (true)", InsufficientPrivilege},
	{"ALTER POLICY tenantry ON notes USING (true)", InsufficientPrivilege},
	{"CREATE TRIGGER t BEFORE INSERT ON notes EXECUTE FUNCTION suppress_redundant_updates_trigger()", InsufficientPrivilege},
	{"CREATE RULE r AS ON SELECT TO notes DO INSTEAD SELECT 1", InsufficientPrivilege},
	{"CREATE INDEX ON notes (word)", InsufficientPrivilege},
	{"CREATE STATISTICS mine ON id, word FROM notes", InsufficientPrivilege},
	{"CREATE TABLE mine (note int REFERENCES notes)", InsufficientPrivilege},
	{"DROP TABLE notes", InsufficientPrivilege},
	{"COMMENT ON TABLE notes IS 'x'", InsufficientPrivilege},
	{"SELECT * FROM parts_rest", InsufficientPrivilege},
	{"SELECT * FROM forgotten", InsufficientPrivilege},
	{"INSERT INTO countries VALUES ('xx')", InsufficientPrivilege},
	{"DELETE FROM countries", InsufficientPrivilege},
	{"SELECT setval('replies_id_seq', 1)", InsufficientPrivilege},
	{"ALTER SEQUENCE replies_id_seq RESTART", InsufficientPrivilege},
	// Locks: on strict tables, and on others those that DELETE doesn't allow.
	{"BEGIN; LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE", InsufficientPrivilege},
	{"BEGIN; LOCK TABLE ledger IN SHARE MODE", InsufficientPrivilege},
	{"BEGIN; LOCK TABLE countries IN ROW EXCLUSIVE MODE", InsufficientPrivilege},
	{"BEGIN; LOCK TABLE forgotten IN ACCESS SHARE MODE", InsufficientPrivilege},
	// The interface.
	{"DELETE FROM ledger", InsufficientPrivilege},
	{"SELECT tenantry.delete('countries', '{\"code\": \"at\"}')", InsufficientPrivilege},
	{"SELECT tenantry.delete('forgotten', '{\"word\": \"x\"}')", InsufficientPrivilege},
	{"SELECT tenantry.delete('ledger', '{}')", "22023"},
	{"SELECT tenantry.delete('ledger', '{\"id = 1 OR true --\": 1}')", "42703"},
	{"SELECT tenantry.isolate('forgotten')", InsufficientPrivilege},
	{"SELECT tenantry.share('notes')", InsufficientPrivilege},
	{"CALL tenantry.isolate_each()", InsufficientPrivilege},
	{"SELECT tenantry.isolate_or_share('forgotten', false)", InsufficientPrivilege},
	{"SELECT tenantry.grant_rows('ledger', false)", InsufficientPrivilege},
	{"SELECT * FROM tenantry.unprotected", InsufficientPrivilege},
	{"CREATE OR REPLACE FUNCTION tenantry.tenant_id() RETURNS text LANGUAGE sql AS 'SELECT 1::text'", InsufficientPrivilege},
	{"ALTER FUNCTION tenantry.tenant_id() OWNER TO $OWN", InsufficientPrivilege},
	{"SET ROLE tenantry_row_owner", InsufficientPrivilege},
	{"GRANT tenantry_row_owner TO $OWN", InsufficientPrivilege},
}
