package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

var _ = Describe("An app", func() {
	withApp := func(name, image string) *builders.TenantBuilder { return builders.Tenant(name).App(image) }

	// ails matches a tenant whose app doesn't run, for a reason that may still pass.
	ails := func(reason string, texts ...string) OmegaMatcher {
		return And(
			WithTransform(behind, BeZero()),
			haveCondition(v1alpha1.ConditionAppReady, metav1.ConditionFalse, reason, texts...),
			haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, texts...),
			haveCondition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason),
			lack(v1alpha1.ConditionStalled),
			haveCondition(v1alpha1.ConditionNamespaceReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
			haveCondition(v1alpha1.ConditionNetworkReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
		)
	}

	It("whose image is missing says so in the pod's own words, until there is one", func(ctx SpecContext) {
		tenant := apply(ctx, withApp("no-image", "missing.invalid/shop:1"))
		Eventually(ctx, komega.Object(tenant)).Should(Or(
			ails("ErrImagePull", "Pod app-", "missing.invalid/shop:1"), ails("ImagePullBackOff", "Pod app-", "missing.invalid/shop:1")))
		Eventually(ctx, komega.Object(tenant)).Should(
			ails("ImagePullBackOff", "Pod app-", ` does not run: Back-off pulling image "missing.invalid/shop:1"`))
		Expect(kubectl(ctx, "get", "tenant", "no-image", "--no-headers")).To(MatchRegexp(`^no-image +False +Pod app-\S+ does not run: .* +1 +ImagePullBackOff +\d+\w+\n$`))
		change(ctx, tenant, func() { tenant.Spec.App.Image = image })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("that crashes says so", func(ctx SpecContext) {
		tenant := apply(ctx, withApp("crashing", "crashing.invalid/shop:1"))
		Eventually(ctx, komega.Object(tenant)).Should(ails("CrashLoopBackOff", "Pod app-", "restarting failed container=app"))
	}, SpecTimeout(specTimeout))

	It("keeps running while a new image does not", func(ctx SpecContext) {
		tenant := applyReady(ctx, withApp("half-way", image).Replicas(2))
		pods := podUIDs(ctx, tenant)
		change(ctx, tenant, func() { tenant.Spec.App.Image = "missing.invalid/shop:2" })
		Eventually(ctx, komega.Object(tenant)).Should(ails("ImagePullBackOff", "missing.invalid/shop:2"))
		Expect(tenant.Status.App.ReadyReplicas).To(HaveValue(Equal(int32(2))))
		Expect(podUIDs(ctx, tenant)).To(ContainElements(pods))
		change(ctx, tenant, func() { tenant.Spec.App.Image = image })
		waitReady(ctx, tenant)
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods))
	}, SpecTimeout(specTimeout))

	It("that asks for more than the quota says how much, until there is enough", func(ctx SpecContext) {
		tenant := apply(ctx, withApp("poor", image).Quota("requests.cpu", "100m").Request("cpu", "250m").Limit("cpu", "300m"))
		Eventually(ctx, komega.Object(tenant)).Should(ails(v1alpha1.ReasonQuotaExceeded,
			"The app's pods need more than the quota leaves: requested: requests.cpu=250m, used: requests.cpu=0, limited: requests.cpu=100m. Raise spec.quota, or lower spec.app.resources or spec.app.replicas."))
		change(ctx, tenant, func() { tenant.Spec.Quota["requests.cpu"] = resource.MustParse("1") })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("that has room for some of its replicas only says how much is missing", func(ctx SpecContext) {
		tenant := apply(ctx, withApp("cramped", image).Replicas(3).Quota("pods", "2"))
		Eventually(ctx, komega.Object(tenant)).Should(ails(v1alpha1.ReasonQuotaExceeded, "requested: pods=1, used: pods=2, limited: pods=2"))
		change(ctx, tenant, func() { tenant.Spec.App.Replicas = ptr.To[int32](2) })
		waitReady(ctx, tenant)
		Expect(tenant).To(haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady, "2 of 2 replicas are available."))
	}, SpecTimeout(specTimeout))

	It("that breaks the container limits says which", func(ctx SpecContext) {
		tenant := apply(ctx, withApp("greedy", image).ContainerMax("cpu", "1").Limit("cpu", "2"))
		Eventually(ctx, komega.Object(tenant)).Should(ails(v1alpha1.ReasonForbidden,
			"The API server refuses the app's pods: ", "maximum cpu usage per Container is 1, but limit is 2"))
	}, SpecTimeout(specTimeout))

	It("that fits on no node says so in the scheduler's words", func(ctx SpecContext) {
		tenant := apply(ctx, withApp("huge", image).Request("cpu", "5000").Limit("cpu", "5000"))
		Eventually(ctx, komega.Object(tenant)).Should(ails(corev1.PodReasonUnschedulable, "Pod app-", "Insufficient cpu"))
	}, SpecTimeout(specTimeout))

	It("gets limits from the tenant's defaults when it states none", func(ctx SpecContext) {
		tenant := applyReady(ctx, withApp("frugal", image).Quota("limits.memory", "1Gi").ContainerDefault("memory", "300Mi"))
		pods := &corev1.PodList{}
		Expect(env.Client.List(ctx, pods)).To(Succeed())
		Expect(pods.Items).To(ContainElement(And(
			HaveField("Namespace", tenant.Name),
			HaveField("Spec.Containers", ConsistOf(HaveField("Resources.Limits", HaveKeyWithValue(corev1.ResourceMemory, resource.MustParse("300Mi"))))))))
	}, SpecTimeout(specTimeout))
})
