package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/service"
)

// adopting returns a new tenant that wants the database of another.
func adopting(former database.Desired) database.Desired {
	return newTenant(func(d *database.Desired) { d.Adopt = former.Name() })
}

// restoring returns a tenant that a backup tool has made of another, with the same name and password.
func restoring(former database.Desired) database.Desired {
	return newTenant(func(d *database.Desired) {
		d.Adopt, d.Tenant, d.Password, d.Restored = former.Name(), former.Tenant, former.Password, true
	})
}

// holder returns the UID of the Tenant that a name is registered for.
func (i *instance) holder(ctx context.Context, name string) string {
	GinkgoHelper()
	holders := i.rows(ctx, "postgres", "SELECT uid FROM tenantry.tenants WHERE name = '"+name+"'")
	Expect(holders).To(HaveLen(1))
	return holders[0]
}

var _ = Describe("A deleted tenant", func() {
	var tenant database.Desired

	BeforeEach(func(ctx SpecContext) {
		tenant = shared.provisioned(ctx)
		_, err := shared.session(ctx, tenant, tenant.Name()).Exec(ctx, "CREATE TABLE orders AS SELECT 42 AS number")
		Expect(err).NotTo(HaveOccurred())
	})

	Context("with reclaimPolicy Retain", func() {
		It("leaves its data behind and nobody who could log in", func(ctx SpecContext) {
			session := shared.session(ctx, tenant, tenant.Name())
			Expect(shared.remove(ctx, tenant, database.ReclaimRetain)).To(Succeed())

			Expect(session.Ping(ctx)).NotTo(Succeed(), "open sessions are ended")
			_, err := shared.loginAs(ctx, database.Logins(tenant.Name())[0], string(tenant.Password), tenant.Name())
			Expect(err).To(haveSQLState("28P01"))
			Expect(shared.rows(ctx, tenant.Name(), "SELECT number::text FROM orders")).To(Equal([]string{"42"}))
			Expect(shared.state(ctx, tenant)).To(ContainElements(
				"registry UID TENANT Database Retained",
				"role NAME_0 (f,f,f,f,f,f,t) limit 5 password f settings {{role=NAME}} member of {NAME}"))

			status, err := shared.servers.Probe(ctx, shared.address)
			Expect(err).NotTo(HaveOccurred())
			Expect(status.Retained[0].Name).To(Equal(tenant.Name()))
			Expect(status.Retained[0].Tenant).To(Equal(tenant.Tenant))
			Expect(status.Retained[0].Since).To(BeTemporally("~", time.Now(), time.Minute))
		}, SpecTimeout(specTimeout))

		It("is not found again under another UID, whatever its name", func(ctx SpecContext) {
			Expect(shared.remove(ctx, tenant, database.ReclaimRetain)).To(Succeed())
			recreated := shared.provisioned(ctx, func(d *database.Desired) { d.Tenant = tenant.Tenant })
			Expect(recreated.Name()).NotTo(Equal(tenant.Name()))
			Expect(shared.rows(ctx, recreated.Name(), "SELECT relname::text FROM pg_class WHERE relname = 'orders'")).To(BeEmpty())
		}, SpecTimeout(specTimeout))

		It("is taken over by a tenant that adopts its database", func(ctx SpecContext) {
			Expect(shared.remove(ctx, tenant, database.ReclaimRetain)).To(Succeed())
			heir := adopting(tenant)
			Expect(shared.converge(ctx, heir)).To(Succeed())

			var number int
			Expect(shared.session(ctx, heir, tenant.Name()).QueryRow(ctx, "SELECT number FROM orders").Scan(&number)).To(Succeed())
			Expect(number).To(Equal(42))
			_, err := shared.loginAs(ctx, database.Logins(tenant.Name())[0], string(tenant.Password), tenant.Name())
			Expect(err).To(haveSQLState("28P01"), "the former tenant's password is void")
			Expect(shared.state(ctx, heir)).To(ConsistOf(complete(5)))

			before := shared.statements(ctx)
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
			Expect(shared.statements(ctx)-before).To(Equal(1), "the former tenant has nothing to delete any more")
			Expect(shared.state(ctx, heir)).To(ConsistOf(complete(5)))
		}, SpecTimeout(specTimeout))

		It("is taken over by one of two that adopt it at once", func(ctx SpecContext) {
			Expect(shared.remove(ctx, tenant, database.ReclaimRetain)).To(Succeed())
			heirs := []database.Desired{adopting(tenant), adopting(tenant), adopting(tenant), adopting(tenant)}
			failures := atOnce(len(heirs), func(n int) error { return shared.converge(ctx, heirs[n]) })
			winners := 0
			for n, err := range failures {
				if err == nil {
					winners++
					shared.session(ctx, heirs[n], tenant.Name())
					continue
				}
				var inUse *service.AdoptInUseError
				Expect(errors.As(err, &inUse)).To(BeTrue(), "%v", err)
				Expect(inUse.Name).To(Equal(tenant.Name()))
			}
			Expect(winners).To(Equal(1))
		}, SpecTimeout(specTimeout))

		It("is taken over from the backup of a server of a tenant's own, in which it is still in use", func(ctx SpecContext) {
			ofItsOwn := func(d *database.Desired) { d.Isolation = database.IsolationDedicated }
			former := shared.provisioned(ctx, ofItsOwn)
			heir := adopting(former)
			ofItsOwn(&heir)
			Expect(shared.converge(ctx, heir)).To(Succeed())
			shared.session(ctx, heir, former.Name())
			_, err := shared.loginAs(ctx, database.Logins(former.Name())[0], string(former.Password), former.Name())
			Expect(err).To(haveSQLState("28P01"), "the former tenant's password is void")
		}, SpecTimeout(specTimeout))

		It("is not taken over by a plan that another was faster than", func(ctx SpecContext) {
			Expect(shared.remove(ctx, tenant, database.ReclaimRetain)).To(Succeed())
			first, second := adopting(tenant), adopting(tenant)
			var plans [2][]database.Action
			for n, heir := range []database.Desired{first, second} {
				observed, err := shared.servers.Observe(ctx, shared.address, heir.UID, heir.Name())
				Expect(err).NotTo(HaveOccurred())
				plans[n], err = database.Plan(heir, observed)
				Expect(err).NotTo(HaveOccurred())
			}
			Expect(shared.servers.Execute(ctx, shared.address, plans[0])).To(Succeed())
			Expect(shared.servers.Execute(ctx, shared.address, plans[1])).To(beError[*service.ChangedError]())
			Expect(shared.state(ctx, first)).To(ConsistOf(complete(5)))
			shared.session(ctx, first, tenant.Name())
		}, SpecTimeout(specTimeout))

		It("is restored, while the operator locks out who had the database before", func(ctx SpecContext) {
			heir := restoring(tenant)
			for _, faster := range []string{"the lockout", "the tenant"} {
				By(faster + " is faster")
				heir = restoring(heir)
				former, err := shared.servers.Observe(ctx, shared.address, shared.holder(ctx, heir.Adopt), heir.Adopt)
				Expect(err).NotTo(HaveOccurred())
				lockout, err := database.PlanAbandoned(former)
				Expect(err).NotTo(HaveOccurred())
				seen, err := shared.servers.Observe(ctx, shared.address, heir.UID, heir.Name())
				Expect(err).NotTo(HaveOccurred())
				adoption, err := database.Plan(heir, seen)
				Expect(err).NotTo(HaveOccurred())
				if faster == "the lockout" {
					Expect(shared.servers.Execute(ctx, shared.address, lockout)).To(Succeed())
					Expect(shared.servers.Execute(ctx, shared.address, adoption)).To(Succeed())
				} else {
					Expect(shared.servers.Execute(ctx, shared.address, adoption)).To(Succeed())
					Expect(shared.servers.Execute(ctx, shared.address, lockout)).To(beError[*service.ChangedError]())
				}
				shared.session(ctx, heir, tenant.Name())
				Expect(shared.state(ctx, heir)).To(ConsistOf(complete(5)))
			}
		}, SpecTimeout(specTimeout))

		It("has no login again by a plan of before it was locked out", func(ctx SpecContext) {
			tenant.ConnectionLimit++
			seen, err := shared.servers.Observe(ctx, shared.address, tenant.UID, tenant.Name())
			Expect(err).NotTo(HaveOccurred())
			change, err := database.Plan(tenant, seen)
			Expect(err).NotTo(HaveOccurred())
			Expect(shared.remove(ctx, tenant, database.ReclaimRetain)).To(Succeed())
			Expect(shared.servers.Execute(ctx, shared.address, change)).To(beError[*service.ChangedError]())
			_, err = shared.loginAs(ctx, database.Logins(tenant.Name())[0], string(tenant.Password), tenant.Name())
			Expect(err).To(haveSQLState("28P01"))
		}, SpecTimeout(specTimeout))

		It("has its sessions ended after its logins are disabled for all to see", func(ctx SpecContext) {
			observed, err := shared.servers.Observe(ctx, shared.address, tenant.UID, tenant.Name())
			Expect(err).NotTo(HaveOccurred())
			actions, err := database.PlanRemoval(observed, database.ReclaimRetain)
			Expect(err).NotTo(HaveOccurred())
			batches := postgres.Statements(actions, shared.major)
			Expect(batches).To(HaveLen(3))
			Expect(batches[0].SQL()).To(HaveSuffix("NOLOGIN PASSWORD NULL"))
			Expect(batches[1].SQL()).To(HavePrefix("SELECT pg_terminate_backend"))
			Expect(batches[2].SQL()).To(ContainSubstring("Retained"))
		}, SpecTimeout(specTimeout))

		It("leaves nothing behind when it had no database yet", func(ctx SpecContext) {
			unfinished := newTenant()
			shared.runStatements(ctx, unfinished, 4)
			Expect(shared.remove(ctx, unfinished, database.ReclaimRetain)).To(Succeed())
			Expect(shared.state(ctx, unfinished)).To(BeEmpty())
		}, SpecTimeout(specTimeout))

		It("ends in the same state after a crash behind any step", func(ctx SpecContext) {
			shared.expectRemovalToSurviveCrashes(ctx, database.ReclaimRetain, func(removed database.Desired) {
				Expect(shared.state(ctx, removed)).To(ContainElement("registry UID TENANT Database Retained"))
				Expect(shared.state(ctx, removed)).To(ContainElement(HavePrefix("role NAME_0 (f,")))
			})
		}, SpecTimeout(specTimeout))
	})

	Context("with reclaimPolicy Delete", func() {
		It("leaves nothing behind, and a second deletion does nothing", func(ctx SpecContext) {
			shared.session(ctx, tenant, tenant.Name())
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed(), "also with a session in the database")
			Expect(shared.state(ctx, tenant)).To(BeEmpty())

			before := shared.statements(ctx)
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
			Expect(shared.statements(ctx) - before).To(Equal(1))
		}, SpecTimeout(specTimeout))

		It("leaves nothing behind when somebody made its database a template", func(ctx SpecContext) {
			shared.exec(ctx, "postgres", "ALTER DATABASE "+tenant.Name()+" IS_TEMPLATE true")
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
			Expect(shared.state(ctx, tenant)).To(BeEmpty())
		}, SpecTimeout(specTimeout))

		It("leaves nothing behind when an earlier drop was interrupted", func(ctx SpecContext) {
			shared.interruptDrop(ctx, tenant)
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
			Expect(shared.state(ctx, tenant)).To(BeEmpty())
		}, SpecTimeout(specTimeout))

		It("ends in the same state after a crash behind any step", func(ctx SpecContext) {
			shared.expectRemovalToSurviveCrashes(ctx, database.ReclaimDelete, func(removed database.Desired) {
				Expect(shared.state(ctx, removed)).To(BeEmpty())
			})
		}, SpecTimeout(specTimeout))

		It("says what keeps its roles, and goes on once that is gone", func(ctx SpecContext) {
			shared.exec(ctx, "postgres", "GRANT CONNECT ON DATABASE postgres TO "+tenant.Name())
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(MatchError(ContainSubstring("privileges for database postgres")))
			shared.exec(ctx, "postgres", "REVOKE CONNECT ON DATABASE postgres FROM "+tenant.Name())
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
			Expect(shared.state(ctx, tenant)).To(BeEmpty())
		}, SpecTimeout(specTimeout))

		It("leaves a database alone that was given to another owner", func(ctx SpecContext) {
			shared.exec(ctx, "postgres", "ALTER DATABASE "+tenant.Name()+" OWNER TO "+shared.Username)
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(beError[*service.ConflictError]())
			Expect(shared.rows(ctx, tenant.Name(), "SELECT number::text FROM orders")).To(Equal([]string{"42"}))
		}, SpecTimeout(specTimeout))
	})

	It("whose drop was interrupted, but that lives, gets a new database", func(ctx SpecContext) {
		shared.interruptDrop(ctx, tenant)
		Expect(shared.converge(ctx, tenant)).To(Succeed())
		Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)))
	}, SpecTimeout(specTimeout))
})

