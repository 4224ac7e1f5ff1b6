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
	"github.com/tenantry/tenantry/internal/service"
)

// The SQLSTATEs with which PostgreSQL refuses attacks.
const (
	insufficientPrivilege = "42501"
	undefinedObject       = "42704"
	tooManyConnections    = "53300"
	notAccepting          = "55000"
	noSuchRelation        = "XX000" // could not open relation with this OID
)

// attack is SQL that must be refused with a SQLSTATE.
type attack struct{ sql, code string }

func entries(attacks []attack) []TableEntry {
	result := make([]TableEntry, len(attacks))
	for n, attack := range attacks {
		result[n] = Entry(nil, attack.sql, attack.code)
	}
	return result
}

// serverAttacks are attacks on the server and on other tenants' roles, which are the same for all kinds of
// isolation. $DATABASE is the attacker's database, $OTHER another one.
var serverAttacks = []attack{
	// Becoming somebody else.
	{"SET ROLE $VICTIM", insufficientPrivilege},
	{"SET ROLE $VICTIM_LOGIN", insufficientPrivilege},
	{"SET ROLE tenantry_owner", insufficientPrivilege},
	{"SET ROLE $ADMIN", insufficientPrivilege},
	{"SET ROLE pg_read_server_files", insufficientPrivilege},
	{"SET SESSION AUTHORIZATION $VICTIM_LOGIN", insufficientPrivilege},
	{"SET SESSION AUTHORIZATION $ADMIN", insufficientPrivilege},
	{"GRANT $VICTIM TO $OWN", insufficientPrivilege},
	{"GRANT pg_execute_server_program TO $OWN", insufficientPrivilege},
	{"GRANT tenantry_owner TO $OWN", insufficientPrivilege},

	// Roles.
	{"CREATE ROLE accomplice", insufficientPrivilege},
	{"ALTER ROLE $OWN SUPERUSER", insufficientPrivilege},
	{"ALTER ROLE $OWN LOGIN PASSWORD 'x'", insufficientPrivilege},
	{"ALTER ROLE $LOGIN CONNECTION LIMIT 1000", insufficientPrivilege},
	{"ALTER ROLE $LOGIN VALID UNTIL 'infinity'", insufficientPrivilege},
	{"ALTER ROLE $VICTIM_LOGIN PASSWORD 'x'", insufficientPrivilege},
	{"ALTER ROLE $VICTIM_LOGIN SET search_path TO evil", insufficientPrivilege},
	{"ALTER ROLE $ADMIN SET search_path TO evil", insufficientPrivilege},
	{"ALTER ROLE ALL SET search_path TO evil", insufficientPrivilege},
	{"ALTER ROLE $VICTIM RENAME TO mine", insufficientPrivilege},
	{"DROP ROLE $VICTIM_LOGIN", insufficientPrivilege},
	{"REASSIGN OWNED BY $VICTIM TO $OWN", insufficientPrivilege},
	{"DROP OWNED BY $VICTIM", insufficientPrivilege},
	{"ALTER ROLE $LOGIN SET temp_file_limit TO -1", insufficientPrivilege},
	{"SET ROLE NONE; ALTER ROLE $LOGIN RESET temp_file_limit", insufficientPrivilege},
	{"COMMENT ON ROLE $VICTIM IS 'x'", insufficientPrivilege},
	{"SELECT rolpassword FROM pg_authid", insufficientPrivilege},
	{"SELECT passwd FROM pg_shadow", insufficientPrivilege},

	// Databases, the own one included.
	{"CREATE DATABASE another", insufficientPrivilege},
	{"CREATE DATABASE copy TEMPLATE $OTHER", insufficientPrivilege},
	{"ALTER DATABASE $DATABASE CONNECTION LIMIT -1", insufficientPrivilege},
	{"ALTER DATABASE $DATABASE IS_TEMPLATE true", insufficientPrivilege},
	{"ALTER DATABASE $DATABASE ALLOW_CONNECTIONS false", insufficientPrivilege},
	{"ALTER DATABASE $DATABASE SET search_path TO evil", insufficientPrivilege},
	{"ALTER DATABASE $DATABASE OWNER TO $OWN", insufficientPrivilege},
	{"ALTER DATABASE $DATABASE RENAME TO mine", insufficientPrivilege},
	{"ALTER DATABASE $DATABASE SET TABLESPACE pg_default", insufficientPrivilege},
	{"DROP DATABASE $DATABASE", insufficientPrivilege},
	{"COMMENT ON DATABASE $DATABASE IS 'x'", insufficientPrivilege},
	{"ALTER DATABASE $OTHER CONNECTION LIMIT 0", insufficientPrivilege},
	{"ALTER DATABASE $OTHER SET search_path TO evil", insufficientPrivilege},
	{"DROP DATABASE $OTHER", insufficientPrivilege},
	{"GRANT CONNECT ON DATABASE $OTHER TO $OWN", insufficientPrivilege},
	{"REVOKE CONNECT ON DATABASE $OTHER FROM $VICTIM", insufficientPrivilege},

	// The server's files and programs.
	{"SELECT pg_read_file('/etc/passwd')", insufficientPrivilege},
	{"SELECT pg_read_binary_file('pg_hba.conf')", insufficientPrivilege},
	{"SELECT pg_ls_dir('.')", insufficientPrivilege},
	{"SELECT pg_stat_file('pg_hba.conf')", insufficientPrivilege},
	{"SELECT * FROM pg_hba_file_rules", insufficientPrivilege},
	{"CREATE TEMP TABLE t (line text); COPY t FROM '/etc/passwd'", insufficientPrivilege},
	{"CREATE TEMP TABLE t (line text); COPY t FROM PROGRAM 'id'", insufficientPrivilege},
	{"COPY (SELECT 1) TO '/tmp/tenantry-attack'", insufficientPrivilege},
	{"COPY (SELECT 1) TO PROGRAM 'cat'", insufficientPrivilege},
	{"SELECT lo_import('/etc/passwd')", insufficientPrivilege},
	{"SELECT lo_export(lo_from_bytea(0, 'x'), '/tmp/tenantry-attack')", insufficientPrivilege},
	{"CREATE TABLESPACE mine LOCATION '/tmp'", insufficientPrivilege},

	// Code of one's own in the server.
	{"CREATE EXTENSION dblink", insufficientPrivilege},
	{"CREATE EXTENSION postgres_fdw", insufficientPrivilege},
	{"CREATE EXTENSION file_fdw", insufficientPrivilege},
	{"CREATE EXTENSION pg_stat_statements", insufficientPrivilege},
	{"LOAD 'dblink'", insufficientPrivilege},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'dblink', 'dblink_connect'", insufficientPrivilege},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_backend_pid'", insufficientPrivilege},
	{`CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()`, insufficientPrivilege},
	{"CREATE FOREIGN DATA WRAPPER w", insufficientPrivilege},

	// Replication.
	{"CREATE SUBSCRIPTION s CONNECTION 'dbname=$OTHER' PUBLICATION p", insufficientPrivilege},
	{"CREATE PUBLICATION p FOR ALL TABLES", insufficientPrivilege},
	{"SELECT pg_create_physical_replication_slot('s')", insufficientPrivilege},
	{"SELECT pg_create_logical_replication_slot('s', 'test_decoding')", insufficientPrivilege},

	// Other sessions and the server as a whole.
	{"SELECT pg_terminate_backend($PID)", insufficientPrivilege},
	{"SELECT pg_cancel_backend($PID)", insufficientPrivilege},
	{"SELECT pg_reload_conf()", insufficientPrivilege},
	{"SELECT pg_switch_wal()", insufficientPrivilege},
	{"SELECT pg_stat_reset()", insufficientPrivilege},
	{"ALTER SYSTEM SET max_connections = 1", insufficientPrivilege},
	{"CHECKPOINT", insufficientPrivilege},
	{"SET temp_file_limit = -1", insufficientPrivilege},
	{"SET session_replication_role = replica", insufficientPrivilege},
	{"SET log_statement = 'none'", insufficientPrivilege},
	{"BEGIN; LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE", insufficientPrivilege},
	{"SELECT FROM pg_catalog.pg_database FOR UPDATE", insufficientPrivilege},
	{"UPDATE pg_catalog.pg_database SET datconnlimit = -1", insufficientPrivilege},
	{"CREATE FUNCTION pg_catalog.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", insufficientPrivilege},
	{"BEGIN; PREPARE TRANSACTION 'x'", notAccepting},
}

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
		before           []string
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
		before = append(server.state(ctx, attacker), server.state(ctx, victim)...)
		names = strings.NewReplacer(
			"$DATABASE", a, "$OTHER", b, "$ADMIN", server.address.Username, "$LOGIN", database.Logins(a)[0], "$OWN", a,
			"$VICTIM_LOGIN", database.Logins(b)[0], "$VICTIM", b,
			"$PID", fmt.Sprint(victimSession.PgConn().PID()),
			"$SEQUENCE", server.rows(ctx, b, "SELECT 'invoice_number'::regclass::oid::text FROM (SELECT set_config('search_path', 'public', false)) AS s")[0],
		)
	})

	// attempt runs SQL as the attacker, in a session of its own, so that no attempt helps another.
	attempt := func(ctx context.Context, sql string) error {
		return server.attempt(ctx, database.Logins(a)[0], string(attacker.Password), a, names.Replace(sql))
	}

	DescribeTable("is refused",
		func(ctx SpecContext, sql, code string) {
			Expect(attempt(ctx, sql)).To(haveSQLState(code))
			Expect(victimSession.Ping(ctx)).To(Succeed())
		},
		func(sql, code string) string { return sql + " (" + code + ")" },

		entries(serverAttacks),

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
		Expect(attempt(ctx, "GRANT ALL ON DATABASE $DATABASE TO $VICTIM, PUBLIC")).To(Succeed(), "PostgreSQL only warns that nothing was granted")
		Expect(server.state(ctx, attacker)).To(ConsistOf(complete(5)))
		_, err := server.loginAs(ctx, database.Logins(b)[0], string(victim.Password), a)
		Expect(err).To(haveSQLState(insufficientPrivilege))
	}, SpecTimeout(time.Minute))

	It("has no more connections than it was given, and takes none from its neighbor", func(ctx SpecContext) {
		greedy := server.provisioned(ctx, func(d *database.Desired) { d.ConnectionLimit = 3 })
		Eventually(ctx, func() []string {
			return server.rows(ctx, "postgres", "SELECT pid::text FROM pg_stat_activity WHERE datname = $1", greedy.Name())
		}).Should(BeEmpty(), "the operator's session counts until it has ended")
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
		// Even if somebody with the right to do so had changed the settings that a tenant would need.
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
		tenant.Password = service.Sensitive(service.GeneratePassword())
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

	// The following can't be prevented on a shared server. It is here so that it is known, and so that a version of
	// PostgreSQL that prevents it is noticed.
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

	It("has changed nothing by all that", func(ctx SpecContext) {
		Expect(append(server.state(ctx, attacker), server.state(ctx, victim)...)).To(Equal(before))
	}, SpecTimeout(time.Minute))
}

// The settings of a tenant's logins apply to its own sessions, and to those that the operator opens as the tenant.
var _ = Describe("Settings by which a provisioned tenant would harm the operator or itself", Label("D5"), func() {
	// setting runs a statement as the tenant's login, which may change its default settings.
	setting := func(ctx context.Context, tenant database.Desired, statement string) {
		GinkgoHelper()
		session := shared.session(ctx, tenant, tenant.Name())
		_, err := session.Exec(ctx, "SET ROLE NONE")
		Expect(err).NotTo(HaveOccurred())
		_, err = session.Exec(ctx, strings.NewReplacer("$LOGIN", database.Logins(tenant.Name())[0],
			"$DATABASE", database.ConnectTo(tenant.Isolation, tenant.Name())).Replace(statement))
		Expect(err).NotTo(HaveOccurred(), statement)
		Expect(session.Close(ctx)).To(Succeed())
	}
	const huge = "SELECT set_config('search_path', repeat('x', 240 * 1024 * 1024), false); ALTER ROLE $LOGIN SET search_path FROM CURRENT"
	weapons := []TableEntry{
		Entry("240 MB of text", huge, SpecTimeout(time.Minute)),
		Entry("no row-level security", "ALTER ROLE $LOGIN SET row_security = off", SpecTimeout(time.Minute)),
		Entry("a library that there isn't", "ALTER ROLE $LOGIN SET local_preload_libraries = 'nonexistent'", SpecTimeout(time.Minute)),
		Entry("the same in its database only", "ALTER ROLE $LOGIN IN DATABASE $DATABASE SET local_preload_libraries = 'nonexistent'", SpecTimeout(time.Minute)),
	}

	DescribeTable("are put right",
		func(ctx SpecContext, statement string) {
			tenant := shared.provisioned(ctx, func(d *database.Desired) { d.TempFileLimit = new(int64(1 << 20)) })
			before := shared.state(ctx, tenant)
			setting(ctx, tenant, statement)
			began := time.Now()
			status, err := shared.servers.Probe(ctx, shared.address)
			Expect(err).NotTo(HaveOccurred())
			Expect(status.Drifted).To(ContainElement(HaveField("UID", tenant.UID)))
			_, err = shared.servers.Observe(ctx, shared.address, tenant.UID, tenant.Name())
			Expect(err).NotTo(HaveOccurred())
			Expect(time.Since(began)).To(BeNumerically("<", time.Second), "what is read is bounded")

			Expect(shared.converge(ctx, tenant)).To(Succeed())
			Expect(shared.state(ctx, tenant)).To(Equal(before))
			shared.session(ctx, tenant, tenant.Name())
		}, weapons)

	for _, isolation := range []database.Isolation{database.IsolationDatabase, database.IsolationSchema, database.IsolationRow} {
		DescribeTable("don't keep a tenant of isolation "+string(isolation)+" from being removed",
			func(ctx SpecContext, statement string) {
				tenant := shared.provisioned(ctx, func(d *database.Desired) { d.Isolation = isolation })
				setting(ctx, tenant, statement)
				Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
				Expect(shared.state(ctx, tenant)).To(BeEmpty())
			}, weapons)
	}

	It("may be a password of any length", func(ctx SpecContext) {
		if shared.major >= 18 {
			Skip("PostgreSQL 18 takes passwords of 512 bytes at most")
		}
		tenant := shared.provisioned(ctx)
		session := shared.session(ctx, tenant, tenant.Name())
		_, err := session.Exec(ctx, "SET ROLE NONE; DO $$ BEGIN EXECUTE format('ALTER ROLE "+database.Logins(tenant.Name())[0]+
			" PASSWORD %L', 'SCRAM-SHA-256$4096:' || repeat('QUFB', 2000000) || '$' || replace(encode(sha256('a'), 'base64'), E'\\n', '') || ':' || replace(encode(sha256('b'), 'base64'), E'\\n', '')); END $$")
		Expect(err).NotTo(HaveOccurred())
		observed, err := shared.servers.Observe(ctx, shared.address, tenant.UID, tenant.Name())
		Expect(err).NotTo(HaveOccurred())
		Expect(len(observed.Logins[0].Verifier)).To(BeNumerically("<", 1<<10))
		Expect(shared.converge(ctx, tenant)).To(Succeed())
		shared.session(ctx, tenant, tenant.Name())
	}, SpecTimeout(time.Minute))
})
