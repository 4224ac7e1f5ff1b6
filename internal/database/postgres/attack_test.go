package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
)

// The codes that PostgreSQL refuses attacks with.
const (
	insufficientPrivilege = "42501"
	undefinedObject       = "42704"
	tooManyConnections    = "53300"
	notAccepting          = "55000"
	noSuchRelation        = "XX000" // could not open relation with this OID
)

var _ = Describe("A tenant with a database of its own, on PostgreSQL", func() {
	for _, release := range releases {
		Describe(release.name, Ordered, ContinueOnFailure, func() { attacksOnDatabases(release) })
	}
})

func attacksOnDatabases(release release) {
	var (
		server           *instance
		attacker, victim database.Desired
		a, b             string
		session          *pgx.Conn
		victimSession    *pgx.Conn
		names            *strings.Replacer
	)

	BeforeAll(func(ctx SpecContext) {
		server = release.start(ctx)
		attacker, victim = server.provisioned(ctx), server.provisioned(ctx)
		a, b = attacker.Name(), victim.Name()
		victimSession = server.session(ctx, victim, b)
		_, err := victimSession.Exec(ctx, `
			CREATE TABLE secrets AS SELECT 'of the victim' AS word;
			CREATE SEQUENCE invoice_number;
			SELECT lo_from_bytea(424242, 'of the victim')`)
		Expect(err).NotTo(HaveOccurred())
		session = server.session(ctx, attacker, a)
		names = strings.NewReplacer(
			"$ADMIN", server.address.Username, "$LOGIN", database.Logins(a)[0], "$OWN", a,
			"$VICTIM_LOGIN", database.Logins(b)[0], "$VICTIM", b,
			"$PID", fmt.Sprint(victimSession.PgConn().PID()),
			"$SEQUENCE", server.rows(ctx, b, "SELECT 'invoice_number'::regclass::oid::text FROM (SELECT set_config('search_path', 'public', false)) AS s")[0],
		)
	})

	// attempt runs SQL as the attacker, in a session of its own, so that no attempt helps another.
	attempt := func(ctx context.Context, sql string) error {
		conn, err := server.loginAs(ctx, database.Logins(a)[0], string(attacker.Password), a)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, names.Replace(sql))
		return err
	}

	DescribeTable("is refused",
		func(ctx SpecContext, sql, code string) {
			before := append(server.state(ctx, attacker), server.state(ctx, victim)...)
			Expect(attempt(ctx, sql)).To(haveSQLState(code))
			Expect(append(server.state(ctx, attacker), server.state(ctx, victim)...)).To(Equal(before))
			Expect(victimSession.Ping(ctx)).To(Succeed())
		},
		func(sql, code string) string { return sql + " (" + code + ")" },

		// Becoming somebody else.
		Entry(nil, "SET ROLE $VICTIM", insufficientPrivilege),
		Entry(nil, "SET ROLE $VICTIM_LOGIN", insufficientPrivilege),
		Entry(nil, "SET ROLE tenantry_owner", insufficientPrivilege),
		Entry(nil, "SET ROLE $ADMIN", insufficientPrivilege),
		Entry(nil, "SET ROLE pg_read_server_files", insufficientPrivilege),
		Entry(nil, "SET SESSION AUTHORIZATION $VICTIM_LOGIN", insufficientPrivilege),
		Entry(nil, "SET SESSION AUTHORIZATION $ADMIN", insufficientPrivilege),
		Entry(nil, "GRANT $VICTIM TO $OWN", insufficientPrivilege),
		Entry(nil, "GRANT pg_execute_server_program TO $OWN", insufficientPrivilege),
		Entry(nil, "GRANT tenantry_owner TO $OWN", insufficientPrivilege),

		// Roles.
		Entry(nil, "CREATE ROLE accomplice", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $OWN SUPERUSER", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $OWN LOGIN PASSWORD 'x'", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $LOGIN CONNECTION LIMIT 1000", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $LOGIN VALID UNTIL 'infinity'", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $VICTIM_LOGIN PASSWORD 'x'", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $VICTIM_LOGIN SET search_path TO evil", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $ADMIN SET search_path TO evil", insufficientPrivilege),
		Entry(nil, "ALTER ROLE ALL SET search_path TO evil", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $VICTIM RENAME TO mine", insufficientPrivilege),
		Entry(nil, "DROP ROLE $VICTIM_LOGIN", insufficientPrivilege),
		Entry(nil, "REASSIGN OWNED BY $VICTIM TO $OWN", insufficientPrivilege),
		Entry(nil, "DROP OWNED BY $VICTIM", insufficientPrivilege),
		Entry(nil, "ALTER ROLE $LOGIN SET temp_file_limit TO -1", insufficientPrivilege),
		Entry(nil, "SET ROLE NONE; ALTER ROLE $LOGIN RESET temp_file_limit", insufficientPrivilege),
		Entry(nil, "COMMENT ON ROLE $VICTIM IS 'x'", insufficientPrivilege),
		Entry(nil, "SELECT rolpassword FROM pg_authid", insufficientPrivilege),
		Entry(nil, "SELECT passwd FROM pg_shadow", insufficientPrivilege),

		// Databases, the own one included.
		Entry(nil, "CREATE DATABASE another", insufficientPrivilege),
		Entry(nil, "CREATE DATABASE copy TEMPLATE $VICTIM", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $OWN CONNECTION LIMIT -1", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $OWN IS_TEMPLATE true", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $OWN ALLOW_CONNECTIONS false", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $OWN SET search_path TO evil", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $OWN OWNER TO $OWN", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $OWN RENAME TO mine", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $OWN SET TABLESPACE pg_default", insufficientPrivilege),
		Entry(nil, "DROP DATABASE $OWN", insufficientPrivilege),
		Entry(nil, "COMMENT ON DATABASE $OWN IS 'x'", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $VICTIM CONNECTION LIMIT 0", insufficientPrivilege),
		Entry(nil, "ALTER DATABASE $VICTIM SET search_path TO evil", insufficientPrivilege),
		Entry(nil, "DROP DATABASE $VICTIM", insufficientPrivilege),
		Entry(nil, "GRANT CONNECT ON DATABASE $VICTIM TO $OWN", insufficientPrivilege),
		Entry(nil, "REVOKE CONNECT ON DATABASE $VICTIM FROM $VICTIM", insufficientPrivilege),

		// The server's files and programs.
		Entry(nil, "SELECT pg_read_file('/etc/passwd')", insufficientPrivilege),
		Entry(nil, "SELECT pg_read_binary_file('pg_hba.conf')", insufficientPrivilege),
		Entry(nil, "SELECT pg_ls_dir('.')", insufficientPrivilege),
		Entry(nil, "SELECT pg_stat_file('pg_hba.conf')", insufficientPrivilege),
		Entry(nil, "SELECT * FROM pg_hba_file_rules", insufficientPrivilege),
		Entry(nil, "CREATE TEMP TABLE t (line text); COPY t FROM '/etc/passwd'", insufficientPrivilege),
		Entry(nil, "CREATE TEMP TABLE t (line text); COPY t FROM PROGRAM 'id'", insufficientPrivilege),
		Entry(nil, "COPY (SELECT 1) TO '/tmp/tenantry-attack'", insufficientPrivilege),
		Entry(nil, "COPY (SELECT 1) TO PROGRAM 'cat'", insufficientPrivilege),
		Entry(nil, "SELECT lo_import('/etc/passwd')", insufficientPrivilege),
		Entry(nil, "SELECT lo_export(lo_from_bytea(0, 'x'), '/tmp/tenantry-attack')", insufficientPrivilege),
		Entry(nil, "CREATE TABLESPACE mine LOCATION '/tmp'", insufficientPrivilege),

		// Code of one's own in the server.
		Entry(nil, "CREATE EXTENSION dblink", insufficientPrivilege),
		Entry(nil, "CREATE EXTENSION postgres_fdw", insufficientPrivilege),
		Entry(nil, "CREATE EXTENSION file_fdw", insufficientPrivilege),
		Entry(nil, "CREATE EXTENSION pg_stat_statements", insufficientPrivilege),
		Entry(nil, "LOAD 'dblink'", insufficientPrivilege),
		Entry(nil, "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'dblink', 'dblink_connect'", insufficientPrivilege),
		Entry(nil, "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_backend_pid'", insufficientPrivilege),
		Entry(nil, `CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
			CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()`, insufficientPrivilege),
		Entry(nil, "CREATE FOREIGN DATA WRAPPER w", insufficientPrivilege),

		// Replication.
		Entry(nil, "CREATE SUBSCRIPTION s CONNECTION 'dbname=$VICTIM' PUBLICATION p", insufficientPrivilege),
		Entry(nil, "CREATE PUBLICATION p FOR ALL TABLES", insufficientPrivilege),
		Entry(nil, "SELECT pg_create_physical_replication_slot('s')", insufficientPrivilege),
		Entry(nil, "SELECT pg_create_logical_replication_slot('s', 'test_decoding')", insufficientPrivilege),

		// Other sessions and the server as a whole.
		Entry(nil, "SELECT pg_terminate_backend($PID)", insufficientPrivilege),
		Entry(nil, "SELECT pg_cancel_backend($PID)", insufficientPrivilege),
		Entry(nil, "SELECT pg_reload_conf()", insufficientPrivilege),
		Entry(nil, "SELECT pg_switch_wal()", insufficientPrivilege),
		Entry(nil, "SELECT pg_stat_reset()", insufficientPrivilege),
		Entry(nil, "ALTER SYSTEM SET max_connections = 1", insufficientPrivilege),
		Entry(nil, "CHECKPOINT", insufficientPrivilege),
		Entry(nil, "SET temp_file_limit = -1", insufficientPrivilege),
		Entry(nil, "SET session_replication_role = replica", insufficientPrivilege),
		Entry(nil, "SET log_statement = 'none'", insufficientPrivilege),
		Entry(nil, "BEGIN; LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE", insufficientPrivilege),
		Entry(nil, "SELECT FROM pg_catalog.pg_database FOR UPDATE", insufficientPrivilege),
		Entry(nil, "UPDATE pg_catalog.pg_database SET datconnlimit = -1", insufficientPrivilege),
		Entry(nil, "CREATE FUNCTION pg_catalog.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", insufficientPrivilege),
		Entry(nil, "BEGIN; PREPARE TRANSACTION 'x'", notAccepting),

		// What the victim has, by its number.
		Entry(nil, "SELECT lo_get(424242)", undefinedObject),
		Entry(nil, "SELECT nextval($SEQUENCE::oid::regclass)", noSuchRelation),
	)

	DescribeTable("may do next to that",
		func(ctx SpecContext, sql string) {
			Expect(attempt(ctx, "BEGIN; "+sql+"; ROLLBACK")).To(Succeed())
		},
		func(sql string) string { return sql },
		Entry(nil, "SET ROLE $LOGIN"),
		Entry(nil, "CREATE TABLE public.mine (id serial PRIMARY KEY); INSERT INTO mine DEFAULT VALUES"),
		Entry(nil, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE SCHEMA another"),
		Entry(nil, "CREATE TEMP TABLE mine (id int)"),
		Entry(nil, "CREATE EXTENSION citext"),
		Entry(nil, "CREATE EXTENSION pgcrypto"),
		Entry(nil, "CREATE EXTENSION hstore SCHEMA public"),
		Entry(nil, "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"),
		Entry(nil, "SET ROLE NONE; ALTER ROLE $LOGIN SET search_path TO another, public"),
		Entry(nil, "SET search_path TO another, public; SET work_mem TO '1MB'; SET statement_timeout TO '1s'"),
		Entry(nil, "SELECT lo_from_bytea(424242, 'its own'); SELECT lo_get(424242)"),
		Entry(nil, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '$LOGIN' AND pid <> pg_backend_pid() AND false"),
		Entry(nil, "CREATE PUBLICATION p"),
		Entry(nil, "CREATE TEMP TABLE t (line text); COPY t TO STDOUT"),
	)

	It("connects to its own database and to no other", func(ctx SpecContext) {
		login, password := database.Logins(a)[0], string(attacker.Password)
		for _, other := range []string{b, "postgres", "template1"} {
			_, err := server.loginAs(ctx, login, password, other)
			Expect(err).To(haveSQLState(insufficientPrivilege), other)
		}
		_, err := server.loginAs(ctx, login, password, "template0")
		Expect(err).To(haveSQLState(notAccepting))
		_, err = server.loginAs(ctx, database.Logins(b)[0], password, b)
		Expect(err).To(haveSQLState("28P01"))
	}, SpecTimeout(time.Minute))

	It("can't let another tenant into its database", func(ctx SpecContext) {
		Expect(attempt(ctx, "GRANT ALL ON DATABASE $OWN TO $VICTIM, PUBLIC")).To(Succeed(), "PostgreSQL only warns that nothing was granted")
		Expect(server.state(ctx, attacker)).To(ConsistOf(complete(5)))
		_, err := server.loginAs(ctx, database.Logins(b)[0], string(victim.Password), a)
		Expect(err).To(haveSQLState(insufficientPrivilege))
	}, SpecTimeout(time.Minute))

	It("has no more connections than it was given, and takes none from its neighbor", func(ctx SpecContext) {
		greedy := server.provisioned(ctx, func(d *database.Desired) { d.ConnectionLimit = 3 })
		for range 3 {
			server.session(ctx, greedy, greedy.Name())
		}
		_, err := server.loginAs(ctx, database.Logins(greedy.Name())[0], string(greedy.Password), greedy.Name())
		Expect(err).To(haveSQLState(tooManyConnections))
		server.session(ctx, victim, b)
	}, SpecTimeout(time.Minute))

	It("can't hold up the operator with the operator's own lock", func(ctx SpecContext) {
		_, err := session.Exec(ctx, "SELECT pg_advisory_lock(hashtext('tenantry')), pg_advisory_lock(x'74656e616e747279'::bigint)")
		Expect(err).NotTo(HaveOccurred())
		Expect(server.rows(ctx, "postgres", "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND classid = x'74656e61'::int AND objid = x'6e747279'::int")).To(Equal([]string{"1"}))
		server.provisioned(ctx)
	}, SpecTimeout(time.Minute))

	It("can't have the operator run its code, nor weaken its sessions by settings", func(ctx SpecContext) {
		// Even if somebody with the right to do so had made the settings that a tenant would need.
		server := startInstanceOf(ctx, server.BinDir)
		tenant := server.provisioned(ctx)
		trap := `
			CREATE SCHEMA evil;
			CREATE FUNCTION evil.aclexplode(aclitem[], OUT grantor oid, OUT grantee oid, OUT privilege_type text, OUT is_grantable boolean)
				RETURNS SETOF record LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
			CREATE FUNCTION evil.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
			CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.trap);
			GRANT USAGE ON SCHEMA evil TO PUBLIC`
		server.exec(ctx, "postgres", trap)
		server.exec(ctx, tenant.Name(), trap)
		for _, settings := range []string{
			"search_path TO evil, pg_catalog", "role TO " + tenant.Name(), "default_transaction_read_only TO on",
			"statement_timeout TO 1", "standard_conforming_strings TO off", "default_transaction_isolation TO serializable",
		} {
			for _, scope := range []string{"ROLE operator", "DATABASE postgres", "DATABASE " + tenant.Name(), "ROLE operator IN DATABASE postgres"} {
				server.exec(ctx, "template1", "ALTER "+scope+" SET "+settings)
			}
		}
		server.exec(ctx, "template1", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'operator'")

		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		operator := server.replica()
		Expect(operator.converge(ctx, newTenant(func(d *database.Desired) { d.Tenant = `\'; SELECT evil.trap('', ''); --` }))).To(Succeed())
		tenant.Password = database.Sensitive(database.GeneratePassword())
		Expect(operator.converge(ctx, tenant)).To(Succeed())
		Expect(operator.servers.Execute(ctx, server.address, []database.Action{
			database.SecureSchema{Database: tenant.Name(), Owner: tenant.Name()}, database.MarkSecured{Name: tenant.Name()},
		})).To(Succeed())
		Expect(operator.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
	}, SpecTimeout(time.Minute))

	It("can't slip SQL in by a name", func(ctx SpecContext) {
		evil := newTenant(func(d *database.Desired) {
			d.UID = `x'); DROP TABLE tenantry.tenants; --`
			d.Tenant = `\'; DROP TABLE tenantry.tenants; -- $$`
			d.Capacity = new(int32(1 << 30))
		})
		Expect(server.converge(ctx, evil)).To(Succeed())
		Expect(server.rows(ctx, "postgres", "SELECT tenant FROM tenantry.tenants WHERE uid = $1", evil.UID)).To(Equal([]string{evil.Tenant}))
		Expect(server.remove(ctx, evil, database.ReclaimRetain)).To(Succeed())
		heir := adopting(evil)
		heir.UID, heir.Tenant = evil.UID+"'", evil.Tenant+"'"
		Expect(server.converge(ctx, heir)).To(Succeed())
		Expect(server.remove(ctx, heir, database.ReclaimDelete)).To(Succeed())
	}, SpecTimeout(time.Minute))

	// What follows can't be closed on a server that tenants share. It is here so that it is known,
	// and so that a version of PostgreSQL that closes it is noticed.
	DescribeTable("is known to see",
		func(ctx SpecContext, query string) {
			Eventually(func() (seen bool, err error) {
				err = session.QueryRow(ctx, names.Replace(query)).Scan(&seen)
				return seen, err
			}).WithContext(ctx).Should(BeTrue())
		},
		Entry("the names of databases", "SELECT EXISTS (SELECT FROM pg_database WHERE datname = '$VICTIM')"),
		Entry("the names of roles", "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '$VICTIM_LOGIN')"),
		Entry("who is connected where", "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '$VICTIM' AND usename = '$VICTIM_LOGIN')"),
		Entry("settings of roles", "SELECT EXISTS (SELECT FROM pg_db_role_setting WHERE setrole = '$VICTIM_LOGIN'::regrole)"),
		Entry("how busy databases are", "SELECT EXISTS (SELECT FROM pg_stat_database WHERE datname = '$VICTIM' AND xact_commit > 0)"),
	)

	It("does not see what others run, nor from where", func(ctx SpecContext) {
		var query, address string
		Expect(session.QueryRow(ctx, names.Replace("SELECT query, coalesce(client_addr::text, 'hidden') FROM pg_stat_activity WHERE pid = $PID")).Scan(&query, &address)).To(Succeed())
		Expect(query).To(Equal("<insufficient privilege>"))
		Expect(address).To(Equal("hidden"))
	}, SpecTimeout(time.Minute))
}