// interruptDrop leaves a database in the state of an interrupted DROP DATABASE.
func (i *instance) interruptDrop(ctx context.Context, tenant database.Desired) {
	GinkgoHelper()
	i.exec(ctx, "postgres", "UPDATE pg_database SET datconnlimit = -2 WHERE datname = '"+tenant.Name()+"'")
}

// expectRemovalToSurviveCrashes removes tenants, each with a crash after one more action.
func (i *instance) expectRemovalToSurviveCrashes(ctx context.Context, policy database.ReclaimPolicy, removed func(database.Desired)) {
	GinkgoHelper()
	for count := 0; ; count++ {
		tenant := i.provisioned(ctx)
		observed, err := i.servers.Observe(ctx, i.address, tenant.UID, tenant.Name())
		Expect(err).NotTo(HaveOccurred())
		actions, err := database.PlanRemoval(observed, policy)
		Expect(err).NotTo(HaveOccurred())
		if count > len(actions) {
			return
		}
		for _, batch := range postgres.Statements(actions[:count], i.major) {
			for _, statement := range batch.Statements {
				i.exec(ctx, "postgres", statement)
			}
		}
		Expect(i.remove(ctx, tenant, policy)).To(Succeed(), "behind %d actions", count)
		removed(tenant)
	}
}

