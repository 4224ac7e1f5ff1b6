package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/hack/freeport"
	launcher "github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/service"
)

// specTimeout leaves room for other suites beside this one.
const specTimeout = 5 * time.Minute

func TestPostgres(t *testing.T) {
	RegisterFailHandler(Fail)
	Expect(freeport.Shift(GinkgoParallelProcess() - 1)).To(Succeed())
	SetDefaultEventuallyTimeout(time.Minute)
	RunSpecs(t, "Databases on PostgreSQL")
}

// instance is a PostgreSQL server, with the operator's address and login for it, and the connections of one
// operator.
type instance struct {
	*launcher.Server
	address database.Server
	servers *postgres.Servers
	// major is the server's major version.
	major int
	// watching is the session that watcher returns; nil before its first call.
	watching *pgx.Conn
}

// shared is the server of all specs that neither stop nor reconfigure one.
var shared *instance

var _ = BeforeSuite(func(ctx SpecContext) {
	shared = startInstance(ctx)
	shared.exec(ctx, "postgres", "ALTER SYSTEM SET log_statement = 'all'")
	shared.exec(ctx, "postgres", "SELECT pg_reload_conf()")
	shared.exec(ctx, "postgres", "CREATE EXTENSION pg_stat_statements")
	shared.prepare(ctx)
}, NodeTimeout(specTimeout))

// What one spec has done to the shared server is not for the next ones to fail by. A server that has not answered in time
// is only asked by probes until one succeeds, so that all of them would fail within a second.
var _ = AfterEach(func(ctx SpecContext) {
	if !shared.Running() {
		log, err := shared.Process().LogTail(50)
		AbortSuite(fmt.Sprintf("the shared server has ended; the end of its log (%v): %s", err, log))
	}
	if CurrentSpecReport().Failed() {
		Eventually(ctx, func() error {
			_, err := shared.servers.Probe(ctx, shared.address)
			return err
		}).WithTimeout(specTimeout).Should(Succeed())
	}
}, NodeTimeout(specTimeout))

// allIsolations offers all isolations with shared databases.
var allIsolations = database.Sharing{Isolations: []database.Isolation{database.IsolationSchema, database.IsolationRow}}

// prepare makes the server ready for tenants of all isolations.
func (i *instance) prepare(ctx context.Context) {
	GinkgoHelper()
	_, err := i.servers.Probe(ctx, i.address)
	Expect(err).NotTo(HaveOccurred())
	_, err = i.servers.Share(ctx, i.address, allIsolations)
	Expect(err).NotTo(HaveOccurred())
}

// release is a release of PostgreSQL that the attacks are tried on.
type release struct {
	name string
	// major is its major version; 0 if it isn't known in advance.
	major int
	// binDir returns the folder of its programs; empty means those that are installed.
	binDir func(context.Context) (string, error)
}

var releases = []release{
	{name: "as installed", binDir: func(context.Context) (string, error) { return "", nil }},
	fetched("14, the oldest that is supported", oldestSupported),
	fetched("15", 15),
	fetched("16", 16),
	fetched("17", 17),
	fetched("in its newest release", launcher.AnyMajor),
}

// oldestSupported is the oldest supported major version of PostgreSQL.
const oldestSupported = 14

// fetched returns the newest release of a major version that npm has.
func fetched(name string, major int) release {
	return release{name, major, func(ctx context.Context) (string, error) {
		return launcher.Fetch(ctx, filepath.Join("..", "..", "..", ".local", "postgres"), major, GinkgoWriter)
	}}
}

// start starts a server of the release. If it can't be fetched, the specs are skipped, except in CI.
func (r release) start(ctx context.Context) *instance {
	GinkgoHelper()
	if r.major != launcher.AnyMajor && r.major == shared.major {
		Skip("PostgreSQL as installed is of this major version")
	}
	made := r.startBare(ctx)
	made.prepare(ctx)
	AddReportEntry("PostgreSQL", made.rows(ctx, "postgres", "SHOW server_version")[0])
	return made
}

// startBare does what start does, without preparing the server.
func (r release) startBare(ctx context.Context) *instance {
	GinkgoHelper()
	binDir, err := r.binDir(ctx)
	if err != nil && os.Getenv("CI") == "" {
		Skip("PostgreSQL " + r.name + " CAN'T BE HAD, its attacks are NOT tried: " + err.Error())
	}
	Expect(err).NotTo(HaveOccurred())
	if binDir != "" {
		binDir, err = filepath.Abs(binDir)
		Expect(err).NotTo(HaveOccurred())
	}
	return startInstanceOf(ctx, binDir)
}

func startInstance(ctx context.Context) *instance {
	GinkgoHelper()
	return startInstanceOf(ctx, "")
}

