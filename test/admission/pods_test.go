package admission

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
)

// images returns the part of a pod's spec that has containers of these images.
func images(field string, images ...string) string {
	var containers []string
	for i, image := range images {
		containers = append(containers, container(fmt.Sprintf("%s-%d", strings.ToLower(field[:4]), i), image))
	}
	return fmt.Sprintf("%s: [%s]", field, strings.Join(containers, ", "))
}

// affinity returns the affinity of a pod's spec, with one required term; more is more of the term, in YAML's flow
// style.
func affinity(kind, more string) string {
	return fmt.Sprintf("affinity: {%s: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, %s}]}}", kind, more)
}

// preferred returns the affinity of a pod's spec, with one preferred term.
func preferred(kind, more string) string {
	return fmt.Sprintf("affinity: {%s: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, %s}}]}}",
		kind, more)
}

// projectedToken returns the part of a pod's spec with a token of its ServiceAccount, valid for that many seconds.
func projectedToken(seconds int64) string {
	return fmt.Sprintf("volumes: [{name: c, configMap: {name: c}}, {name: t, projected: {sources: [{serviceAccountToken: {path: t, expirationSeconds: %d}}]}}]", seconds)
}

var _ = Describe("A pod", func() {
	DescribeTable("is let through", func(ctx SpecContext, namespace, spec string) {
		Expect(try(ctx, alice, pod(namespace, spec))).To(Succeed())
		Expect(try(ctx, bob, pod(namespace, spec))).To(Succeed())
	},
		Entry("of any image, where none are said", "plain", images("containers", "nginx")),
		Entry("of an image below a registry", "acme", images("containers", "registry.example/acme/a/b:1")),
		Entry("of the very image by a tag", "acme", images("containers", "registry.example/acme:1")),
		Entry("of the very image by a digest", "acme", images("containers", "registry.example/acme@sha256:"+strings.Repeat("a", 64))),
		Entry("of a registry with a port", "acme", images("containers", "registry.example:5000/x")),
		Entry("of an official image of Docker Hub", "acme", images("containers", "nginx:1", "docker.io/nginx", "index.docker.io/library/nginx")),
		Entry("with a token for a day", Label("K17"), "acme", projectedToken(24*60*60)),
		Entry("with a token for the usual hour", "plain", projectedToken(3607)),
		Entry("of the allowed priority", "acme", "priorityClassName: high"),
		Entry("of no priority, where the cluster has a default one", "plain", ""),
		Entry("of an allowed runtime, whose tolerations the cluster adds", "acme", "runtimeClassName: sandbox"),
		Entry("with an allowed node selector, narrowed down", "acme", "nodeSelector: {pool: spot, kubernetes.io/arch: arm64}"),
		Entry("with any node selector, where none are said", "plain", "nodeSelector: {pool: gold}"),
		Entry("with an allowed toleration", "acme", "tolerations: [{key: pool, operator: Equal, value: spot, effect: NoSchedule}]"),
		Entry("with a toleration that Kubernetes gives to all", "plain",
			"tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 5}]"),
		Entry("of the default scheduler, said so", "plain", "schedulerName: default-scheduler"),
		Entry("that stays away from others of its namespace", "plain", affinity("podAntiAffinity", "")),
		Entry("that says so by the namespace's name", "plain", affinity("podAntiAffinity", "namespaces: [plain]")),
		Entry("that goes where others of the tenant are", "plain",
			affinity("podAffinity", "namespaceSelector: {matchLabels: {tenantry.dev/tenant: plain, stage: dev}}")),
		Entry("that chooses its node by labels", "plain", "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "+
			"[{weight: 1, preference: {matchExpressions: [{key: pool, operator: Exists}]}}]}}"),
	)

	DescribeTable("is refused", func(ctx SpecContext, namespace, spec string, reasons ...string) {
		for _, who := range []client.Client{alice, bob, env.Client} {
			Expect(try(ctx, who, pod(namespace, spec))).To(refuse(reasons...))
		}
	},
		Entry("of a foreign registry", "acme", images("containers", "evil.example/x"),
			"the image evil.example/x comes from none of the allowed imageRegistries: registry.example/acme, registry.example:5000/, docker.io/library/"),
		Entry("of a registry that begins alike", "acme", images("containers", "registry.example/acme2/x")),
		Entry("of the same host at another port", "acme", images("containers", "registry.example:5001/acme/x")),
		Entry("of a host that begins alike", "acme", images("containers", "registry.example:50000/x")),
		Entry("of somebody on Docker Hub", "acme", images("containers", "acme/shop"), "docker.io/acme/shop"),
		Entry("of Docker Hub by its other name", "acme", images("containers", "index.docker.io/evil/x"), "docker.io/evil/x"),
		Entry("of a registry in upper case", "acme", images("containers", "REGISTRY.example/acme/x")),
		Entry("of a foreign registry in its second container", "acme", images("containers", image, "evil.example/x"), "evil.example/x"),
		Entry("of a foreign registry in an init container", "acme", images("initContainers", "evil.example/x"), "evil.example/x"),
		Entry("with a token for a hundred years", Label("K17"), "acme", projectedToken(876000*60*60),
			"spec.volumes projects a token that would be valid for 3153600000 seconds, and the maxTokenLifetime is 24h"),
		Entry("of a foreign registry in a volume", "acme", "volumes: [{name: v, image: {reference: evil.example/x}}]", "evil.example/x"),
		Entry("on a node of its choice", "plain", "nodeName: node-0", "spec.nodeName is node-0"),
		Entry("by another scheduler", "plain", "schedulerName: mine", "spec.schedulerName is mine; allowed is: default-scheduler"),
		Entry("of a foreign priority", "acme", "priorityClassName: ordinary", "spec.priorityClassName is ordinary", "[high, low]"),
		Entry("of any priority, where none are said", "plain", "priorityClassName: high", "spec.priorityClassName is high", "[]"),
		Entry("of the system's priority", "plain", "priorityClassName: system-node-critical"),
		Entry("of a foreign runtime", "acme", "runtimeClassName: bare-metal", "spec.runtimeClassName is bare-metal", "[sandbox]"),
		Entry("of any runtime, where none are said", "plain", "runtimeClassName: sandbox", "spec.runtimeClassName is sandbox"),
		Entry("with a foreign node selector", "acme", "nodeSelector: {pool: gold}", "spec.nodeSelector has pool=gold", "shared, spot"),
		Entry("that tolerates everything", "plain", "tolerations: [{operator: Exists}]", "spec.tolerations tolerates the taint of any key"),
		Entry("that tolerates everything, where something is allowed", "acme", "tolerations: [{operator: Exists}]"),
		Entry("that tolerates a foreign taint", "acme", "tolerations: [{key: gold, operator: Exists}]", "gold", "[pool=spot:NoSchedule, any]"),
		Entry("that tolerates an allowed taint of any value", "acme", "tolerations: [{key: pool, operator: Exists, effect: NoSchedule}]"),
		Entry("that tolerates an allowed taint of another value", "acme", "tolerations: [{key: pool, value: gold, effect: NoSchedule}]", "pool=gold:NoSchedule"),
		Entry("that tolerates an allowed taint of any effect", "acme", "tolerations: [{key: pool, value: spot}]"),
		Entry("that tolerates for ever that its node is gone", "plain",
			"tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute}]"),
		Entry("that keeps the pods of others away", "plain", affinity("podAntiAffinity", "namespaces: [plain, acme]"),
			"spec.affinity is about the pods of the namespace acme; leave it out, or select the tenant's own namespaces by the label tenantry.dev/tenant=plain"),
		Entry("that keeps the pods of all away", "plain", affinity("podAntiAffinity", "namespaceSelector: {}"),
			"spec.affinity is about the pods of namespaces by a namespaceSelector"),
		Entry("that goes where others are", "plain", affinity("podAffinity", "namespaceSelector: {matchLabels: {tenantry.dev/tenant: acme}}")),
		Entry("that names others beside its tenant", "plain",
			affinity("podAffinity", "namespaces: [acme], namespaceSelector: {matchLabels: {tenantry.dev/tenant: plain}}")),
		Entry("that would rather be where others are", "plain", preferred("podAffinity", "namespaces: [acme]"), "the namespace acme"),
		Entry("that would rather keep the pods of others away", "plain", preferred("podAntiAffinity", "namespaces: [acme]"), "the namespace acme"),
	)

	It("can't hide what it sets by clearing the notes of who set what", func(ctx SpecContext) {
		sly := pod("plain", "priorityClassName: ordinary")
		Expect(unstructured.SetNestedSlice(sly.Object, []any{map[string]any{}}, "metadata", "managedFields")).To(Succeed())
		Expect(try(ctx, alice, sly)).To(refuse("spec.priorityClassName is ordinary"))
		Expect(unstructured.SetNestedSlice(sly.Object, []any{map[string]any{
			"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": map[string]any{"f:spec": map[string]any{}},
		}}, "metadata", "managedFields")).To(Succeed())
		Expect(try(ctx, alice, sly)).To(refuse("spec.priorityClassName is ordinary"))
	}, SpecTimeout(specTimeout))

	It("gets what it doesn't say itself", func(ctx SpecContext) {
		created := pod("acme", "")
		Expect(alice.Create(ctx, created, client.DryRunAll)).To(Succeed())
		Expect(created.Object["spec"]).To(And(
			HaveKeyWithValue("nodeSelector", map[string]any{"pool": "shared", "example.com/zone": "a"}),
			HaveKeyWithValue("priorityClassName", "low"), HaveKeyWithValue("priority", int64(10)),
			HaveKeyWithValue("tolerations", ContainElement(map[string]any{"key": "any", "operator": "Exists"}))))

		By("keeping what it says")
		created = pod("acme", "nodeSelector: {pool: spot}, priorityClassName: high")
		Expect(alice.Create(ctx, created, client.DryRunAll)).To(Succeed())
		Expect(created.Object["spec"]).To(And(
			HaveKeyWithValue("nodeSelector", map[string]any{"pool": "spot", "example.com/zone": "a"}),
			HaveKeyWithValue("priorityClassName", "high"), HaveKeyWithValue("priority", int64(1000))))
	}, SpecTimeout(specTimeout))

	It("must comply when it is changed, also by an ephemeral container", func(ctx SpecContext) {
		running := pod("acme", "")
		Expect(alice.Create(ctx, running)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, running)) })
		patch := func(who client.Client, text string) error {
			return who.Patch(ctx, running.DeepCopy(), client.RawPatch("application/strategic-merge-patch+json", []byte(text)))
		}
		Expect(patch(alice, `{"spec": {"containers": [{"name": "main", "image": "evil.example/x"}]}}`)).To(refuse("evil.example/x"))
		Expect(patch(alice, `{"spec": {"containers": [{"name": "main", "image": "registry.example/acme/shop:2"}]}}`)).To(Succeed())
		// The API server accepts additional tolerations, and removes none.
		Eventually(ctx, func() error {
			tolerant := running.DeepCopy()
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(running), tolerant); err != nil {
				return err
			}
			tolerations, _, err := unstructured.NestedSlice(tolerant.Object, "spec", "tolerations")
			if err != nil {
				return err
			}
			if err := unstructured.SetNestedSlice(tolerant.Object, append(tolerations, map[string]any{"operator": "Exists"}), "spec", "tolerations"); err != nil {
				return err
			}
			return alice.Update(ctx, tolerant)
		}).Should(refuse("of any key"), "once nobody else changes the pod between the read and the write")
		Expect(patch(alice, `{"metadata": {"labels": {"a": "b"}}}`)).To(Succeed())

		debug := func(image string) error {
			return env.Client.SubResource("ephemeralcontainers").Patch(ctx, running.DeepCopy(),
				client.RawPatch("application/strategic-merge-patch+json", fmt.Appendf(nil, `{"spec": {"ephemeralContainers": [%s]}}`,
					`{"name": "debug", "image": "`+image+`", "securityContext": {"runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}`)))
		}
		Expect(debug("evil.example/debug")).To(refuse("evil.example/debug"))
		Expect(debug("registry.example/acme/debug")).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("that was there before a rule may still be labeled and deleted", func(ctx SpecContext) {
		tenant := applyReady(ctx, tenant("tightened"))
		running := pod("tightened", images("containers", "nginx"))
		Expect(alice.Create(ctx, running)).To(Succeed())
		change(ctx, tenant, func() {
			Expect(yamlInto(`{imageRegistries: [registry.example/]}`, &tenant.Spec.Policy)).To(Succeed())
		})
		Eventually(ctx, func() error { return try(ctx, alice, pod("tightened", images("containers", "nginx"))) }).Should(refuse("nginx"))
		label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"labels": {"a": "b"}}}`))
		Expect(alice.Patch(ctx, running, label)).To(Succeed())
		Expect(alice.Delete(ctx, running)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("is refused however it comes about, and its ReplicaSet says why", func(ctx SpecContext) {
		deployment := object(fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: acme, name: foreign}
spec:
  selector: {matchLabels: {app: foreign}}
  template:
    metadata: {labels: {app: foreign, app.kubernetes.io/managed-by: tenantry}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers: [%s]`, container("main", "evil.example/x")))
		Expect(bob.Create(ctx, deployment)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, deployment) })
		typed := &appsv1.Deployment{}
		typed.Namespace, typed.Name = "acme", "foreign"
		Eventually(ctx, komega.Object(typed)).Should(HaveField("Status.Conditions", ContainElement(And(
			HaveField("Type", appsv1.DeploymentReplicaFailure), HaveField("Message", ContainSubstring("evil.example/x"))))))
		pods := &corev1.PodList{}
		Expect(env.Client.List(ctx, pods, client.InNamespace("acme"), client.MatchingLabels{"app": "foreign"})).To(Succeed())
		Expect(pods.Items).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("of a DaemonSet tolerates what all of them tolerate", func(ctx SpecContext) {
		set := object(fmt.Sprintf(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {namespace: plain, name: everywhere}
spec:
  selector: {matchLabels: {app: everywhere}}
  template:
    metadata: {labels: {app: everywhere}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers: [%s]`, container("main", image)))
		Expect(bob.Create(ctx, set)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, set) })
		typed := &appsv1.DaemonSet{}
		typed.Namespace, typed.Name = "plain", "everywhere"
		Eventually(ctx, komega.Object(typed)).Should(HaveField("Status.NumberReady", BeNumerically(">", 0)))
	}, SpecTimeout(specTimeout))
})