var _ = Describe("What is not the tenant's", func() {
	DescribeTable("is a conflict and left as it is",
		func(ctx SpecContext, create, check, drop string) {
			tenant := newTenant()
			name := tenant.Name()
			shared.exec(ctx, "postgres", create+name)
			before := shared.state(ctx, tenant)

			Expect(shared.converge(ctx, tenant)).To(And(
				beError[*service.ConflictError](),
				MatchError(ContainSubstring(check+name)),
				MatchError(ContainSubstring("rename or drop it"))))
			Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
			Expect(shared.state(ctx, tenant)).To(Equal(before))

			shared.exec(ctx, "postgres", drop+name)
			Expect(shared.converge(ctx, tenant)).To(Succeed(), "once it is out of the way")
		},
		Entry("a database", "CREATE DATABASE ", "database ", "DROP DATABASE ", SpecTimeout(specTimeout)),
		Entry("a role", "CREATE ROLE ", "role ", "DROP ROLE ", SpecTimeout(specTimeout)),
	)

	It("is a conflict also when it came between the roles and the database", func(ctx SpecContext) {
		tenant := newTenant()
		shared.runStatements(ctx, tenant, 7)
		shared.exec(ctx, "postgres", "CREATE DATABASE "+tenant.Name())
		Expect(shared.converge(ctx, tenant)).To(And(beError[*service.ConflictError](), MatchError(ContainSubstring("belongs to role "+shared.Username))))
	}, SpecTimeout(specTimeout))

	It("can't be adopted", func(ctx SpecContext) {
		By("a database that isn't there")
		heir := newTenant(func(d *database.Desired) { d.Adopt = "t_aaaaaaaaaaaaaaaaaaaa" })
		Expect(shared.converge(ctx, heir)).To(beError[*service.AdoptNotFoundError]())

		By("a database that is not of Tenantry")
		shared.exec(ctx, "postgres", "CREATE DATABASE shop")
		heir.Adopt = "shop"
		Expect(shared.converge(ctx, heir)).To(beError[*service.AdoptNotFoundError]())

		By("a database that its tenant still uses")
		tenant := shared.provisioned(ctx)
		heir.Adopt = tenant.Name()
		Expect(shared.converge(ctx, heir)).To(And(
			beError[*service.AdoptInUseError](), MatchError(ContainSubstring("tenant "+tenant.Tenant+" uses it"))))
		Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)))

		heir.Adopt = ""
		Expect(shared.state(ctx, heir)).To(BeEmpty(), "nothing was made for the refused tenant")
	}, SpecTimeout(specTimeout))
})

