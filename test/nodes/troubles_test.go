package nodes

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// troubles are apps that don't run, with what their Tenants say.
var troubles = []struct {
	name   string
	tenant *builders.TenantBuilder
	words  []string
}{
	{
		"has an image that can't be pulled", builders.Tenant("unpullable").App("registry.invalid/shop:1"),
		[]string{"registry.invalid"},
	},
	{
		"has a command that isn't in its image", builders.Tenant("unstartable").App(peer).Command("/absent"),
		[]string{"/absent"},
	},
	{
		"ends", builders.Tenant("ending").App(peer).Command("/peer", "dial"),
		[]string{"exit code 0"},
	},
	{
		"has an image that runs as root", builders.Tenant("rootful").App(rootful),
		[]string{"runAsNonRoot"},
	},
	{
		"needs more memory than its limit",
		builders.Tenant("hungry").App(peer).Command("/peer", "eat").Limit(corev1.ResourceMemory, "32Mi").Request(corev1.ResourceMemory, "32Mi"),
		[]string{"OOMKilled", "raise spec.app.resources.limits.memory"},
	},
	{
		"hangs", builders.Tenant("hanging").App(peer).Command("/peer", "sleep").Probes(unwell(), nil, unwell()),
		[]string{"exit code"},
	},
	{
		"is never ready", builders.Tenant("unready").App(peer).Command("/peer", "serve").Port(8080).Probes(nil, unwell(), nil),
		[]string{"its readiness probe has not succeeded"},
	},
	{
		"doesn't listen on its port", builders.Tenant("deaf").App(peer).Command("/peer", "sleep").Port(8080),
		[]string{"its readiness probe has not succeeded"},
	},
}

// unwell returns a probe that always fails.
func unwell() *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(9)}}, PeriodSeconds: 1,
	}
}

var _ = Describe("A Tenant whose app", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		for _, trouble := range troubles {
			tenant := trouble.tenant.Build()
			Expect(cl.Create(ctx, tenant)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(cl.Delete(ctx, tenant)).To(Succeed()) })
		}
	})

	for _, trouble := range troubles {
		It(trouble.name+" says why", func(ctx SpecContext) {
			for _, words := range trouble.words {
				Eventually(ctx, komega.Object(trouble.tenant.Build()), slowly).Should(HaveField("Status.Conditions", ContainElement(And(
					HaveField("Type", v1alpha1.ConditionAppReady), HaveField("Message", ContainSubstring(words))))))
			}
		}, SpecTimeout(specTimeout))
	}
})