// startInstanceOf starts a new server for the running spec or suite. The operator's administrator is another
// superuser than the launcher's, so that their statements can be distinguished.
func startInstanceOf(ctx context.Context, binDir string) *instance {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "tenantry-database-")
	Expect(err).NotTo(HaveOccurred())
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	server, err := launcher.Start(ctx, launcher.Options{Dir: filepath.Join(dir, "postgres"), BinDir: binDir, EndWithStarter: true, Progress: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return errors.Join(server.Remove(), os.RemoveAll(dir)) })

	made := &instance{Server: server, servers: &postgres.Servers{}}
	DeferCleanup(made.servers.Close)
	DeferCleanup(func(ctx SpecContext) error {
		if made.watching == nil {
			return nil
		}
		return made.watching.Close(ctx)
	})
	made.address = database.Server{
		Name: "shared-eu", Host: server.Host, Port: int32(server.Port), SSLMode: "disable",
		Username: "operator", Password: service.Sensitive(service.GeneratePassword()),
	}
	made.major, err = strconv.Atoi(made.rows(ctx, "postgres", "SELECT (current_setting('server_version_num')::int / 10000)::text")[0])
	Expect(err).NotTo(HaveOccurred())
	made.exec(ctx, "postgres", fmt.Sprintf("CREATE ROLE operator SUPERUSER LOGIN PASSWORD '%s'", database.Verifier(string(made.address.Password))))
	return made
}

// exec runs SQL as the launcher's superuser, not through the operator's code.
func (i *instance) exec(ctx context.Context, databaseName, sql string) {
	GinkgoHelper()
	conn, err := pgx.Connect(ctx, i.URL(databaseName))
	Expect(err).NotTo(HaveOccurred())
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	Expect(err).NotTo(HaveOccurred(), sql)
}

// rows returns the first column of a query as the launcher's superuser.
func (i *instance) rows(ctx context.Context, databaseName, sql string, args ...any) []string {
	GinkgoHelper()
	conn, err := pgx.Connect(ctx, i.URL(databaseName))
	Expect(err).NotTo(HaveOccurred())
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql, args...)
	Expect(err).NotTo(HaveOccurred())
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	Expect(err).NotTo(HaveOccurred(), sql)
	return values
}

// loginAs opens a session of a tenant as its app does.
func (i *instance) loginAs(ctx context.Context, login, password, databaseName string) (*pgx.Conn, error) {
	uri := fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", login, password, i.address.Address(), databaseName)
	return pgx.Connect(ctx, uri)
}

// attempt runs SQL as a tenant's login in a new session, and waits until that has ended, since the server counts a
// session against connection limits for some time after its client has closed it.
func (i *instance) attempt(ctx context.Context, login, password, databaseName, sql string) error {
	GinkgoHelper()
	conn, err := i.loginAs(ctx, login, password, databaseName)
	if err != nil {
		return err
	}
	_, attemptErr := conn.Exec(ctx, sql)
	pid := conn.PgConn().PID()
	_ = conn.Close(ctx) // It may have been ended by the attempt.
	Eventually(ctx, func() (there bool, err error) {
		err = i.watcher(ctx).QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid).Scan(&there)
		return there, err
	}).WithPolling(time.Millisecond).Should(BeFalse(), "the session is over")
	return attemptErr
}

// watcher returns a session of the launcher's superuser that stays open.
func (i *instance) watcher(ctx context.Context) *pgx.Conn {
	GinkgoHelper()
	if i.watching == nil {
		conn, err := pgx.Connect(ctx, i.URL("postgres"))
		Expect(err).NotTo(HaveOccurred())
		i.watching = conn
	}
	return i.watching
}

// session opens a session of a tenant that ends with the spec.
func (i *instance) session(ctx context.Context, tenant database.Desired, name string) *pgx.Conn {
	GinkgoHelper()
	conn, err := i.loginAs(ctx, database.Logins(name)[0], string(tenant.Password), database.ConnectTo(tenant.Isolation, name))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { conn.Close(context.Background()) })
	return conn
}

// step observes, plans and executes once.
func (i *instance) step(ctx context.Context, tenant database.Desired) ([]database.Action, error) {
	observed, err := i.servers.Observe(ctx, i.address, tenant.UID, tenant.Name())
	if err != nil {
		return nil, err
	}
	actions, err := database.Plan(tenant, observed)
	if err != nil {
		return nil, err
	}
	return actions, i.servers.Execute(ctx, i.address, actions)
}

// converge repeats step, as the operator does, until nothing is left to do.
func (i *instance) converge(ctx context.Context, tenant database.Desired) error {
	for {
		actions, err := i.step(ctx, tenant)
		var changed *service.ChangedError
		switch {
		case errors.As(err, &changed):
		case err != nil:
			return err
		case len(actions) == 0:
			return nil
		}
	}
}

