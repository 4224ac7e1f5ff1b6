package admission

import (
	"context"
	"os/exec"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

func named[T client.Object](object T, namespace, name string) T {
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// kubectlAs runs kubectl as a user, and returns all of its output.
func kubectlAs(ctx context.Context, user string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, env.Kubernetes.KubectlPath(), append([]string{
		"--kubeconfig", env.Kubernetes.KubeconfigPath(), "--as", user,
	}, args...)...)
	output, err := command.CombinedOutput()
	return string(output), err
}

var _ = Describe("What the operator manages", func() {
	DescribeTable("can't be changed or deleted by the tenant", func(ctx SpecContext, object client.Object, name string) {
		for _, who := range []client.Client{alice, bob} {
			err := patch(ctx, who, named(object, "acme", name), `{"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}`)
			Expect(err).To(WithTransform(apierrors.IsForbidden, BeTrue()))
			err = who.Delete(ctx, named(object, "acme", name))
			Expect(err).To(WithTransform(apierrors.IsForbidden, BeTrue()))
		}
		// The cluster's admin may change it, and the operator changes it back.
		Expect(patch(ctx, env.Client, named(object, "acme", name), `{"metadata": {"annotations": {"example.com/note": "kept"}}}`)).To(Succeed())
	},
		Entry("TenantPolicy", &v1alpha1.TenantPolicy{}, "tenant"),
		Entry("ResourceQuota", &corev1.ResourceQuota{}, "tenant"),
		Entry("LimitRange", &corev1.LimitRange{}, "containers"),
		Entry("NetworkPolicy", &networkingv1.NetworkPolicy{}, "deny-all"),
		Entry("RoleBinding", &rbacv1.RoleBinding{}, "tenant-admin"),
		Entry("ServiceAccount", &corev1.ServiceAccount{}, "app"),
		Entry("ConfigMap", &corev1.ConfigMap{}, "app-config"),
		Entry("Service", &corev1.Service{}, "app"),
		Entry("Deployment", &appsv1.Deployment{}, "app"),
	)

	It("says what to do instead", func(ctx SpecContext) {
		for _, args := range [][]string{
			{"-n", "acme", "rollout", "pause", "deployment/app"},
			{"-n", "acme", "set", "image", "deployment/app", "app=registry.example/acme/shop:2"},
			{"-n", "acme", "delete", "networkpolicy", "deny-all"},
			{"-n", "acme", "delete", "networkpolicies", "--all"},
			{"-n", "acme", "label", "configmap", "app-config", "app.kubernetes.io/managed-by-"},
		} {
			output, err := kubectlAs(ctx, "alice", args...)
			Expect(err).To(HaveOccurred(), "%v", args)
			Expect(output).To(ContainSubstring("is managed by Tenantry; to change it, edit the Tenant acme"), "%v", args)
		}
		output, err := kubectlAs(ctx, "alice", "-n", "acme", "scale", "deployment/app", "--replicas=3")
		Expect(err).To(HaveOccurred())
		Expect(output).To(ContainSubstring("app is managed by Tenantry; to scale it, set spec.app.replicas of the Tenant acme"))
	}, SpecTimeout(specTimeout))

	It("can be restarted pod by pod, and scaled by the cluster's admin", func(ctx SpecContext) {
		pods := &corev1.PodList{}
		Eventually(ctx, func(g Gomega) {
			g.Expect(env.Client.List(ctx, pods, client.InNamespace("acme"), client.MatchingLabels{"app.kubernetes.io/name": "app"})).To(Succeed())
			g.Expect(pods.Items).NotTo(BeEmpty())
		}).Should(Succeed())
		Expect(alice.Delete(ctx, &pods.Items[0])).To(Succeed())
		_, err := env.Kubernetes.Kubectl(ctx, "-n", "acme", "scale", "deployment/app", "--replicas=3")
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, komega.Object(named(&appsv1.Deployment{}, "acme", "app")), atOnce).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(1)))))
	}, SpecTimeout(specTimeout))

	It("can be restarted as a whole by the tenant's engineers", func(ctx SpecContext) {
		app := named(&appsv1.Deployment{}, "acme", "app")
		pods := func() ([]types.UID, error) {
			list := &corev1.PodList{}
			err := env.Client.List(ctx, list, client.InNamespace("acme"), client.MatchingLabels{"app.kubernetes.io/name": "app"})
			var uids []types.UID
			for _, pod := range list.Items {
				if pod.DeletionTimestamp.IsZero() {
					uids = append(uids, pod.UID)
				}
			}
			return uids, err
		}
		for _, user := range []string{"alice", "bob"} {
			before, err := pods()
			Expect(err).NotTo(HaveOccurred())
			Expect(komega.Get(app)()).To(Succeed())
			generation := app.Generation
			// kubectl writes the time in seconds, and refuses to restart twice in the same second.
			Eventually(ctx, func() (string, error) {
				return kubectlAs(ctx, user, "-n", "acme", "rollout", "restart", "deployment/app")
			}).Should(ContainSubstring("deployment.apps/app restarted"))
			output, err := kubectlAs(ctx, user, "-n", "acme", "rollout", "status", "deployment/app", "--timeout=60s")
			Expect(err).NotTo(HaveOccurred(), output)
			Eventually(ctx, pods).Should(And(HaveLen(1), Not(ContainElements(before))), user)
			Expect(komega.Get(app)()).To(Succeed())
			Expect(app.Generation).To(Equal(generation+1), "and nobody has taken it back")
		}
	}, SpecTimeout(specTimeout))

	DescribeTable("can't be changed under the cover of a restart:", func(ctx SpecContext, change func(*appsv1.Deployment)) {
		app := named(&appsv1.Deployment{}, "acme", "app")
		Expect(komega.Get(app)()).To(Succeed())
		restarted := app.DeepCopy()
		restarted.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "2026-03-01T09:00:00+01:00"
		changed := restarted.DeepCopy()
		change(changed)
		for _, who := range []client.Client{alice, bob} {
			Expect(who.Patch(ctx, changed.DeepCopy(), client.MergeFrom(app), client.DryRunAll)).To(
				refuse("app is managed by Tenantry; to change it, edit the Tenant acme"))
			Expect(who.Patch(ctx, restarted.DeepCopy(), client.MergeFrom(app), client.DryRunAll)).To(Succeed())
			// The cluster may be writing the status of the Deployment.
			Expect(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				latest := named(&appsv1.Deployment{}, "acme", "app")
				if err := komega.Get(latest)(); err != nil {
					return err
				}
				latest.Spec.Template.Annotations = restarted.Spec.Template.Annotations
				return who.Update(ctx, latest, client.DryRunAll)
			})).To(Succeed())
		}
	},
		Entry("its image", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image += "0" }),
		Entry("the node that its pods run on", func(d *appsv1.Deployment) { d.Spec.Template.Spec.NodeSelector = map[string]string{"pool": "shared"} }),
		Entry("another annotation of its pods", func(d *appsv1.Deployment) { d.Spec.Template.Annotations["example.com/note"] = "mine" }),
		Entry("an annotation that its pods have", func(d *appsv1.Deployment) { d.Spec.Template.Annotations["tenantry.dev/settings"] = "mine" }),
		Entry("an annotation less of its pods", func(d *appsv1.Deployment) { delete(d.Spec.Template.Annotations, "tenantry.dev/settings") }),
		Entry("a label of its pods", func(d *appsv1.Deployment) { d.Spec.Template.Labels["team"] = "mine" }),
		Entry("a finalizer of its pods", func(d *appsv1.Deployment) { d.Spec.Template.Finalizers = []string{"example.com/forever"} }),
		Entry("its replicas", func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(9)) }),
		Entry("whether it is rolled out", func(d *appsv1.Deployment) { d.Spec.Paused = true }),
		Entry("how it is rolled out", func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 60 }),
		Entry("a label of its own", func(d *appsv1.Deployment) { d.Labels["team"] = "mine" }),
		Entry("an annotation of its own", func(d *appsv1.Deployment) { d.Annotations["tenantry.dev/applied"] = "mine" }),
		Entry("a finalizer of its own", func(d *appsv1.Deployment) { d.Finalizers = []string{"example.com/forever"} }),
		Entry("its owner", func(d *appsv1.Deployment) { d.OwnerReferences = nil }),
		Entry("who has set what of it", func(d *appsv1.Deployment) { d.ManagedFields = []metav1.ManagedFieldsEntry{{}} }),
		Entry("a time that is none", func(d *appsv1.Deployment) {
			d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "now"
		}),
	)

	It("can't be made by others, to be exempt from the rules about hostnames", func(ctx SpecContext) {
		labeled := func(object client.Object) client.Object {
			object.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "tenantry"})
			return object
		}
		const alone = "the label app.kubernetes.io/managed-by=tenantry is the operator's alone; leave it out"
		Expect(try(ctx, alice, labeled(ingress("acme", "shop.acme.example", "")))).To(refuse(alone))
		foreign := labeled(ingress("acme", "shop.globex.example", ""))
		// Which of two policies answers is up to the API server.
		either := Or(refuse(alone), refuse("the host shop.globex.example is not the tenant's"))
		Expect(try(ctx, alice, foreign)).To(either)
		own := ingress("acme", "shop.acme.example", "")
		Expect(alice.Create(ctx, own)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, own) })
		Expect(patch(ctx, alice, own, `{"metadata": {"labels": {"app.kubernetes.io/managed-by": "tenantry"}}, "spec": {"rules": [{"host": "shop.globex.example"}]}}`)).To(either)

		By("having a controller of the cluster copy the label")
		controller := "system:serviceaccount:kube-system:copies"
		for _, text := range []string{
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: copies},
				rules: [{apiGroups: [networking.k8s.io, gateway.networking.k8s.io], resources: [ingresses, httproutes], verbs: [create]}]}`,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: copies},
				roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: copies}, subjects: [{kind: User, name: "` + controller + `", apiGroup: rbac.authorization.k8s.io}]}`,
		} {
			created := object(text)
			Expect(env.Client.Create(ctx, created)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, created) })
		}
		copies := as(controller)
		Eventually(ctx, func() error { return try(ctx, copies, labeled(ingress("acme", "shop.acme.example", ""))) }).Should(Succeed())
		Expect(try(ctx, copies, foreign)).To(refuse("the host shop.globex.example is not the tenant's"))
		Expect(try(ctx, copies, labeled(gateway("HTTPRoute", "acme", "hostnames: [shop.globex.example], "+backend)))).
			To(refuse("the hostname shop.globex.example is not the tenant's"))
	}, SpecTimeout(specTimeout))

	It("can't be restarted in the operator's name", func(ctx SpecContext) {
		app := named(&appsv1.Deployment{}, "acme", "app")
		restart := client.RawPatch(types.MergePatchType, []byte(
			`{"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-03-01T09:00:00Z"}}}}}`))
		Expect(alice.Patch(ctx, app, restart, client.DryRunAll, client.FieldOwner("tenantry"))).To(refuse("app is managed by Tenantry"))
		Expect(alice.Patch(ctx, app, restart, client.DryRunAll, client.FieldOwner("alice"))).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("is scaled by a HorizontalPodAutoscaler of the tenant's engineers, and by nothing else of theirs", func(ctx SpecContext) {
		autoscaler := object(`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {namespace: acme, name: app},
			spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}, minReplicas: 2, maxReplicas: 3}}`)
		Expect(bob.Create(ctx, autoscaler)).To(Succeed())
		app := komega.Object(named(&appsv1.Deployment{}, "acme", "app"))
		Eventually(ctx, app).Should(And(
			HaveField("Spec.Replicas", HaveValue(Equal(int32(2)))), HaveField("Status.AvailableReplicas", Equal(int32(2)))))
		output, err := kubectlAs(ctx, "bob", "-n", "acme", "scale", "deployment/app", "--replicas=3")
		Expect(err).To(HaveOccurred())
		Expect(output).To(ContainSubstring("or create a HorizontalPodAutoscaler for the Deployment app"))
		Expect(bob.Delete(ctx, autoscaler)).To(Succeed())
		Eventually(ctx, app).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(1)))))
	}, SpecTimeout(specTimeout))

	It("is beside what the tenant's engineers manage freely", func(ctx SpecContext) {
		own := object(`{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: plain, name: own}, spec: {replicas: 0,
			selector: {matchLabels: {app: own}}, template: {metadata: {labels: {app: own}}, spec: {containers: [` + container("main", image) + `]}}}}`)
		Expect(bob.Create(ctx, own)).To(Succeed())
		for _, args := range [][]string{
			{"-n", "plain", "scale", "deployment/own", "--replicas=1"},
			{"-n", "plain", "rollout", "restart", "deployment/own"},
			{"-n", "plain", "delete", "deployment/own"},
		} {
			output, err := kubectlAs(ctx, "bob", args...)
			Expect(err).NotTo(HaveOccurred(), output)
		}
	}, SpecTimeout(specTimeout))

	It("shows the tenant's engineers their limits", func(ctx SpecContext) {
		output, err := kubectlAs(ctx, "bob", "-n", "acme", "get", "tnp", "tenant", "-o", "jsonpath={.spec.hostnames}")
		Expect(err).NotTo(HaveOccurred())
		Expect(output).To(Equal(`["shop.acme.test","*.acme.example"]`))
		output, err = kubectlAs(ctx, "alice", "-n", "acme", "auth", "can-i", "update", "tenantpolicies")
		Expect(err).To(HaveOccurred())
		Expect(output).To(Equal("no\n"))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A cordoned tenant", func() {
	It("is read and not changed, until it is let go", func(ctx SpecContext) {
		tenant := applyReady(ctx, tenant("frozen").App(image))
		config := named(&corev1.ConfigMap{}, "frozen", "own")
		Expect(alice.Create(ctx, config)).To(Succeed())
		change(ctx, tenant, func() { tenant.Spec.Cordoned = true })
		waitReady(ctx, tenant)
		Expect(tenant).To(haveCondition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, "cordoned"))
		sentence := "the Tenant frozen is cordoned, so its namespaces may be read and not changed"
		Eventually(ctx, func() error { return try(ctx, alice, named(&corev1.ConfigMap{}, "frozen", "new")) }).Should(refuse(sentence))
		Expect(alice.Delete(ctx, config)).To(refuse(sentence))
		Expect(patch(ctx, bob, config, `{"data": {"a": "b"}}`)).To(refuse(sentence))
		pods := &corev1.PodList{}
		Expect(bob.List(ctx, pods, client.InNamespace("frozen"))).To(Succeed())
		Expect(pods.Items).To(HaveLen(1))
		Expect(bob.Delete(ctx, &pods.Items[0])).To(refuse(sentence))
		output, err := kubectlAs(ctx, "bob", "-n", "frozen", "exec", pods.Items[0].Name, "--", "true")
		Expect(err).To(HaveOccurred())
		Expect(output).To(ContainSubstring(sentence))
		Expect(kubectlAs(ctx, "bob", "-n", "frozen", "auth", "can-i", "get", "pods")).To(ContainSubstring("yes"))
		Expect(alice.Get(ctx, client.ObjectKeyFromObject(config), config)).To(Succeed())

		By("leaving the cluster and its admin free to act")
		Expect(env.Client.Delete(ctx, &pods.Items[0])).To(Succeed())
		Eventually(ctx, komega.Object(named(&appsv1.Deployment{}, "frozen", "app"))).Should(HaveField("Status.ReadyReplicas", Equal(int32(1))))

		change(ctx, tenant, func() { tenant.Spec.Cordoned = false })
		Eventually(ctx, func() error { return alice.Delete(ctx, config) }).Should(Succeed())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A cordoned tenant with further namespaces", Label("K16"), func() {
	It("has none created, labeled or deleted by its Admin, until it is let go", func(ctx SpecContext) {
		tenant := applyReady(ctx, tenant("stopped").NamespaceLimit(3))
		further := func(name string) client.Object {
			return object(`{apiVersion: v1, kind: Namespace, metadata: {name: ` + name + `, labels: {tenantry.dev/tenant: stopped}}}`)
		}
		dev := further("stopped-dev")
		Eventually(ctx, func() error { return alice.Create(ctx, dev) }).Should(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(2)))))
		label := `{"metadata": {"labels": {"team": "blue"}}}`
		Expect(patch(ctx, alice, dev, label)).To(Succeed())

		change(ctx, tenant, func() { tenant.Spec.Cordoned = true })
		waitReady(ctx, tenant)
		sentence := "the Tenant stopped is cordoned, so its namespaces may be read and not changed"
		Eventually(ctx, func() error { return alice.Delete(ctx, dev, client.DryRunAll) }).Should(refuse(sentence))
		Expect(patch(ctx, alice, dev, `{"metadata": {"labels": {"team": "red"}}}`)).To(refuse(sentence))
		Eventually(ctx, func() error { return try(ctx, alice, further("stopped-more")) }).Should(refuse(
			"You may not create namespaces for the tenant stopped", "is not cordoned"))
		Expect(alice.Get(ctx, client.ObjectKeyFromObject(dev), dev)).To(Succeed())
		Expect(patch(ctx, env.Client, dev, `{"metadata": {"labels": {"team": "green"}}}`)).To(Succeed())

		change(ctx, tenant, func() { tenant.Spec.Cordoned = false })
		Eventually(ctx, func() error { return try(ctx, alice, further("stopped-more")) }).Should(Succeed())
		Eventually(ctx, func() error { return alice.Delete(ctx, dev) }).Should(Succeed())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A Tenant with deletionProtection", func() {
	It("is deleted by nobody, until it is false", func(ctx SpecContext) {
		tenant := applyReady(ctx, tenant("precious").DeletionProtection())
		output, err := env.Kubernetes.Kubectl(ctx, "delete", "tenant", "precious")
		Expect(output).To(BeEmpty())
		Expect(err).To(MatchError(ContainSubstring("the Tenant precious is protected; to delete it, set its spec.deletionProtection to false first")))
		Expect(env.Client.DeleteAllOf(ctx, &v1alpha1.Tenant{}, client.MatchingFields{"metadata.name": "precious"})).To(refuse("precious is protected"))
		change(ctx, tenant, func() { tenant.Spec.DeletionProtection = false })
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("The admission policies", func() {
	refusing := func(ctx context.Context) func() error {
		return func() error { return try(ctx, alice, service("plain", "NodePort")) }
	}

	DescribeTable("come back when they are deleted", func(ctx SpecContext, object client.Object, name string) {
		before := named(object.DeepCopyObject().(client.Object), "", name)
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(before), before)).To(Succeed())
		Expect(env.Client.Delete(ctx, before.DeepCopyObject().(client.Object))).To(Succeed())
		Eventually(ctx, komega.Object(named(object, "", name)), atOnce).Should(HaveField("ObjectMeta.UID", Not(Equal(before.GetUID()))))
		Eventually(ctx, refusing(ctx)).Should(refuse())
	},
		Entry("a policy", &admissionregistrationv1.ValidatingAdmissionPolicy{}, "services.tenantry.dev"),
		Entry("a binding", &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, "services.tenantry.dev"),
		Entry("a policy that gives defaults", &admissionregistrationv1.MutatingAdmissionPolicy{}, "pod-defaults.tenantry.dev"),
		Entry("a binding of one", &admissionregistrationv1.MutatingAdmissionPolicyBinding{}, "pod-defaults.tenantry.dev"),
	)

	DescribeTable("come back when they are changed", func(ctx SpecContext, object client.Object, name, text string) {
		Expect(env.Client.Get(ctx, types.NamespacedName{Name: name}, object)).To(Succeed())
		before := object.DeepCopyObject().(client.Object)
		Expect(patch(ctx, env.Client, object, text)).To(Succeed())
		Eventually(ctx, komega.Object(object), atOnce).Should(And(
			HaveField("Spec", Equal(specOf(before))), HaveField("ObjectMeta.Labels", Equal(before.GetLabels()))))
		Eventually(ctx, refusing(ctx)).Should(refuse())
	},
		Entry("a policy", &admissionregistrationv1.ValidatingAdmissionPolicy{}, "services.tenantry.dev", `{"spec": {"failurePolicy": "Ignore", "validations": [{"expression": "true"}]}}`),
		Entry("a binding that only warns", &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, "services.tenantry.dev", `{"spec": {"validationActions": ["Warn"]}}`),
		Entry("a binding that leaves out a namespace", &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, "services.tenantry.dev",
			`{"spec": {"matchResources": {"excludeResourceRules": [{"apiGroups": [""], "apiVersions": ["*"], "operations": ["*"], "resources": ["services"]}]}}}`),
		Entry("the operator's label", &admissionregistrationv1.ValidatingAdmissionPolicy{}, "services.tenantry.dev", `{"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}`),
	)

	It("cost nothing at rest", func(ctx SpecContext) {
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		policy := named(&admissionregistrationv1.ValidatingAdmissionPolicy{}, "", "pods.tenantry.dev")
		Expect(patch(ctx, env.Client, policy, `{"metadata": {"annotations": {"example.com/note": "one"}}}`)).To(Succeed())
		tenant := applyReady(ctx, tenant("witness"))
		Expect(tenant.UID).NotTo(BeEmpty())
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		for _, request := range requests {
			Expect(request.Resource).NotTo(HavePrefix("validatingadmission"), request.String())
		}
	}, SpecTimeout(specTimeout))

	It("hold while the operator is down", Serial, func(ctx SpecContext) {
		Expect(env.Operator.Stop()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.StartOperator(ctx) })
		Expect(refusing(ctx)()).To(refuse("NodePort"))
		Expect(try(ctx, alice, pod("acme", images("containers", "evil.example/x")))).To(refuse("evil.example/x"))
		Expect(try(ctx, alice, pod("acme", ""))).To(Succeed())
		Expect(alice.Delete(ctx, named(&networkingv1.NetworkPolicy{}, "acme", "deny-all"))).To(refuse("is managed by Tenantry"))
	}, SpecTimeout(specTimeout))

	It("refuse nearly all where the Tenant does not exist yet, and say so", Label("K1"), func(ctx SpecContext) {
		sentence := "the namespace orphan can't be used yet, for it has no TenantPolicy: the Tenant nobody does not exist"
		there := orphan(ctx)
		for _, object := range []client.Object{pod("orphan", ""), service("orphan", "ClusterIP"), ingress("orphan", "a.example", "")} {
			Eventually(ctx, func() error { return try(ctx, env.Client, object) }).Should(refuse(sentence))
		}
		Expect(patch(ctx, env.Client, there, `{"spec": {"sessionAffinity": "ClientIP"}}`)).To(refuse(sentence))
		Expect(patch(ctx, env.Client, there, `{"metadata": {"finalizers": ["example.com/held"]}}`)).To(Succeed())
		Expect(patch(ctx, env.Client, there, `{"metadata": {"finalizers": null}}`)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("refuse nothing in a namespace that is moved into a Tenant which only audits, while the operator is down", Label("K1"), Serial, func(ctx SpecContext) {
		applyReady(ctx, tenant("lenient").Policy(func(rules *v1alpha1.PolicyRules) { rules.Enforcement = v1alpha1.PolicyAudit }))
		applyReady(ctx, tenant("severe"))
		for _, name := range []string{"lenient", "severe"} {
			settled := "settled-" + name
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: settled}}
			Expect(env.Client.Create(ctx, namespace)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, namespace) }, NodeTimeout(time.Minute))
			Expect(env.Client.Create(ctx, &appsv1.Deployment{
				ObjectMeta: metav1.ObjectMeta{Namespace: settled, Name: "shop"},
				Spec: appsv1.DeploymentSpec{
					Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}},
					Template: corev1.PodTemplateSpec{
						ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "shop"}},
						Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "shop", Image: image}}},
					},
				},
			})).To(Succeed())
			Eventually(ctx, komega.Object(named(&appsv1.Deployment{}, settled, "shop"))).Should(HaveField("Status.ReadyReplicas", Equal(int32(1))))
		}
		Expect(env.Operator.Stop()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.StartOperator(ctx) })
		for _, name := range []string{"lenient", "severe"} {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "settled-" + name}}
			Expect(patch(ctx, env.Client, namespace, `{"metadata": {"labels": {"tenantry.dev/tenant": "`+name+`"}}}`)).To(Succeed())
		}
		Eventually(ctx, func() error { return try(ctx, env.Client, pod("settled-severe", "")) }).Should(refuse("can't be used yet"))
		Expect(env.Client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace("settled-lenient"), client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(ctx, func(g Gomega) {
			pods := &corev1.PodList{}
			g.Expect(env.Client.List(ctx, pods, client.InNamespace("settled-lenient"))).To(Succeed())
			g.Expect(pods.Items).To(ContainElement(And(HaveField("DeletionTimestamp", BeNil()), HaveField("Status.Phase", corev1.PodRunning))))
		}).Should(Succeed())
	}, SpecTimeout(specTimeout))

	It("refuse to create what a TenantPolicy is about where somebody has deleted it", Serial, func(ctx SpecContext) {
		Expect(env.Operator.Stop()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(env.StartOperator(ctx)).To(Succeed())
			Eventually(ctx, func() error { return try(ctx, alice, service("plain", "ClusterIP")) }).Should(Succeed())
		}, NodeTimeout(specTimeout))
		Expect(env.Client.Delete(ctx, named(&v1alpha1.TenantPolicy{}, "plain", "tenant"))).To(Succeed())
		Eventually(ctx, func() error { return try(ctx, alice, service("plain", "ClusterIP")) }).Should(MatchError(ContainSubstring("no params found")))
	}, SpecTimeout(specTimeout))

	It("leave alone what is no tenant's", func(ctx SpecContext) {
		Expect(try(ctx, env.Client, service("default", "NodePort"))).To(Succeed())
		Expect(try(ctx, env.Client, pod("default", images("containers", "evil.example/x")+", priorityClassName: system-node-critical"))).To(Succeed())
	}, SpecTimeout(specTimeout))
})

