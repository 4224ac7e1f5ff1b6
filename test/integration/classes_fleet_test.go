package integration

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

var _ = Describe("A TenantClass with many tenants", Ordered, func() {
	const tenants = 30
	var gold *v1alpha1.TenantClass
	name := func(i int) string { return fmt.Sprintf("gold-many-%02d", i) }
	followed := func(ctx SpecContext, pods string) {
		GinkgoHelper()
		for i := range tenants {
			Eventually(ctx, func() string { return quotaOf(ctx, builders.Tenant(name(i)).Build(), "pods") }).Should(Equal(pods))
		}
	}

	BeforeAll(func(ctx SpecContext) {
		gold = class(ctx, "gold-many", `{tenant: {quota: {pods: "3"}}, rollout: {maxUnavailable: 100%}}`)
		for i := range tenants {
			Expect(env.Client.Create(ctx, member(name(i), "gold-many"))).To(Succeed())
		}
		DeferCleanup(func(ctx SpecContext) {
			for i := range tenants {
				Expect(env.Client.Delete(ctx, builders.Tenant(name(i)).Build())).To(Succeed())
			}
			for i := range tenants {
				waitGone(ctx, builders.Tenant(name(i)).Build())
			}
		}, NodeTimeout(specTimeout))
		followed(ctx, "3")
		Eventually(ctx, func() *int32 { return classState(ctx, "gold-many").Status.Ready }).Should(Equal(new(int32(tenants))))
	}, NodeTimeout(specTimeout))

	It("reaches them with one edit, a write for each quota and one for each status, and says how far it is once a second", func(ctx SpecContext) {
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		begun := time.Now()
		changeClass(ctx, gold, func(spec *v1alpha1.TenantClassSpec) {
			spec.Tenant.Quota = builders.Tenant("x").Quota("pods", "4").Build().Spec.Quota
		})
		followed(ctx, "4")
		for i := range tenants {
			Eventually(ctx, func() string {
				hard := read(ctx, builders.Tenant(name(i)).Build()).Status.Usage.Hard[corev1.ResourcePods]
				return hard.String()
			}).Should(Equal("4"))
		}
		took := time.Since(begun)
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		var quotas, statuses, ofClass int
		var others []string
		for _, request := range requests {
			switch {
			case !request.Writes() || request.Resource == "tenantclasses" || !strings.HasPrefix(request.Namespace+request.Name, "gold-many"):
			case request.Resource == "resourcequotas":
				quotas++
			case request.Resource == "tenants/status":
				statuses++
			case request.Resource == "tenantclasses/status":
				ofClass++
			default:
				others = append(others, request.String())
			}
		}
		AddReportEntry("release", fmt.Sprintf("%d tenants in %s: %d writes of quotas, %d of their statuses, %d of the status of the class, and %v", tenants, took.Round(time.Millisecond), quotas, statuses, ofClass, others))
		Expect(quotas).To(Equal(tenants))
		Expect(ofClass).To(BeNumerically("<=", 2+int(took.Seconds())))
		Expect(others).To(ConsistOf(HavePrefix("create tenantclassrevisions gold-many-")))
	}, SpecTimeout(specTimeout))

	It("counts them again after a restart of the operator, without a write", func(ctx SpecContext) {
		Eventually(ctx, func() *int32 { return classState(ctx, "gold-many").Status.Ready }).Should(Equal(new(int32(tenants))))
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		Expect(env.RestartOperator(ctx)).To(Succeed())
		tenant := create(ctx, member("gold-many-more", "gold-many"))
		waitReady(ctx, tenant)
		Eventually(ctx, func() *int32 { return classState(ctx, "gold-many").Status.Ready }).Should(Equal(new(int32(tenants + 1))))
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		for i := range tenants {
			Expect(requests).NotTo(ContainElement(And(HaveField("Writes()", true), Or(HaveField("Name", name(i)), HaveField("Namespace", name(i))))))
		}
		Expect(requests).To(ContainElement(environment.Request{Verb: "patch", Resource: "tenantclasses/status", Name: "gold-many", Code: 200}))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("What is only in a TenantClass", func() {
	It("holds up its tenants until it is there, and no longer", func(ctx SpecContext) {
		class(ctx, "gold-later", `{tenant: {database: {serverRef: {name: gold-server}}, owners: [{kind: ServiceAccount, namespace: gold-platform, name: deployer, role: Admin}]}}`)
		tenant := member("gold-early", "gold-later")
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(And(
			haveCondition(v1alpha1.ConditionDatabaseReady, "False", v1alpha1.ReasonServerNotFound),
			haveCondition(v1alpha1.ConditionAccessReady, "False", v1alpha1.ReasonUntrustedOwner)))
		ownServer(ctx, "gold-server")
		platform := &corev1.Namespace{}
		platform.Name = "gold-platform"
		Expect(env.Client.Create(ctx, platform)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, platform) })
		waitReady(ctx, tenant)
		remove(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("applies to the end of a tenant, too", func(ctx SpecContext) {
		server, _ := ownServer(ctx, "gold-ending")
		class(ctx, "gold-dropped", `{tenant: {database: {serverRef: {name: gold-ending}, reclaimPolicy: Delete}}}`)
		tenant := member("gold-dropping", "gold-dropped")
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		waitReady(ctx, tenant)
		database := tenant.Status.Database.Name
		Expect(onServer(ctx, server, database)).NotTo(BeEmpty())
		remove(ctx, tenant)
		Expect(onServer(ctx, server, database)).To(BeEmpty())
	}, SpecTimeout(specTimeout))
})
