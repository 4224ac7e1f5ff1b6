package integration

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/environment"
)

// factsQuery lists what the server has of the roles and the database with the name $1.
const factsQuery = `
	SELECT format('role %s %s %s %s', rolname, rolconnlimit, rolpassword IS NULL,
		(rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls)) FROM pg_authid WHERE starts_with(rolname, $1)
	UNION ALL SELECT format('member %s of %s', member::regrole, roleid::regrole) FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = roleid
		WHERE starts_with(rolname, $1)
	UNION ALL SELECT format('setting %s %s', rolname, setconfig) FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole
		WHERE starts_with(rolname, $1)
	UNION ALL SELECT format('database %s %s %s %s', datdba::regrole, datallowconn, datconnlimit, datacl) FROM pg_database WHERE datname = $1
	ORDER BY 1`

// facts returns what the server has of a tenant's roles and database.
func facts(ctx context.Context, tenant *v1alpha1.Tenant) func() ([]string, error) {
	return func() ([]string, error) {
		return environment.Query[string](ctx, env.Postgres, "postgres", factsQuery, tenant.Status.Database.Name)
	}
}

// tamper runs a statement and returns the facts after it. It reads them in the same transaction, since the
// operator may correct them a moment later.
func tamper(ctx context.Context, tenant *v1alpha1.Tenant, statement string) (changed []string) {
	GinkgoHelper()
	conn, err := pgx.Connect(ctx, env.Postgres.URL("postgres"))
	Expect(err).NotTo(HaveOccurred())
	defer conn.Close(ctx)
	Expect(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, factsQuery, tenant.Status.Database.Name)
		if err != nil {
			return err
		}
		changed, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})).To(Succeed())
	return changed
}

// accepted waits until the operator has accepted the present state of the tenant on the server.
func accepted(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Eventually(ctx, func() ([]string, error) {
		return environment.Query[string](ctx, env.Postgres, "postgres", "SELECT digest FROM tenantry.tenants WHERE uid = $1 AND digest IS NOT NULL", string(tenant.UID))
	}).Should(HaveLen(1))
}

var _ = Describe("On the database server, by hand", Ordered, func() {
	var tenant *v1alpha1.Tenant

	BeforeAll(func(ctx SpecContext) {
		tenant = applyReady(ctx, withDatabase("drifting", shared))
		accepted(ctx, tenant)
	}, NodeTimeout(specTimeout))

	DescribeTable("what is changed is set right:", func(ctx SpecContext, statement string) {
		before, err := facts(ctx, tenant)()
		Expect(err).NotTo(HaveOccurred())
		Expect(tamper(ctx, tenant, fmt.Sprintf(statement, tenant.Status.Database.Name))).NotTo(Equal(before), "the change itself")
		Eventually(ctx, facts(ctx, tenant)).Should(Equal(before))
		Expect(ping(ctx, tenant)).To(Succeed())
	},
		Entry("a login's limit", "ALTER ROLE %[1]s_0 CONNECTION LIMIT 1"),
		Entry("a login that is disabled", "ALTER ROLE %[1]s_0 NOLOGIN"),
		Entry("a login that is dropped", "DROP ROLE %[1]s_0"),
		Entry("the other login, dropped", "DROP ROLE %[1]s_1"),
		Entry("the other login, enabled", "ALTER ROLE %[1]s_1 LOGIN PASSWORD 'theirs'"),
		Entry("the setting by which sessions start as the owner", "ALTER ROLE %[1]s_0 RESET role"),
		Entry("the membership of a login", "REVOKE %[1]s FROM %[1]s_0"),
		Entry("the database's limit", "ALTER DATABASE %[1]s CONNECTION LIMIT -1"),
		Entry("the rights on the database", "REVOKE CONNECT ON DATABASE %[1]s FROM %[1]s"),
		Entry("a database that is open to everybody", "GRANT CONNECT ON DATABASE %[1]s TO PUBLIC"),
		Entry("a database that is closed", "ALTER DATABASE %[1]s ALLOW_CONNECTIONS false"),
		Entry("a tenant that is a superuser", "ALTER ROLE %[1]s SUPERUSER"),
	)

	It("a database that is given to somebody else is left there, and the tenant says so", func(ctx SpecContext) {
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "ALTER DATABASE "+tenant.Status.Database.Name+" OWNER TO "+environment.OperatorRole)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonConflict, "belongs to role operator and not to tenantry_owner"))
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "ALTER DATABASE "+tenant.Status.Database.Name+" OWNER TO tenantry_owner")).To(Succeed())
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("somebody who becomes a member of the tenant's role is told of, and left", func(ctx SpecContext) {
		name := tenant.Status.Database.Name
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "CREATE ROLE mallory", "GRANT "+name+" TO mallory", "GRANT pg_read_all_data TO "+name)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveCondition(v1alpha1.ConditionUnexpectedAccess, metav1.ConditionTrue, v1alpha1.ReasonUnexpectedMember,
			name+" may act as pg_read_all_data, mallory may act as "+name, "REVOKE "+name+" FROM mallory")))
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "REVOKE "+name+" FROM mallory", "REVOKE pg_read_all_data FROM "+name, "DROP ROLE mallory")).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(lack(v1alpha1.ConditionUnexpectedAccess))
	}, SpecTimeout(specTimeout))

	It("a new superuser is told of, and left, until somebody says that it is meant to be", func(ctx SpecContext) {
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "CREATE ROLE stranger SUPERUSER")).To(Succeed())
		server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: shared}}
		Eventually(ctx, komega.Object(server)).Should(And(beReady(), haveCondition(v1alpha1.ConditionUnexpectedAccess, metav1.ConditionTrue,
			v1alpha1.ReasonUnexpectedSuperuser, "stranger", "INSERT INTO tenantry.superusers VALUES")))
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "INSERT INTO tenantry.superusers SELECT rolname FROM pg_roles WHERE rolsuper ON CONFLICT DO NOTHING")).To(Succeed())
		Eventually(ctx, komega.Object(server)).Should(lack(v1alpha1.ConditionUnexpectedAccess))
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "DROP ROLE stranger")).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("a password that is changed is replaced, and the app's works meanwhile", func(ctx SpecContext) {
		login := tenant.Status.Database.Login
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "ALTER ROLE "+login+" PASSWORD 'theirs'")).To(Succeed())
		rotated(ctx, tenant, login)
		Expect(ping(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("what is changed while the operator is away is set right when it is back", func(ctx SpecContext) {
		accepted(ctx, tenant)
		Eventually(ctx, komega.Object(tenant)).Should(beReady())
		before, err := facts(ctx, tenant)()
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Operator.Stop()).To(Succeed())
		Expect(environment.Exec(ctx, env.Postgres, "postgres", "ALTER DATABASE "+tenant.Status.Database.Name+" CONNECTION LIMIT -1")).To(Succeed())
		Expect(env.StartOperator(ctx)).To(Succeed())
		Eventually(ctx, facts(ctx, tenant)).Should(Equal(before))
	}, SpecTimeout(specTimeout))
})
