package plugin

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// wait waits with the command that the plugin has said, as a shell runs it.
func wait(ctx context.Context, shown said, what string) {
	GinkgoHelper()
	_, rest, found := strings.Cut(shown.Out, "To wait for "+what+": kubectl ")
	Expect(found).To(BeTrue(), shown.Out)
	line, _, _ := strings.Cut(rest, "\n")
	Expect(admin().exec(ctx, "/bin/sh", "-c", "exec "+env.Kubernetes.KubectlPath()+" "+line)).To(says("condition met"))
}

// bound gives somebody a ClusterRole until the spec ends.
func bound(ctx context.Context, who, role string) {
	GinkgoHelper()
	name := "spec-" + strings.ReplaceAll(who, "@", "-") + "-" + role
	Expect(env.Kubernetes.Kubectl(ctx, "create", "clusterrolebinding", name, "--clusterrole="+role, "--user="+who)).Error().NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		Expect(env.Kubernetes.Kubectl(ctx, "delete", "clusterrolebinding", name)).Error().NotTo(HaveOccurred())
	})
}

// applyClass creates a TenantClass, which is deleted after the spec.
func applyClass(ctx context.Context, name string, change func(*v1alpha1.TenantClassSpec)) *v1alpha1.TenantClass {
	GinkgoHelper()
	class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	change(&class.Spec)
	Expect(env.Client.Create(ctx, class)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, class) })
	return class
}

// asleepNow is a schedule by which a tenant sleeps all year but on new year's day.
var asleepNow = v1alpha1.HibernationSchedule{Sleep: "0 0 2 1 *", Wake: "0 0 1 1 *"}