// Objects of a tenant that refer to the roles of another keep these from being dropped.
var _ = Describe("Another tenant's objects that name a deleted tenant's roles", Label("D6"), func() {
	for _, isolation := range []database.Isolation{database.IsolationDatabase, database.IsolationSchema, database.IsolationRow} {
		It("don't keep the roles of isolation "+string(isolation), func(ctx SpecContext) {
			victim := shared.provisioned(ctx, func(d *database.Desired) { d.Isolation = isolation })
			role, logins := victim.Name(), database.Logins(victim.Name())
			attacker := shared.provisioned(ctx)
			session := shared.session(ctx, attacker, attacker.Name())
			for _, statement := range []string{
				"CREATE TABLE bait (x int)",
				"GRANT SELECT ON bait TO " + role,
				"GRANT USAGE ON SCHEMA public TO " + logins[0],
				"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO " + logins[1],
				"ALTER TABLE bait ENABLE ROW LEVEL SECURITY",
				"CREATE POLICY bait ON bait TO " + role + ", " + attacker.Name() + " USING (true)",
				"CREATE POLICY hook ON bait TO " + logins[0] + " USING (true)",
			} {
				_, err := session.Exec(ctx, statement)
				Expect(err).NotTo(HaveOccurred(), statement)
			}
			neighbor := shared.provisioned(ctx, func(d *database.Desired) { d.Isolation = database.IsolationSchema })
			_, err := shared.session(ctx, neighbor, neighbor.Name()).Exec(ctx, "CREATE TABLE bait (x int); GRANT SELECT ON bait TO "+role)
			Expect(err).NotTo(HaveOccurred())

			By("Locking one of them, which ends the session and doesn't hold the removal up")
			_, err = session.Exec(ctx, "BEGIN; LOCK TABLE bait")
			Expect(err).NotTo(HaveOccurred())
			Expect(shared.remove(ctx, victim, database.ReclaimDelete)).To(Succeed())
			Expect(shared.state(ctx, victim)).To(BeEmpty())
			Expect(shared.rows(ctx, attacker.Name(), "SELECT polname::text FROM pg_policy")).To(Equal([]string{"bait"}), "what is the other tenant's own stays")
			_, err = shared.loginAs(ctx, logins[0], string(victim.Password), database.ConnectTo(isolation, role))
			Expect(err).To(MatchError(ContainSubstring("FATAL")))
			Expect(session.Ping(ctx)).NotTo(Succeed())
		}, SpecTimeout(specTimeout))
	}
})