// orphan returns a Service in the namespace orphan, whose Tenant doesn't exist.
func orphan(ctx context.Context) client.Object {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "orphan"}}
	Expect(env.Client.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(env.Client.Delete(ctx, namespace)).To(Succeed())
		Eventually(ctx, komega.Get(namespace)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
	}, NodeTimeout(specTimeout))
	service := service("orphan", "ClusterIP")
	Expect(env.Client.Create(ctx, service)).To(Succeed())
	Expect(patch(ctx, env.Client, namespace, `{"metadata": {"labels": {"tenantry.dev/tenant": "nobody"}}}`)).To(Succeed())
	return service
}

var _ = Describe("What holds up the end of a namespace", Label("K1"), func() {
	// Each kind that a TenantPolicy has rules for, except pods, which are deleted before everything else.
	held := func(ctx context.Context, tenant, namespace string) []client.Object {
		GinkgoHelper()
		host := "shop." + tenant + ".example"
		objects := []client.Object{
			service(namespace, "ClusterIP"), claim(namespace, ""), ingress(namespace, host, ""),
			gateway("Gateway", namespace, "gatewayClassName: shared, "+listener(host)),
			gateway("HTTPRoute", namespace, "hostnames: ["+host+"], "+backend),
			resourceClaim("ResourceClaim", "{name: d, exactly: {deviceClassName: gpu}}"),
		}
		for _, object := range objects {
			object.SetNamespace(namespace)
			object.SetFinalizers([]string{"example.com/held"})
			Eventually(ctx, func() error { return env.Client.Create(ctx, object) }).Should(Succeed())
		}
		return objects
	}
	release := func(ctx context.Context, objects []client.Object) {
		GinkgoHelper()
		policy := named(&v1alpha1.TenantPolicy{}, objects[0].GetNamespace(), "tenant")
		Eventually(ctx, komega.Get(policy)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		for _, object := range objects {
			Expect(patch(ctx, env.Client, object, `{"metadata": {"annotations": {"example.com/note": "released"}}}`)).To(Succeed())
			Expect(patch(ctx, env.Client, object, `{"metadata": {"finalizers": null}}`)).To(Succeed())
		}
	}
	ending := func(name string) *builders.TenantBuilder {
		return tenant(name).NamespaceLimit(2).Policy(func(rules *v1alpha1.PolicyRules) {
			rules.Hostnames = []v1alpha1.HostnamePattern{v1alpha1.HostnamePattern("shop." + name + ".example")}
		})
	}

	It("is released by an admin, and the Tenant is gone", func(ctx SpecContext) {
		tenant := applyReady(ctx, ending("ending"))
		Expect(alice.Create(ctx, claim("ending", "storageClassName: none"))).To(Succeed()) // Kubernetes protects it.
		objects := held(ctx, "ending", "ending")
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		release(ctx, objects)
		Eventually(ctx, komega.Get(tenant)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
	}, SpecTimeout(specTimeout))

	It("is released in a further namespace that its owner deletes, and nothing new is written there", func(ctx SpecContext) {
		tenant := applyReady(ctx, ending("shrinking"))
		further := object(`{apiVersion: v1, kind: Namespace, metadata: {name: shrinking-dev, labels: {tenantry.dev/tenant: shrinking}}}`)
		Eventually(ctx, func() error { return alice.Create(ctx, further) }).Should(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(2)))))
		objects := held(ctx, "shrinking", "shrinking-dev")
		deployer := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shrinking-dev", Name: "deployer", Finalizers: []string{"example.com/held"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "dave"}},
		}
		Expect(env.Client.Create(ctx, deployer)).To(Succeed())
		Expect(alice.Delete(ctx, further)).To(Succeed())
		policy := named(&v1alpha1.TenantPolicy{}, "shrinking-dev", "tenant")
		Eventually(ctx, komega.Get(policy)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
		Expect(patch(ctx, as("dave"), objects[0], `{"spec": {"type": "NodePort"}}`)).To(
			refuse("the namespace shrinking-dev is being deleted, and so nothing new is written in it"))
		release(ctx, append(objects, deployer))
		Eventually(ctx, komega.Get(further)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))
	}, SpecTimeout(specTimeout))
})

