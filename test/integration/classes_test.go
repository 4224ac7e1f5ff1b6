package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

// class creates a TenantClass with this spec, and deletes it at the end of the spec, after its tenants.
func class(ctx context.Context, name, spec string, annotations ...string) *v1alpha1.TenantClass {
	GinkgoHelper()
	made := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, annotation := range annotations {
		metav1.SetMetaDataAnnotation(&made.ObjectMeta, annotation, "true")
	}
	Expect(yaml.UnmarshalStrict([]byte(spec), &made.Spec)).To(Succeed())
	Expect(env.Client.Create(ctx, made)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(env.Client.Delete(ctx, made))).To(Succeed())
		Eventually(ctx, func() error { return env.Client.Get(ctx, client.ObjectKeyFromObject(made), made) }).Should(MatchError(apierrors.IsNotFound, "gone"))
	}, NodeTimeout(specTimeout))
	return made
}

// changeClass changes a class, as kubectl edit does.
func changeClass(ctx context.Context, made *v1alpha1.TenantClass, mutate func(*v1alpha1.TenantClassSpec)) {
	GinkgoHelper()
	Eventually(ctx, func() error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(made), made); err != nil {
			return err
		}
		mutate(&made.Spec)
		return env.Client.Update(ctx, made)
	}).Should(Succeed())
}

// member begins a tenant of a class.
func member(name, class string) *v1alpha1.Tenant {
	tenant := builders.Tenant(name).Build()
	tenant.Spec.ClassName = &class
	return tenant
}

// create creates a tenant, and deletes it at the end of the spec.
func create(ctx context.Context, tenant *v1alpha1.Tenant) *v1alpha1.Tenant {
	GinkgoHelper()
	Expect(env.Client.Create(ctx, tenant)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { remove(ctx, tenant) }, NodeTimeout(specTimeout))
	return tenant
}

func classState(ctx context.Context, name string) *v1alpha1.TenantClass {
	GinkgoHelper()
	found := &v1alpha1.TenantClass{}
	Expect(env.Client.Get(ctx, client.ObjectKey{Name: name}, found)).To(Succeed())
	return found
}

// requestsOn returns the writes since a mark that are about a tenant, but for what only its own status says.
func requestsOn(mark environment.Mark, tenant string) []environment.Request {
	GinkgoHelper()
	requests, err := env.Audit.Since(mark)
	Expect(err).NotTo(HaveOccurred())
	return slices.DeleteFunc(requests, func(request environment.Request) bool {
		return request.Name != tenant && request.Namespace != tenant
	})
}

const goldSpec = `
description: For customers with a contract
tenant:
  quota: {pods: "10", requests.cpu: "4"}
  database: {isolation: Database, serverRef: {name: shared}}
  app: {image: "registry.example/shop:1", port: 8080}
`

