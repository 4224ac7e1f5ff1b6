package nodes

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

// rolledOut waits until all pods of a tenant's app are new ones.
func rolledOut(ctx SpecContext, tenant string) {
	GinkgoHelper()
	Expect(kubectl(ctx, "rollout", "status", "deployment/app", "--namespace="+tenant, "--timeout=2m")).To(ContainSubstring("successfully rolled out"))
}

// page returns what the app of a tenant answers at a path, asked from outside.
func page(ctx SpecContext, tenant, path string) (string, error) {
	return kubectl(ctx, "exec", "--namespace="+outside, "client", "--", "/peer", "get", "http://app."+tenant+":8080"+path)
}

var _ = Describe("An app with two replicas", Ordered, func() {
	const name = "busy"
	var tenant *v1alpha1.Tenant

	BeforeAll(func(ctx SpecContext) {
		tenant = builders.Tenant(name).App(peer).Command("/peer", "serve").Port(8080).Replicas(2).Ingress(fromOutside()).Build()
		Expect(cl.Create(ctx, tenant)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(ready())
	}, NodeTimeout(specTimeout))

	It("gets its settings, and answers each request while they change", func(ctx SpecContext) {
		client := ask(ctx, name, "/", oneClient)
		for _, value := range []string{"hello", "hi", "good evening"} {
			Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.Config = map[string]string{"GREETING": value} })).Should(Succeed())
			Eventually(ctx, page).WithArguments(name, "/GREETING").Should(HaveSuffix(value))
			rolledOut(ctx, name)
		}
		Expect(client.answered()).To(allAnswered())
	}, SpecTimeout(specTimeout))

	It("answers each request while a node with its pods is drained", func(ctx SpecContext) {
		drained := podsOf(ctx, name)[0].Spec.NodeName
		client := ask(ctx, name, "/", oneClient)
		DeferCleanup(kubectl, "uncordon", drained)
		Expect(kubectl(ctx, "drain", drained, "--pod-selector="+naming.LabelTenant+"="+name, "--timeout=2m")).To(ContainSubstring("evicted"))
		Eventually(ctx, func() []corev1.Pod { return podsOf(ctx, name) }).Should(And(
			HaveLen(2), HaveEach(HaveField("Spec.NodeName", Not(Equal(drained))))))
		Eventually(ctx, komega.Object(tenant)).Should(ready())
		Expect(client.answered()).To(allAnswered())
	}, SpecTimeout(specTimeout))

	It("can't get out of its containers, and has no token", func(ctx SpecContext) {
		Expect(kubectl(ctx, "exec", "--namespace="+name, podsOf(ctx, name)[0].Name, "--", "/peer", "escape")).To(MatchRegexp(`\Atried \d+\z`))
	}, SpecTimeout(specTimeout))

	It("runs as the user and group that the tenant says", func(ctx SpecContext) {
		Eventually(ctx, komega.Update(tenant, func() {
			tenant.Spec.App.SecurityContext = v1alpha1.AppSecurityContext{RunAsUser: 1234, RunAsGroup: new(int64(5678))}
		})).Should(Succeed())
		Eventually(ctx, func() []corev1.Pod { return podsOf(ctx, name) }).Should(ContainElement(HaveField("Spec.SecurityContext.RunAsUser", HaveValue(Equal(int64(1234))))))
		rolledOut(ctx, name)
		// Pods that end serve on for a moment.
		Eventually(ctx, page).WithArguments(name, "/").Should(ContainSubstring("user 1234, group 5678"))
	}, SpecTimeout(specTimeout))

	It("writes to its storage, and finds that again when its pod is replaced, whoever it runs as", func(ctx SpecContext) {
		keep := func(ctx SpecContext, line string) (string, error) {
			return kubectl(ctx, "exec", "--namespace="+name, "deployment/app", "--", "/peer", "keep", "/data/notes", line)
		}
		Eventually(ctx, komega.Update(tenant, func() {
			app := tenant.Spec.App
			app.Replicas = new(int32(1))
			app.SecurityContext = v1alpha1.AppSecurityContext{RunAsUser: 1234, RunAsGroup: new(int64(5678))}
			app.Volumes = []v1alpha1.AppVolume{{Name: "notes", Storage: &v1alpha1.AppStorage{Size: resource.MustParse("300Mi")}}}
			app.VolumeMounts = []v1alpha1.AppVolumeMount{{Name: "notes", MountPath: "/data"}}
		})).Should(Succeed())
		Eventually(ctx, keep).WithArguments("first").Should(Equal("first"))
		former := podsOf(ctx, name)

		Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.App.SecurityContext = v1alpha1.AppSecurityContext{RunAsUser: 4321} })).Should(Succeed())
		Eventually(ctx, page).WithArguments(name, "/").Should(ContainSubstring("user 4321"))
		rolledOut(ctx, name)
		Expect(podsOf(ctx, name)).To(HaveExactElements(HaveField("UID", Not(Equal(former[0].UID)))))
		Expect(keep(ctx, "second")).To(Equal("first\nsecond"))
	}, SpecTimeout(specTimeout))
})
