package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/metrics"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/test/environment"
)

var _ = Describe("When nothing changes", Ordered, func() {
	const count = 5
	var reader *operator.Metrics

	readMetrics := func(ctx context.Context) {
		GinkgoHelper()
		var err error
		reader, err = env.Operator.Metrics(ctx, env.Client)
		Expect(err).NotTo(HaveOccurred())
	}

	BeforeAll(func(ctx SpecContext) {
		readMetrics(ctx)
		// Tenants of other specs may still be being deleted.
		Eventually(ctx, func() ([]v1alpha1.Tenant, error) {
			tenants := &v1alpha1.TenantList{}
			err := env.Client.List(ctx, tenants)
			return tenants.Items, err
		}).Should(BeEmpty())
		var tenants []*v1alpha1.Tenant
		for number := range count {
			tenants = append(tenants, apply(ctx, whole(fmt.Sprintf("restful-%d", number))))
		}
		for _, tenant := range tenants {
			waitReady(ctx, tenant)
			// The last thing to settle is the usage of the quota.
			Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage.Used", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("2"))))
		}
		shareApps(ctx, tenants)
		Eventually(ctx, komega.Object(&v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: shared}})).Should(
			HaveField("Status.Tenants", HaveValue(Equal(int32(count)))))
		Eventually(ctx, func() ([]string, error) {
			return environment.Query[string](ctx, env.Postgres, "postgres", "SELECT name FROM tenantry.tenants WHERE state = 'Active' AND digest IS NULL")
		}).Should(BeEmpty(), "what the server has of a tenant is noted once")
		// The status of other specs' servers may not show yet that their last tenant is gone. All servers are probed at
		// the same interval, so after three times as many reconciles as there are servers each was probed.
		servers := &v1alpha1.DatabaseServerList{}
		Expect(env.Client.List(ctx, servers)).To(Succeed())
		probed, err := reader.Reconciles(ctx, "databaseserver")
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, reader.Reconciles).WithArguments(ctx, "databaseserver").Should(BeNumerically(">=", probed+3*len(servers.Items)))
	}, NodeTimeout(specTimeout))

	It("a restart of the operator writes nothing", func(ctx SpecContext) {
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		Expect(env.RestartOperator(ctx, "--sync-period=2s")).To(Succeed())
		readMetrics(ctx)
		Eventually(ctx, reader.Reconciles).WithArguments(ctx, "tenant").Should(BeNumerically(">=", count))
		Eventually(ctx, reader.Busy).WithArguments(ctx, "tenant").Should(BeZero())
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		Expect(requests).NotTo(BeEmpty(), "the caches are filled by requests")
		Expect(requests).NotTo(ContainElement(HaveField("Writes()", true)))
	}, SpecTimeout(specTimeout))

	It("a resync of all tenants makes no request and no SQL statement", func(ctx SpecContext) {
		Eventually(ctx, func() (float64, error) {
			return reader.Sum(ctx, "tenantry_database_server_up", metrics.Labels{"server": shared})
		}).Should(Equal(1.0))
		By("waiting until the operator has looked at what a server has of tenants that are gone, which it does once")
		servers := &v1alpha1.DatabaseServerList{}
		Expect(env.Client.List(ctx, servers)).To(Succeed())
		Eventually(ctx, reader.Reconciles).WithArguments(ctx, "databaseserver").Should(BeNumerically(">=", 3*len(servers.Items)))
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		statements, err := environment.Statements(ctx, env.Postgres)
		Expect(err).NotTo(HaveOccurred())
		before, err := reader.Reconciles(ctx, "tenant")
		Expect(err).NotTo(HaveOccurred())

		// Each resync reconciles each tenant once.
		Eventually(ctx, reader.Reconciles).WithArguments(ctx, "tenant").Should(BeNumerically(">=", before+3*count))
		sent := func() (map[string]int64, error) {
			after, err := environment.Statements(ctx, env.Postgres)
			maps.DeleteFunc(after, func(statement string, calls int64) bool { return calls == statements[statement] })
			return after, err
		}
		Eventually(ctx, sent).Should(Not(BeEmpty()), "the servers' probe is sent every few seconds")
		Expect(env.Audit.Since(mark)).To(BeEmpty())
		statements, err = sent()
		Expect(err).NotTo(HaveOccurred())
		Expect(slices.Collect(maps.Keys(statements))).To(HaveEach(Or(
			And(HavePrefix("SELECT count(*) FILTER"), HaveSuffix("FROM tenantry.tenants")),
			HavePrefix("SELECT coalesce(json_agg(json_build_object($1, tenant"),
			HavePrefix("WITH written AS MATERIALIZED"),
			HavePrefix("SELECT set_config($1, $2, $3)"))), "the two queries of the probe, a measurement once in a minute, and settings for them")
	}, SpecTimeout(specTimeout))

	AfterAll(func(ctx SpecContext) {
		Expect(env.RestartOperator(ctx)).To(Succeed())
	}, NodeTimeout(specTimeout))
})

// shareApps makes others own some fields of tenants' apps, in a different way for each tenant, and waits until the
// tenants are at rest.
func shareApps(ctx context.Context, tenants []*v1alpha1.Tenant) {
	GinkgoHelper()
	change(ctx, tenants[0], func() { tenants[0].Spec.App.Image = "registry.example/shop:2" })
	Expect(env.Client.Create(ctx, autoscalerOf(tenants[1], 2, 4))).To(Succeed())
	Eventually(ctx, komega.Object(in(tenants[1], &appsv1.Deployment{}, "app"))).Should(WithTransform(insistsOnReplicas, BeFalse()))
	account := in(tenants[2], &corev1.ServiceAccount{}, "app")
	change(ctx, account, func() { account.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}} })
	change(ctx, tenants[3], func() {
		tenants[3].Spec.App.Replicas, tenants[3].Spec.App.Workers = new(int32(1)), []v1alpha1.AppWorker{{Name: "mail", Command: []string{"/worker"}}}
	})
	queue := autoscalerOf(tenants[3], 1, 2)
	queue.Name, queue.Spec.ScaleTargetRef.Name = "queue", "mail"
	Expect(env.Client.Create(ctx, queue)).To(Succeed())
	Eventually(ctx, komega.Object(in(tenants[3], &appsv1.Deployment{}, "mail"))).Should(WithTransform(insistsOnReplicas, BeFalse()))
	kubectl(ctx, "rollout", "restart", "deployment/app", "--namespace", tenants[3].Name)
	ingressClass(ctx, "resting", installedIn("ingress-resting"))
	change(ctx, tenants[4], func() {
		tenants[4].Spec.App.Expose = &v1alpha1.AppExposure{Hostnames: []v1alpha1.HostnamePattern{"resting.example"}, IngressClassName: "resting"}
	})
	serve(ctx, tenants[4])
	for _, tenant := range tenants {
		kubectl(ctx, "rollout", "status", "deployment/app", "--namespace", tenant.Name, "--timeout=60s")
		waitReady(ctx, tenant)
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage.Used", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("2"))))
	}
}
