// Package admission tests, rule by rule, what the API server allows and refuses in the namespaces of tenants, to
// the tenants' own engineers. All specs share one control plane, and most of them share one tenant.
package admission

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	// specTimeout is long enough for a busy machine.
	specTimeout = 3 * time.Minute
	// atOnce is well below the time after which the operator reconciles by itself.
	atOnce = 30 * time.Second

	gatewayAPI  = "sigs.k8s.io/gateway-api@v1.6.3"
	gatewayCRDs = "config/crd/standard/gateway.networking.k8s.io_"
	// image is an image that the tenant acme may run.
	image = "registry.example/acme/shop:1"
)

var (
	env *environment.Environment
	// alice is an Admin of every tenant here, and bob an Editor.
	alice, bob client.Client
)

func TestAdmission(t *testing.T) {
	environment.RunSpecs(t, "Admission")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	env, err = environment.Start(ctx, environment.Options{
		Name: "admission", OperatorArgs: []string{"--leader-elect=false"}, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)
	alice, bob = as("alice"), as("bob")
	Expect(env.ApplyDefinitions(ctx, gatewayAPI,
		gatewayCRDs+"gateways.yaml", gatewayCRDs+"listenersets.yaml", gatewayCRDs+"httproutes.yaml",
		gatewayCRDs+"grpcroutes.yaml", gatewayCRDs+"tlsroutes.yaml")).To(Succeed())
	createClasses(ctx)
	_, err = env.Kubernetes.Kubectl(ctx, "label", "nodes", "--all", "pool=shared", "example.com/zone=a")
	Expect(err).NotTo(HaveOccurred())
	applyReady(ctx, tenant("acme").Policy(acmeRules).App(image).Port(8080).Quota("pods", "50"))
	applyReady(ctx, tenant("plain"))
	awaitPolicies(ctx)
	awaitDefaults(ctx)
}, NodeTimeout(20*time.Minute))

var _ = AfterEach(func(ctx SpecContext) { env.Explain(ctx) }, NodeTimeout(time.Minute))

// acmeRules sets rules of each kind.
func acmeRules(rules *v1alpha1.PolicyRules) {
	text := `{
		imageRegistries: ["registry.example/acme", "registry.example:5000/", docker.io/library/],
		hostnames: [shop.acme.test, "*.acme.example"],
		allowedAnnotations: [nginx.ingress.kubernetes.io/configuration-snippet],
		storageClasses: {allowed: [fast, slow], default: fast},
		volumeAttributesClasses: {allowed: [silver, gold]},
		priorityClasses: {allowed: [high, low], default: low},
		runtimeClasses: {allowed: [sandbox]},
		ingressClasses: {allowed: [public], default: public},
		gatewayClasses: {allowed: [shared]},
		deviceClasses: {allowed: [gpu]},
		serviceTypes: [ClusterIP, LoadBalancer],
		nodeSelector: {allowed: [{key: pool, values: [shared, spot]}], default: {pool: shared, example.com/zone: a}},
		tolerations: {allowed: [{key: pool, value: spot, effect: NoSchedule}, {key: any}], default: [{key: any, operator: Exists}]},
	}`
	ExpectWithOffset(1, yaml.UnmarshalStrict([]byte(text), rules)).To(Succeed())
}

