package postgres_test

import (
	"context"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/test/attacks"
)

// siege is one tenant that attacks another in a database that both share.
type siege struct {
	server           *instance
	attacker, victim database.Desired
	victimSession    *pgx.Conn
	names            *strings.Replacer
	before           []string
}

// begin creates both tenants and what the victim has.
func (s *siege) begin(ctx context.Context, release release, isolation database.Isolation) {
	GinkgoHelper()
	s.server = release.start(ctx)
	if isolation == database.IsolationRow {
		s.server.tables(ctx, attacks.RowTables)
	}
	s.attacker, s.victim = s.server.provisioned(ctx, in(isolation)), s.server.provisioned(ctx, in(isolation))
	s.victimSession = s.server.session(ctx, s.victim, s.victim.Name())
	s.names = attacks.Sides{
		Isolation: isolation, Attacker: s.attacker.Name(), Victim: s.victim.Name(), Admin: s.server.address.Username, PID: s.victimSession.PgConn().PID(),
	}.Replacer()
	_, err := s.victimSession.Exec(ctx, attacks.Belongings(isolation))
	Expect(err).NotTo(HaveOccurred())
	s.before = s.state(ctx, isolation)
}

// state returns everything of both tenants and of the shared database that an attack might change.
func (s *siege) state(ctx context.Context, isolation database.Isolation) []string {
	GinkgoHelper()
	return slices.Concat(s.server.state(ctx, s.attacker), s.server.state(ctx, s.victim),
		s.server.rows(ctx, database.SharedDatabase(isolation), `
			SELECT format('%s %s %s', datname, datacl, datconnlimit) FROM pg_database
			UNION ALL SELECT format('schema %s %s %s', nspname, nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_t'
			UNION ALL SELECT format('role %s %s', rolname, (rolsuper, rolcanlogin, rolconfig)) FROM pg_roles
			UNION ALL SELECT format('member %s of %s', member::regrole, roleid::regrole) FROM pg_auth_members
			UNION ALL SELECT format('relation %s %s %s %s', oid::regclass, relowner::regrole, relacl, (relrowsecurity, relforcerowsecurity)) FROM pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
			UNION ALL SELECT format('function %s %s %s', oid::regprocedure, proowner::regrole, proacl) FROM pg_proc WHERE oid >= 16384
			ORDER BY 1`))
}

// attempt runs SQL as the attacker, in a session of its own, so that no attempt helps another.
func (s *siege) attempt(ctx context.Context, sql string) error {
	return s.server.attempt(ctx, database.Logins(s.attacker.Name())[0], string(s.attacker.Password),
		database.SharedDatabase(s.attacker.Isolation), s.names.Replace(sql))
}

func (s *siege) refused(ctx SpecContext, sql, code string) {
	Expect(s.attempt(ctx, sql)).To(haveSQLState(code))
	Expect(s.victimSession.Ping(ctx)).To(Succeed())
}

func (s *siege) allowed(ctx SpecContext, sql string) {
	Expect(s.attempt(ctx, "BEGIN; "+sql+"; ROLLBACK")).To(Succeed())
}

// seen expects that a query of the attacker returns true.
func (s *siege) seen(ctx SpecContext, query string) {
	session := s.server.session(ctx, s.attacker, s.attacker.Name())
	Eventually(func() (seen bool, err error) {
		err = session.QueryRow(ctx, s.names.Replace(query)).Scan(&seen)
		return seen, err
	}).WithContext(ctx).Should(BeTrue())
}

func (s *siege) otherDatabases(ctx SpecContext) {
	login, password := database.Logins(s.attacker.Name())[0], string(s.attacker.Password)
	for _, other := range []string{"postgres", "template1", "tenantry_schema", "tenantry_row"} {
		if other != database.SharedDatabase(s.attacker.Isolation) {
			_, err := s.server.loginAs(ctx, login, password, other)
			Expect(err).To(haveSQLState(attacks.InsufficientPrivilege), other)
		}
	}
}

// described describes an attack by its SQL.
func described(sql, code string) string { return sql + " (" + code + ")" }

var _ = Describe("A tenant with a schema of its own, on PostgreSQL", func() {
	for _, release := range releases {
		Describe(release.name, Ordered, ContinueOnFailure, func() { attacksOnSchemas(release) })
	}
})

