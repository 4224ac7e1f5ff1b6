package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/service"
	"github.com/tenantry/tenantry/test/attacks"
)

// complete returns what a server has for a provisioned tenant, as listed by state.
func complete(limit int32) []string {
	return []string{
		fmt.Sprintf("database NAME of tenantry_owner open t template f limit %d acl {tenantry_owner=CTc/tenantry_owner,NAME=CTc/tenantry_owner} settings ", limit),
		"registry UID TENANT Database Active",
		"role NAME (f,f,f,f,f,f,t) limit -1 password f settings  member of ",
		fmt.Sprintf("role NAME_0 (t,f,f,f,f,f,t) limit %d password t settings {{role=NAME}} member of {NAME}", limit),
		"role NAME_1 (f,f,f,f,f,f,t) limit -1 password f settings {{role=NAME}} member of {NAME}",
		"schema public of NAME acl {NAME=UC/NAME}",
	}
}

var _ = Describe("A tenant's database", func() {
	It("is ready after one pass, walled as planned, and a second pass changes nothing", func(ctx SpecContext) {
		tenant := newTenant()
		actions, err := shared.step(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		Expect(actions).To(HaveLen(12))
		Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)))

		before := shared.statements(ctx)
		actions, err = shared.step(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		Expect(actions).To(BeEmpty())
		Expect(shared.statements(ctx)-before).To(Equal(1), "one statement, the observation")
	}, SpecTimeout(specTimeout))

	It("lets the tenant in with its password, as the role that owns what it creates", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx)
		session := shared.session(ctx, tenant, tenant.Name())
		var current, login string
		Expect(session.QueryRow(ctx, "SELECT current_user, session_user").Scan(&current, &login)).To(Succeed())
		Expect(current).To(Equal(tenant.Name()))
		Expect(login).To(Equal(database.Logins(tenant.Name())[0]))

		_, err := shared.loginAs(ctx, login, "wrong", tenant.Name())
		Expect(err).To(haveSQLState("28P01"))
		_, err = shared.loginAs(ctx, database.Logins(tenant.Name())[1], string(tenant.Password), tenant.Name())
		Expect(err).To(haveSQLState("28P01"), "the standby login has no password")
		_, err = shared.loginAs(ctx, tenant.Name(), string(tenant.Password), tenant.Name())
		Expect(err).To(haveSQLState("28P01"), "the owner role has no password")
	}, SpecTimeout(specTimeout))

	It("takes a new password and connection limit", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx)
		former := tenant.Password
		tenant.Password, tenant.ConnectionLimit = service.Sensitive(service.GeneratePassword()), 7
		Expect(shared.converge(ctx, tenant)).To(Succeed())
		Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(7)))
		shared.session(ctx, tenant, tenant.Name())
		_, err := shared.loginAs(ctx, database.Logins(tenant.Name())[0], string(former), tenant.Name())
		Expect(err).To(haveSQLState("28P01"))
	}, SpecTimeout(specTimeout))

	It("gets its walls back when they were changed by hand", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx)
		name, logins := tenant.Name(), database.Logins(tenant.Name())
		for _, sql := range []string{
			"GRANT CONNECT ON DATABASE " + name + " TO PUBLIC",
			"REVOKE TEMPORARY ON DATABASE " + name + " FROM " + name,
			"ALTER DATABASE " + name + " CONNECTION LIMIT 1000",
			"ALTER ROLE " + name + " LOGIN CREATEDB",
			"ALTER ROLE " + logins[0] + " PASSWORD 'its own' SUPERUSER",
			"ALTER ROLE " + logins[0] + " RESET role",
			"ALTER ROLE " + logins[1] + " LOGIN",
			"REVOKE " + name + " FROM " + logins[1],
		} {
			shared.exec(ctx, "postgres", sql)
			actions, err := shared.step(ctx, tenant)
			Expect(err).NotTo(HaveOccurred(), sql)
			Expect(actions).NotTo(BeEmpty(), sql)
			Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)), sql)
		}
	}, SpecTimeout(specTimeout))

	It("is made anew when it was dropped by hand", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx)
		shared.exec(ctx, "postgres", "DROP DATABASE "+tenant.Name())
		Expect(shared.converge(ctx, tenant)).To(Succeed())
		Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)))
	}, SpecTimeout(specTimeout))

	It("is ready also when its tenant was let in early and dropped the schema public", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx)
		_, err := shared.session(ctx, tenant, tenant.Name()).Exec(ctx, "DROP SCHEMA public")
		Expect(err).NotTo(HaveOccurred())
		shared.exec(ctx, "postgres", "UPDATE tenantry.tenants SET secured = NULL WHERE name = '"+tenant.Name()+"'")
		Expect(shared.converge(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("is ready without a statement that PostgreSQL compiles, which takes longer than to run it", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "CREATE EXTENSION pg_stat_statements")
		server.prepare(ctx)
		for _, isolation := range []database.Isolation{database.IsolationDatabase, database.IsolationSchema, database.IsolationRow} {
			server.provisioned(ctx, in(isolation))
		}
		_, err := server.replica().servers.Share(ctx, server.address, allIsolations)
		Expect(err).NotTo(HaveOccurred())
		Expect(server.rows(ctx, "postgres", `
			SELECT query FROM pg_stat_statements WHERE userid = 'operator'::regrole AND (to_jsonb(pg_stat_statements)->>'jit_functions')::int > 0`),
		).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("keeps passwords out of the server's log, whatever that logs", func(ctx SpecContext) {
		tenant := shared.provisioned(ctx)
		former := tenant.Password
		tenant.Password = service.Sensitive(service.GeneratePassword())
		Expect(shared.converge(ctx, tenant)).To(Succeed())
		log, err := os.ReadFile(shared.LogPath())
		Expect(err).NotTo(HaveOccurred())
		Expect(string(log)).To(ContainSubstring(`CREATE ROLE "` + database.Logins(tenant.Name())[0] + `" LOGIN`))
		Expect(string(log)).To(ContainSubstring(`ALTER ROLE "` + database.Logins(tenant.Name())[0] + `" LOGIN`))
		for _, secret := range []service.Sensitive{former, tenant.Password, shared.address.Password} {
			Expect(string(log)).NotTo(ContainSubstring(string(secret)))
		}
	}, SpecTimeout(specTimeout))

	It("keeps everything about the tenant out of what other tenants can read", func(ctx SpecContext) {
		tenant, other := shared.provisioned(ctx), shared.provisioned(ctx)
		session := shared.session(ctx, other, other.Name())
		for _, catalog := range []string{"pg_database", "pg_roles", "pg_db_role_setting", "pg_shdescription", "pg_stat_activity", "pg_settings"} {
			rows, err := session.Query(ctx, "SELECT t::text FROM "+catalog+" AS t")
			Expect(err).NotTo(HaveOccurred())
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			Expect(err).NotTo(HaveOccurred())
			Expect(lines).NotTo(ContainElement(ContainSubstring(tenant.Tenant)), catalog)
			Expect(lines).NotTo(ContainElement(ContainSubstring(tenant.UID)), catalog)
		}
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Many tenants at once", func() {
	It("are all ready, each with its own", func(ctx SpecContext) {
		const count = 20
		all := make([]database.Desired, count)
		for n := range all {
			all[n] = newTenant()
		}
		failures := atOnce(count, func(n int) error {
			_, err := shared.step(ctx, all[n])
			return err
		})
		Expect(failures).To(HaveEach(BeNil()), "different tenants are never in each other's way")
		for _, tenant := range all {
			Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)))
			shared.session(ctx, tenant, tenant.Name())
		}
	}, SpecTimeout(specTimeout))

	It("never exceed the capacity of the server", func(ctx SpecContext) {
		limited := startInstance(ctx)
		limited.exec(ctx, "postgres", "ALTER ROLE operator SET default_transaction_isolation TO 'repeatable read'")
		capacity := int32(3)
		all := make([]database.Desired, 8)
		for n := range all {
			all[n] = newTenant(func(d *database.Desired) { d.Capacity = &capacity })
		}
		By("holding up all of them until each waits for its turn to count")
		_, err := limited.servers.Probe(ctx, limited.address)
		Expect(err).NotTo(HaveOccurred())
		turn, err := pgx.Connect(ctx, limited.URL("postgres"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(turn.Close)
		_, err = turn.Exec(ctx, "SELECT pg_advisory_lock(x'74656e616e747279'::bigint)")
		Expect(err).NotTo(HaveOccurred())
		var failures []error
		done := make(chan struct{})
		go func() {
			defer close(done)
			failures = atOnce(len(all), func(n int) error { return limited.converge(ctx, all[n]) })
		}()
		Eventually(func() []string {
			return limited.rows(ctx, "postgres", "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
		}).Should(HaveLen(len(all)))
		_, err = turn.Exec(ctx, "SELECT pg_advisory_unlock_all()")
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, done).Should(BeClosed())

		var full []error
		for _, err := range failures {
			if err != nil {
				full = append(full, err)
			}
		}
		Expect(full).To(HaveLen(5))
		for _, err := range full {
			var target *service.FullError
			Expect(errors.As(err, &target)).To(BeTrue(), "%v", err)
			Expect(*target).To(Equal(service.FullError{Engine: database.Engine, Tenants: 3, Capacity: 3}))
		}
		status, err := limited.servers.Probe(ctx, limited.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(status.Tenants).To(Equal(3))
		Expect(limited.rows(ctx, "postgres", "SELECT rolname::text FROM pg_roles WHERE rolname ~ '^t_.{20}$'")).To(HaveLen(3), "no role of those refused is left")
	}, SpecTimeout(specTimeout))

	It("of one UID, by two replicas of the operator, end as one", func(ctx SpecContext) {
		for range 5 {
			tenant := newTenant()
			replicas := []*instance{shared, shared.replica(), shared.replica(), shared.replica()}
			failures := atOnce(len(replicas), func(n int) error { return replicas[n].converge(ctx, tenant) })
			Expect(failures).To(HaveEach(BeNil()))
			Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)))
		}
	}, SpecTimeout(specTimeout))
})

