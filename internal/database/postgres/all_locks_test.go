package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// holds are transactions that a tenant leaves open, each in a session of its own.
var holds = [][]string{
	// Its own login, in which the operator writes a new password.
	{"SET ROLE NONE", "ALTER ROLE $LOGIN PASSWORD 'a'", "BEGIN", "ALTER ROLE $LOGIN PASSWORD 'b'"},
	// All databases, by a setting that a login may have in each.
	{"SET ROLE NONE", "BEGIN", each("SELECT format('ALTER ROLE $LOGIN IN DATABASE %I SET work_mem TO ''4MB''', datname) FROM pg_database")},
	// All roles, by rights that name them; and rows of catalogs, by grants that give nothing.
	{each("SELECT 'CREATE TABLE bait (id serial PRIMARY KEY, word text)'"), "BEGIN",
		each("SELECT format('GRANT SELECT ON bait TO %I', rolname) FROM pg_roles"),
		each("SELECT format('GRANT USAGE ON SCHEMA %I TO $VICTIM', nspname) FROM pg_namespace"),
		each("SELECT 'GRANT CONNECT ON DATABASE $DATABASE TO $VICTIM'"),
		each("SELECT format('GRANT SELECT ON %s TO $VICTIM', oid::regclass) FROM pg_class WHERE relkind IN ('r', 'v', 'S')"),
		each("SELECT format('GRANT EXECUTE ON FUNCTION %s TO $VICTIM', oid::regprocedure) FROM pg_proc WHERE prokind = 'f' AND oid > 16383")},
	// A table that is locked and has policies for others' roles.
	{each("SELECT 'CREATE TABLE guarded (id int)'"), each("SELECT format('CREATE POLICY %1$I ON guarded TO %1$I', rolname) FROM pg_roles WHERE rolname ~ '^t_'"),
		"BEGIN", each("SELECT 'LOCK TABLE guarded'")},
	// All sequences, which are locked before PostgreSQL asks for a right.
	{"BEGIN", each("SELECT format('SELECT nextval(%s::regclass)', oid) FROM pg_class WHERE relkind = 'S'")},
	// All relations, as strongly as possible, and advisory locks, those that the operator takes elsewhere included.
	{"BEGIN",
		each("SELECT format('LOCK TABLE %s IN %s MODE', c.oid::regclass, mode) FROM pg_class AS c, unnest(ARRAY['ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'ACCESS EXCLUSIVE']) AS mode WHERE relkind IN ('r', 'p', 'v')"),
		"SELECT pg_advisory_lock(hashtext('tenantry')), pg_advisory_lock(x'74656e616e747279'::bigint), pg_advisory_lock(i) FROM generate_series(0, 99) AS i"},
	// A snapshot, all rows that it may lock, statements and cursors.
	{"BEGIN ISOLATION LEVEL REPEATABLE READ", each("SELECT format('SELECT FROM %s FOR UPDATE', oid::regclass) FROM pg_class WHERE relkind IN ('r', 'p')"),
		each("SELECT format('PREPARE p%s AS SELECT FROM %s', oid, oid::regclass) FROM pg_class WHERE relkind IN ('r', 'v')"),
		"DECLARE everything CURSOR FOR SELECT FROM pg_roles, pg_database, pg_stat_activity, pg_locks, pg_class", "FETCH FROM everything", "LISTEN orders", "NOTIFY orders"},
	// Definitions that it doesn't commit.
	{"BEGIN", "SELECT lo_from_bytea(0, 'large')",
		each("VALUES ('CREATE TABLE uncommitted (id serial PRIMARY KEY)'), ('CREATE TEMP TABLE mine (id int)'), ('CREATE EXTENSION citext'), ('CREATE SCHEMA mine'), ('DROP OWNED BY tenantry_schema'), ('DROP OWNED BY tenantry_row')")},
}

// each returns a statement that runs those that the query returns, but for those that are refused.
func each(query string) string {
	return `DO $do$ DECLARE command text; BEGIN
		SET LOCAL lock_timeout TO '100ms';
		FOR command IN ` + query + ` LOOP
			BEGIN EXECUTE command; EXCEPTION WHEN OTHERS THEN END;
		END LOOP;
	END $do$`
}

