package examples

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/freeport"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/test/environment"
)

// frameworks are the folders of examples/.
var frameworks = []string{"django", "fastapi", "flask", "pyramid"}

// mode is an isolation to run the apps with. The apps are the same in each.
type mode struct {
	isolation v1alpha1.DatabaseIsolation
	// firstTenant is spec.database.sharedTables of the tenant that migrates first.
	firstTenant v1alpha1.SharedTables
	// ownServer says that each app needs its own server.
	ownServer bool
}

var modes = []mode{
	{isolation: v1alpha1.DatabaseIsolationDatabase},
	{isolation: v1alpha1.DatabaseIsolationSchema},
	{isolation: v1alpha1.DatabaseIsolationRow, firstTenant: v1alpha1.SharedTablesManage, ownServer: true},
}

var _ = Describe("The shop", func() {
	for _, framework := range frameworks {
		for _, mode := range modes {
			Describe(fmt.Sprintf("on %s in mode %s", framework, mode.isolation), Ordered, func() { describeShop(framework, mode) })
		}
	}
})

func describeShop(framework string, mode mode) {
	var tenants [2]*v1alpha1.Tenant
	var apps [2]*app
	var machine *postgres.Server

	BeforeAll(func(ctx SpecContext) {
		var server *v1alpha1.DatabaseServer
		machine, server = serverFor(ctx, framework, mode)
		for i, word := range []string{"first", "second"} {
			tenants[i] = shop(framework, word, server, mode.isolation)
		}
		tenants[0].Spec.Database.SharedTables = mode.firstTenant
		for i := range tenants {
			holdMigration(tenants[i])
			Expect(env.Client.Create(ctx, tenants[i])).To(Succeed())
		}
		for _, tenant := range tenants {
			migrate(ctx, tenant, framework)
			Eventually(ctx, komega.Object(tenant)).Should(beReady(tenant.Generation))
		}
	}, NodeTimeout(specTimeout))

	AfterAll(func(ctx SpecContext) {
		for i, tenant := range tenants {
			if apps[i] != nil {
				Expect(apps[i].stop()).To(Succeed())
			}
			// There is no need to wait for the deletion: the next tenants have other names.
			if tenant != nil {
				Expect(client.IgnoreNotFound(env.Client.Delete(ctx, tenant))).To(Succeed())
			}
		}
	}, NodeTimeout(time.Minute))

	It("migrates and starts, with nothing but its tenant's settings", func(ctx SpecContext) {
		for i, tenant := range tenants {
			var err error
			apps[i], err = start(ctx, tenant, framework)
			Expect(err).NotTo(HaveOccurred())
			Expect(apps[i].waitReady(ctx)).To(Succeed())
		}
		for i, app := range apps {
			own := slices.Collect(maps.Keys(tenants[i].Spec.Config))
			for _, variable := range tenants[i].Spec.App.Env {
				own = append(own, variable.Name)
			}
			Expect(slices.Collect(maps.Keys(app.environment))).To(ConsistOf(slices.Concat(own, operatorVariables(tenants[i]))))
			Expect(app.name(ctx)).To(Equal("The shop of " + tenants[i].Name))
		}
	}, SpecTimeout(specTimeout))

	if mode.isolation == v1alpha1.DatabaseIsolationRow {
		It("leaves no table that tenants share unprotected", func(ctx SpecContext) {
			Expect(environment.Query[string](ctx, machine, "tenantry_row",
				"SELECT oid::regclass::text FROM pg_class WHERE tenantry.is_isolated(oid)")).To(HaveLen(2))
			Expect(environment.Query[string](ctx, machine, "tenantry_row", "SELECT relation || ' ' || problem FROM tenantry.unprotected")).To(BeEmpty())
		}, SpecTimeout(specTimeout))
	}

	It("finds its tables in the schema that its Secret names", func(ctx SpecContext) {
		for _, tenant := range tenants {
			values, err := secret(ctx, tenant.Name, "database")
			Expect(err).NotTo(HaveOccurred())
			conn, err := pgx.Connect(ctx, values["uri"])
			Expect(err).NotTo(HaveOccurred())
			var schema string
			Expect(conn.QueryRow(ctx, "SELECT current_schema()").Scan(&schema)).To(Succeed())
			Expect(values).To(HaveKeyWithValue("schema", schema))
			Expect(conn.Close(ctx)).To(Succeed())
		}
	}, SpecTimeout(specTimeout))

	It("stores and shows its own orders, by numbers that its neighbor has too", func(ctx SpecContext) {
		var stored [2][]order
		for i, app := range apps {
			Expect(app.orders(ctx)).To(BeEmpty())
			for _, number := range []string{"A-1", "A-2"} {
				stored[i] = append(stored[i], app.create(ctx, order{
					Number: number, Lines: []line{{"bolt of " + tenants[i].Name, 3}, {"nut of " + tenants[i].Name, 4}},
				}))
			}
			Expect(app.orders(ctx)).To(Equal(stored[i]))
			Expect(stored[i][1].Lines).To(Equal([]line{{"bolt of " + tenants[i].Name, 3}, {"nut of " + tenants[i].Name, 4}}))
		}
		Expect(apps[0].orders(ctx)).To(Equal(stored[0]))
	}, SpecTimeout(specTimeout))

	It("refuses a number that it has already", func(ctx SpecContext) {
		for _, app := range apps {
			before := app.orders(ctx)
			Expect(app.call(ctx, http.MethodPost, "/orders", order{Number: "A-1", Lines: []line{}}, nil)).To(Equal(http.StatusConflict))
			Expect(app.orders(ctx)).To(Equal(before))
		}
	}, SpecTimeout(specTimeout))

	It("finds no order of its neighbor, not even by its id", func(ctx SpecContext) {
		// If the tenants don't share a sequence, the second one hasn't used this value yet.
		apps[0].create(ctx, order{Number: "A-3", Lines: []line{}})
		var tried int
		for i, app := range apps {
			neighbor := apps[1-i]
			own, theirs := app.orders(ctx), neighbor.orders(ctx)
			for _, other := range theirs {
				if slices.ContainsFunc(own, func(mine order) bool { return mine.ID == other.ID }) {
					continue
				}
				tried++
				Expect(app.pay(ctx, other.ID)).To(Equal(http.StatusNotFound))
				Expect(app.remove(ctx, other.ID)).To(Equal(http.StatusNotFound))
			}
			Expect(neighbor.orders(ctx)).To(Equal(theirs))
		}
		Expect(tried).To(BeNumerically(">", 0))
	}, SpecTimeout(specTimeout))

	It("changes and deletes its own orders, and none of its neighbor's", func(ctx SpecContext) {
		for i, app := range apps {
			own, theirs := app.orders(ctx), apps[1-i].orders(ctx)
			Expect(app.pay(ctx, own[0].ID)).To(Equal(http.StatusOK))
			Expect(app.remove(ctx, own[1].ID)).To(Equal(http.StatusNoContent))
			own[0].Paid = true
			Expect(app.orders(ctx)).To(Equal(slices.Delete(own, 1, 2)))
			Expect(apps[1-i].orders(ctx)).To(Equal(theirs))
		}
	}, SpecTimeout(specTimeout))

	It("shows people its orders on a page, and takes theirs there", func(ctx SpecContext) {
		theirs := apps[1].orders(ctx)
		takesOrders(ctx, "The shop of "+tenants[0].Name, apps[0])
		Expect(apps[1].orders(ctx)).To(Equal(theirs))
	}, SpecTimeout(specTimeout))

	if specs := further[framework]; specs != nil {
		specs(&tenants, &apps)
	}

	It("starts once more on what it has stored", func(ctx SpecContext) {
		var stored [2][]order
		for i, app := range apps {
			stored[i] = app.orders(ctx)
			Expect(app.stop()).To(Succeed())
			var err error
			apps[i], err = start(ctx, tenants[i], framework)
			Expect(err).NotTo(HaveOccurred())
		}
		for i, app := range apps {
			Expect(app.waitReady(ctx)).To(Succeed())
			Expect(app.orders(ctx)).To(Equal(stored[i]))
			stored[i] = append(stored[i], app.create(ctx, order{Number: "B-1", Lines: []line{{"washer", 5}}}))
			Expect(app.orders(ctx)).To(Equal(stored[i]))
		}
	}, SpecTimeout(specTimeout))
}

