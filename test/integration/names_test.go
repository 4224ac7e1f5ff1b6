package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

var _ = Describe("A ServiceAccount that owns a tenant", Label("K3"), func() {
	DescribeTable("has no rights while its namespace is nobody's or another tenant's, whatever it is called:", func(ctx SpecContext, name string, own func(tenant *builders.TenantBuilder, space string) *builders.TenantBuilder) {
		space := name + "-neighbor-ci"
		tenant := apply(ctx, own(bare(name), space))
		config := env.Kubernetes.Config()
		config.Impersonate = rest.ImpersonationConfig{
			UserName: "system:serviceaccount:" + space + ":deployer", Groups: []string{"system:serviceaccounts:" + space, "system:authenticated"},
		}
		deployer, err := client.New(config, client.Options{Scheme: env.Client.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		may := func() (bool, error) {
			err := deployer.List(ctx, &corev1.PodList{}, client.InNamespace(name))
			if apierrors.IsForbidden(err) {
				return false, nil
			}
			return err == nil, err
		}
		Eventually(ctx, komega.Object(tenant)).Should(And(
			stalled(v1alpha1.ReasonUntrustedOwner, "the namespace "+space+" doesn't exist", "Create the namespace, name another owner, or set the owner's trustNamespace to true."),
			haveCondition(v1alpha1.ConditionAccessReady, "False", v1alpha1.ReasonUntrustedOwner)))
		Expect(may()).To(BeFalse())

		By("belonging to another tenant, whose owner has made it")
		neighbor := applyReady(ctx, roomy(name+"-neighbor", 2))
		Expect(as("admin@"+neighbor.Name).Create(ctx, named(space, of(neighbor.Name)))).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonUntrustedOwner, "the namespace "+space+" is one of the Tenant "+neighbor.Name))
		Expect(may()).To(BeFalse())

		By("being trusted by an admin")
		change(ctx, tenant, func() { tenant.Spec.Owners[0].TrustNamespace = true })
		waitReady(ctx, tenant)
		Eventually(ctx, may).Should(BeTrue())

		By("no longer being trusted, and then belonging to no tenant")
		change(ctx, tenant, func() { tenant.Spec.Owners[0].TrustNamespace = false })
		Eventually(ctx, may).Should(BeFalse())
		kubectl(ctx, "label", "namespace", space, tenantLabel+"-")
		waitReady(ctx, tenant)
		Eventually(ctx, may).Should(BeTrue())

		By("going")
		remove(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space}})
		Eventually(ctx, may).Should(BeFalse())
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonUntrustedOwner, "doesn't exist"))
	},
		Entry("by its own name", SpecTimeout(specTimeout), "customs", func(tenant *builders.TenantBuilder, space string) *builders.TenantBuilder {
			return tenant.ServiceAccountOwner(space, "deployer", v1alpha1.OwnerRoleEditor)
		}),
		Entry("as a user", SpecTimeout(specTimeout), "border", func(tenant *builders.TenantBuilder, space string) *builders.TenantBuilder {
			return tenant.Owner(v1alpha1.OwnerKindUser, "system:serviceaccount:"+space+":deployer", v1alpha1.OwnerRoleEditor)
		}),
		Entry("as a group", SpecTimeout(specTimeout), "harbor", func(tenant *builders.TenantBuilder, space string) *builders.TenantBuilder {
			return tenant.Owner(v1alpha1.OwnerKindGroup, "system:serviceaccounts:"+space, v1alpha1.OwnerRoleEditor)
		}),
	)
})