// Locks and time of a removal's transactions must not depend on how much there is.
var _ = Describe("A deleted tenant that has much", Label("D3"), func() {
	It("of isolation Row is removed in portions, and what is left is told", func(ctx SpecContext) {
		const rows = 1800
		slow := shared.tables(ctx, `
			CREATE TABLE slow (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);
			SELECT tenantry.isolate('slow');
			CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN OLD; END $$;
			CREATE TRIGGER slow BEFORE DELETE ON slow FOR EACH ROW EXECUTE FUNCTION slow()`)
		DeferCleanup(func(ctx SpecContext) {
			shared.exec(ctx, database.SharedDatabase(database.IsolationRow), "DROP TABLE slow; DROP FUNCTION slow")
		})
		_, err := shared.session(ctx, slow, slow.Name()).Exec(ctx, fmt.Sprintf("INSERT INTO slow SELECT FROM generate_series(1, %d)", rows))
		Expect(err).NotTo(HaveOccurred())

		began := time.Now()
		err = shared.remove(ctx, slow, database.ReclaimDelete)
		unfinished, ok := errors.AsType[*service.UnfinishedError](err)
		Expect(ok).To(BeTrue(), "%v", err)
		Expect(time.Since(began)).To(BeNumerically("<", time.Minute))
		Expect(unfinished.Left).To(And(BeNumerically(">", 0), BeNumerically("<", rows)))
		Expect(shared.rows(ctx, "tenantry_row", "SELECT count(*)::text FROM slow")).To(Equal([]string{strconv.FormatInt(unfinished.Left, 10)}), "what was deleted stays so")
		Expect(shared.remove(ctx, slow, database.ReclaimDelete)).To(Succeed())
		Expect(shared.state(ctx, slow)).To(BeEmpty())
		Expect(shared.rows(ctx, "tenantry_row", "SELECT count(*)::text FROM slow")).To(Equal([]string{"0"}))
	}, SpecTimeout(specTimeout))

	It("of isolation Row, in a table that refers to itself, is removed in portions, too", func(ctx SpecContext) {
		const rows = 1700
		manager := shared.tables(ctx, `
			CREATE TABLE tree (id bigint PRIMARY KEY, parent bigint REFERENCES tree);
			CREATE INDEX ON tree (parent);
			SELECT tenantry.isolate('tree');
			CREATE FUNCTION slow_tree() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN OLD; END $$;
			CREATE TRIGGER slow BEFORE DELETE ON tree FOR EACH ROW EXECUTE FUNCTION slow_tree()`)
		DeferCleanup(func(ctx SpecContext) {
			shared.exec(ctx, database.SharedDatabase(database.IsolationRow), "DROP TABLE tree; DROP FUNCTION slow_tree")
		})
		_, err := shared.session(ctx, manager, manager.Name()).Exec(ctx, fmt.Sprintf(
			"INSERT INTO tree SELECT n, CASE WHEN n %% 100 = 1 THEN n WHEN n > 100 THEN n - 100 ELSE n / 2 END FROM generate_series(1, %d) AS n ORDER BY n", rows))
		Expect(err).NotTo(HaveOccurred())

		err = shared.remove(ctx, manager, database.ReclaimDelete)
		unfinished, ok := errors.AsType[*service.UnfinishedError](err)
		Expect(ok).To(BeTrue(), "%v", err)
		Expect(unfinished.Left).To(And(BeNumerically(">", 0), BeNumerically("<", rows)))
		Expect(shared.remove(ctx, manager, database.ReclaimDelete)).To(Succeed())
		Expect(shared.state(ctx, manager)).To(BeEmpty())
		Expect(shared.rows(ctx, "tenantry_row", "SELECT count(*)::text FROM tree")).To(Equal([]string{"0"}))
	}, SpecTimeout(specTimeout))

	It("of isolation Schema is removed with the locks that there are", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "ALTER SYSTEM SET max_locks_per_transaction = 10")
		server.exec(ctx, "postgres", "ALTER SYSTEM SET max_connections = 50")
		Expect(server.Stop()).To(Succeed())
		Expect(server.Restart(ctx)).To(Succeed())
		server.prepare(ctx)
		tenant := server.provisioned(ctx, in(database.IsolationSchema))
		session := server.session(ctx, tenant, tenant.Name())
		statements := []string{"CREATE TYPE state AS ENUM ('new')", "CREATE DOMAIN positive AS int CHECK (value > 0)", "CREATE TYPE span AS RANGE (subtype = int)",
			"CREATE TABLE parted (id int, PRIMARY KEY (id)) PARTITION BY RANGE (id)"}
		for n := range 200 {
			statements = append(statements,
				fmt.Sprintf("CREATE TABLE t%[1]d (id serial PRIMARY KEY, state state, positive positive, other text UNIQUE)", n),
				fmt.Sprintf("CREATE VIEW v%[1]d AS SELECT * FROM t%[1]d", n),
				fmt.Sprintf("CREATE FUNCTION f%[1]d(state) RETURNS int LANGUAGE sql AS 'SELECT 1'", n),
				fmt.Sprintf("CREATE TABLE p%[1]d PARTITION OF parted FOR VALUES FROM (%[1]d) TO (%[1]d + 1)", n),
				"SELECT lo_from_bytea(0, 'large')")
		}
		for _, statement := range statements {
			_, err := session.Exec(ctx, statement)
			Expect(err).NotTo(HaveOccurred(), statement)
		}
		left := int64(2 * len(statements))
		for {
			err := server.remove(ctx, tenant, database.ReclaimDelete)
			unfinished, ok := errors.AsType[*service.UnfinishedError](err)
			if !ok {
				Expect(err).NotTo(HaveOccurred())
				break
			}
			Expect(unfinished.Left).To(BeNumerically("<", left), "each call goes on where the former has ended")
			left = unfinished.Left
		}
		Expect(server.state(ctx, tenant)).To(BeEmpty())
		Expect(server.rows(ctx, "tenantry_schema", "SELECT count(*)::text FROM pg_largeobject_metadata")).To(Equal([]string{"0"}))
	}, SpecTimeout(specTimeout))
})