// replica returns another operator for the same server.
func (i *instance) replica() *instance {
	other := *i
	other.servers = &postgres.Servers{}
	DeferCleanup(other.servers.Close)
	return &other
}

// atOnce runs the function for 0 to count-1 at the same time and returns what each returned.
func atOnce(count int, fn func(int) error) []error {
	results := make([]error, count)
	var all sync.WaitGroup
	for n := range count {
		all.Go(func() { results[n] = fn(n) })
	}
	all.Wait()
	return results
}

var _ = Describe("A crash while a tenant's database is made", func() {
	It("behind any statement ends in the same state", func(ctx SpecContext) {
		example := newTenant()
		actions, err := database.Plan(example, database.Observed{Name: example.Name()})
		Expect(err).NotTo(HaveOccurred())
		total := 0
		for _, batch := range postgres.Statements(actions, shared.major) {
			total += len(batch.Statements)
		}
		Expect(total).To(BeNumerically(">=", 14))

		neighbor := shared.provisioned(ctx)
		for executed := range total + 1 {
			tenant := newTenant()
			shared.runStatements(ctx, tenant, executed)
			_, err := shared.loginAs(ctx, database.Logins(neighbor.Name())[0], string(neighbor.Password), tenant.Name())
			Expect(err).To(Or(haveSQLState("3D000"), haveSQLState(attacks.NotAccepting), haveSQLState(attacks.InsufficientPrivilege)), "after %d statements", executed)
			Expect(shared.converge(ctx, tenant)).To(Succeed(), "after %d statements", executed)
			Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)), "after %d statements", executed)
			shared.session(ctx, tenant, tenant.Name())
		}
	}, SpecTimeout(specTimeout))

	It("at any moment ends in the same state", func(ctx SpecContext) {
		interrupted := 0
		for delay := time.Duration(0); ; delay += 4 * time.Millisecond {
			tenant := newTenant()
			short, cancel := context.WithTimeout(ctx, delay)
			_, err := shared.step(short, tenant)
			cancel()
			Expect(shared.converge(ctx, tenant)).To(Succeed(), "after %s", delay)
			Expect(shared.state(ctx, tenant)).To(ConsistOf(complete(5)), "after %s", delay)
			if err == nil {
				break
			}
			Expect(err).To(Or(MatchError(context.DeadlineExceeded), beError[*service.ChangedError]()))
			interrupted++
		}
		Expect(interrupted).To(BeNumerically(">", 3))
	}, SpecTimeout(specTimeout))
})

