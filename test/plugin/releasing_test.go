package plugin

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

var _ = Describe("kubectl tenantry release pause", func() {
	It("keeps a change of a class from its tenants until kubectl tenantry release resume", func(ctx SpecContext) {
		class := applyClass(ctx, "copper", func(spec *v1alpha1.TenantClassSpec) { spec.Tenant.App = &v1alpha1.TenantApp{Image: image} })
		tenant := owned("coppered").Build()
		tenant.Spec.ClassName = new("copper")
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, tenant) })
		atCurrent := And(
			HaveField("Status.Conditions", ContainElement(And(HaveField("Type", v1alpha1.ConditionReady), HaveField("Reason", v1alpha1.ReasonReady)))),
			HaveField("Status.Updated", HaveValue(BeEquivalentTo(1))))
		Eventually(ctx, komega.Object(class)).Should(atCurrent)

		Expect(admin().run(ctx, "release", "pause", "copper")).To(says("The TenantClass copper is paused: no tenant is told to change until kubectl tenantry release resume copper."))
		Expect(komega.Get(class)()).To(Succeed())
		Expect(class.Spec.Rollout.Paused).To(BeTrue())
		generation := class.Generation
		Expect(admin().run(ctx, "release", "pause", "copper")).To(says("There is nothing to do: the TenantClass copper is paused already."))
		Expect(komega.Get(class)()).To(Succeed())
		Expect(class.Generation).To(Equal(generation), "who has nothing to do changes nothing")
		Expect(admin().run(ctx, "release", "status", "copper")).To(says("✓ TenantClass copper Ready", "! Paused  No tenant is told to change until kubectl tenantry release resume copper."))

		By("changing the class")
		Eventually(ctx, komega.Update(class, func() { class.Spec.Tenant.App.Image = "registry.example/shop:2" })).Should(Succeed())
		Eventually(ctx, func(ctx context.Context) said { return admin().run(ctx, "release", "status", "copper") }).Should(says("! TenantClass copper Paused", "has reached 0 of 1 tenants."))

		By("resuming")
		shown := admin().run(ctx, "release", "resume", "copper")
		Expect(shown).To(says("The TenantClass copper isn't paused any more: its tenants are told to change as spec.rollout says.\n"))
		wait(ctx, shown, "the end of its release")
		Expect(komega.Object(class)()).To(atCurrent)
		Expect(komega.Get(tenant)()).To(Succeed())
		Expect(tenant.Status.Class.Revision).To(Equal(class.Status.CurrentRevision))
		Expect(admin().run(ctx, "release", "resume", "copper")).To(says(Equal("There is nothing to do: the TenantClass copper isn't paused.\n")))
	}, SpecTimeout(specTimeout))

	It("is for who may change classes, as release resume is, and completes their names", func(ctx SpecContext) {
		applyClass(ctx, "nickel", func(spec *v1alpha1.TenantClassSpec) { spec.Description = "A class without tenants" })
		bound(ctx, "reader@nickel", "tenantry-tenantclass-viewer")
		Expect(named("stranger").run(ctx, "release", "pause", "nickel")).To(complains("stranger has no right to get tenantclasses.tenantry.dev nickel."))
		Eventually(ctx, func(ctx context.Context) said { return named("reader@nickel").run(ctx, "release", "pause", "nickel") }).Should(complains(
			"reader@nickel has no right to patch tenantclasses.tenantry.dev nickel. A cluster admin can grant it, with all other changes of all of them: kubectl create clusterrolebinding tenantry-tenantclass-editor:reader@nickel --clusterrole=tenantry-tenantclass-editor"))

		By("which needs more than the right to patch them")
		Expect(env.Kubernetes.Kubectl(ctx, "create", "clusterrole", "patches-classes", "--verb=patch", "--resource=tenantclasses.tenantry.dev")).Error().NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) {
			Expect(env.Kubernetes.Kubectl(ctx, "delete", "clusterrole", "patches-classes")).Error().NotTo(HaveOccurred())
		})
		bound(ctx, "reader@nickel", "patches-classes")
		Eventually(ctx, func(ctx context.Context) said { return named("reader@nickel").run(ctx, "release", "pause", "nickel") }).Should(complains(
			"writing one needs the verb manage on tenantclasses of tenantry.dev, which cluster admins have; ask one of them."))

		for _, command := range []string{"pause", "resume"} {
			Expect(admin().run(ctx, "release", command, "tin")).To(complains("There is no TenantClass tin."), command)
			Expect(admin().exec(ctx, program, "__complete", "release", command, "")).To(HaveField("Out", ContainSubstring("nickel\n")), command)
		}
	}, SpecTimeout(specTimeout))
})