// Functions that a tenant calls also need locks for each table.
var _ = Describe("Isolating more tables than there are locks for", Label("D3"), func() {
	It("says how to do it table by table, which works", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "ALTER SYSTEM SET max_locks_per_transaction = 10")
		server.exec(ctx, "postgres", "ALTER SYSTEM SET max_connections = 50")
		Expect(server.Stop()).To(Succeed())
		Expect(server.Restart(ctx)).To(Succeed())
		server.prepare(ctx)
		manager := server.provisioned(ctx, managing)
		session := server.session(ctx, manager, manager.Name())
		for n := range 600 {
			_, err := session.Exec(ctx, fmt.Sprintf("CREATE TABLE t%d (id serial PRIMARY KEY, name text UNIQUE)", n))
			Expect(err).NotTo(HaveOccurred())
		}
		_, err := session.Exec(ctx, "CREATE TABLE django_migrations (id serial PRIMARY KEY)")
		Expect(err).NotTo(HaveOccurred())
		_, err = session.Exec(ctx, "SELECT tenantry.isolate_all()")
		answer, ok := errors.AsType[*pgconn.PgError](err)
		Expect(ok).To(BeTrue(), "%v", err)
		Expect(answer.Hint).To(ContainSubstring("Run CALL tenantry.isolate_each()"))

		_, err = session.Exec(ctx, "CALL tenantry.isolate_each()")
		Expect(err).NotTo(HaveOccurred())
		Expect(server.rows(ctx, "tenantry_row", "SELECT count(*)::text FROM pg_class WHERE tenantry.is_isolated(oid)")).To(Equal([]string{"600"}))
		Expect(server.rows(ctx, "tenantry_row", "SELECT relation::text || problem FROM tenantry.unprotected")).To(BeEmpty())
		_, err = session.Exec(ctx, "SELECT tenantry.isolate_all()")
		Expect(err).NotTo(HaveOccurred(), "what is isolated takes no locks")
	}, SpecTimeout(specTimeout))
})

