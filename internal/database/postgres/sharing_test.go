package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/service"
	"github.com/tenantry/tenantry/test/attacks"
)

func in(isolation database.Isolation) func(*database.Desired) {
	return func(d *database.Desired) { d.Isolation = isolation }
}

func managing(d *database.Desired) {
	d.Isolation, d.ManagesTables = database.IsolationRow, true
}

// sharing returns what a server has for a provisioned tenant of the isolation, as listed by state.
func sharing(isolation database.Isolation) []string {
	lines := []string{
		fmt.Sprintf("registry UID TENANT %s Active", isolation),
		"role NAME (f,f,f,f,f,f,t) limit -1 password f settings  member of {" + database.SharedDatabase(isolation) + "}",
		"role NAME_0 (t,f,f,f,f,f,t) limit 5 password t settings {{role=NAME}} member of {NAME}",
		"role NAME_1 (f,f,f,f,f,f,t) limit -1 password f settings {{role=NAME}} member of {NAME}",
	}
	if isolation == database.IsolationSchema {
		lines = append(lines, "schema NAME of tenantry_owner acl {tenantry_owner=UC/tenantry_owner,NAME=UC/tenantry_owner}")
	}
	return lines
}

// tables creates shared tables of isolation Row, as the migrations of an app do.
func (i *instance) tables(ctx context.Context, sql string) database.Desired {
	GinkgoHelper()
	manager := i.provisioned(ctx, managing)
	_, err := i.session(ctx, manager, manager.Name()).Exec(ctx, sql)
	Expect(err).NotTo(HaveOccurred())
	return manager
}