// holdLocks makes a tenant that holds every lock it can until the spec ends, and waits for those it can't have, so that
// others wait behind it.
func (i *instance) holdLocks(ctx context.Context, isolation database.Isolation, victim database.Desired) database.Desired {
	GinkgoHelper()
	holder := i.provisioned(ctx, in(isolation), func(d *database.Desired) { d.ConnectionLimit = 40 })
	names := strings.NewReplacer("$LOGIN", database.Logins(holder.Name())[0], "$VICTIM", victim.Name(), "$DATABASE", database.ConnectTo(isolation, holder.Name()))
	all := i.rows(ctx, "postgres", "SELECT datname::text FROM pg_database")
	watcher := i.watcher(ctx)
	var holding, waiting []*pgx.Conn
	for range holds {
		holding = append(holding, i.session(ctx, holder, holder.Name()))
	}
	for range all {
		waiting = append(waiting, i.session(ctx, holder, holder.Name()))
	}
	for n, statements := range holds {
		for _, statement := range statements {
			_, err := holding[n].Exec(ctx, names.Replace(statement), pgx.QueryExecModeSimpleProtocol)
			Expect(err).NotTo(HaveOccurred(), statement)
		}
	}
	for n, name := range all {
		go func() { _, _ = waiting[n].Exec(ctx, "DROP DATABASE "+name, pgx.QueryExecModeSimpleProtocol) }()
	}
	var held, waited int
	Eventually(ctx, func() (int, error) {
		err := watcher.QueryRow(ctx, "SELECT count(*) FILTER (WHERE granted), count(*) FILTER (WHERE NOT granted) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE usename = $1",
			database.Logins(holder.Name())[0]).Scan(&held, &waited)
		return waited, err
	}).Should(BeNumerically(">=", len(all)-1))
	AddReportEntry("locks of isolation "+string(isolation), fmt.Sprintf("%d held, %d waited for", held, waited))
	return holder
}

// The tables that tenants of isolation Row share, of which one may be locked by each tenant.
const sharedTables = `
	CREATE TABLE notes (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, word text UNIQUE);
	SELECT tenantry.isolate('notes');
	CREATE TABLE ledger (tenant_id text NOT NULL DEFAULT tenantry.tenant_id(), id serial, word text, PRIMARY KEY (tenant_id, id));
	SELECT tenantry.isolate('ledger', strict => true)`

var _ = Describe("A tenant that holds every lock it can, on PostgreSQL", Label("D4"), func() {
	for _, release := range releases {
		Describe(release.name, Ordered, ContinueOnFailure, func() {
			var server, floor *instance
			BeforeAll(func(ctx SpecContext) {
				server, floor = release.start(ctx), release.start(ctx)
				server.tables(ctx, sharedTables)
			}, NodeTimeout(specTimeout))
			for _, isolation := range isolations {
				It("with isolation "+string(isolation)+", holds up nobody", func(ctx SpecContext) { server.expectNobodyHeldUp(ctx, isolation, floor) }, SpecTimeout(specTimeout))
			}

			It("lets an operator in that starts", func(ctx SpecContext) {
				holder, watcher := server.provisioned(ctx), server.watcher(ctx)
				holding, waiting := server.session(ctx, holder, holder.Name()), server.session(ctx, holder, holder.Name())
				for _, statement := range []string{"SET ROLE NONE", "BEGIN", "ALTER ROLE " + database.Logins(holder.Name())[0] + " IN DATABASE postgres SET work_mem TO '4MB'"} {
					_, err := holding.Exec(ctx, statement)
					Expect(err).NotTo(HaveOccurred(), statement)
				}
				go func() { _, _ = waiting.Exec(ctx, "DROP DATABASE postgres") }()
				Eventually(ctx, func() (waits bool, err error) {
					err = watcher.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)", waiting.PgConn().PID()).Scan(&waits)
					return waits, err
				}).Should(BeTrue())
				server.replica().prepare(ctx)
				Eventually(ctx, waiting.Ping).ShouldNot(Succeed())
			}, SpecTimeout(specTimeout))
		})
	}
})

var isolations = []database.Isolation{database.IsolationDatabase, database.IsolationSchema, database.IsolationRow}