// Triggers and rules see the operator's deletion, too.
var _ = Describe("The rows of a deleted tenant", Label("D2"), func() {
	It("are gone from each table, also those that triggers made of the deletion", func(ctx SpecContext) {
		tenant := shared.tables(ctx, `
			CREATE TABLE patients (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text);
			CREATE TABLE patients_history (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text);
			SELECT tenantry.isolate('patients'), tenantry.isolate('patients_history');
			CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO patients_history (name) VALUES (OLD.name); RETURN OLD; END $$;
			CREATE TRIGGER keep_history AFTER DELETE ON patients FOR EACH ROW EXECUTE FUNCTION keep_history()`)
		DeferCleanup(func(ctx SpecContext) {
			shared.exec(ctx, "tenantry_row", "DROP TABLE patients, patients_history; DROP FUNCTION keep_history")
		})
		session := shared.session(ctx, tenant, tenant.Name())
		_, err := session.Exec(ctx, "INSERT INTO patients (name) SELECT 'x' FROM generate_series(1, 500); DELETE FROM patients WHERE id % 2 = 0")
		Expect(err).NotTo(HaveOccurred())
		_, err = session.Exec(ctx, `SELECT tenantry.delete('patients', (SELECT jsonb_build_object('id', min(id)) FROM patients))`)
		Expect(err).NotTo(HaveOccurred(), "triggers find their tables")
		Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
		Expect(shared.rows(ctx, "tenantry_row", "SELECT count(*)::text FROM patients UNION ALL SELECT count(*)::text FROM patients_history")).To(Equal([]string{"0", "0"}))
	}, SpecTimeout(specTimeout))

	It("that a trigger keeps are named with their table, and keep the tenant", func(ctx SpecContext) {
		tenant := shared.tables(ctx, `
			CREATE TABLE kept (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);
			SELECT tenantry.isolate('kept');
			CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
			CREATE TRIGGER keep BEFORE DELETE ON kept FOR EACH ROW EXECUTE FUNCTION keep();
			INSERT INTO kept VALUES (1), (2)`)
		Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(MatchError(And(
			ContainSubstring("table kept keeps 2 rows"), ContainSubstring("one of its triggers or rules"))))
		Expect(shared.state(ctx, tenant)).NotTo(BeEmpty())
		shared.exec(ctx, "tenantry_row", "DROP TRIGGER keep ON kept")
		Expect(shared.remove(ctx, tenant, database.ReclaimDelete)).To(Succeed())
		Expect(shared.rows(ctx, "tenantry_row", "SELECT count(*)::text FROM kept")).To(Equal([]string{"0"}))
		shared.exec(ctx, "tenantry_row", "DROP TABLE kept; DROP FUNCTION keep")
	}, SpecTimeout(specTimeout))
})