var _ = Describe("A TenantClass", func() {
	It("gives its tenants what they don't say, and follows them with one edit", func(ctx SpecContext) {
		gold := class(ctx, "gold-plain", goldSpec)
		tenant := create(ctx, member("gold-plain-acme", "gold-plain"))
		overriding := member("gold-plain-globex", "gold-plain")
		overriding.Spec.App = &v1alpha1.TenantApp{Image: "registry.example/shop:own", Replicas: new(int32(2))}
		create(ctx, overriding)
		waitReady(ctx, tenant)
		waitReady(ctx, overriding)

		Expect(read(ctx, tenant).Spec).To(Equal(member("gold-plain-acme", "gold-plain").Spec), "nothing of the class is stored in it")
		Expect(tenant.Status.Class.Name).To(Equal("gold-plain"))
		Expect(tenant.Status.Database.Isolation).To(Equal(v1alpha1.DatabaseIsolationDatabase))
		Expect(tenant.Status.App.Image).To(Equal("registry.example/shop:1"))
		Expect(read(ctx, overriding).Status.App.Image).To(Equal("registry.example/shop:own"))
		Expect(kubectl(ctx, "get", "tenants", "gold-plain-acme")).To(MatchRegexp(`CLASS(.|\n)*gold-plain\s`))
		Eventually(ctx, func() string { return kubectl(ctx, "get", "tnc", "gold-plain") }).Should(MatchRegexp(`TENANTS\s+UPDATED\s+READY\s+FAILED(.|\n)*\s2\s+2\s+2\s+0\s+2 of 2 tenants are ready\.`))

		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		changeClass(ctx, gold, func(spec *v1alpha1.TenantClassSpec) { spec.Tenant.App.Image = "registry.example/shop:2" })
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(HaveField("Status.App.Image", "registry.example/shop:2"))
		waitReady(ctx, tenant)
		Expect(requestsOn(mark, "gold-plain-globex")).To(BeEmpty(), "what changes nothing for a tenant is no write for it")

		mark, err = env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		changeClass(ctx, gold, func(spec *v1alpha1.TenantClassSpec) { spec.Description = "For others" })
		Eventually(ctx, func() int64 { return classState(ctx, "gold-plain").Status.ObservedGeneration }).Should(Equal(gold.Generation))
		Expect(append(requestsOn(mark, "gold-plain-acme"), requestsOn(mark, "gold-plain-globex")...)).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("takes a tenant over that says the same, without a write to its objects or a restart", func(ctx SpecContext) {
		class(ctx, "gold-migrated", goldSpec)
		before := builders.Tenant("gold-migrating").Quota("pods", "10").Quota("requests.cpu", "4").Database("shared").
			Isolation(v1alpha1.DatabaseIsolationDatabase).App("registry.example/shop:1").Port(8080).Build()
		tenant := create(ctx, before)
		waitReady(ctx, tenant)
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(HaveField("Status.Usage.Used", HaveKey(corev1.ResourcePods)))
		pods := podUIDs(ctx, tenant)
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		change(ctx, tenant, func() { tenant.Spec = member("", "gold-migrated").Spec })
		waitReady(ctx, tenant)
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(HaveField("Status.Class", Not(BeNil())))
		Expect(podUIDs(ctx, tenant)).To(Equal(pods))
		writes := slices.DeleteFunc(requestsOn(mark, "gold-migrating"), func(request environment.Request) bool {
			return request.Resource == "tenants" || request.Resource == "tenants/status"
		})
		Expect(writes).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("that doesn't exist leaves its tenants as they are, and they say so until it does", func(ctx SpecContext) {
		tenant := member("gold-awaiting", "gold-late")
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonClassNotFound,
			`There is no TenantClass "gold-late", and the tenant stays as it is; create it, or name another one in spec.className.`))
		class(ctx, "gold-late", `{tenant: {quota: {pods: "3"}}}`)
		waitReady(ctx, tenant)
		remove(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("is held back while it is in use, and says by how many", func(ctx SpecContext) {
		gold := class(ctx, "gold-held", `{tenant: {quota: {pods: "3"}}}`)
		tenant := create(ctx, member("gold-holding", "gold-held"))
		waitReady(ctx, tenant)
		Expect(env.Client.Delete(ctx, gold)).To(Succeed())
		Eventually(ctx, func() []metav1.Condition { return classState(ctx, "gold-held").Status.Conditions }).Should(ContainElement(And(
			HaveField("Type", v1alpha1.ConditionDeletionBlocked), HaveField("Message", HavePrefix("1 tenant has this class; it is removed once they have another class or are deleted.")))))
		change(ctx, tenant, func() { tenant.Spec.ClassName = new("") })
		Eventually(ctx, func() error { return env.Client.Get(ctx, client.ObjectKeyFromObject(gold), gold) }).Should(MatchError(apierrors.IsNotFound, "gone"))
		waitReady(ctx, tenant)
		Expect(read(ctx, tenant).Status.Class).To(BeNil())
	}, SpecTimeout(specTimeout))

	It("can be changed, and what is fixed stays, which the tenant says", func(ctx SpecContext) {
		class(ctx, "gold-database", goldSpec)
		class(ctx, "gold-schema", strings.Replace(goldSpec, "isolation: Database", "isolation: Schema, connectionLimit: 7", 1))
		tenant := create(ctx, member("gold-changing", "gold-database"))
		waitReady(ctx, tenant)
		change(ctx, tenant, func() { tenant.Spec.ClassName = new("gold-schema") })
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(And(
			HaveField("Status.Class.Name", "gold-schema"),
			HaveField("Status.Database.ConnectionLimit", int32(7)),
			HaveField("Status.Database.Isolation", v1alpha1.DatabaseIsolationDatabase),
			haveCondition(v1alpha1.ConditionHeldBack, "True", v1alpha1.ReasonImmutable, "spec.database.isolation is Database, and can't become Schema"),
			haveCondition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady)))
		Eventually(ctx, func() *int32 { return classState(ctx, "gold-schema").Status.HeldBack }).Should(Equal(new(int32(1))))
	}, SpecTimeout(specTimeout))

	It("says what is wrong with what a tenant and it say together", func(ctx SpecContext) {
		class(ctx, "gold-merged", `{tenant: {containers: {max: {cpu: "1"}}}, bounds: {rules: [{rule: "!has(self.displayName) || self.displayName != 'Forbidden'", message: this name is taken; choose another}]}}`)
		tenant := member("gold-merging", "gold-merged")
		tenant.Spec.Containers = &v1alpha1.ContainerLimits{Default: builders.Tenant("x").ContainerDefault("cpu", "2").Build().Spec.Containers.Default}
		create(ctx, tenant)
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonInvalid,
			"containers.default is above containers.max; lower the default or raise the maximum"))
		change(ctx, tenant, func() { tenant.Spec.Containers, tenant.Spec.DisplayName = nil, "Forbidden" })
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonInvalid, "this name is taken; choose another"))
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Allowed" })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("whose rule can't be compiled says where, and its tenants go on", func(ctx SpecContext) {
		gold := class(ctx, "gold-ruled", `{tenant: {quota: {pods: "3"}}}`)
		tenant := create(ctx, member("gold-ruling", "gold-ruled"))
		waitReady(ctx, tenant)
		changeClass(ctx, gold, func(spec *v1alpha1.TenantClassSpec) {
			spec.Bounds.Rules = []v1alpha1.TenantClassRule{{Rule: "self.appp == 1", Message: "no"}}
			spec.Tenant.Quota["pods"] = builders.Tenant("x").Quota("pods", "4").Build().Spec.Quota["pods"]
		})
		Eventually(ctx, func() []metav1.Condition { return classState(ctx, "gold-ruled").Status.Conditions }).Should(ContainElement(And(
			HaveField("Type", v1alpha1.ConditionStalled), HaveField("Message", ContainSubstring("spec.bounds.rules[0].rule: compilation failed: ERROR: <input>:1:5: undefined field 'appp'")))))
		Eventually(ctx, func() string { return quotaOf(ctx, tenant, "pods") }).Should(Equal("4"))
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Changed" })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})

// quotaOf returns an entry of a tenant's ResourceQuota.
func quotaOf(ctx context.Context, tenant *v1alpha1.Tenant, name corev1.ResourceName) string {
	GinkgoHelper()
	quota := in(tenant, &corev1.ResourceQuota{}, "tenant")
	Expect(client.IgnoreNotFound(env.Client.Get(ctx, client.ObjectKeyFromObject(quota), quota))).To(Succeed())
	value := quota.Spec.Hard[name]
	return value.String()
}

var _ = Describe("The default TenantClass", Ordered, func() {
	It("is that of new tenants, which keep it", func(ctx SpecContext) {
		earlier := create(ctx, builders.Tenant("undefaulted").Build())
		waitReady(ctx, earlier)
		class(ctx, "default-old", `{tenant: {quota: {pods: "3"}}}`, v1alpha1.AnnotationDefaultClass)
		tenant := create(ctx, builders.Tenant("defaulted").Build())
		waitReady(ctx, tenant)
		Expect(tenant.Status.Class.Name).To(Equal("default-old"))
		assigned := tenant.Status.Class.AssignedAt

		// Times of creation are in seconds.
		Eventually(ctx, func() bool { return metav1.Now().Unix() > classState(ctx, "default-old").CreationTimestamp.Unix() }).Should(BeTrue())
		class(ctx, "default-new", `{tenant: {quota: {pods: "4"}}}`, v1alpha1.AnnotationDefaultClass)
		Eventually(ctx, func() string { return kubectl(ctx, "get", "tnc", "default-old") }).Should(ContainSubstring("and so is default-new, which is newer and applies"))
		next := create(ctx, builders.Tenant("defaulted-next").Build())
		waitReady(ctx, next)
		Expect(next.Status.Class.Name).To(Equal("default-new"))
		none := create(ctx, member("defaulted-none", ""))
		waitReady(ctx, none)
		Expect(none.Status.Class).To(BeNil())

		for _, kept := range []*v1alpha1.Tenant{earlier, tenant} {
			change(ctx, kept, func() { kept.Spec.DisplayName = "Changed" })
			waitReady(ctx, kept)
		}
		Expect(read(ctx, earlier).Status.Class).To(BeNil())
		Expect(read(ctx, tenant).Status.Class).To(And(HaveField("Name", "default-old"), HaveField("AssignedAt", assigned)))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A TenantClassRevision", func() {
	revisions := func(ctx context.Context, class string) []string {
		GinkgoHelper()
		list := &v1alpha1.TenantClassRevisionList{}
		Expect(env.Client.List(ctx, list)).To(Succeed())
		var names []string
		for i := range list.Items {
			if list.Items[i].Spec.ClassName == class {
				names = append(names, list.Items[i].Name)
			}
		}
		return names
	}

	It("is made for what concerns tenants, known again by its content, and kept while it is in use", func(ctx SpecContext) {
		gold := class(ctx, "gold-revised", `{tenant: {quota: {pods: "1"}}, revisionHistoryLimit: 1}`)
		tenant := create(ctx, member("gold-pinned", "gold-revised"))
		waitReady(ctx, tenant)
		first := tenant.Status.Class.Revision
		Expect(first).To(Equal(classState(ctx, "gold-revised").Status.CurrentRevision))

		change(ctx, tenant, func() { tenant.Spec.ClassRevision = first })
		Eventually(ctx, func() *int32 { return classState(ctx, "gold-revised").Status.Pinned }).Should(Equal(new(int32(1))))
		following := create(ctx, member("gold-following", "gold-revised"))
		for pods := range 4 {
			changeClass(ctx, gold, func(spec *v1alpha1.TenantClassSpec) {
				spec.Tenant.Quota = builders.Tenant("x").Quota("pods", fmt.Sprint(pods+2)).Build().Spec.Quota
			})
			Eventually(ctx, func() string { return quotaOf(ctx, following, "pods") }).Should(Equal(fmt.Sprint(pods + 2)))
		}
		Expect(quotaOf(ctx, tenant, "pods")).To(Equal("1"), "a pinned tenant stays")
		Eventually(ctx, func() []string { return revisions(ctx, "gold-revised") }).Should(And(HaveLen(3), ContainElement(first)),
			"the current one, the one that is pinned, and one more")

		changeClass(ctx, gold, func(spec *v1alpha1.TenantClassSpec) {
			spec.Tenant.Quota = builders.Tenant("x").Quota("pods", "1000m").Build().Spec.Quota
		})
		Eventually(ctx, func() string { return classState(ctx, "gold-revised").Status.CurrentRevision }).Should(Equal(first), "equal content is the same revision")
		change(ctx, tenant, func() { tenant.Spec.ClassRevision = "gold-revised-none" })
		Eventually(ctx, func() *v1alpha1.Tenant { return read(ctx, tenant) }).Should(stalled(v1alpha1.ReasonRevisionNotFound, `There is no TenantClassRevision "gold-revised-none"`))
		change(ctx, tenant, func() { tenant.Spec.ClassRevision = "" })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})