var _ = Describe("The names of a tenant's further namespaces", Label("K3"), func() {
	It("begin with the tenant's, or are allowed by the Tenant", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("christened", 3))
		owner := as("admin@christened")
		tries := func(name string) func() error {
			return func() error { return owner.Create(ctx, named(name, of("christened")), client.DryRunAll) }
		}
		sentence := " may be meant for somebody else. Let it begin with christened-, or ask whoever manages the tenant to allow it by spec.namespaces.allowedNames."
		for _, name := range []string{"ci", "christened2", "shop-eu", "playground"} {
			Expect(tries(name)()).To(And(MatchError(apierrors.IsForbidden, "forbidden"), MatchError(ContainSubstring("The name "+name+sentence))))
		}
		Expect(tries("christened-dev")()).To(Succeed())

		change(ctx, tenant, func() {
			tenant.Spec.Namespaces.AllowedNames = []v1alpha1.NamespacePattern{"shop-*", "a-b-c-d-*", "playground"}
		})
		for _, name := range []string{"shop-eu", "shop-eu-west-1-blue-green", "a-b-c-d-e", "playground", "christened-dev"} {
			Eventually(ctx, tries(name)).Should(Succeed(), name)
		}
		for _, name := range []string{"shop", "shopping", "a-b-c-d", "a-b-c-e", "playground-2", "kube-shop"} {
			Expect(tries(name)()).To(MatchError(apierrors.IsForbidden, "forbidden"), name)
		}
		Expect(as("editor@christened").Create(ctx, named("shop-eu", of("christened")), client.DryRunAll)).To(MatchError(ContainSubstring("You may not create namespaces")))
		Expect(env.Client.Create(ctx, named("anything", of("christened")), client.DryRunAll)).To(Succeed())

		By("giving nobody that name away")
		Expect(owner.Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "christened", Name: "more"}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"tenantry.dev"}, Resources: []string{"tenants/namespaces"}, Verbs: []string{"create"}, ResourceNames: []string{"ci"},
		}}})).To(MatchError(apierrors.IsForbidden, "forbidden"))

		change(ctx, tenant, func() { tenant.Spec.Namespaces.AllowedNames = nil })
		waitReady(ctx, tenant)
		Eventually(ctx, tries("playground")).Should(MatchError(ContainSubstring("The name playground" + sentence)))
	}, SpecTimeout(specTimeout))

	It("are handed over to a Tenant that comes later, in the way that it says", func(ctx SpecContext) {
		earlier := applyReady(ctx, roomy("elder", 3).Quota("pods", "10"))
		Expect(as("admin@elder").Create(ctx, named("elder-kin", of("elder")))).To(Succeed())
		runs(ctx, as("editor@elder"), "elder-kin")
		later := apply(ctx, roomy("elder-kin", 2))
		command := "kubectl label namespace elder-kin tenantry.dev/tenant=elder-kin --overwrite"
		Eventually(ctx, komega.Object(later)).Should(And(
			stalled(v1alpha1.ReasonConflict, `Namespace "elder-kin" belongs to Tenant "elder" and is left as it is. Give this Tenant another name, delete the namespace, or hand it over with all that is in it: `+command),
			haveCondition(v1alpha1.ConditionNamespaceReady, "False", v1alpha1.ReasonConflict)))
		kubectl(ctx, "label", "namespace", "elder-kin", "tenantry.dev/tenant=elder-kin", "--overwrite")
		waitReady(ctx, later)
		Eventually(ctx, komega.Object(earlier)).Should(And(haveStates(HaveLen(1)), beReady()))
		read(ctx, pod("elder-kin", "hello"))
		Expect(metav1.IsControlledBy(read(ctx, namespaceOf(later)), later)).To(BeTrue())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("The namespaces of a tenant beyond its limit", Label("K20"), func() {
	It("are few, and told to its owners", func(ctx SpecContext) {
		tenant := applyReady(ctx, roomy("overgrown", 2))
		owner := as("admin@overgrown")
		for _, name := range []string{"overgrown-1", "overgrown-2", "overgrown-3", "overgrown-4", "overgrown-5", "overgrown-6"} {
			Expect(owner.Create(ctx, named(name, of("overgrown")))).To(Succeed())
			Eventually(ctx, komega.Object(tenant)).Should(haveStates(HaveKey(name)))
		}
		more := func() error { return owner.Create(ctx, named("overgrown-7", of("overgrown")), client.DryRunAll) }
		Eventually(ctx, more).Should(MatchError(ContainSubstring("You may not create namespaces for the tenant overgrown.")))

		By("deleting one")
		Eventually(ctx, func() error {
			return owner.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "overgrown-6"}})
		}).Should(Succeed())
		Eventually(ctx, more).Should(Succeed())
	}, SpecTimeout(specTimeout))
})
