package integration

import (
	"context"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

var _ = Describe("A server on which tenants share databases", Ordered, func() {
	var (
		machine *postgres.Server
		server  *v1alpha1.DatabaseServer
	)

	BeforeAll(func(ctx SpecContext) {
		machine, server = ownServer(ctx, "sharing")
		change(ctx, server, func() {
			server.Spec.Isolations = []v1alpha1.DatabaseIsolation{
				v1alpha1.DatabaseIsolationDatabase, v1alpha1.DatabaseIsolationSchema, v1alpha1.DatabaseIsolationRow,
			}
			server.Spec.Extensions = []string{"citext"}
		})
		waitReady(ctx, server)
	}, NodeTimeout(specTimeout))

	with := func(name string, isolation v1alpha1.DatabaseIsolation) *builders.TenantBuilder {
		return withDatabase(name, "sharing").Isolation(isolation)
	}
	// words returns the content of the table, as the tenant sees it.
	words := func(ctx context.Context, tenant *v1alpha1.Tenant) []string {
		GinkgoHelper()
		rows, err := session(ctx, tenant).Query(ctx, "SELECT word::text FROM words ORDER BY word")
		Expect(err).NotTo(HaveOccurred())
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		Expect(err).NotTo(HaveOccurred())
		return found
	}
	write := func(ctx context.Context, tenant *v1alpha1.Tenant, statement string) {
		GinkgoHelper()
		_, err := session(ctx, tenant).Exec(ctx, statement)
		Expect(err).NotTo(HaveOccurred())
	}

	It("gives a tenant a schema of its own, in which its app works as in a database", func(ctx SpecContext) {
		one, other := apply(ctx, with("schema-one", v1alpha1.DatabaseIsolationSchema)), apply(ctx, with("schema-other", v1alpha1.DatabaseIsolationSchema))
		for _, tenant := range []*v1alpha1.Tenant{one, other} {
			waitReady(ctx, tenant)
			write(ctx, tenant, "CREATE TABLE words (word citext UNIQUE); INSERT INTO words VALUES ('of "+tenant.Name+"')")
		}
		Expect(words(ctx, one)).To(Equal([]string{"of schema-one"}))
		Expect(one.Status.Database.Isolation).To(Equal(v1alpha1.DatabaseIsolationSchema))
		Expect(read(ctx, in(one, &corev1.Secret{}, "database")).Data).To(HaveKeyWithValue("PGDATABASE", []byte("tenantry_schema")))
		_, err := session(ctx, one).Exec(ctx, "SELECT * FROM "+other.Status.Database.Name+".words")
		Expect(err).To(MatchError(ContainSubstring("permission denied for schema " + other.Status.Database.Name)))

		By("keeping the data of a deleted tenant for one that adopts it")
		remove(ctx, one)
		heir := applyReady(ctx, with("schema-heir", v1alpha1.DatabaseIsolationSchema).Adopt(one.Status.Database.Name).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		Expect(words(ctx, heir)).To(Equal([]string{"of schema-one"}))

		By("dropping the data of one that says Delete")
		remove(ctx, heir)
		Expect(environment.Query[string](ctx, machine, "tenantry_schema", "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^t_'")).To(Equal([]string{other.Status.Database.Name}))
		Expect(onServer(ctx, machine, one.Status.Database.Name)).To(BeEmpty())
		Expect(words(ctx, other)).To(Equal([]string{"of schema-other"}))
	}, SpecTimeout(specTimeout))

	It("gives tenants their own rows of tables that one of them manages", func(ctx SpecContext) {
		vendor := applyReady(ctx, with("vendor", v1alpha1.DatabaseIsolationRow).ManagesTables())
		write(ctx, vendor, "CREATE TABLE words (id serial PRIMARY KEY, word text UNIQUE)")
		Eventually(ctx, komega.Object(server)).Should(And(beReady(),
			HaveField("Status.UnprotectedTables", HaveValue(Equal(int32(1)))),
			HaveField("Status.Unprotected", ConsistOf(v1alpha1.UnprotectedTable{
				Name: "public.words", Problem: "no tenant can use it; call tenantry.isolate, or tenantry.share if all tenants may read all of it",
			})),
			haveCondition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, "Tables of the isolation Row that are not kept apart by tenant: 1")))
		write(ctx, vendor, "SELECT tenantry.isolate('words')")
		Eventually(ctx, komega.Object(server)).Should(HaveField("Status.UnprotectedTables", HaveValue(BeZero())))

		one, other := apply(ctx, with("row-one", v1alpha1.DatabaseIsolationRow)), apply(ctx, with("row-other", v1alpha1.DatabaseIsolationRow))
		for _, tenant := range []*v1alpha1.Tenant{one, other} {
			waitReady(ctx, tenant)
			write(ctx, tenant, "INSERT INTO words (word) VALUES ('the same'), ('of "+tenant.Name+"')")
		}
		Expect(words(ctx, one)).To(Equal([]string{"of row-one", "the same"}))
		Expect(words(ctx, vendor)).To(BeEmpty())
		write(ctx, one, "DELETE FROM words WHERE word = 'the same'")
		_, err := session(ctx, one).Exec(ctx, "ALTER TABLE words DISABLE ROW LEVEL SECURITY")
		Expect(err).To(MatchError(ContainSubstring("must be owner of table words")))

		By("keeping the rows of a deleted tenant for one that adopts them")
		remove(ctx, one)
		heir := applyReady(ctx, with("row-heir", v1alpha1.DatabaseIsolationRow).Adopt(one.Status.Database.Name).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		Expect(words(ctx, heir)).To(Equal([]string{"of row-one"}))

		By("deleting the rows of one that says Delete")
		remove(ctx, heir)
		Expect(onServer(ctx, machine, one.Status.Database.Name)).To(BeEmpty())
		Expect(environment.Query[string](ctx, machine, "tenantry_row", "SELECT word FROM words ORDER BY word")).To(Equal([]string{"of row-other", "the same"}))
	}, SpecTimeout(specTimeout))

	It("holds tenants to their limits, and takes others when they change", func(ctx SpecContext) {
		tenant := applyReady(ctx, with("limited", v1alpha1.DatabaseIsolationSchema).TempFileLimit("1Mi").StatementTimeoutSeconds(90))
		limits := func() (limits string, err error) {
			conn, err := env.Login(ctx, tenant)
			if err != nil {
				return "", err
			}
			defer conn.Close(ctx)
			err = conn.QueryRow(ctx, "SELECT current_setting('temp_file_limit') || ' ' || current_setting('statement_timeout')").Scan(&limits)
			return limits, err
		}
		Expect(limits()).To(Equal("1MB 90s"))
		_, err := session(ctx, tenant).Exec(ctx, "SELECT * FROM generate_series(1, 1000000) AS n ORDER BY n DESC")
		Expect(err).To(MatchError(ContainSubstring("temporary file size exceeds")))
		change(ctx, tenant, func() { tenant.Spec.Database.TempFileLimit, tenant.Spec.Database.StatementTimeoutSeconds = nil, 0 })
		Eventually(ctx, limits).Should(Equal("-1 0"))
	}, SpecTimeout(specTimeout))

	DescribeTable("gives a tenant another login when its password changes, by which it finds its data as before",
		func(ctx SpecContext, begin *builders.TenantBuilder) {
			tenant := applyReady(ctx, begin.Rotation(0, 0))
			write(ctx, tenant, "CREATE TABLE words_of_mine AS SELECT 'first' AS word")
			requestRotation(ctx, tenant, "leaked")
			rotated(ctx, tenant, tenant.Status.Database.Login)
			write(ctx, tenant, "INSERT INTO words_of_mine VALUES ('second'); DROP TABLE words_of_mine")
			Eventually(ctx, func() ([]string, error) {
				return environment.Query[string](ctx, machine, "postgres",
					"SELECT rolname FROM pg_authid WHERE rolcanlogin AND starts_with(rolname, $1)", tenant.Status.Database.Name)
			}).Should(ConsistOf(tenant.Status.Database.Login))
			Expect(tenant).To(lack(v1alpha1.ConditionUnexpectedAccess))
		},
		Entry("of its schema", with("rotating-schema", v1alpha1.DatabaseIsolationSchema)),
		Entry("of the tables that all share", with("rotating-vendor", v1alpha1.DatabaseIsolationRow).ManagesTables()),
	)

	It("takes a tenant that was locked out by hand in again, and tells of one that was let in elsewhere", func(ctx SpecContext) {
		tenant := applyReady(ctx, with("locked-out", v1alpha1.DatabaseIsolationSchema))
		name := tenant.Status.Database.Name
		Eventually(ctx, func() ([]string, error) {
			return environment.Query[string](ctx, machine, "postgres", "SELECT digest FROM tenantry.tenants WHERE name = $1 AND digest IS NOT NULL", name)
		}).Should(HaveLen(1))
		Expect(environment.Exec(ctx, machine, "postgres", "REVOKE tenantry_schema FROM "+name)).To(Succeed())
		Eventually(ctx, func() error { return ping(ctx, tenant) }).Should(Succeed())
		Expect(environment.Exec(ctx, machine, "postgres", "GRANT tenantry_row_owner TO "+name)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveCondition(v1alpha1.ConditionUnexpectedAccess, "True",
			v1alpha1.ReasonUnexpectedMember, name+" may act as tenantry_row_owner.", "REVOKE tenantry_row_owner FROM "+name)))
		Expect(environment.Exec(ctx, machine, "postgres", "REVOKE tenantry_row_owner FROM "+name)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(lack(v1alpha1.ConditionUnexpectedAccess))
	}, SpecTimeout(specTimeout))

	It("does not change the isolation of a tenant in place", func(ctx SpecContext) {
		tenant := applyReady(ctx, with("settled-schema", v1alpha1.DatabaseIsolationSchema))
		tenant.Spec.Database.Isolation = v1alpha1.DatabaseIsolationDatabase
		Expect(env.Client.Update(ctx, tenant)).To(MatchError(ContainSubstring("the database is placed with the isolation Schema, which can not change; write that value")))
		tenant.Spec.Database.Isolation = "" // Left out, it is Database.
		Expect(env.Client.Update(ctx, tenant)).To(MatchError(ContainSubstring("the database is placed with the isolation Schema, which can not change; write that value")))
	}, SpecTimeout(specTimeout))

	It("has the extensions that a tenant asks for, and names those that it may ask for", func(ctx SpecContext) {
		tenant := applyReady(ctx, with("equipped", v1alpha1.DatabaseIsolationDatabase).Extensions("citext"))
		var same bool
		Expect(session(ctx, tenant).QueryRow(ctx, "SELECT 'A'::citext = 'a'").Scan(&same)).To(Succeed())
		Expect(same).To(BeTrue())
		change(ctx, tenant, func() { tenant.Spec.Database.Extensions = []string{"citext", "dblink"} })
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonExtensionNotOffered, `DatabaseServer "sharing" has the extensions [citext] and not dblink`))
		Expect(ping(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	DescribeTable("is not asked for what can't be",
		func(ctx SpecContext, tenant *builders.TenantBuilder, message string) {
			Expect(env.Client.Create(ctx, tenant.Build())).To(MatchError(ContainSubstring(message)))
		},
		Entry("shared tables of a schema", with("refused", v1alpha1.DatabaseIsolationSchema).ManagesTables(), "sharedTables is about the isolation Row"),
		Entry("too little", with("refused", v1alpha1.DatabaseIsolationSchema).TempFileLimit("1k"), "tempFileLimit must be between 64Ki and 1Ti"),
		Entry("no time", with("refused", v1alpha1.DatabaseIsolationSchema).StatementTimeoutSeconds(-1), "should be greater than or equal to 1"),
	)

	It("says what it offers where a tenant asks for something else", func(ctx SpecContext) {
		tenant := apply(ctx, withDatabase("misplaced", shared).Isolation(v1alpha1.DatabaseIsolationRow))
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonIsolationNotOffered, `DatabaseServer "shared" offers the isolations [Database] and not Row`))
	}, SpecTimeout(specTimeout))
})
