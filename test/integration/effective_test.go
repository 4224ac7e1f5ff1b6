package integration

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

// terse is a Tenant that leaves out everything that has a default.
const terse = `
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata:
  name: upgraded
spec:
  quota: {pods: "10"}
  database:
    serverRef: {name: shared}
  app:
    image: registry.example/shop:1
    port: 8080
`

// defaulted is the same Tenant as it was stored while the CRD had defaults.
const defaulted = `
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata:
  name: upgraded
spec:
  quota: {pods: "10"}
  namespaces: {limit: 1}
  containers:
    default: {cpu: 500m, memory: 256Mi}
    defaultRequest: {cpu: 100m, memory: 128Mi}
  policy:
    enforcement: Enforce
    podSecurity: Restricted
    serviceTypes: [ClusterIP]
  database:
    isolation: Database
    serverRef: {name: shared}
    reclaimPolicy: Retain
    connectionLimit: 20
    credentials:
      secretName: database
      rotation: {gracePeriod: 1h}
  app:
    image: registry.example/shop:1
    replicas: 1
    port: 8080
`

// peculiar is a Tenant that shows whether the API server sets defaults or removes empty values.
const peculiar = `
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata:
  name: peculiar
spec:
  owners: []
  namespaces: {}
  containers: {}
  network: {}
  policy:
    hostnames: [shop.peculiar.example]
    storageClasses: {}
  database:
    serverRef: {name: shared}
    credentials:
      rotation: {interval: 720h}
  app:
    image: registry.example/shop:1
    env:
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: colors, key: main, optional: true}}}
    envFrom:
    - configMapRef: {name: settings, optional: true}
    startupProbe:
      grpc: {port: 8080}
  cordoned: false
`

var _ = Describe("What a Tenant leaves out", func() {
	specOf := func(content string) map[string]any {
		GinkgoHelper()
		object := map[string]any{}
		Expect(yaml.Unmarshal([]byte(content), &object)).To(Succeed())
		return object["spec"].(map[string]any)
	}
	stored := func(ctx context.Context, name string) map[string]any {
		GinkgoHelper()
		return specOf(kubectl(ctx, "get", "tenant", name, "--output", "yaml"))
	}
	deleteLater := func(name string) {
		tenant := builders.Tenant(name).Build()
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, tenant)) })
	}
	waitFor := func(ctx context.Context, name string) *v1alpha1.Tenant {
		GinkgoHelper()
		tenant := builders.Tenant(name).Build()
		waitReady(ctx, tenant)
		return tenant
	}
	// objects returns the tenant's objects, each with its version and the hash of its last desired state.
	objects := func(ctx context.Context, name string) []string {
		GinkgoHelper()
		const columns = `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion} {.metadata.annotations.tenantry\.dev/applied}{"\n"}{end}`
		namespaced := kubectl(ctx, "get", managedKinds, "--namespace", name, "--selector", "tenantry.dev/tenant="+name, "--output", columns)
		namespaces := kubectl(ctx, "get", "namespaces", "--selector", "tenantry.dev/tenant="+name, "--output", columns)
		return strings.Split(strings.TrimSpace(namespaces+namespaced), "\n")
	}

	DescribeTable("is not stored: the spec is what was applied", func(ctx SpecContext, how ...string) {
		deleteLater("peculiar")
		kubectl(ctx, append([]string{"apply", "--filename", manifest(peculiar)}, how...)...)
		Expect(stored(ctx, "peculiar")).To(Equal(specOf(peculiar)))
		tenant := waitFor(ctx, "peculiar")
		Expect(stored(ctx, "peculiar")).To(Equal(specOf(peculiar)), "once the operator has written all that it writes")
		Expect(kubectl(ctx, append([]string{"diff", "--filename", manifest(peculiar)}, how...)...)).To(BeEmpty())
		remove(ctx, tenant)
	},
		Entry("by kubectl apply", SpecTimeout(specTimeout)),
		Entry("by a server-side apply", "--server-side", SpecTimeout(specTimeout)),
	)

	It("counts as if it was written out, so that a Tenant that was stored with defaults stays as it is when they go", func(ctx SpecContext) {
		deleteLater("upgraded")
		kubectl(ctx, "apply", "--server-side", "--filename", manifest(defaulted))
		tenant := waitFor(ctx, "upgraded")
		// The last thing to settle is the usage of the quota.
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage.Used", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("1"))))
		before, pods := objects(ctx, "upgraded"), podUIDs(ctx, tenant)
		Expect(before).To(HaveLen(13))
		Expect(pods).To(HaveLen(1))
		columns := kubectl(ctx, "get", "tenants", "upgraded", "--no-headers", "--output", "wide")

		for _, content := range []string{terse, defaulted} {
			mark, err := env.Audit.Mark()
			Expect(err).NotTo(HaveOccurred())
			kubectl(ctx, "apply", "--server-side", "--filename", manifest(content))
			tenant := waitFor(ctx, "upgraded")
			Expect(stored(ctx, "upgraded")).To(Equal(specOf(content)))
			Expect(objects(ctx, "upgraded")).To(Equal(before))
			Expect(podUIDs(ctx, tenant)).To(Equal(pods))
			Expect(fields(kubectl(ctx, "get", "tenants", "upgraded", "--no-headers", "--output", "wide"))).To(Equal(fields(columns)))
			requests, err := env.Audit.Since(mark)
			Expect(err).NotTo(HaveOccurred())
			requests = slices.DeleteFunc(requests, func(request environment.Request) bool {
				return request.Name != "upgraded" && request.Namespace != "upgraded"
			})
			Expect(requests).To(ConsistOf(environment.Request{
				Verb: "patch", Resource: "tenants/status", Name: "upgraded", Code: 200,
			}), "the status says which generation it is about")
		}
	}, SpecTimeout(specTimeout))
})

// fields returns the columns that kubectl has printed, without the last one, which is the age.
func fields(line string) []string {
	all := strings.Fields(line)
	return all[:max(0, len(all)-1)]
}
