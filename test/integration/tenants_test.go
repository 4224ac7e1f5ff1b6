package integration

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/test/builders"
)

const image = "registry.example/shop:1"

// bare begins a tenant that has only its namespace.
func bare(name string) *builders.TenantBuilder {
	return builders.Tenant(name).DisplayName("The " + name + " company")
}

// whole begins a tenant that has every part.
func whole(name string) *builders.TenantBuilder {
	return bare(name).
		Owner(v1alpha1.OwnerKindUser, "alice@"+name, v1alpha1.OwnerRoleAdmin).
		Quota(corev1.ResourcePods, "10").
		Database(shared).
		App(image).Port(8080).Replicas(2).
		Config("LOG_LEVEL", "info")
}

// appliedTenant is the report entry with the name of a tenant that a spec has applied.
const appliedTenant = "applied tenant"

// A tenant of other specs with the same name may still be being deleted. Which specs share a process differs from run
// to run, so the report of all of them is what shows a name that two have.
var _ = ReportAfterSuite("A tenant's name is used by the specs of one container only", func(report Report) {
	user := map[string]string{}
	for _, spec := range report.SpecReports {
		for _, entry := range spec.ReportEntries {
			if entry.Name != appliedTenant {
				continue
			}
			name, container := entry.StringRepresentation(), spec.ContainerHierarchyTexts[0]
			if other, used := user[name]; used {
				Expect(container).To(Equal(other), "both have a tenant %s; give one of them another name", name)
			}
			user[name] = container
		}
	}
})

// apply creates a tenant, which is deleted at the end of the spec. The specs of no other container may use its name.
func apply(ctx context.Context, tenant *builders.TenantBuilder) *v1alpha1.Tenant {
	GinkgoHelper()
	created := tenant.Build()
	AddReportEntry(appliedTenant, created.Name, ReportEntryVisibilityNever)
	Expect(env.Client.Create(ctx, created)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, created)) }, NodeTimeout(time.Minute))
	return created
}

// applyReady does what apply does, and waits until the tenant is Ready.
func applyReady(ctx context.Context, tenant *builders.TenantBuilder) *v1alpha1.Tenant {
	GinkgoHelper()
	created := apply(ctx, tenant)
	waitReady(ctx, created)
	return created
}

func waitReady(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Eventually(ctx, komega.Object(object)).Should(beReady())
}

// change updates an object, and repeats that after a conflict.
func change(ctx context.Context, object client.Object, mutate func()) {
	GinkgoHelper()
	Eventually(ctx, komega.Update(object, mutate)).Should(Succeed())
}

// remove deletes an object and waits until it is gone. Another object may have its name by then.
func remove(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(env.Client.Delete(ctx, object)).To(Succeed())
	deleted := object.GetUID()
	Eventually(ctx, func() (types.UID, error) {
		err := env.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		return object.GetUID(), err
	}).ShouldNot(Equal(deleted))
}

func waitGone(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Eventually(ctx, komega.Get(object)).Should(MatchError(apierrors.IsNotFound, "not found"))
}

func read[T client.Object](ctx context.Context, object T) T {
	GinkgoHelper()
	Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object
}

// beReady matches a Tenant or DatabaseServer that is Ready with its current spec.
func beReady() gomegatypes.GomegaMatcher {
	return And(
		WithTransform(behind, BeZero()),
		haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
	)
}

// behind returns how many changes of the spec the status lags behind.
func behind(object client.Object) int64 {
	switch object := object.(type) {
	case *v1alpha1.Tenant:
		return object.Generation - object.Status.ObservedGeneration
	case *v1alpha1.DatabaseServer:
		return object.Generation - object.Status.ObservedGeneration
	case *v1alpha1.TenantClass:
		return object.Generation - object.Status.ObservedGeneration
	}
	panic(fmt.Sprintf("%T has no status of ours", object))
}

// haveCondition matches an object with the condition, whose message has all of these texts.
func haveCondition(conditionType string, status metav1.ConditionStatus, reason string, texts ...string) gomegatypes.GomegaMatcher {
	matchers := []gomegatypes.GomegaMatcher{HaveField("Type", conditionType), HaveField("Status", status), HaveField("Reason", reason)}
	for _, text := range texts {
		matchers = append(matchers, HaveField("Message", ContainSubstring(text)))
	}
	return HaveField("Status.Conditions", ContainElement(And(matchers...)))
}

// lack matches an object that has no condition of the type.
func lack(conditionType string) gomegatypes.GomegaMatcher {
	return HaveField("Status.Conditions", Not(ContainElement(HaveField("Type", conditionType))))
}

// stalled matches an object that is Stalled, by the rules of kstatus.
func stalled(reason string, texts ...string) gomegatypes.GomegaMatcher {
	return And(
		WithTransform(behind, BeZero()),
		haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, texts...),
		haveCondition(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, texts...),
		lack(v1alpha1.ConditionReconciling),
	)
}

// in sets the name of an object, and the tenant's namespace.
func in[T client.Object](tenant *v1alpha1.Tenant, object T, name string) T {
	object.SetNamespace(tenant.Name)
	object.SetName(name)
	return object
}

func namespaceOf(tenant *v1alpha1.Tenant) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant.Name}}
}

// ownServer starts a PostgreSQL server and registers it, for a spec that stops or fills it.
func ownServer(ctx context.Context, name string) (*postgres.Server, *v1alpha1.DatabaseServer) {
	GinkgoHelper()
	server, err := env.StartPostgres(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	seen.add(server.Password)
	return server, register(ctx, name, server)
}

// register creates a DatabaseServer for a PostgreSQL server.
func register(ctx context.Context, name string, server *postgres.Server) *v1alpha1.DatabaseServer {
	GinkgoHelper()
	registered, err := env.ApplyDatabaseServer(ctx, name, server)
	Expect(err).NotTo(HaveOccurred())
	return registered
}

// session opens a session as the tenant's app does, and fails the spec if that fails. The session is closed at the end
// of the spec.
func session(ctx context.Context, tenant *v1alpha1.Tenant) *pgx.Conn {
	GinkgoHelper()
	conn, err := env.Login(ctx, tenant)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { conn.Close(ctx) })
	return conn
}

// store writes a row into the tenant's database, which stored returns.
func store(ctx context.Context, tenant *v1alpha1.Tenant, word string) {
	GinkgoHelper()
	conn := session(ctx, tenant)
	_, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS words (word text)")
	Expect(err).NotTo(HaveOccurred())
	_, err = conn.Exec(ctx, "INSERT INTO words VALUES ($1)", word)
	Expect(err).NotTo(HaveOccurred())
	Expect(conn.Close(ctx)).To(Succeed())
}

// stored returns the rows in the tenant's database.
func stored(ctx context.Context, tenant *v1alpha1.Tenant) []string {
	GinkgoHelper()
	rows, err := session(ctx, tenant).Query(ctx, "SELECT word FROM words ORDER BY word")
	Expect(err).NotTo(HaveOccurred())
	words, err := pgx.CollectRows(rows, pgx.RowTo[string])
	Expect(err).NotTo(HaveOccurred())
	return words
}