// createClasses creates the classes that pods name, since Kubernetes looks them up. The cluster's own defaults
// differ from the tenant's.
func createClasses(ctx context.Context) {
	GinkgoHelper()
	for _, text := range []string{
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}`,
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: low}, value: 10}`,
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: ordinary}, value: 100, globalDefault: true}`,
		`{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: sandbox}, handler: sandbox,
			scheduling: {tolerations: [{key: sandboxed, operator: Exists}]}}`,
		`{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: bare-metal}, handler: bare}`,
		`{apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: none, metadata: {name: standard,
			annotations: {storageclass.kubernetes.io/is-default-class: "true"}}}`,
		`{apiVersion: networking.k8s.io/v1, kind: IngressClass, spec: {controller: example.com/none}, metadata: {name: internal,
			annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}}`,
	} {
		Expect(env.Client.Create(ctx, object(text))).To(Succeed())
	}
}

// awaitPolicies waits until each of the policies that can also only warn has refused something. The API server
// learns of them one after the other.
func awaitPolicies(ctx context.Context) {
	GinkgoHelper()
	for _, refused := range []client.Object{
		service("plain", "NodePort"), ingress("plain", "shop.plain.example", ""), claim("plain", "volumeName: theirs"),
		pod("acme", images("containers", "evil.example/x")), networkPolicy("egress: [{ports: [{port: 80}]}]"),
		gateway("Gateway", "acme", "gatewayClassName: shared, "+listener("shop.globex.example")),
		resourceClaim("ResourceClaim", "{name: d, exactly: {deviceClassName: fpga}}"),
		roleBinding("{kind: Group, name: 'system:authenticated', apiGroup: rbac.authorization.k8s.io}"), everlastingToken(),
	} {
		Eventually(ctx, func() error { return try(ctx, who(refused), refused) }).Should(refuse())
	}
}

// awaitDefaults waits until the API server fills in the classes that are the cluster's default.
func awaitDefaults(ctx context.Context) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		claim := claim("plain", "")
		g.Expect(env.Client.Create(ctx, claim, client.DryRunAll)).To(Succeed())
		g.Expect(claim.Object["spec"]).To(HaveKeyWithValue("storageClassName", "standard"))
		pod := pod("plain", "")
		g.Expect(env.Client.Create(ctx, pod, client.DryRunAll)).To(Succeed())
		g.Expect(pod.Object["spec"]).To(HaveKeyWithValue("priorityClassName", "ordinary"))
	}).Should(Succeed())
}

// as returns a client of a user who has only the rights that tenants give.
func as(user string) client.Client {
	GinkgoHelper()
	config := env.Kubernetes.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	impersonating, err := client.New(config, client.Options{Scheme: env.Client.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return impersonating
}

// tenant begins a tenant of alice and bob.
func tenant(name string) *builders.TenantBuilder {
	return builders.Tenant(name).
		Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).
		Owner(v1alpha1.OwnerKindUser, "bob", v1alpha1.OwnerRoleEditor)
}

// apply creates a tenant, which is deleted at the end of the Ginkgo container.
func apply(ctx context.Context, builder *builders.TenantBuilder) *v1alpha1.Tenant {
	GinkgoHelper()
	created := builder.Build()
	Expect(env.Client.Create(ctx, created)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, created)) }, NodeTimeout(time.Minute))
	return created
}

// applyReady does what apply does, and waits until the tenant is Ready.
func applyReady(ctx context.Context, builder *builders.TenantBuilder) *v1alpha1.Tenant {
	GinkgoHelper()
	created := apply(ctx, builder)
	waitReady(ctx, created)
	return created
}

func waitReady(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Eventually(ctx, komega.Object(tenant)).Should(And(
		WithTransform(func(tenant *v1alpha1.Tenant) int64 { return tenant.Generation - tenant.Status.ObservedGeneration }, BeZero()),
		haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)))
}

func haveCondition(conditionType string, status metav1.ConditionStatus, reason string, texts ...string) gomegatypes.GomegaMatcher {
	matchers := []gomegatypes.GomegaMatcher{HaveField("Type", conditionType), HaveField("Status", status), HaveField("Reason", reason)}
	for _, text := range texts {
		matchers = append(matchers, HaveField("Message", ContainSubstring(text)))
	}
	return HaveField("Status.Conditions", ContainElement(And(matchers...)))
}

// change updates an object, and repeats that after a conflict.
func change(ctx context.Context, object client.Object, mutate func()) {
	GinkgoHelper()
	Eventually(ctx, komega.Update(object, mutate)).Should(Succeed())
}

// try creates an object with a dry run: all admission is passed, and nothing is stored.
func try(ctx context.Context, who client.Client, object client.Object) error {
	return who.Create(ctx, object.DeepCopyObject().(client.Object), client.DryRunAll)
}

// refuse matches the error with which the API server refuses a request because of a policy, for the reasons.
func refuse(reasons ...string) gomegatypes.GomegaMatcher {
	matchers := []gomegatypes.GomegaMatcher{
		WithTransform(apierrors.IsForbidden, BeTrue()), MatchError(ContainSubstring("ValidatingAdmissionPolicy")),
	}
	for _, reason := range reasons {
		matchers = append(matchers, MatchError(ContainSubstring(reason)))
	}
	return And(matchers...)
}

// object parses an object from YAML.
func object(text string) *unstructured.Unstructured {
	GinkgoHelper()
	result := &unstructured.Unstructured{}
	Expect(yaml.UnmarshalStrict([]byte(text), &result.Object)).To(Succeed())
	return result
}

// pod returns a pod that Pod Security allows; more is more of its spec, in YAML's flow style, and may replace what
// is there.
func pod(namespace, more string) *unstructured.Unstructured {
	GinkgoHelper()
	result := object(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {namespace: %s, generateName: pod-}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers: [%s]`, namespace, container("main", image)))
	extra := map[string]any{}
	Expect(yaml.UnmarshalStrict([]byte("{"+more+"}"), &extra)).To(Succeed())
	maps.Copy(result.Object["spec"].(map[string]any), extra)
	return result
}

func container(name, image string) string {
	return fmt.Sprintf(`{name: %s, image: %q, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}`, name, image)
}

func service(namespace, serviceType string) *unstructured.Unstructured {
	return object(fmt.Sprintf(`{apiVersion: v1, kind: Service, metadata: {namespace: %s, generateName: service-},
		spec: {type: %s, ports: [{port: 80}]}}`, namespace, serviceType))
}

// ingress returns an Ingress for the host; more is more of its spec, in YAML's flow style.
func ingress(namespace, host, more string) *unstructured.Unstructured {
	return object(fmt.Sprintf(`{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {namespace: %s, generateName: ingress-},
		spec: {rules: [{host: %q, http: {paths: [{pathType: Prefix, path: /, backend: {service: {name: app, port: {number: 80}}}}]}}], %s}}`,
		namespace, host, more))
}

// claim returns a PersistentVolumeClaim; more is more of its spec, in YAML's flow style.
func claim(namespace, more string) *unstructured.Unstructured {
	return object(fmt.Sprintf(`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: %s, generateName: claim-},
		spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, %s}}`, namespace, more))
}