// remove does for a deleted tenant what converge does for a living one.
func (i *instance) remove(ctx context.Context, tenant database.Desired, policy database.ReclaimPolicy) error {
	for {
		observed, err := i.servers.Observe(ctx, i.address, tenant.UID, tenant.Name())
		if err != nil {
			return err
		}
		actions, err := database.PlanRemoval(observed, policy)
		if err != nil || len(actions) == 0 {
			return err
		}
		err = i.servers.Execute(ctx, i.address, actions)
		var changed *service.ChangedError
		if err != nil && !errors.As(err, &changed) {
			return err
		}
	}
}

var tenants int

// newTenant returns a tenant that no other spec uses.
func newTenant(changes ...func(*database.Desired)) database.Desired {
	tenants++
	tenant := database.Desired{
		UID:             fmt.Sprintf("5b0c4c3e-0000-4000-8000-%012d", tenants),
		Tenant:          fmt.Sprintf("customer-%d", tenants),
		Isolation:       database.IsolationDatabase,
		ConnectionLimit: 5,
		Password:        service.Sensitive(service.GeneratePassword()),
	}
	for _, change := range changes {
		change(&tenant)
	}
	return tenant
}

// provisioned returns a new tenant whose database is ready.
func (i *instance) provisioned(ctx context.Context, changes ...func(*database.Desired)) database.Desired {
	GinkgoHelper()
	tenant := newTenant(changes...)
	Expect(i.converge(ctx, tenant)).To(Succeed())
	return tenant
}

// state lists everything that a server has under the name of a tenant, with placeholders for the name and the
// tenant, so that the states of two tenants can be compared.
func (i *instance) state(ctx context.Context, tenant database.Desired) []string {
	GinkgoHelper()
	name := tenant.Name()
	lines := i.rows(ctx, "postgres", `
		SELECT format('registry %s %s %s %s', uid, tenant, isolation, state) FROM tenantry.tenants WHERE name = $1
		UNION ALL
		SELECT format('role %s %s limit %s password %s settings %s member of %s', rolname,
			(rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolinherit), rolconnlimit,
			rolpassword IS NOT NULL,
			(SELECT array_agg(setconfig) FROM pg_db_role_setting WHERE setrole = r.oid),
			(SELECT array_agg(roleid::regrole) FROM pg_auth_members WHERE member = r.oid))
		FROM pg_authid r WHERE rolname IN ($1, $1 || '_0', $1 || '_1')
		UNION ALL
		SELECT format('database %s of %s open %s template %s limit %s acl %s settings %s', datname, datdba::regrole, datallowconn,
			datistemplate, datconnlimit, datacl,
			(SELECT array_agg(setconfig) FROM pg_db_role_setting WHERE setdatabase = d.oid))
		FROM pg_database d WHERE datname = $1
		ORDER BY 1`, name)
	if len(i.rows(ctx, "postgres", "SELECT datname FROM pg_database WHERE datname = $1 AND datallowconn AND datconnlimit <> -2", name)) > 0 {
		lines = append(lines, i.rows(ctx, name, `
			SELECT format('schema %s of %s acl %s', nspname, nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'`)...)
	}
	if tenant.Isolation == database.IsolationSchema {
		lines = append(lines, i.rows(ctx, database.SharedDatabase(tenant.Isolation), `
			SELECT format('schema %s of %s acl %s', nspname, nspowner::regrole, nspacl) FROM pg_namespace WHERE nspname = $1`, name)...)
	}
	replacer := strings.NewReplacer(name, "NAME", tenant.UID, "UID", tenant.Tenant, "TENANT")
	for n := range lines {
		lines[n] = replacer.Replace(lines[n])
	}
	return lines
}

// statements counts the statements that the operator has sent.
func (i *instance) statements(ctx context.Context) int {
	GinkgoHelper()
	count, err := strconv.Atoi(i.rows(ctx, "postgres", "SELECT coalesce(sum(calls), 0)::text FROM pg_stat_statements WHERE userid = 'operator'::regrole")[0])
	Expect(err).NotTo(HaveOccurred())
	return count
}

// haveSQLState matches an error that PostgreSQL returned with this code.
func haveSQLState(code string) OmegaMatcher {
	return WithTransform(func(err error) string {
		var answer *pgconn.PgError
		if !errors.As(err, &answer) {
			return fmt.Sprintf("no answer of PostgreSQL: %v", err)
		}
		return answer.Code
	}, Equal(code))
}

// beError matches an error of this type, at any depth.
func beError[T error]() OmegaMatcher {
	return WithTransform(func(err error) bool {
		var target T
		return errors.As(err, &target)
	}, BeTrue())
}