// expectNobodyHeldUp has a tenant of the isolation hold every lock it can. The time that others take is compared with
// that on another server, the floor, which has none to hold.
func (i *instance) expectNobodyHeldUp(ctx SpecContext, isolation database.Isolation, floor *instance) {
	var victims []database.Desired
	var sessions []*pgx.Conn
	for _, of := range isolations {
		victim := i.provisioned(ctx, in(of))
		victims, sessions = append(victims, victim), append(sessions, i.session(ctx, victim, victim.Name()))
		if of == database.IsolationSchema {
			_, err := sessions[len(sessions)-1].Exec(ctx, "CREATE TABLE orders (id serial PRIMARY KEY); INSERT INTO orders DEFAULT VALUES; SELECT lo_from_bytea(0, 'large')")
			Expect(err).NotTo(HaveOccurred())
		}
	}
	status, err := i.servers.Probe(ctx, i.address)
	Expect(err).NotTo(HaveOccurred())
	Expect(i.servers.Accept(ctx, i.address, status.Drifted)).To(Succeed())

	holder := i.holdLocks(ctx, isolation, victims[1])
	By("Looking at the server, as the operator does time and again, and as one that starts")
	Expect(i.expectSound(ctx, victims).Intruders).To(Equal([]string{holder.Tenant}))
	Expect(i.replica().expectSound(ctx, victims).Intruders).To(BeEmpty())
	By("Provisioning, rotating and removing others")
	without, with := compare(ctx, floor, i)
	AddReportEntry("median time of a provisioning", fmt.Sprintf("%v without, %v with the locks: %.2f times", without, with, with.Seconds()/without.Seconds()))
	for n, victim := range victims {
		Expect(sessions[n].Ping(ctx)).To(Succeed())
		i.session(ctx, victim, victim.Name())
		victim.Password = service.Sensitive(service.GeneratePassword())
		Expect(i.converge(ctx, victim)).To(Succeed(), "%s is rotated", victim.Isolation)
		i.removeInTheEnd(ctx, victim)
		Expect(i.state(ctx, victim)).To(BeEmpty())
	}
	By("Removing the tenant itself")
	i.removeInTheEnd(ctx, holder)
	Expect(i.state(ctx, holder)).To(BeEmpty())
}

// removeInTheEnd removes a tenant, again if a lock was not to be had in time, as the operator does.
func (i *instance) removeInTheEnd(ctx context.Context, tenant database.Desired) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		err := i.remove(ctx, tenant, database.ReclaimDelete)
		if _, locked := errors.AsType[*database.LockedError](err); !locked && err != nil {
			StopTrying("it can't be removed").Wrap(err).Now()
		}
		g.Expect(err).NotTo(HaveOccurred())
	}).WithTimeout(time.Minute).Should(Succeed(), "%s is removed", tenant.Isolation)
}

// expectSound expects a look at the server to find nothing wrong with it, nor with the tenants.
func (i *instance) expectSound(ctx context.Context, tenants []database.Desired) database.ServerStatus {
	GinkgoHelper()
	status, err := i.servers.Probe(ctx, i.address)
	Expect(err).NotTo(HaveOccurred())
	_, err = i.servers.Share(ctx, i.address, allIsolations)
	if _, locked := errors.AsType[*database.LockedError](err); !locked {
		Expect(err).NotTo(HaveOccurred())
	}
	for _, tenant := range tenants {
		Expect(status.Drifted).NotTo(ContainElement(HaveField("UID", tenant.UID)))
		Expect(i.step(ctx, tenant)).To(BeEmpty())
	}
	return status
}

// compare provisions tenants of all isolations on two servers by turns, and removes them. It returns the medians of
// the times that the provisioning of one of each took.
func compare(ctx context.Context, a, b *instance) (ofA, ofB time.Duration) {
	GinkgoHelper()
	times := map[*instance][]time.Duration{}
	for range 5 {
		for _, server := range []*instance{a, b} {
			began := time.Now()
			var made []database.Desired
			for _, isolation := range isolations {
				made = append(made, server.provisioned(ctx, in(isolation)))
			}
			times[server] = append(times[server], time.Since(began))
			for _, tenant := range made {
				server.removeInTheEnd(ctx, tenant)
			}
		}
	}
	for _, all := range times {
		slices.Sort(all)
	}
	return times[a][len(times[a])/2], times[b][len(times[b])/2]
}
