package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

var _ = Describe("The walls of a tenant", Label("K5"), func() {
	const policies = corev1.ResourceName("count/networkpolicies.networking.k8s.io")
	// closed expects that nobody has rights in a namespace.
	closed := func(ctx SpecContext, namespace string) {
		GinkgoHelper()
		bindings := &rbacv1.RoleBindingList{}
		Expect(env.Client.List(ctx, bindings, client.InNamespace(namespace))).To(Succeed())
		Expect(bindings.Items).NotTo(ContainElement(HaveField("RoleRef.Name", "edit")), namespace)
	}

	It("come before all else in the primary namespace, too", func(ctx SpecContext) {
		Expect(env.Client.Create(ctx, named("unwalled", of("unwalled")))).To(Succeed())
		foreign := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "unwalled", Name: "allow-tenant"}}
		Expect(env.Client.Create(ctx, foreign)).To(Succeed())
		tenant := apply(ctx, roomy("unwalled", 2).Quota("pods", "10").App(image))
		waits := `It waits for the walls of namespace "unwalled"; QuotaReady and NetworkReady say what keeps those from being in place.`
		Eventually(ctx, komega.Object(tenant)).Should(And(
			haveCondition(v1alpha1.ConditionNetworkReady, "False", v1alpha1.ReasonConflict, `NetworkPolicy "allow-tenant" in namespace "unwalled" exists already`),
			haveCondition(v1alpha1.ConditionAccessReady, "False", v1alpha1.ReasonProgressing, waits),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonProgressing, waits),
			haveCondition(v1alpha1.ConditionQuotaReady, "True", v1alpha1.ReasonReady, "")))
		read(ctx, in(tenant, &networkingv1.NetworkPolicy{}, "deny-all"))
		closed(ctx, "unwalled")
		Expect(apierrors.IsNotFound(komega.Get(in(tenant, &appsv1.Deployment{}, "app"))())).To(BeTrue())

		remove(ctx, foreign)
		waitReady(ctx, tenant)
		runs(ctx, as("editor@unwalled"), "unwalled")
	}, SpecTimeout(specTimeout))

	It("have room in the quota, which is refused where it has none", func(ctx SpecContext) {
		for name, least := range map[corev1.ResourceName]string{
			policies: "4", "configmaps": "2", "count/serviceaccounts": "2", "secrets": "1", "count/rolebindings.rbac.authorization.k8s.io": "3",
			"count/limitranges": "1", "resourcequotas": "1", "count/deployments.apps": "1", "count/tenantpolicies.tenantry.dev": "1", "services": "1",
		} {
			tenant := roomy("scant", 2).Database(shared).App(image).Port(8080).Quota(name, "0").Build()
			Eventually(ctx, func() error { return env.Client.Create(ctx, tenant.DeepCopy(), client.DryRunAll) }).Should(MatchError(ContainSubstring(
				"spec.quota has too little of "+string(name)+" for what the operator itself puts into a namespace; write at least "+least+" for each namespace, or leave the entry out")), string(name))
			Expect(env.Client.Create(ctx, roomy("scant", 2).Database(shared).App(image).Port(8080).Quota(name, least).Build(), client.DryRunAll)).To(Succeed(), string(name))
		}
		scaled := roomy("scant", 2).App(image).MaxReplicas(5).Quota("count/horizontalpodautoscalers.autoscaling", "0").Build()
		Expect(env.Client.Create(ctx, scaled, client.DryRunAll)).To(MatchError(ContainSubstring("spec.quota has too little of count/horizontalpodautoscalers.autoscaling")))
		workers := roomy("scant", 2).App(image).MaxReplicas(5).ScaledWorker("mail", 3, "/worker").Quota("count/horizontalpodautoscalers.autoscaling", "1").Build()
		Expect(env.Client.Create(ctx, workers, client.DryRunAll)).To(MatchError(ContainSubstring("spec.quota has too little of count/horizontalpodautoscalers.autoscaling for what the operator itself puts into a namespace; write at least 2")))
		Expect(env.Client.Create(ctx, bare("scant").Quota("secrets", "0").Quota("services", "0").Quota("count/deployments.apps", "0").Build(), client.DryRunAll)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("have room in further namespaces before anything else gets some of the quota", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("hemmed-in", 3).Quota(policies, "6").Quota("count/rolebindings.rbac.authorization.k8s.io", "20"))
		owner := as("admin@hemmed-in")
		Expect(owner.Create(ctx, named("hemmed-in-dev", of("hemmed-in")))).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(And(HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(2)))), beReady()))
		runs(ctx, as("editor@hemmed-in"), "hemmed-in-dev")

		By("saying what is missing where it has none")
		resume, err := env.Kubernetes.Halt("kube-controller-manager")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(resume)
		Expect(owner.Create(ctx, named("hemmed-in-test", of("hemmed-in")))).To(Succeed())
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "hemmed-in-test", Name: "tenant"}}
		Eventually(ctx, komega.Get(quota)).Should(Succeed())
		// What the operator creates before the quota counts gets in.
		Expect(env.Operator.Stop()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.RestartOperator(ctx) })
		Expect(env.Client.DeleteAllOf(ctx, &networkingv1.NetworkPolicy{}, client.InNamespace("hemmed-in-test"))).To(Succeed())
		Expect(resume()).To(Succeed())
		Eventually(ctx, komega.Object(quota)).Should(HaveField("Status.Hard", HaveKey(policies)))
		Expect(env.StartOperator(ctx)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(And(
			haveCondition(v1alpha1.ConditionQuotaReady, "False", v1alpha1.ReasonInvalid,
				"The quota has no room for what the operator itself puts into the tenant's namespaces, which is count/networkpolicies.networking.k8s.io 9 of 6."),
			haveCondition(v1alpha1.ConditionNetworkReady, "False", v1alpha1.ReasonQuotaExceeded, "The quota leaves no room for networkpolicies")))
		closed(ctx, "hemmed-in-test")
		runs(ctx, as("editor@hemmed-in"), "hemmed-in")

		change(ctx, tenant, func() { tenant.Spec.Quota[policies] = resource.MustParse("9") })
		waitReady(ctx, tenant)
		runs(ctx, as("editor@hemmed-in"), "hemmed-in-test")
	}, SpecTimeout(specTimeout))

	It("leave no doubt about which count is exhausted", func(ctx SpecContext) {
		const bindings = corev1.ResourceName("count/rolebindings.rbac.authorization.k8s.io")
		tenant := applyReady(ctx, bare("bound").Quota(bindings, "2").Owner(v1alpha1.OwnerKindUser, "admin@bound", v1alpha1.OwnerRoleAdmin))
		own := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "bound", Name: "own"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "guest"}},
		}
		Expect(as("admin@bound").Create(ctx, own)).To(Succeed())
		change(ctx, tenant, func() {
			tenant.Spec.Owners = append(tenant.Spec.Owners, v1alpha1.Owner{Kind: v1alpha1.OwnerKindUser, Name: "viewer@bound", Role: v1alpha1.OwnerRoleViewer})
		})
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAccessReady, "False", v1alpha1.ReasonQuotaExceeded,
			"The quota leaves no room for rolebindings", "Raise spec.quota, or remove what uses it up."))
		change(ctx, tenant, func() { tenant.Spec.Quota[bindings] = resource.MustParse("3") })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})
