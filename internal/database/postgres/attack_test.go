package postgres_test

import (
	"context"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
	"github.com/tenantry/tenantry/test/attacks"
)

// entries are the attacks on a neighbor with the isolation.
func entries(isolation database.Isolation) (all []TableEntry) {
	for _, attack := range attacks.On(isolation) {
		all = append(all, Entry(nil, attack.SQL, attack.Code))
	}
	return all
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
		sequence         string
		before           []string
	)

	BeforeAll(func(ctx SpecContext) {
		server = release.start(ctx)
		attacker, victim = server.provisioned(ctx), server.provisioned(ctx)
		a, b = attacker.Name(), victim.Name()
		victimSession = server.session(ctx, victim, b)
		_, err := victimSession.Exec(ctx, attacks.Belongings(database.IsolationDatabase))
		Expect(err).NotTo(HaveOccurred())
		session = server.session(ctx, attacker, a)
		before = append(server.state(ctx, attacker), server.state(ctx, victim)...)
		names = attacks.Sides{
			Isolation: database.IsolationDatabase, Attacker: a, Victim: b, Admin: server.address.Username, PID: victimSession.PgConn().PID(),
		}.Replacer()
		sequence = server.rows(ctx, b, "SELECT 'invoice_number'::regclass::oid::text FROM (SELECT set_config('search_path', 'public', false)) AS s")[0]
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

		entries(database.IsolationDatabase),
	)

	It("is refused a sequence of the victim by its number", func(ctx SpecContext) {
		Expect(attempt(ctx, "SELECT nextval("+sequence+"::oid::regclass)")).To(haveSQLState(attacks.NoSuchRelation))
		Expect(victimSession.Ping(ctx)).To(Succeed())
	}, SpecTimeout(specTimeout))

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
			Expect(err).To(haveSQLState(attacks.InsufficientPrivilege), other)
		}
		_, err := server.loginAs(ctx, login, password, "template0")
		Expect(err).To(haveSQLState(attacks.NotAccepting))
		_, err = server.loginAs(ctx, database.Logins(b)[0], password, b)
		Expect(err).To(haveSQLState("28P01"))
	}, SpecTimeout(specTimeout))

	It("can't let another tenant into its database", func(ctx SpecContext) {
		Expect(attempt(ctx, "GRANT ALL ON DATABASE $DATABASE TO $VICTIM, PUBLIC")).To(Succeed(), "PostgreSQL only warns that nothing was granted")
		Expect(server.state(ctx, attacker)).To(ConsistOf(complete(5)))
		_, err := server.loginAs(ctx, database.Logins(b)[0], string(victim.Password), a)
		Expect(err).To(haveSQLState(attacks.InsufficientPrivilege))
	}, SpecTimeout(specTimeout))

	It("has no more connections than it was given, and takes none from its neighbor", func(ctx SpecContext) {
		greedy := server.provisioned(ctx, func(d *database.Desired) { d.ConnectionLimit = 3 })
		Eventually(ctx, func() []string {
			return server.rows(ctx, "postgres", "SELECT pid::text FROM pg_stat_activity WHERE datname = $1", greedy.Name())
		}).Should(BeEmpty(), "the operator's session counts until it has ended")
		for range 3 {
			server.session(ctx, greedy, greedy.Name())
		}
		_, err := server.loginAs(ctx, database.Logins(greedy.Name())[0], string(greedy.Password), greedy.Name())
		Expect(err).To(haveSQLState(attacks.TooManyConnections))
		server.session(ctx, victim, b)
	}, SpecTimeout(specTimeout))

	It("can't hold up the operator with the operator's own lock", func(ctx SpecContext) {
		_, err := session.Exec(ctx, "SELECT pg_advisory_lock(hashtext('tenantry')), pg_advisory_lock(x'74656e616e747279'::bigint)")
		Expect(err).NotTo(HaveOccurred())
		Expect(server.rows(ctx, "postgres", "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND classid = x'74656e61'::int AND objid = x'6e747279'::int")).To(Equal([]string{"1"}))
		server.provisioned(ctx)
	}, SpecTimeout(specTimeout))

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
	}, SpecTimeout(specTimeout))

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
	}, SpecTimeout(specTimeout))

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
	}, SpecTimeout(specTimeout))

	It("has changed nothing by all that", func(ctx SpecContext) {
		Expect(append(server.state(ctx, attacker), server.state(ctx, victim)...)).To(Equal(before))
	}, SpecTimeout(specTimeout))
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
		Entry("240 MB of text", huge, SpecTimeout(specTimeout)),
		Entry("no row-level security", "ALTER ROLE $LOGIN SET row_security = off", SpecTimeout(specTimeout)),
		Entry("a library that there isn't", "ALTER ROLE $LOGIN SET local_preload_libraries = 'nonexistent'", SpecTimeout(specTimeout)),
		Entry("the same in its database only", "ALTER ROLE $LOGIN IN DATABASE $DATABASE SET local_preload_libraries = 'nonexistent'", SpecTimeout(specTimeout)),
	}

	DescribeTable("are put right",
		func(ctx SpecContext, statement string) {
			tenant := shared.provisioned(ctx, func(d *database.Desired) { d.TempFileLimit = new(int64(1 << 20)) })
			before := shared.state(ctx, tenant)
			setting(ctx, tenant, statement)
			var start, end runtime.MemStats
			runtime.ReadMemStats(&start)
			status, err := shared.servers.Probe(ctx, shared.address)
			Expect(err).NotTo(HaveOccurred())
			Expect(status.Drifted).To(ContainElement(HaveField("UID", tenant.UID)))
			_, err = shared.servers.Observe(ctx, shared.address, tenant.UID, tenant.Name())
			Expect(err).NotTo(HaveOccurred())
			runtime.ReadMemStats(&end)
			Expect(end.TotalAlloc-start.TotalAlloc).To(BeNumerically("<", 100<<20), "what is read is bounded")

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
	}, SpecTimeout(specTimeout))
})
