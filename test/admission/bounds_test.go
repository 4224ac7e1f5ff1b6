package admission

import (
	"context"
	"errors"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
)

const boundedClass = `
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: bounded}
spec:
  tenant:
    quota: {pods: "5", requests.cpu: 500m}
    app: {image: "registry.example/shop:1", port: 8080}
  bounds:
    overridable: [quota, database, app.image, app.replicas, policy.podSecurity, app.resources.limits]
    quota: {pods: "10", requests.cpu: "1"}
    isolations: [Schema, Row]
    imageRegistries: [registry.example/shop, mirror.example/]
`

const openClass = `
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: unbounded}
spec: {tenant: {quota: {pods: "5"}}}
`

// saying returns a Tenant with this spec.
func saying(spec string) *unstructured.Unstructured {
	GinkgoHelper()
	return object("{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, metadata: {name: within}, spec: " + spec + "}")
}

var _ = Describe("The bounds of a class, with the operator stopped,", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		for _, text := range []string{boundedClass, openClass} {
			class := object(text)
			Expect(env.Client.Create(ctx, class)).To(Succeed())
			DeferCleanup(func(ctx context.Context) error { return client.IgnoreNotFound(env.Client.Delete(ctx, class)) })
		}
		Expect(env.Operator.Stop()).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return env.StartOperator(ctx) })
		// For a time after the definition of classes was installed, the API server doesn't know them.
		Eventually(ctx, func() error { return try(ctx, env.Client, saying(`{className: bounded, config: {A: a}}`)) }).
			WithTimeout(atOnce * 2).Should(MatchError(apierrors.IsForbidden, "forbidden"))
	}, NodeTimeout(specTimeout))

	DescribeTable("refuse, with the field, the value and the bound,", func(ctx SpecContext, spec, sentence string) {
		err := try(ctx, env.Client, saying(spec))
		Expect(err).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Expect(err).To(MatchError(HaveSuffix(" denied request: " + sentence)))
		Expect(saidByTheOperator(spec)).To(Equal(sentence), "the operator says the same")
	},
		Entry("a quota above its bound", `{className: bounded, quota: {pods: 11}}`, "spec.quota has pods 11, and the class bounded allows up to 10"),
		Entry("a quota in another unit", `{className: bounded, quota: {requests.cpu: 1001m}}`, "spec.quota has requests.cpu 1001m, and the class bounded allows up to 1"),
		Entry("a field that is the class's", `{className: bounded, config: {A: a}}`,
			"spec has config, which the class bounded sets; its tenants may write quota, database, app.image, app.replicas, policy.podSecurity, app.resources.limits"),
		Entry("a field within one that is half the class's", `{className: bounded, app: {replicas: 2, port: 80}}`,
			"spec has app.port, which the class bounded sets; its tenants may write quota, database, app.image, app.replicas, policy.podSecurity, app.resources.limits"),
		Entry("a field far within", `{className: bounded, app: {resources: {limits: {cpu: 1}, requests: {cpu: 1}}}}`,
			"spec has app.resources.requests, which the class bounded sets; its tenants may write quota, database, app.image, app.replicas, policy.podSecurity, app.resources.limits"),
		Entry("an isolation", `{className: bounded, database: {isolation: Dedicated, dedicated: {storage: 1Gi}}}`, "spec.database.isolation is Dedicated, and the class bounded allows Schema, Row"),
		Entry("the isolation that a database without one has", `{className: bounded, database: {serverRef: {name: shared}}}`, "spec.database.isolation is Database, and the class bounded allows Schema, Row"),
		Entry("an image from elsewhere", `{className: bounded, app: {image: registry.example/shopping}}`,
			"spec.app.image is registry.example/shopping, and the class bounded allows images from registry.example/shop, mirror.example/"),
	)

	DescribeTable("allow", func(ctx SpecContext, spec string) {
		Expect(try(ctx, env.Client, saying(spec))).To(Succeed())
	},
		Entry("what is within them", `{className: bounded, displayName: Acme, quota: {pods: 10, requests.cpu: 1000m, secrets: 99}, database: {isolation: Row, serverRef: {name: shared}}, app: {image: "registry.example/shop/a:1", resources: {limits: {cpu: 1}}}}`),
		Entry("an image by its digest", `{className: bounded, app: {image: "registry.example/shop@sha256:abcd"}}`),
		Entry("all in a class without bounds", `{className: unbounded, quota: {pods: 11}, config: {A: a}}`),
		Entry("all in a class that doesn't exist", `{className: nowhere, quota: {pods: 11}, config: {A: a}}`),
		Entry("all without a class", `{quota: {pods: 11}, config: {A: a}}`),
	)

	It("are those of the default class, too, for a new tenant that names none", func(ctx SpecContext) {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"annotations": {"tenantclass.tenantry.dev/is-default-class": "true"}}}`))
		Expect(env.Client.Patch(ctx, object(boundedClass), patch)).To(Succeed())
		Eventually(ctx, func() error { return try(ctx, env.Client, saying(`{quota: {pods: 11}}`)) }).Should(MatchError(ContainSubstring("spec.quota has pods 11")))
		Expect(try(ctx, env.Client, saying(`{className: "", quota: {pods: 11}}`))).To(Succeed())
		undo := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"annotations": null}}`))
		Expect(env.Client.Patch(ctx, object(boundedClass), undo)).To(Succeed())
	}, SpecTimeout(specTimeout))

	DescribeTable("refuse a class whose own defaults are outside of them:", func(ctx SpecContext, was, is, sentence string) {
		Expect(boundedClass).To(ContainSubstring(was))
		class := object(strings.Replace(boundedClass, was, is, 1))
		class.SetName("beyond")
		Expect(try(ctx, env.Client, class)).To(MatchError(ContainSubstring(sentence)))
	},
		Entry("a quota", `pods: "5"`, `pods: "11"`, "spec.tenant.quota has pods 11, and spec.bounds.quota allows up to 10"),
		Entry("a bound without a default", `pods: "5", `, ``, "spec.bounds.quota has pods and spec.tenant.quota has not, so that tenants that write nothing would have no limit; write a default there"),
		Entry("an image", "registry.example/shop:1", "registry.example/other", "tenant.app.image is registry.example/other, and bounds.imageRegistries allows registry.example/shop, mirror.example/"),
		Entry("an isolation that is left out", "    app:", "    database: {serverRef: {name: shared}}\n    app:", "tenant.database.isolation is Database, the default, and bounds.isolations allows Schema, Row"),
		Entry("what is about a single tenant", "    app:", "    policy: {hostnames: [a.example]}\n    app:", "are about a single tenant; leave them out here, and write them in the Tenant"),
		Entry("hostnames of apps, which all its tenants would have", "port: 8080}", "port: 8080, expose: {hostnames: [a.example]}}", "app.expose.hostnames and database.adopt are about a single tenant"),
		Entry("a path that is none", "[quota, ", "[spec.quota.pods.x, ", "this is no path of a field in a Tenant's spec"),
	)

	It("let the operator write what isn't spec once they are tighter", func(ctx SpecContext) {
		tenant := saying(`{className: unbounded, config: {A: a}}`)
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return client.IgnoreNotFound(env.Client.Delete(ctx, tenant)) })
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"bounds": {"overridable": []}}}`))
		Expect(env.Client.Patch(ctx, object(openClass), patch)).To(Succeed())
		change := client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"config": {"B": "b"}}}`))
		Eventually(ctx, func() error { return env.Client.Patch(ctx, tenant.DeepCopy(), change, client.DryRunAll) }).Should(MatchError(
			ContainSubstring("spec has config, which the class unbounded sets; its tenants may write no other fields")))
		label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"labels": {"a": "b"}}}`))
		Expect(env.Client.Patch(ctx, tenant, label)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("can't be got around by another content of a revision", func(ctx SpecContext) {
		revision := object("{apiVersion: tenantry.dev/v1alpha1, kind: TenantClassRevision, metadata: {name: bounded-0}, spec: {className: bounded, tenant: {quota: {pods: 1}}}}")
		Expect(env.Client.Create(ctx, revision)).To(Succeed())
		DeferCleanup(func(ctx context.Context) error { return env.Client.Delete(ctx, revision) })
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"tenant": {"quota": {"pods": "99"}}}}`))
		Expect(env.Client.Patch(ctx, revision.DeepCopy(), patch)).To(MatchError(ContainSubstring(
			"a TenantClassRevision can not be changed; change the TenantClass bounded, which makes a new one")))
	}, SpecTimeout(specTimeout))
})

// saidByTheOperator returns what the operator says about a tenant with this spec.
func saidByTheOperator(spec string) string {
	GinkgoHelper()
	class, tenant := &v1alpha1.TenantClass{}, &v1alpha1.Tenant{}
	Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object(boundedClass).Object, class)).To(Succeed())
	Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(saying(spec).Object, tenant)).To(Succeed())
	_, err := effective.OfClass(tenant, &effective.Class{Name: class.Name, Tenant: class.Spec.Tenant, Bounds: class.Spec.Bounds})
	invalid := &effective.InvalidError{}
	Expect(errors.As(err, &invalid)).To(BeTrue())
	return invalid.Message
}