var _ = Describe("kubectl tenantry hibernate", func() {
	sleepsOf := func(tenant *v1alpha1.Tenant) func() (v1alpha1.HibernationState, error) {
		return func() (v1alpha1.HibernationState, error) {
			err := komega.Get(tenant)()
			if err != nil || tenant.Status.Hibernation == nil {
				return "", err
			}
			return tenant.Status.Hibernation.State, nil
		}
	}
	podsOf := func(ctx context.Context, name string) int32 {
		GinkgoHelper()
		app := &appsv1.Deployment{}
		Expect(env.Client.Get(ctx, client.ObjectKey{Namespace: name, Name: "app"}, app)).To(Succeed())
		return app.Status.Replicas
	}

	It("puts a tenant to sleep until kubectl tenantry wake, and both say how to wait for that", func(ctx SpecContext) {
		tenant := ready(ctx, owned("tired").Database(shared).App(image).Replicas(2))
		shown := admin().run(ctx, "hibernate", "tired")
		Expect(shown).To(says("The Tenant tired falls asleep: its app and workers end", "It sleeps until kubectl tenantry wake tired."))
		wait(ctx, shown, "it")
		Expect(sleepsOf(tenant)()).To(Equal(v1alpha1.HibernationAsleep))
		Expect(podsOf(ctx, "tired")).To(BeZero())
		Expect(admin().run(ctx, "status", "tired")).To(says("✓ Tenant tired Hibernated"))
		generation := tenant.Generation
		Expect(admin().run(ctx, "hibernate", "tired")).To(says("There is nothing to do: spec.hibernation.suspended of the Tenant tired is true already.", Not(ContainSubstring("kubectl wait"))))

		By("waking it")
		shown = admin().run(ctx, "wake", "tired")
		Expect(shown).To(says("The Tenant tired wakes: first its database, then its app", "It stays awake until kubectl tenantry hibernate tired."))
		wait(ctx, shown, "it")
		Expect(sleepsOf(tenant)()).To(Equal(v1alpha1.HibernationAwake))
		Expect(podsOf(ctx, "tired")).To(Equal(int32(2)))
		Expect(admin().run(ctx, "wake", "tired")).To(says("There is nothing to do: the Tenant tired stays awake until kubectl tenantry hibernate tired."))
		Expect(komega.Get(tenant)()).To(Succeed())
		Expect(tenant.Generation).To(Equal(generation+1), "who has nothing to do changes nothing")
		Expect(tenant.Spec.Hibernation).To(HaveValue(Equal(v1alpha1.TenantHibernation{Suspended: new(false)})))
	}, SpecTimeout(specTimeout))

	It("goes before a schedule, from which wake keeps a tenant for as long as one says", func(ctx SpecContext) {
		tenant := apply(ctx, owned("nightly").App(image).Hibernation(v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{asleepNow}}))
		Eventually(ctx, sleepsOf(tenant)).Should(Equal(v1alpha1.HibernationAsleep))
		shown := admin().run(ctx, "wake", "nightly")
		Expect(shown).To(says(MatchRegexp(`The Tenant nightly wakes: .* It stays awake until 20\S+Z, when spec\.hibernation\.schedules puts it to sleep\.\n`)))
		wait(ctx, shown, "it")
		Expect(sleepsOf(tenant)()).To(Equal(v1alpha1.HibernationAwake))
		Expect(tenant.Spec.Hibernation.WakeUntil.Time).To(BeTemporally("~", time.Now().Add(8*time.Hour), 5*time.Minute))
		Expect(tenant.Status.Hibernation.NextSleep).To(Equal(tenant.Spec.Hibernation.WakeUntil))

		By("for another time")
		Expect(admin().run(ctx, "wake", "nightly", "--for", "90m")).To(says("The Tenant nightly stays awake until "))
		Expect(komega.Get(tenant)()).To(Succeed())
		Expect(tenant.Spec.Hibernation.WakeUntil.Time).To(BeTemporally("~", time.Now().Add(90*time.Minute), 5*time.Minute))
		Expect(admin().run(ctx, "wake", "nightly", "--for", "10s")).To(complains("--for must be 1m or longer, such as 2h."))

		By("putting it to sleep, although it was to be awake")
		shown = admin().run(ctx, "hibernate", "nightly")
		Expect(shown).To(says("The Tenant nightly falls asleep: ", "It sleeps until kubectl tenantry wake nightly, whatever spec.hibernation.schedules says."))
		wait(ctx, shown, "it")
		Expect(komega.Get(tenant)()).To(Succeed())
		Expect(tenant.Spec.Hibernation).To(HaveValue(Equal(v1alpha1.TenantHibernation{Suspended: new(true), Schedules: []v1alpha1.HibernationSchedule{asleepNow}})))

		By("waking it for a while, after which it sleeps again")
		Expect(admin().run(ctx, "wake", "nightly", "--for", "1h")).To(says(MatchRegexp(`It stays awake until 20\S+Z, when spec\.hibernation\.suspended puts it to sleep\.`)))
		Eventually(ctx, sleepsOf(tenant)).Should(Equal(v1alpha1.HibernationAwake))
		Expect(tenant.Spec.Hibernation.Suspended).To(HaveValue(BeTrue()))
	}, SpecTimeout(specTimeout))

	It("follows what the tenant's class says of its sleep, within the bounds of the class", func(ctx SpecContext) {
		class := applyClass(ctx, "drowsy", func(spec *v1alpha1.TenantClassSpec) {
			spec.Tenant.App = &v1alpha1.TenantApp{Image: image}
			spec.Tenant.Hibernation = &v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{asleepNow}}
		})
		made := owned("drowsing").Build()
		made.Spec.ClassName, made.Spec.Owners = new("drowsy"), nil
		Expect(env.Client.Create(ctx, made)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, made) })
		Eventually(ctx, sleepsOf(made)).Should(Equal(v1alpha1.HibernationAsleep))
		Expect(admin().run(ctx, "hibernate", "drowsing")).To(says("The Tenant drowsing stays asleep. It sleeps until kubectl tenantry wake drowsing, whatever spec.tenant.hibernation.schedules of its class drowsy says."))
		shown := admin().run(ctx, "wake", "drowsing", "--for", "1h")
		Expect(shown).To(says(MatchRegexp(`It stays awake until 20\S+Z, when spec\.hibernation\.suspended puts it to sleep\.`)))
		wait(ctx, shown, "it")
		shown = admin().run(ctx, "wake", "drowsing")
		Expect(shown).To(says(MatchRegexp(`stays awake until 20\S+Z, when spec\.tenant\.hibernation\.schedules of its class drowsy puts it to sleep\.`)))

		By("which has its tenants sleep, whatever the time")
		Expect(komega.Get(made)()).To(Succeed())
		revision := made.Status.Class.Revision
		Eventually(ctx, komega.Update(class, func() { class.Spec.Tenant.Hibernation = &v1alpha1.TenantHibernation{Suspended: new(true)} })).Should(Succeed())
		Eventually(ctx, komega.Object(made)).Should(HaveField("Status.Class.Revision", Not(Equal(revision))))
		Eventually(ctx, komega.Update(made, func() { made.Spec.Hibernation = nil })).Should(Succeed())
		Eventually(ctx, sleepsOf(made)).Should(Equal(v1alpha1.HibernationAsleep))
		shown = admin().run(ctx, "wake", "drowsing")
		Expect(shown).To(says("The Tenant drowsing wakes: ", "It stays awake until kubectl tenantry hibernate drowsing."))
		wait(ctx, shown, "it")

		By("which lets no tenant say that")
		Eventually(ctx, komega.Update(made, func() { made.Spec.Hibernation = nil })).Should(Succeed())
		Eventually(ctx, komega.Update(class, func() { class.Spec.Bounds.Overridable = []v1alpha1.TenantField{"quota"} })).Should(Succeed())
		for _, command := range []string{"hibernate", "wake"} {
			Expect(admin().run(ctx, command, "drowsing")).To(complains(
				"The Tenant drowsing may not say that itself: spec has hibernation, which the class drowsy sets; its tenants may write quota; see spec.bounds of its class drowsy."))
		}
	}, SpecTimeout(specTimeout))

	It("is for who may change Tenants, as wake is, and completes their names", func(ctx SpecContext) {
		tenant := ready(ctx, owned("rightful").App(image))
		Expect(named("admin@rightful").run(ctx, "hibernate", "rightful")).To(complains("admin@rightful has no right to get tenants.tenantry.dev rightful."))
		bound(ctx, "admin@rightful", "tenantry-tenant-viewer")
		const lacks = "admin@rightful has no right to patch tenants.tenantry.dev rightful. A cluster admin can grant it, with all other changes of all of them: kubectl create clusterrolebinding tenantry-tenant-editor:admin@rightful"
		Eventually(ctx, func(ctx context.Context) said { return named("admin@rightful").run(ctx, "hibernate", "rightful") }).Should(complains(lacks))
		Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Suspended: new(true)} })).Should(Succeed())
		Expect(named("admin@rightful").run(ctx, "wake", "rightful")).To(complains(lacks))
		for _, command := range []string{"hibernate", "wake"} {
			Expect(admin().run(ctx, command, "nobody")).To(complains("There is no Tenant nobody."), command)
			Expect(admin().exec(ctx, program, "__complete", command, "")).To(HaveField("Out", ContainSubstring("rightful\n")), command)
		}
	}, SpecTimeout(specTimeout))

	It("refuses a tenant that would neither fall asleep nor wake, and says why", func(ctx SpecContext) {
		tenant := ready(ctx, owned("restless").App(image))
		mars := v1alpha1.HibernationSchedule{Sleep: "0 20 * * *", Wake: "0 7 * * *", TimeZone: "Mars/Olympus"}
		Eventually(ctx, komega.Update(tenant, func() {
			tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{mars}}
			tenant.Finalizers = append(tenant.Finalizers, "example.com/hold")
		})).Should(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Eventually(ctx, komega.Update(tenant, func() {
				tenant.Finalizers = slices.DeleteFunc(tenant.Finalizers, func(finalizer string) bool { return finalizer == "example.com/hold" })
			})).Should(Succeed())
		}, NodeTimeout(time.Minute))
		for _, command := range []string{"hibernate", "wake"} {
			Expect(admin().run(ctx, command, "restless")).To(complains(
				`The Tenant restless neither falls asleep nor wakes: spec.hibernation.schedules[0].timeZone is "Mars/Olympus", which is no time zone; write one such as Europe/Berlin, or leave it out for UTC.`))
		}
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		for _, command := range []string{"hibernate", "wake"} {
			Expect(admin().run(ctx, command, "restless")).To(complains("The Tenant restless is being deleted, and neither falls asleep nor wakes any more."))
		}
	}, SpecTimeout(specTimeout))
})