func attacksOnSchemas(release release) {
	siege := &siege{}
	BeforeAll(func(ctx SpecContext) {
		siege.begin(ctx, release, database.IsolationSchema)
	})

	DescribeTable("is refused", siege.refused, described, entries(database.IsolationSchema))

	DescribeTable("may do next to that", siege.allowed, func(sql string) string { return sql },
		Entry(nil, "SET ROLE $LOGIN"),
		Entry(nil, "CREATE TABLE mine (id serial PRIMARY KEY); INSERT INTO mine DEFAULT VALUES; TABLE $OWN.mine"),
		Entry(nil, "CREATE TYPE color AS ENUM ('red'); CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"),
		Entry(nil, "CREATE TABLE mine (id int); CREATE INDEX ON mine (id); CREATE VIEW v AS TABLE mine; CREATE MATERIALIZED VIEW m AS TABLE mine"),
		Entry(nil, "SET search_path TO $OWN; SET work_mem TO '1MB'; SET statement_timeout TO '1s'"),
		Entry(nil, "SELECT lo_from_bytea(424243, 'its own'); SELECT lo_get(424243)"),
		Entry(nil, "ALTER DEFAULT PRIVILEGES IN SCHEMA $OWN GRANT SELECT ON TABLES TO $LOGIN"),
	)

	It("connects to the shared database and to no other", siege.otherDatabases, SpecTimeout(specTimeout))

	It("can't let another tenant into its schema", func(ctx SpecContext) {
		Expect(siege.attempt(ctx, "CREATE TABLE given (id int); GRANT ALL ON given TO PUBLIC; GRANT ALL ON SCHEMA $OWN TO $VICTIM")).To(Succeed(), "PostgreSQL only warns that nothing was granted")
		_, err := siege.victimSession.Exec(ctx, siege.names.Replace("SELECT * FROM $OWN.given"))
		Expect(err).To(haveSQLState(attacks.InsufficientPrivilege))
		Expect(siege.attempt(ctx, "DROP TABLE given")).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("can't take the way in from all tenants", func(ctx SpecContext) {
		for _, sql := range []string{"DROP OWNED BY tenantry_schema", "DROP OWNED BY $OWN", "REVOKE CONNECT ON DATABASE $DATABASE FROM tenantry_schema"} {
			Expect(siege.attempt(ctx, sql)).To(Or(Succeed(), haveSQLState(attacks.InsufficientPrivilege)), sql)
		}
		siege.server.session(ctx, siege.victim, siege.victim.Name())
	}, SpecTimeout(specTimeout))

	// The following can't be prevented in a shared database; see docs/databases.md.
	DescribeTable("is known to see", siege.seen,
		Entry("the names of tables and columns", "SELECT EXISTS (SELECT FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relname = 'secrets' AND attname = 'word')"),
		Entry("the source of functions", "SELECT EXISTS (SELECT FROM pg_proc WHERE prosrc = 'SELECT word FROM secrets')"),
		Entry("comments", "SELECT EXISTS (SELECT FROM pg_description WHERE description = 'for a customer')"),
		Entry("how many rows come and go", "SELECT EXISTS (SELECT FROM pg_stat_all_tables WHERE relname = 'secrets' AND n_tup_ins > 0)"),
		Entry("the size of tables", "SELECT pg_relation_size(oid) > 0 FROM pg_class WHERE relname = 'secrets'"),
		Entry("the names of databases", "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'postgres')"),
		Entry("the names of roles", "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '$VICTIM_LOGIN')"),
		Entry("who is connected where", "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = '$VICTIM_LOGIN')"),
	)
	knownInShared(siege)

	It("has changed nothing by all that", func(ctx SpecContext) {
		Expect(siege.state(ctx, database.IsolationSchema)).To(Equal(siege.before))
	}, SpecTimeout(specTimeout))
}

// knownInShared tests the ways in which tenants of one database can affect each other and which PostgreSQL has no
// privilege for.
func knownInShared(siege *siege) {
	It("is known to receive what others NOTIFY", func(ctx SpecContext) {
		session := siege.server.session(ctx, siege.attacker, siege.attacker.Name())
		_, err := session.Exec(ctx, "LISTEN orders")
		Expect(err).NotTo(HaveOccurred())
		_, err = siege.victimSession.Exec(ctx, "NOTIFY orders, 'of the victim'")
		Expect(err).NotTo(HaveOccurred())
		notification, err := session.WaitForNotification(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(notification.Payload).To(Equal("of the victim"))
	}, SpecTimeout(specTimeout))

	It("is known to hold up others by an advisory lock", func(ctx SpecContext) {
		session := siege.server.session(ctx, siege.attacker, siege.attacker.Name())
		_, err := session.Exec(ctx, "SELECT pg_advisory_lock(7)")
		Expect(err).NotTo(HaveOccurred())
		var got bool
		Expect(siege.victimSession.QueryRow(ctx, "SELECT pg_try_advisory_lock(7)").Scan(&got)).To(Succeed())
		Expect(got).To(BeFalse())
	}, SpecTimeout(specTimeout))
}

var _ = Describe("A tenant with rows of its own, on PostgreSQL", func() {
	for _, release := range releases {
		Describe(release.name, Ordered, ContinueOnFailure, func() { attacksOnRows(release) })
	}
})

// rowReads are ways to read, change or delete all rows. Each must affect only the attacker's one row.
var rowReads = []string{
	"SELECT count(*) FROM notes",
	"SELECT count(*) FROM ledger",
	"SELECT count(*) FROM latest",
	"SELECT count(*) FROM all_notes()",
	"SELECT count(*) FROM notes WHERE tenant_id = '$OWN' OR tenant_id <> '$OWN'",
	"SELECT count(*) FROM notes WHERE 1 / (CASE WHEN tenant_id = '$VICTIM' THEN 0 ELSE 1 END) = 1",
	"SELECT count(*) FROM (SELECT FROM notes FOR UPDATE) AS locked",
	"WITH changed AS (UPDATE notes SET word = 'x' || id RETURNING 1) SELECT count(*) FROM changed",
	"WITH deleted AS (DELETE FROM notes RETURNING 1) SELECT count(*) FROM deleted",
	"SELECT tenantry.delete('ledger', '{\"word\": \"of the ledger\"}')",
}

func attacksOnRows(release release) {
	siege := &siege{}
	BeforeAll(func(ctx SpecContext) {
		siege.begin(ctx, release, database.IsolationRow)
		Expect(siege.attempt(ctx, attacks.RowsOf("the attacker", 2, 424243))).To(Succeed())
	})

	DescribeTable("is refused", siege.refused, described, entries(database.IsolationRow))

	DescribeTable("finds its own row and no other",
		func(ctx SpecContext, query string) {
			for _, pretense := range []string{
				"SELECT 1", "SET ROLE NONE", "SET tenantry.tenant_id TO '$VICTIM'", "SET app.tenant_id TO '$VICTIM'",
				"SELECT set_config('session_authorization', '$OWN', true)", "SET search_path TO $VICTIM",
			} {
				conn := siege.server.session(ctx, siege.attacker, siege.attacker.Name())
				_, err := conn.Exec(ctx, "BEGIN")
				Expect(err).NotTo(HaveOccurred())
				if _, err := conn.Exec(ctx, siege.names.Replace(pretense)); err != nil {
					Expect(err).To(haveSQLState(attacks.InsufficientPrivilege))
					continue
				}
				_, err = conn.Exec(ctx, "SET search_path TO public")
				Expect(err).NotTo(HaveOccurred())
				var rows int
				Expect(conn.QueryRow(ctx, siege.names.Replace(query)).Scan(&rows)).To(Succeed(), pretense)
				Expect(rows).To(Equal(1), pretense)
				Expect(conn.Close(ctx)).To(Succeed())
			}
		},
		func(query string) string { return query },
		func() (all []TableEntry) {
			for _, query := range rowReads {
				all = append(all, Entry(nil, query))
			}
			return all
		}())

	It("merges into no row of another", func(ctx SpecContext) {
		if siege.server.major < 15 {
			Skip("PostgreSQL has MERGE since 15")
		}
		Expect(siege.attempt(ctx, "MERGE INTO notes USING (VALUES (1)) AS v(id) ON notes.id = v.id WHEN MATCHED THEN UPDATE SET word = 'merged' WHEN NOT MATCHED THEN DO NOTHING")).To(Succeed())
		Expect(siege.attempt(ctx, "MERGE INTO notes USING (VALUES (1)) AS v(id) ON notes.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (3, '$VICTIM')")).To(haveSQLState(attacks.InsufficientPrivilege))
		Expect(siege.server.rows(ctx, "tenantry_row", "SELECT word FROM notes WHERE id = 1")).To(Equal([]string{"of the victim"}))
	}, SpecTimeout(specTimeout))

	It("does not find out by strict tables what others have", func(ctx SpecContext) {
		Expect(siege.victimSession.Exec(ctx, "INSERT INTO ledger (id) VALUES (50)")).Error().NotTo(HaveOccurred())
		Expect(siege.attempt(ctx, "BEGIN; INSERT INTO ledger (id) VALUES (50); ROLLBACK")).To(Succeed())
		Expect(siege.attempt(ctx, "INSERT INTO entries (id, ledger) VALUES (1, 50)")).To(haveSQLState("23503"))
	}, SpecTimeout(specTimeout))

	It("reads no statistics of the shared tables", func(ctx SpecContext) {
		siege.server.exec(ctx, "tenantry_row", "ANALYZE")
		var visible int
		Expect(siege.server.session(ctx, siege.attacker, siege.attacker.Name()).QueryRow(ctx, "SELECT count(*) FROM pg_stats WHERE tablename IN ('notes', 'ledger', 'parts', 'parts_rest')").Scan(&visible)).To(Succeed())
		Expect(visible).To(BeZero())
	}, SpecTimeout(specTimeout))

	It("connects to the shared database and to no other", siege.otherDatabases, SpecTimeout(specTimeout))

	// The following can't be prevented in shared tables, except where strict tables do; see docs/databases.md.
	DescribeTable("is known to see", siege.seen,
		Entry("how many rows come and go", "SELECT sum(n_tup_ins) >= 2 FROM pg_stat_all_tables WHERE relname IN ('notes', 'ledger')"),
		Entry("the size of tables", "SELECT pg_relation_size('notes') > 0"),
		Entry("how far sequences are", "SELECT nextval('replies_id_seq') > 0"),
		Entry("the names of roles", "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '$VICTIM_LOGIN')"),
		Entry("who is connected where", "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = '$VICTIM_LOGIN')"),
	)
	DescribeTable("is known, where tables are not strict,",
		func(ctx SpecContext, sql, code string) {
			Expect(siege.attempt(ctx, sql)).To(haveSQLState(code))
		},
		Entry("to find out by a primary key that another has a value", "INSERT INTO notes VALUES (1)", "23505"),
	)
	DescribeTable("is known to be able to, where tables are not strict,", siege.allowed,
		Entry("find out by a foreign key that another has a value", "INSERT INTO replies (note) VALUES (1)"),
		Entry("lock a table for all", "LOCK TABLE notes IN ACCESS EXCLUSIVE MODE"),
	)
	knownInShared(siege)

	It("has changed nothing by all that", func(ctx SpecContext) {
		Expect(siege.state(ctx, database.IsolationRow)).To(Equal(siege.before))
		Expect(siege.server.rows(ctx, "tenantry_row", "SELECT word FROM notes ORDER BY id")).To(Equal([]string{"of the victim", "of the attacker"}))
	}, SpecTimeout(specTimeout))
}

// What docs/databases.md lists as not isolated, so that a version of PostgreSQL that changes it is noticed.
var _ = Describe("What leaks on a shared server", Label("D11"), func() {
	It("is how others' values are spread, to EXPLAIN, in strict tables too", func(ctx SpecContext) {
		shared.tables(ctx, `
			CREATE TABLE accounts_explained (tenant_id text NOT NULL DEFAULT tenantry.tenant_id(), id bigint, PRIMARY KEY (tenant_id, id));
			SELECT tenantry.isolate('accounts_explained', strict => true)`)
		other, curious := shared.provisioned(ctx, in(database.IsolationRow)), shared.provisioned(ctx, in(database.IsolationRow))
		_, err := shared.session(ctx, other, other.Name()).Exec(ctx, "INSERT INTO accounts_explained (id) SELECT generate_series(1, 10000)")
		Expect(err).NotTo(HaveOccurred())
		shared.exec(ctx, "tenantry_row", "ANALYZE accounts_explained")
		session := shared.session(ctx, curious, curious.Name())
		estimate := func(condition string) (rows float64) {
			GinkgoHelper()
			var plan []struct{ Plan map[string]any }
			Expect(session.QueryRow(ctx, "EXPLAIN (FORMAT JSON) SELECT FROM accounts_explained WHERE "+condition).Scan(&plan)).To(Succeed())
			return plan[0].Plan["Plan Rows"].(float64)
		}
		Expect(estimate("id > 1000")).To(BeNumerically(">", 2*estimate("id > 9000")), "though the tenant sees none of these rows")
		shared.exec(ctx, "tenantry_row", "DROP TABLE accounts_explained")
	}, SpecTimeout(specTimeout))

	It("is the room for connections, to those who never log in", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "ALTER SYSTEM SET max_connections = 20")
		Expect(server.Stop()).To(Succeed())
		Expect(server.Restart(ctx)).To(Succeed())
		server.prepare(ctx)
		tenant := server.provisioned(ctx, func(d *database.Desired) { d.ConnectionLimit = 1 })
		login := database.Logins(tenant.Name())[0]
		for range 20 {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server.address.Address())
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(func() { conn.Close() })
			frontend := pgproto3.NewFrontend(conn, conn)
			frontend.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": login, "database": tenant.Name()}})
			Expect(frontend.Flush()).To(Succeed())
			_, err = frontend.Receive() // either the question for the password, or that there is no room
			Expect(err).NotTo(HaveOccurred())
		}
		_, err := server.loginAs(ctx, login, string(tenant.Password), tenant.Name())
		Expect(err).To(haveSQLState(attacks.TooManyConnections))
	}, SpecTimeout(specTimeout))
})