func specOf(object client.Object) any {
	switch object := object.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		return object.Spec
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		return object.Spec
	}
	return nil
}

var _ = Describe("Audit", func() {
	manifest := func(namespace string) []string {
		return []string{"-n", namespace, "create", "service", "nodeport", "web", "--tcp=80", "--dry-run=server"}
	}

	It("of one tenant warns of what is refused to others, Pod Security included", func(ctx SpecContext) {
		tenant := applyReady(ctx, tenant("moving").Policy(func(rules *v1alpha1.PolicyRules) { rules.Enforcement = v1alpha1.PolicyAudit }))
		Eventually(ctx, func() (string, error) { return kubectlAs(ctx, "alice", manifest("moving")...) }).Should(And(
			ContainSubstring("Warning: Validation failed for ValidatingAdmissionPolicy 'services.tenantry.dev'"),
			ContainSubstring("spec.type is NodePort, which is none of the allowed serviceTypes: ClusterIP"),
			ContainSubstring("service/web created")))
		Expect(try(ctx, alice, object(`{apiVersion: v1, kind: Pod, metadata: {namespace: moving, name: root}, spec: {containers: [{name: c, image: nginx}]}}`))).To(Succeed())
		Expect(try(ctx, alice, service("plain", "NodePort"))).To(refuse())

		By("refusing it once it is moved")
		change(ctx, tenant, func() { tenant.Spec.Policy.Enforcement = v1alpha1.PolicyEnforce })
		Eventually(ctx, func() error { return try(ctx, alice, service("moving", "NodePort")) }).Should(refuse("NodePort"))
	}, SpecTimeout(specTimeout))

	It("of the whole cluster warns of what is refused otherwise, and protects what is Tenantry's", Serial, func(ctx SpecContext) {
		Expect(env.RestartOperator(ctx, "--policy-enforcement=Audit")).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(env.RestartOperator(ctx)).To(Succeed())
			awaitPolicies(ctx)
		}, NodeTimeout(specTimeout))
		Eventually(ctx, func() (string, error) { return kubectlAs(ctx, "alice", manifest("plain")...) }).Should(And(
			ContainSubstring("Warning: Validation failed"), ContainSubstring("spec.type is NodePort"), ContainSubstring("service/web created")))
		orphan(ctx)
		for _, object := range []client.Object{pod("orphan", ""), service("orphan", "ClusterIP"), claim("orphan", ""), ingress("orphan", "a.example", "")} {
			Eventually(ctx, func() error { return try(ctx, env.Client, object) }).Should(Succeed())
		}
		Expect(alice.Delete(ctx, named(&networkingv1.NetworkPolicy{}, "acme", "deny-all"))).To(refuse("is managed by Tenantry"))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Two tenants that claim one hostname", func() {
	hostnames := func(hostnames ...v1alpha1.HostnamePattern) func(*v1alpha1.PolicyRules) {
		return func(rules *v1alpha1.PolicyRules) { rules.Hostnames = hostnames }
	}
	policy := func(tenant string) *v1alpha1.TenantPolicy { return named(&v1alpha1.TenantPolicy{}, tenant, "tenant") }
	stalled := func(texts ...string) gomegatypes.GomegaMatcher {
		return And(haveCondition(v1alpha1.ConditionStalled, "True", v1alpha1.ReasonConflict, texts...),
			haveCondition(v1alpha1.ConditionNetworkReady, "False", v1alpha1.ReasonConflict, texts...))
	}

	It("keep it to the older one, and the younger is told and gets it when it is let go", func(ctx SpecContext) {
		elder := applyReady(ctx, tenant("elder").Policy(hostnames("*.twice.example")))
		// Kubernetes stores creation times in whole seconds.
		Eventually(ctx, func() bool { return metav1.Now().After(elder.CreationTimestamp.Add(1100 * time.Millisecond)) }).Should(BeTrue())
		younger := apply(ctx, tenant("younger").Policy(hostnames("shop.twice.example", "own.example")))
		Eventually(ctx, komega.Object(younger)).Should(stalled(`shop.twice.example (Tenant "elder")`))
		Eventually(ctx, komega.Object(policy("younger"))).Should(HaveField("Spec.Hostnames", HaveExactElements(BeEquivalentTo("own.example"))))
		Expect(try(ctx, alice, ingress("younger", "shop.twice.example", ""))).To(refuse("shop.twice.example"))
		Expect(try(ctx, alice, ingress("younger", "own.example", ""))).To(Succeed())
		Expect(try(ctx, alice, ingress("elder", "shop.twice.example", ""))).To(Succeed())

		By("letting it go")
		change(ctx, elder, func() { elder.Spec.Policy.Hostnames = nil })
		waitReady(ctx, younger)
		Eventually(ctx, func() error { return try(ctx, alice, ingress("younger", "shop.twice.example", "")) }).Should(Succeed())

		By("taking it again")
		change(ctx, elder, func() { elder.Spec.Policy.Hostnames = []v1alpha1.HostnamePattern{"shop.twice.example"} })
		Eventually(ctx, komega.Object(younger)).Should(stalled(`shop.twice.example (Tenant "elder")`))
		Eventually(ctx, func() error { return try(ctx, alice, ingress("younger", "shop.twice.example", "")) }).Should(refuse())

		By("deleting the older one")
		Expect(env.Client.Delete(ctx, elder)).To(Succeed())
		waitReady(ctx, younger)
	}, SpecTimeout(specTimeout))

	It("may have names beside each other", func(ctx SpecContext) {
		applyReady(ctx, tenant("left").Policy(hostnames("left.beside.example", "*.left.beside.example")))
		applyReady(ctx, tenant("right").Policy(hostnames("right.beside.example", "xleft.beside.example")))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("An older API server", Ordered, func() {
	var old *environment.Environment
	current := func(tenant *v1alpha1.Tenant) func(context.Context) (*v1alpha1.Tenant, error) {
		return func(ctx context.Context) (*v1alpha1.Tenant, error) {
			return tenant, old.Client.Get(ctx, client.ObjectKeyFromObject(tenant), tenant)
		}
	}

	BeforeAll(func(ctx SpecContext) {
		var err error
		old, err = environment.Start(ctx, environment.Options{
			Name: "admission-old", OperatorArgs: []string{"--leader-elect=false"}, Progress: GinkgoWriter,
			APIServerArgs: []string{
				"--disable-admission-plugins=MutatingAdmissionPolicy",
				"--runtime-config=admissionregistration.k8s.io/v1/mutatingadmissionpolicies=false,admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings=false",
				"--feature-gates=HPAScaleToZero=false",
			},
		})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() error { return old.Stop() })
	}, NodeTimeout(10*specTimeout))

	It("without MutatingAdmissionPolicy enforces all the same, gives no defaults, and that is said once", func(ctx SpecContext) {
		there := tenant("old").Build()
		Expect(old.Client.Create(ctx, there)).To(Succeed())
		Eventually(ctx, current(there)).Should(haveCondition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady))
		Eventually(ctx, func() error { return try(ctx, old.Client, service("old", "NodePort")) }).Should(refuse("NodePort"))
		events := &corev1.EventList{}
		Eventually(ctx, func() ([]corev1.Event, error) {
			err := old.Client.List(ctx, events, client.MatchingFields{"reason": "NotServed"})
			return events.Items, err
		}).Should(HaveExactElements(HaveField("Message", ContainSubstring("MutatingAdmissionPolicy"))))
		Expect(old.Operator.LogTail(500)).NotTo(ContainSubstring(`"level":"error"`))
	}, SpecTimeout(specTimeout))

	It("without HPAScaleToZero refuses an autoscaler that may scale to zero, which the tenant is told", func(ctx SpecContext) {
		there := tenant("old-to-zero").App("registry.example/shop:1").Autoscaling(0, 3, autoscalingv2.MetricSpec{
			Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
				Metric: autoscalingv2.MetricIdentifier{Name: "queue_length"},
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: new(resource.MustParse("1"))},
			},
		}).Build()
		Expect(old.Client.Create(ctx, there)).To(Succeed())
		Eventually(ctx, current(there)).Should(haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonInvalid,
			`HorizontalPodAutoscaler.autoscaling "app" is invalid: spec.minReplicas: Invalid value: 0: must be greater than or equal to 1`))
	}, SpecTimeout(specTimeout))
})
