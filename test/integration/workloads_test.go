package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// autoscalerOf returns an autoscaler that keeps a tenant's app between two numbers of replicas. There are no
// metrics here, so it does nothing else.
func autoscalerOf(tenant *v1alpha1.Tenant, atLeast, atMost int32) *autoscalingv2.HorizontalPodAutoscaler {
	return in(tenant, &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "app"},
		MinReplicas:    &atLeast, MaxReplicas: atMost,
	}}, "app")
}

// insistsOnReplicas reports whether the operator owns the number of replicas.
func insistsOnReplicas(deployment *appsv1.Deployment) bool {
	for _, entry := range deployment.ManagedFields {
		if entry.Manager == "tenantry" && entry.Subresource == "" && hasReplicas(entry) {
			return true
		}
	}
	return false
}

func hasReplicas(entry metav1.ManagedFieldsEntry) bool {
	matched, err := ContainSubstring(`"f:replicas":{}`).Match(string(entry.FieldsV1.GetRawBytes()))
	return err == nil && matched
}

var _ = Describe("An app that others have a say in", Label("K7"), func() {
	// settled waits until the operator has reconciled the tenant after a change of its config.
	settled := func(ctx context.Context, tenant *v1alpha1.Tenant, value string) {
		GinkgoHelper()
		change(ctx, tenant, func() { tenant.Spec.Config = map[string]string{"LOG_LEVEL": value} })
		Eventually(ctx, komega.Object(in(tenant, &corev1.ConfigMap{}, "app-config"))).Should(HaveField("Data", HaveKeyWithValue("LOG_LEVEL", value)))
		waitReady(ctx, tenant)
	}
	appOf := func(tenant *v1alpha1.Tenant) *appsv1.Deployment { return in(tenant, &appsv1.Deployment{}, "app") }

	It("keeps secrets and imagePullSecrets that a platform gives its ServiceAccount", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("platform"))
		account := in(tenant, &corev1.ServiceAccount{}, "app")
		change(ctx, account, func() {
			account.Secrets = []corev1.ObjectReference{{Name: "app-dockercfg"}}
			account.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "app-dockercfg"}}
			account.AutomountServiceAccountToken = new(true)
		})
		given := And(
			HaveField("Secrets", ConsistOf(HaveField("Name", "app-dockercfg"))),
			HaveField("ImagePullSecrets", ConsistOf(HaveField("Name", "app-dockercfg"))))
		Eventually(ctx, komega.Object(account), atOnce).Should(And(given, HaveField("AutomountServiceAccountToken", HaveValue(BeFalse()))))
		change(ctx, account, func() { account.AutomountServiceAccountToken = nil })
		Eventually(ctx, komega.Object(account), atOnce).Should(And(given, HaveField("AutomountServiceAccountToken", HaveValue(BeFalse()))))
		settled(ctx, tenant, "debug")
		Expect(read(ctx, account)).To(given)
		pods := &corev1.PodList{}
		Expect(env.Client.List(ctx, pods, client.InNamespace(tenant.Name), client.MatchingLabels{"app.kubernetes.io/name": "app"})).To(Succeed())
		Expect(pods.Items).To(ContainElement(HaveField("Spec.ImagePullSecrets", ConsistOf(HaveField("Name", "app-dockercfg")))))
	}, SpecTimeout(specTimeout))

	It("is restarted by kubectl rollout restart", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("restarted"))
		pods, app := podUIDs(ctx, tenant), read(ctx, appOf(tenant))
		generation := app.Generation
		kubectl(ctx, "rollout", "restart", "deployment/app", "--namespace", tenant.Name)
		kubectl(ctx, "rollout", "status", "deployment/app", "--namespace", tenant.Name, "--timeout=60s")
		Eventually(ctx, func() []types.UID { return podUIDs(ctx, tenant) }).Should(And(HaveLen(2), Not(ContainElements(pods[0])), Not(ContainElements(pods[1]))))
		waitReady(ctx, tenant)
		Expect(read(ctx, app).Generation).To(Equal(generation + 1))
		settled(ctx, tenant, "debug")
		Expect(read(ctx, app).Spec.Template.Annotations).To(HaveKey("kubectl.kubernetes.io/restartedAt"))
	}, SpecTimeout(specTimeout))

	It("keeps what injectors and reloaders put into its pods, and still follows its Tenant", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("injected").Env("A", "1").Env("B", "2").Limit("memory", "256Mi"))
		app := appOf(tenant)
		change(ctx, app, func() {
			app.Spec.Template.Annotations["reloader.example/hash"] = "1234"
			pod := &app.Spec.Template.Spec
			pod.Containers[0].Env = append(pod.Containers[0].Env, corev1.EnvVar{Name: "INJECTED", Value: "yes"})
			sidecar := *pod.Containers[0].DeepCopy()
			sidecar.Name, sidecar.Env, sidecar.EnvFrom, sidecar.Ports = "proxy", nil, nil, nil
			pod.Containers = append(pod.Containers, sidecar)
		})
		service := in(tenant, &corev1.Service{}, "app")
		change(ctx, service, func() { service.Annotations["service.example/scrape"] = "true" })
		injected := And(
			HaveField("Spec.Template.Annotations", HaveKeyWithValue("reloader.example/hash", "1234")),
			HaveField("Spec.Template.Spec.Containers", ContainElement(HaveField("Name", "proxy"))),
			HaveField("Spec.Template.Spec.Containers", ContainElement(HaveField("Env", ContainElement(HaveField("Name", "INJECTED"))))))
		ofApp := func(matcher OmegaMatcher) OmegaMatcher {
			return HaveField("Spec.Template.Spec.Containers", ContainElement(And(HaveField("Name", "app"), matcher)))
		}

		change(ctx, tenant, func() {
			tenant.Spec.App.Image = "registry.example/shop:2"
			tenant.Spec.App.Env = []corev1.EnvVar{{Name: "B", Value: "3"}}
			tenant.Spec.App.Resources = corev1.ResourceRequirements{}
		})
		Eventually(ctx, komega.Object(app), atOnce).Should(And(injected, ofApp(And(
			HaveField("Image", "registry.example/shop:2"),
			HaveField("Env", And(ContainElement(corev1.EnvVar{Name: "B", Value: "3"}), Not(ContainElement(HaveField("Name", "A"))))),
			HaveField("Resources.Limits", BeEmpty())))))
		waitReady(ctx, tenant)
		change(ctx, app, func() { app.Spec.Template.Spec.Containers[0].Image = "registry.example/mine:1" })
		Eventually(ctx, komega.Object(app), atOnce).Should(And(injected, ofApp(HaveField("Image", "registry.example/shop:2"))))
		Expect(read(ctx, service).Annotations).To(HaveKeyWithValue("service.example/scrape", "true"))
	}, SpecTimeout(specTimeout))

	It("has as many replicas as its HorizontalPodAutoscaler says, for as long as there is one", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("autoscaled").Replicas(3))
		app, pods := appOf(tenant), podUIDs(ctx, tenant)
		autoscaler := autoscalerOf(tenant, 2, 4)
		Expect(env.Client.Create(ctx, autoscaler)).To(Succeed())
		Eventually(ctx, komega.Object(app), atOnce).Should(WithTransform(insistsOnReplicas, BeFalse()))
		Expect(app.Spec.Replicas).To(HaveValue(Equal(int32(3))))
		waitReady(ctx, tenant)
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods), "it never was another number")

		By("following the autoscaler")
		change(ctx, autoscaler, func() { autoscaler.Spec.MinReplicas = ptr.To[int32](4) })
		Eventually(ctx, komega.Object(app)).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(4)))))
		settled(ctx, tenant, "debug")
		Expect(tenant).To(haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady, "4 of 4 replicas are available."))
		change(ctx, tenant, func() { tenant.Spec.App.Replicas = ptr.To[int32](1) })
		waitReady(ctx, tenant)
		Expect(read(ctx, app).Spec.Replicas).To(HaveValue(Equal(int32(4))))
		read(ctx, in(tenant, &policyv1.PodDisruptionBudget{}, "app"))

		By("following the Tenant once it is gone")
		Expect(env.Client.Delete(ctx, autoscaler)).To(Succeed())
		Eventually(ctx, komega.Object(app), atOnce).Should(And(
			HaveField("Spec.Replicas", HaveValue(Equal(int32(1)))), WithTransform(insistsOnReplicas, BeTrue())))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("restarts when the limits change that its container gets, and only then", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("bounded").ContainerDefault("memory", "300Mi"))
		limits := func() ([]string, error) {
			pods := &corev1.PodList{}
			err := env.Client.List(ctx, pods, client.InNamespace(tenant.Name), client.MatchingLabels{"app.kubernetes.io/name": "app"})
			var limits []string
			for _, pod := range pods.Items {
				if pod.DeletionTimestamp.IsZero() {
					limits = append(limits, pod.Spec.Containers[0].Resources.Limits.Memory().String())
				}
			}
			return limits, err
		}
		edit := func(spec string) {
			GinkgoHelper()
			kubectl(ctx, "patch", "tenant", tenant.Name, "--type=merge", "--patch", `{"spec": {`+spec+`}}`)
		}
		for _, step := range []struct {
			spec, want string
		}{
			{`"containers": {"default": {"memory": "400Mi"}}`, "400Mi"},
			{`"containers": null`, "256Mi"},
			{`"containers": {"default": null, "max": {"memory": "500Mi"}}`, "500Mi"},
			{`"containers": {"default": null, "defaultRequest": null, "max": null}`, "0"},
			{`"containers": {"default": {"memory": "300Mi"}}`, "300Mi"},
			{`"app": {"resources": {"limits": {"memory": "200Mi"}}}`, "200Mi"},
		} {
			edit(step.spec)
			Eventually(ctx, limits).Should(Equal([]string{step.want, step.want}), step.spec)
			waitReady(ctx, tenant)
		}
		pods := podUIDs(ctx, tenant)
		edit(`"containers": {"default": {"memory": "444Mi"}}`)
		Eventually(ctx, komega.Object(in(tenant, &corev1.LimitRange{}, "containers"))).Should(
			HaveField("Spec.Limits", ConsistOf(HaveField("Default", HaveKeyWithValue(corev1.ResourceMemory, resource.MustParse("444Mi"))))))
		waitReady(ctx, tenant)
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods))
	}, SpecTimeout(specTimeout))
})
