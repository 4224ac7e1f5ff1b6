package dedicated

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

var _ = Describe("A tenant with a server of its own that hibernates", func() {
	It("has no server while it sleeps, and wakes with its data and its password", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("sleepy"))
		DeferCleanup(func(ctx SpecContext) { remove(ctx, tenant) }, NodeTimeout(specTimeout))
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "CREATE TABLE words AS SELECT 'kept' AS word", "SELECT word FROM words")).To(Equal("[kept]"))
		password := secretOf(ctx, tenant)["password"]
		set := inDatabases(tenant, &appsv1.StatefulSet{}, "")

		By("putting it to sleep")
		Expect(change(ctx, tenant, func() { tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Suspended: new(true)} })).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(says(metav1.ConditionTrue, Equal("The tenant sleeps until spec.hibernation.suspended is false.")))
		Expect(komega.Object(set)()).To(HaveField("Spec.Replicas", HaveValue(BeZero())))
		pods := &corev1.PodList{}
		Expect(env.Client.List(ctx, pods, client.InNamespace(naming.DatabasesNamespace), client.MatchingLabels{naming.LabelServer: naming.DedicatedServer(tenant.Name)})).To(Succeed())
		Expect(pods.Items).To(BeEmpty())
		Expect(komega.Object(serverOf(tenant))()).To(says(metav1.ConditionFalse, Equal("The server is stopped, and its volume kept, while the Tenant sleepy sleeps.")))

		By("waking it")
		Expect(change(ctx, tenant, func() { tenant.Spec.Hibernation.Suspended = new(false) })).To(Succeed())
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "SELECT word FROM words")).To(Equal("[kept]"))
		Expect(secretOf(ctx, tenant)["password"]).To(Equal(password))
	}, SpecTimeout(specTimeout))
})