// operatorVariables are the environment variables that the operator adds to a tenant's own settings.
func operatorVariables(tenant *v1alpha1.Tenant) []string {
	names := []string{"DATABASE_URL", "PGDATABASE", "PGHOST", "PGPASSWORD", "PGPORT", "PGSSLMODE", "PGUSER", "PORT"}
	if len(tenant.Spec.Features) > 0 {
		names = append(names, "FLAGD_RESOLVER", "FLAGD_OFFLINE_FLAG_SOURCE_PATH", "FLAGD_OFFLINE_POLL_MS")
	}
	if len(tenant.Spec.CustomFields) > 0 {
		names = append(names, "CUSTOM_FIELDS_PATH")
	}
	return names
}

// serverFor returns the PostgreSQL server for the shop's tenants, and its DatabaseServer, which is Ready.
func serverFor(ctx context.Context, framework string, mode mode) (*postgres.Server, *v1alpha1.DatabaseServer) {
	GinkgoHelper()
	name, machine := "shared", env.Postgres
	if mode.ownServer {
		var err error
		name = framework
		machine, err = env.StartPostgres(ctx, name)
		Expect(err).NotTo(HaveOccurred())
	}
	server, err := env.ApplyDatabaseServer(ctx, name, machine)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, komega.Update(server, func() {
		if !slices.Contains(server.Spec.Isolations, mode.isolation) {
			server.Spec.Isolations = append(server.Spec.Isolations, mode.isolation)
		}
	})).Should(Succeed())
	Eventually(ctx, komega.Object(server)).Should(beReady(server.Generation))
	return machine, server
}

// shop returns the tenant of examples/<framework>/tenant.yaml, on a loopback port that is free.
func shop(framework, word string, server *v1alpha1.DatabaseServer, isolation v1alpha1.DatabaseIsolation) *v1alpha1.Tenant {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(folder, framework, "tenant.yaml"))
	Expect(err).NotTo(HaveOccurred())
	tenant := &v1alpha1.Tenant{}
	Expect(yaml.UnmarshalStrict(content, tenant)).To(Succeed())
	ports, err := freeport.Find(1)
	Expect(err).NotTo(HaveOccurred())

	tenant.Name = strings.ToLower(fmt.Sprintf("%s-%s-%s", framework, isolation, word))
	tenant.Spec.Config["SHOP_NAME"] = "The shop of " + tenant.Name
	tenant.Spec.Config["HOST"] = "127.0.0.1"
	tenant.Spec.App.Port = int32(ports[0])
	tenant.Spec.Database.ServerRef.Name = server.Name
	tenant.Spec.Database.Isolation = isolation
	tenant.Spec.Database.ReclaimPolicy = v1alpha1.ReclaimPolicyDelete
	return tenant
}

// beReady matches a Tenant or a DatabaseServer that is Ready with this generation of the spec.
func beReady(generation int64) gomegatypes.GomegaMatcher {
	return And(
		HaveField("Status.ObservedGeneration", generation),
		HaveField("Status.Conditions", ContainElement(And(
			HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue)))),
	)
}