var _ = Describe("A database that tenants share", func() {
	It("is prepared once, walled, and only read from then on", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "CREATE EXTENSION pg_stat_statements")
		server.prepare(ctx)
		Expect(server.rows(ctx, "postgres", `
			SELECT format('%s of %s open %s acl %s settings %s', datname, datdba::regrole, datallowconn, datacl, setconfig)
			FROM pg_database JOIN pg_db_role_setting ON setdatabase = pg_database.oid WHERE datname ~ '^tenantry_'`)).To(ConsistOf(
			`tenantry_schema of tenantry_owner open t acl {tenantry_owner=CTc/tenantry_owner,tenantry_schema=c/tenantry_owner} settings {"search_path=\"$user\", extensions"}`,
			`tenantry_row of tenantry_owner open t acl {tenantry_owner=CTc/tenantry_owner,tenantry_row=c/tenantry_owner,tenantry_row_owner=CT/tenantry_owner} settings {"search_path=public, extensions"}`))
		for _, operator := range []*instance{server, server.replica()} {
			before := server.statements(ctx)
			_, err := operator.servers.Share(ctx, operator.address, allIsolations)
			Expect(err).NotTo(HaveOccurred())
			Expect(server.statements(ctx)-before).To(Equal(5), "a look at each from outside and from inside, and at the tables")
		}
		for _, sql := range []string{"GRANT CONNECT ON DATABASE tenantry_row TO PUBLIC", "ALTER DATABASE tenantry_schema ALLOW_CONNECTIONS false"} {
			before := server.rows(ctx, "postgres", "SELECT datname || datacl::text || datallowconn FROM pg_database ORDER BY 1")
			server.exec(ctx, "postgres", sql)
			_, err := server.servers.Share(ctx, server.address, allIsolations)
			Expect(err).NotTo(HaveOccurred())
			Expect(server.rows(ctx, "postgres", "SELECT datname || datacl::text || datallowconn FROM pg_database ORDER BY 1")).To(Equal(before), sql)
		}
		for _, isolation := range allIsolations.Isolations {
			name := database.SharedDatabase(isolation)
			server.exec(ctx, name, "GRANT ALL ON SCHEMA public, extensions TO PUBLIC")
			_, err := server.servers.Share(ctx, server.address, allIsolations)
			Expect(err).NotTo(HaveOccurred())
			Expect(server.rows(ctx, name, "SELECT nspname::text FROM pg_namespace, aclexplode(nspacl) WHERE nspname !~ '^pg_|^information' AND grantee = 0")).To(BeEmpty())
		}
	}, SpecTimeout(specTimeout))

	It("is prepared by any number of operators at once, and after a crash", func(ctx SpecContext) {
		server := startInstance(ctx)
		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		short, cancel := context.WithTimeout(ctx, 40*time.Millisecond)
		_, err = server.servers.Share(short, server.address, allIsolations)
		cancel()
		Expect(err).To(HaveOccurred())
		Expect(atOnce(4, func(int) error {
			operator := server.replica()
			for {
				_, err := operator.servers.Share(ctx, operator.address, allIsolations)
				if !beErrorOf[*service.ChangedError](err) {
					return err
				}
			}
		})).To(HaveEach(BeNil()))
		server.provisioned(ctx, in(database.IsolationRow))
	}, SpecTimeout(specTimeout))

	It("that is somebody else's is left alone", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "CREATE DATABASE tenantry_row")
		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		_, err = server.servers.Share(ctx, server.address, allIsolations)
		Expect(err).To(MatchError(ContainSubstring("it has a database tenantry_row that does not belong to the role tenantry_owner; rename or drop it")))
		Expect(server.rows(ctx, "tenantry_row", "SELECT nspname::text FROM pg_namespace WHERE nspname = 'tenantry'")).To(BeEmpty())
		Expect(server.converge(ctx, newTenant(in(database.IsolationRow)))).To(beError[*database.UnpreparedError]())
	}, SpecTimeout(specTimeout))

	It("tells an app whether its migrations have tables to isolate", func(ctx SpecContext) {
		for isolation, expected := range map[database.Isolation]bool{
			database.IsolationDatabase: false, database.IsolationSchema: false, database.IsolationRow: true,
		} {
			tenant := shared.provisioned(ctx, in(isolation))
			var isolates bool
			Expect(shared.session(ctx, tenant, tenant.Name()).QueryRow(ctx,
				"SELECT to_regproc('tenantry.isolate_all') IS NOT NULL").Scan(&isolates)).To(Succeed(), string(isolation))
			Expect(isolates).To(Equal(expected), string(isolation))
		}
	}, SpecTimeout(specTimeout))

	It("has the extensions that the server allows, and no others", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.prepare(ctx)
		allowed := allIsolations
		allowed.Extensions = []string{"citext", "pg_trgm"}
		_, err := server.servers.Share(ctx, server.address, allowed)
		Expect(err).NotTo(HaveOccurred())
		for _, isolation := range allIsolations.Isolations {
			tenant := server.provisioned(ctx, in(isolation))
			var same bool
			Expect(server.session(ctx, tenant, tenant.Name()).QueryRow(ctx, "SELECT 'A'::citext = 'a'").Scan(&same)).To(Succeed())
			Expect(same).To(BeTrue())
		}
		allowed.Extensions = []string{"no_such_extension"}
		_, err = server.servers.Share(ctx, server.address, allowed)
		Expect(err).To(MatchError(And(ContainSubstring("it lacks an extension"), ContainSubstring("no_such_extension"), ContainSubstring("take it out of spec.extensions"))))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A tenant that shares a database", func() {
	for _, isolation := range allIsolations.Isolations {
		Context("with isolation "+string(isolation), func() {
			It("is ready after one pass, and a second pass changes nothing", func(ctx SpecContext) {
				tenant := newTenant(in(isolation))
				_, err := shared.step(ctx, tenant)
				Expect(err).NotTo(HaveOccurred())
				Expect(shared.state(ctx, tenant)).To(ConsistOf(sharing(isolation)))
				before := shared.statements(ctx)
				actions, err := shared.step(ctx, tenant)
				Expect(err).NotTo(HaveOccurred())
				Expect(actions).To(BeEmpty())
				Expect(shared.statements(ctx)-before).To(Equal(1), "one statement, the observation")
				shared.session(ctx, tenant, tenant.Name())
			}, SpecTimeout(specTimeout))

			It("behind a crash after any statement ends in the same state", func(ctx SpecContext) {
				example := newTenant(in(isolation))
				observed, err := shared.servers.Observe(ctx, shared.address, example.UID, example.Name())
				Expect(err).NotTo(HaveOccurred())
				actions, err := database.Plan(example, observed)
				Expect(err).NotTo(HaveOccurred())
				total := 0
				for _, batch := range postgres.Statements(actions, shared.major) {
					total += len(batch.Statements)
				}
				Expect(total).To(BeNumerically(">=", 8))
				for executed := range total + 1 {
					tenant := newTenant(in(isolation))
					shared.runStatements(ctx, tenant, executed)
					Expect(shared.converge(ctx, tenant)).To(Succeed(), "after %d statements", executed)
					Expect(shared.state(ctx, tenant)).To(ConsistOf(sharing(isolation)), "after %d statements", executed)
				}
			}, SpecTimeout(specTimeout))

			It("that is deleted is gone in the end, wherever a crash interrupts that", func(ctx SpecContext) {
				example := shared.provisioned(ctx, in(isolation))
				observed, err := shared.servers.Observe(ctx, shared.address, example.UID, example.Name())
				Expect(err).NotTo(HaveOccurred())
				actions, err := database.PlanRemoval(observed, database.ReclaimDelete)
				Expect(err).NotTo(HaveOccurred())
				Expect(len(actions)).To(BeNumerically(">=", 6))
				Expect(shared.remove(ctx, example, database.ReclaimDelete)).To(Succeed())
				for executed := range actions {
					tenant := shared.provisioned(ctx, in(isolation))
					observed, err := shared.servers.Observe(ctx, shared.address, tenant.UID, tenant.Name())
					Expect(err).NotTo(HaveOccurred())
					actions, err := database.PlanRemoval(observed, database.ReclaimDelete)
					Expect(err).NotTo(HaveOccurred())
					Expect(shared.servers.Execute(ctx, shared.address, actions[:executed])).To(Succeed())
					Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed(), "after %s", actions[:executed])
					Expect(shared.state(ctx, tenant)).To(BeEmpty(), "after %s", actions[:executed])
				}
			}, SpecTimeout(specTimeout))

			It("gets its walls back when they were changed by hand", func(ctx SpecContext) {
				tenant := shared.provisioned(ctx, in(isolation))
				name, logins := tenant.Name(), database.Logins(tenant.Name())
				for _, sql := range []string{
					"ALTER ROLE " + name + " LOGIN CREATEDB",
					"ALTER ROLE " + logins[0] + " PASSWORD 'its own' BYPASSRLS",
					"ALTER ROLE " + logins[0] + " SET temp_file_limit TO 0",
					"REVOKE " + database.SharedDatabase(isolation) + " FROM " + name,
				} {
					shared.exec(ctx, "postgres", sql)
					Expect(shared.converge(ctx, tenant)).To(Succeed())
					Expect(shared.state(ctx, tenant)).To(ConsistOf(sharing(isolation)), sql)
				}
			}, SpecTimeout(specTimeout))

			It("has the limits that it was given", func(ctx SpecContext) {
				tenant := shared.provisioned(ctx, in(isolation), func(d *database.Desired) {
					d.TempFileLimit, d.StatementTimeout, d.ConnectionLimit = new(int64(1<<20)), 90*time.Second, 1
				})
				var limits string
				Expect(shared.session(ctx, tenant, tenant.Name()).QueryRow(ctx,
					"SELECT current_setting('temp_file_limit') || ' ' || current_setting('statement_timeout')").Scan(&limits)).To(Succeed())
				Expect(limits).To(Equal("1MB 90s"))
				_, err := shared.loginAs(ctx, database.Logins(tenant.Name())[0], string(tenant.Password), database.SharedDatabase(isolation))
				Expect(err).To(haveSQLState(attacks.TooManyConnections))
				tenant.TempFileLimit, tenant.StatementTimeout, tenant.ConnectionLimit = nil, 0, 5
				Expect(shared.converge(ctx, tenant)).To(Succeed())
				Expect(shared.state(ctx, tenant)).To(ConsistOf(sharing(isolation)))
			}, SpecTimeout(specTimeout))

			It("is kept and taken over, or dropped, when it is deleted", func(ctx SpecContext) {
				tenant := shared.provisioned(ctx, in(isolation))
				session := shared.session(ctx, tenant, tenant.Name())
				Expect(shared.remove(ctx, tenant, database.ReclaimRetain)).To(Succeed())
				Expect(session.Ping(ctx)).NotTo(Succeed(), "open sessions are ended")
				_, err := shared.loginAs(ctx, database.Logins(tenant.Name())[0], string(tenant.Password), database.SharedDatabase(isolation))
				Expect(err).To(haveSQLState("28P01"))

				heir := adopting(tenant)
				Expect(shared.converge(ctx, heir)).To(MatchError(ContainSubstring("was made with isolation " + string(isolation) + "; adopt it with that")))
				heir.Isolation = isolation
				Expect(shared.converge(ctx, heir)).To(Succeed())
				Expect(shared.state(ctx, heir)).To(ConsistOf(sharing(isolation)))
				Expect(shared.remove(ctx, heir, database.ReclaimDelete)).To(Succeed())
				Expect(shared.state(ctx, heir)).To(BeEmpty())
			}, SpecTimeout(specTimeout))
		})
	}

	It("can't change its isolation in place", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx, in(database.IsolationSchema))
		tenant.Isolation = database.IsolationRow
		Expect(shared.converge(ctx, tenant)).To(MatchError(ContainSubstring("was made with isolation Schema, which can't be changed to Row")))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A schema of a tenant", func() {
	It("that somebody else made is left alone", func(ctx SpecContext) {
		tenant := newTenant(in(database.IsolationSchema))
		shared.exec(ctx, "tenantry_schema", "CREATE SCHEMA "+tenant.Name())
		Expect(shared.converge(ctx, tenant)).To(MatchError(ContainSubstring("database tenantry_schema already has a schema " + tenant.Name() + ", not made for this tenant")))
		Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
		Expect(shared.rows(ctx, "tenantry_schema", "SELECT nspname::text FROM pg_namespace WHERE nspname = $1", tenant.Name())).To(HaveLen(1))
	}, SpecTimeout(specTimeout))

	It("is dropped with all that its tenant made, and no code of the tenant runs", func(ctx SpecContext) {
		tenant, neighbor := shared.provisioned(ctx, in(database.IsolationSchema)), shared.provisioned(ctx, in(database.IsolationSchema))
		session := shared.session(ctx, tenant, tenant.Name())
		_, err := session.Exec(ctx, `
			CREATE TABLE orders (id serial PRIMARY KEY);
			INSERT INTO orders DEFAULT VALUES;
			CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE `+tenant.Name()+` SUPERUSER; RETURN OLD; END $$;
			CREATE TRIGGER trap BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION trap();
			SELECT lo_from_bytea(0, 'large');
			ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO `+neighbor.Name()+`;
			SET ROLE NONE;
			CREATE TABLE `+tenant.Name()+`.of_the_login (id int);
			SELECT lo_from_bytea(0, 'of the login')`)
		Expect(err).NotTo(HaveOccurred())
		Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
		Expect(shared.state(ctx, tenant)).To(BeEmpty())
		Expect(shared.state(ctx, neighbor)).To(ConsistOf(sharing(database.IsolationSchema)))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("The tables that tenants of isolation Row share", func() {
	It("take an app's plain statements, and each tenant sees its own rows", func(ctx SpecContext) {
		shared.tables(ctx, `
			CREATE TABLE customers (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, email text UNIQUE, note text);
			CREATE TABLE invoices (id serial PRIMARY KEY, customer bigint NOT NULL REFERENCES customers ON DELETE CASCADE);
			CREATE UNIQUE INDEX by_note ON customers (lower(note)) WHERE note <> '';
			CREATE TABLE alembic_version (version_num text PRIMARY KEY);
			INSERT INTO alembic_version VALUES ('head');
			SELECT tenantry.isolate_all();
			SELECT tenantry.isolate_all()`)
		for range 2 {
			tenant := shared.provisioned(ctx, in(database.IsolationRow))
			session := shared.session(ctx, tenant, tenant.Name())
			_, err := session.Exec(ctx, `
				INSERT INTO customers (email, note) VALUES ('admin@shop.example', 'First'), ('b@shop.example', '');
				UPDATE customers SET note = 'second' WHERE email = 'b@shop.example';
				INSERT INTO invoices (customer) SELECT id FROM customers;
				DELETE FROM customers WHERE email = 'b@shop.example'`)
			Expect(err).NotTo(HaveOccurred(), "unique values are unique for each tenant")
			var rows string
			Expect(session.QueryRow(ctx, `SELECT string_agg(email, ',') || count(i.id) || (SELECT version_num FROM alembic_version)
				FROM customers JOIN invoices AS i ON i.customer = customers.id`).Scan(&rows)).To(Succeed())
			Expect(rows).To(Equal("admin@shop.example1head"))
			_, err = session.Exec(ctx, "INSERT INTO customers (email) VALUES ('admin@shop.example')")
			Expect(err).To(haveSQLState("23505"))
		}
		status, err := shared.servers.Share(ctx, shared.address, allIsolations)
		Expect(err).NotTo(HaveOccurred())
		Expect(status.Unprotected).NotTo(ContainElement(HaveField("Name", MatchRegexp("customers|invoices|alembic"))))
	}, SpecTimeout(specTimeout))

	It("go on working when migrations change them", func(ctx SpecContext) {
		manager := shared.tables(ctx, "CREATE TABLE articles (id serial PRIMARY KEY, title text); SELECT tenantry.isolate('articles')")
		tenant := shared.provisioned(ctx, in(database.IsolationRow))
		session := shared.session(ctx, tenant, tenant.Name())
		_, err := session.Exec(ctx, "INSERT INTO articles (title) VALUES ('one')")
		Expect(err).NotTo(HaveOccurred())
		_, err = shared.session(ctx, manager, manager.Name()).Exec(ctx, `
			ALTER TABLE articles ADD slug text NOT NULL DEFAULT 'none', ADD UNIQUE (title); SELECT tenantry.isolate_all()`)
		Expect(err).NotTo(HaveOccurred())
		_, err = session.Exec(ctx, "UPDATE articles SET slug = 'uno' WHERE title = 'one'")
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout))

	It("can be isolated again while they are in use", func(ctx SpecContext) {
		manager := shared.tables(ctx, "CREATE TABLE journal (id serial PRIMARY KEY, entry text UNIQUE); SELECT tenantry.isolate('journal')")
		reader := shared.provisioned(ctx, in(database.IsolationRow))
		transaction, err := shared.session(ctx, reader, reader.Name()).Begin(ctx)
		Expect(err).NotTo(HaveOccurred())
		_, err = transaction.Exec(ctx, "INSERT INTO journal (entry) VALUES ('of a transaction that lasts')")
		Expect(err).NotTo(HaveOccurred())
		_, err = shared.session(ctx, manager, manager.Name()).Exec(ctx, "SET lock_timeout = '1s'; SELECT tenantry.isolate('journal')")
		Expect(err).NotTo(HaveOccurred())
		Expect(transaction.Commit(ctx)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("that are not protected are listed with what is wrong", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.prepare(ctx)
		server.tables(ctx, `
			CREATE TABLE forgotten (id int);
			CREATE TABLE open (id int); GRANT SELECT, INSERT ON open TO tenantry_row;
			CREATE TABLE softened (id int); SELECT tenantry.isolate('softened'); CREATE POLICY more ON softened USING (true);
			CREATE TABLE disabled (id int); SELECT tenantry.isolate('disabled'); ALTER TABLE disabled NO FORCE ROW LEVEL SECURITY;
			CREATE TABLE parent (id int) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF parent DEFAULT;
			SELECT tenantry.isolate('parent'); GRANT SELECT ON part TO tenantry_row;
			CREATE TABLE fine (id int); SELECT tenantry.isolate('fine');
			CREATE TABLE countries (id int); SELECT tenantry.share('countries');
			CREATE VIEW all_fine AS SELECT * FROM fine; GRANT SELECT ON all_fine TO tenantry_row;
			CREATE MATERIALIZED VIEW stale AS SELECT * FROM fine; GRANT SELECT ON stale TO PUBLIC`)
		server.exec(ctx, "tenantry_row", "CREATE VIEW leak AS SELECT * FROM fine; GRANT SELECT ON leak TO tenantry_row")
		status, err := server.servers.Share(ctx, server.address, allIsolations)
		Expect(err).NotTo(HaveOccurred())
		var found []string
		for _, table := range status.Unprotected {
			problem, _, _ := strings.Cut(table.Problem, ";")
			found = append(found, table.Name+": "+problem)
		}
		Expect(found).To(Equal([]string{
			"public.disabled: its row-level security is not as tenantry.isolate makes it",
			"public.forgotten: no tenant can use it",
			"public.leak: row-level security does not hold for the owner of the view",
			"public.open: all tenants can change all of it",
			"public.part: tenants can get around the rules of the table that it is a partition of",
			"public.softened: its row-level security is not as tenantry.isolate makes it",
			"public.stale: a materialized view has no row-level security",
		}))
		Expect(status.UnprotectedTotal).To(Equal(7))
	}, SpecTimeout(specTimeout))

	It("are refused in a sentence where they can't be kept apart", func(ctx SpecContext) {
		manager := shared.tables(ctx, "CREATE TABLE numbered (id serial PRIMARY KEY, tenant_id int); CREATE TABLE keyed (id serial PRIMARY KEY)")
		session := shared.session(ctx, manager, manager.Name())
		_, err := session.Exec(ctx, "SELECT tenantry.isolate('numbered')")
		Expect(err).To(MatchError(ContainSubstring("numbered already has a column tenant_id of type integer")))
		_, err = session.Exec(ctx, "SELECT tenantry.isolate('keyed', strict => true)")
		Expect(err).To(MatchError(ContainSubstring("keyed has keys without tenant_id: keyed_pkey")))
		_, err = session.Exec(ctx, "DROP TABLE numbered, keyed")
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout))

	It("lose the rows of a tenant that is dropped, and only those, by its own rights", func(ctx SpecContext) {
		shared.tables(ctx, `
			CREATE TABLE parents (id serial PRIMARY KEY);
			CREATE TABLE children (id serial PRIMARY KEY, parent int REFERENCES parents);
			CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN RAISE LOG 'deleted by % in a session of %', current_user, session_user; RETURN OLD; END $$;
			CREATE TRIGGER note BEFORE DELETE ON children FOR EACH ROW EXECUTE FUNCTION note();
			SELECT tenantry.isolate('parents'), tenantry.isolate('children')`)
		gone, stays := shared.provisioned(ctx, in(database.IsolationRow)), shared.provisioned(ctx, in(database.IsolationRow))
		for _, tenant := range []database.Desired{gone, stays} {
			_, err := shared.session(ctx, tenant, tenant.Name()).Exec(ctx, `
				INSERT INTO parents DEFAULT VALUES; INSERT INTO children (parent) SELECT id FROM parents; SELECT lo_from_bytea(0, 'large')`)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(shared.remove(ctx, gone, database.ReclaimDelete)).To(Succeed())
		Expect(shared.state(ctx, gone)).To(BeEmpty())
		Expect(shared.rows(ctx, "tenantry_row", "SELECT DISTINCT tenant_id FROM parents JOIN children USING (tenant_id)")).To(Equal([]string{stays.Name()}))
		log, err := os.ReadFile(shared.LogPath())
		Expect(err).NotTo(HaveOccurred())
		Expect(string(log)).To(ContainSubstring("deleted by tenantry_row_owner in a session of " + database.Logins(gone.Name())[0]))
	}, SpecTimeout(specTimeout))

	It("belong to no tenant, and are managed only as long as a tenant may", func(ctx SpecContext) {
		manager := shared.tables(ctx, "CREATE TABLE managed (id serial PRIMARY KEY); SELECT tenantry.isolate('managed')")
		session := shared.session(ctx, manager, manager.Name())
		manager.ManagesTables = false
		Expect(shared.converge(ctx, manager)).To(Succeed())
		Expect(session.Ping(ctx)).NotTo(Succeed(), "a session that still is the owner of the tables is ended")
		_, err := shared.session(ctx, manager, manager.Name()).Exec(ctx, "ALTER TABLE managed DISABLE ROW LEVEL SECURITY")
		Expect(err).To(haveSQLState(attacks.InsufficientPrivilege))
		Expect(shared.state(ctx, manager)).To(ConsistOf(sharing(database.IsolationRow)))
		Expect(shared.remove(ctx, manager, database.ReclaimDelete)).To(Succeed())
		Expect(shared.rows(ctx, "tenantry_row", "SELECT relname::text FROM pg_class WHERE relname = 'managed'")).To(HaveLen(1))
	}, SpecTimeout(specTimeout))
})

// beErrorOf reports whether the error is of this type, at any depth.
func beErrorOf[T error](err error) bool {
	matches, _ := beError[T]().Match(err)
	return matches
}

var _ = Describe("The extensions of a tenant's database", func() {
	It("are created where the tenant can use and not change them", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx, func(d *database.Desired) { d.Extensions = []string{"pg_trgm"} })
		tenant.Extensions = []string{"earthdistance", "pg_trgm", "pgrowlocks"}
		Expect(shared.converge(ctx, tenant)).To(Succeed())
		Expect(shared.rows(ctx, tenant.Name(), "SELECT extname::text FROM pg_extension WHERE extnamespace = 'extensions'::regnamespace")).To(
			ConsistOf("cube", "earthdistance", "pg_trgm", "pgrowlocks"))
		session := shared.session(ctx, tenant, tenant.Name())
		_, err := session.Exec(ctx, "SELECT similarity('a', 'b')")
		Expect(err).NotTo(HaveOccurred())
		for _, sql := range []string{
			"CREATE FUNCTION extensions.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP EXTENSION pgrowlocks", "DROP SCHEMA extensions CASCADE",
			"ALTER EXTENSION pg_trgm SET SCHEMA public",
		} {
			_, err := session.Exec(ctx, sql)
			Expect(err).To(haveSQLState(attacks.InsufficientPrivilege), sql)
		}
		Expect(shared.step(ctx, tenant)).To(BeEmpty())

		By("making the database anew")
		shared.exec(ctx, "postgres", "DROP DATABASE "+tenant.Name()+" WITH (FORCE)")
		Expect(shared.converge(ctx, tenant)).To(Succeed())
		Expect(shared.rows(ctx, tenant.Name(), "SELECT extname::text FROM pg_extension")).To(ContainElement("pgrowlocks"))
	}, SpecTimeout(specTimeout))

	It("never run over what the tenant has put in their way", func(ctx SpecContext) {
		tenant, other := shared.provisioned(ctx), shared.provisioned(ctx)
		_, err := shared.session(ctx, tenant, tenant.Name()).Exec(ctx, "CREATE SCHEMA extensions")
		Expect(err).NotTo(HaveOccurred())
		_, err = shared.session(ctx, other, other.Name()).Exec(ctx, "CREATE EXTENSION cube SCHEMA public")
		Expect(err).NotTo(HaveOccurred())
		tenant.Extensions, other.Extensions = []string{"pgrowlocks"}, []string{"earthdistance"}
		Expect(shared.converge(ctx, tenant)).To(MatchError(ContainSubstring("already has a schema extensions, of role " + tenant.Name() + "; rename it")))
		Expect(shared.converge(ctx, other)).To(MatchError(ContainSubstring("needs cube, which is in schema public; move that to the schema extensions, or drop it")))
	}, SpecTimeout(specTimeout))
})