// runStatements runs the first statements for a new tenant, each in its own transaction, which gives more partial
// states than an operator that crashes could leave.
func (i *instance) runStatements(ctx context.Context, tenant database.Desired, count int) {
	GinkgoHelper()
	observed, err := i.servers.Observe(ctx, i.address, tenant.UID, tenant.Name())
	Expect(err).NotTo(HaveOccurred())
	actions, err := database.Plan(tenant, observed)
	Expect(err).NotTo(HaveOccurred())
	for _, batch := range postgres.Statements(actions, i.major) {
		for _, statement := range batch.Statements {
			if count == 0 {
				return
			}
			where := batch.Database
			if where == "" {
				where = "postgres"
			}
			i.exec(ctx, where, statement)
			count--
		}
	}
}

// The same rule applies to all isolations: during a rotation the limit applies to each of the two logins.
var _ = Describe("The connection limit of a provisioned tenant whose password is rotated", Label("D10"), func() {
	for _, isolation := range []database.Isolation{database.IsolationDatabase, database.IsolationSchema, database.IsolationRow} {
		It("is that of either login, in isolation "+string(isolation), func(ctx SpecContext) {
			const limit = 2
			tenant := shared.provisioned(ctx, func(d *database.Desired) { d.Isolation, d.ConnectionLimit = isolation, limit })
			logins, target := database.Logins(tenant.Name()), database.ConnectTo(isolation, tenant.Name())
			for range limit {
				shared.session(ctx, tenant, tenant.Name())
			}
			use := func(login string, password service.Sensitive) (open []*pgx.Conn) {
				GinkgoHelper()
				for range limit {
					conn, err := shared.loginAs(ctx, login, string(password), target)
					Expect(err).NotTo(HaveOccurred())
					DeferCleanup(func() { conn.Close(context.Background()) })
					open = append(open, conn)
				}
				_, err := shared.loginAs(ctx, login, string(password), target)
				Expect(err).To(haveSQLState(attacks.TooManyConnections))
				return open
			}

			By("Rotating while the former login has all its sessions")
			now := time.Now()
			tenant.NextPassword, tenant.Now = service.Sensitive(service.GeneratePassword()), now
			Expect(shared.converge(ctx, tenant)).To(Succeed())
			tenant.Active, tenant.Password, tenant.NextPassword, tenant.FormerUntil = 1, tenant.NextPassword, "", now.Add(time.Hour)
			Expect(shared.converge(ctx, tenant)).To(Succeed())
			open := use(logins[1], tenant.Password)

			By("Ending the grace period")
			for _, conn := range open {
				Expect(conn.Close(ctx)).To(Succeed())
			}
			shared.exec(ctx, "postgres", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '"+logins[0]+"'")
			Eventually(func() []string {
				return shared.rows(ctx, "postgres", "SELECT pid::text FROM pg_stat_activity WHERE usename IN ($1, $2)", logins[0], logins[1])
			}).WithContext(ctx).Should(BeEmpty())
			tenant.Now = now.Add(time.Hour)
			Expect(shared.converge(ctx, tenant)).To(Succeed())
			use(logins[1], tenant.Password)
			if isolation == database.IsolationDatabase {
				Expect(shared.state(ctx, tenant)).To(ContainElement(ContainSubstring("template f limit 2 ")))
			}
		}, SpecTimeout(specTimeout))
	}
})
