package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

var _ = Describe("An app whose pods its own Tenant rules out", Label("K11"), func() {
	for _, test := range []struct {
		title  string
		tenant *builders.TenantBuilder
		reason string
		says   string
		mend   func(*v1alpha1.Tenant)
	}{
		{
			"by the default limit", builders.Tenant("above-default").App(image).Request("memory", "1Gi"), v1alpha1.ReasonForbidden,
			"The app requests 1Gi of memory, and its limit is 256Mi; write a spec.app.resources.limits.memory of 1Gi or more, which is that of spec.containers.default.memory where it is left out",
			func(tenant *v1alpha1.Tenant) {
				tenant.Spec.App.Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("1Gi")}
			},
		},
		{
			"by the maximum", builders.Tenant("above-max").App(image).ContainerMax("cpu", "1").Limit("cpu", "2"), v1alpha1.ReasonForbidden,
			"Lower spec.app.resources.limits.cpu to 1 or less, or raise spec.containers.max.cpu.",
			func(tenant *v1alpha1.Tenant) { tenant.Spec.Containers.Max["cpu"] = resource.MustParse("2") },
		},
		{
			"by a quota of what nothing states", builders.Tenant("unstated").App(image).Quota("limits.cpu", "4").ContainerDefault("memory", "300Mi"), v1alpha1.ReasonForbidden,
			"spec.quota counts what the app doesn't state; write spec.app.resources.limits.cpu or spec.containers.default.cpu.",
			func(tenant *v1alpha1.Tenant) { tenant.Spec.Containers.Default["cpu"] = resource.MustParse("500m") },
		},
		{
			"by its policy", builders.Tenant("outlawed").App(image).Policy(func(rules *v1alpha1.PolicyRules) {
				rules.ImageRegistries = []v1alpha1.ImageRegistry{"other.example/"}
			}), v1alpha1.ReasonForbidden,
			"Change spec.app so that it complies, or spec.policy so that it allows that.",
			func(tenant *v1alpha1.Tenant) { tenant.Spec.Policy.ImageRegistries = nil },
		},
	} {
		It("says so in the Tenant's fields, "+test.title, func(ctx SpecContext) {
			tenant := apply(ctx, test.tenant)
			Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "False", test.reason, test.says))
			change(ctx, tenant, func() { test.mend(tenant) })
			waitReady(ctx, tenant)
		}, SpecTimeout(specTimeout))
	}
})
