package integration

import (
	"context"
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// replicaHistory has the numbers of replicas that a Deployment has had, in order, without repetition.
type replicaHistory struct {
	mutex   sync.Mutex
	numbers []int32
}

func (h *replicaHistory) seen() []int32 {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return slices.Clone(h.numbers)
}

// recordReplicas follows a Deployment of a tenant until the end of the spec.
func recordReplicas(ctx context.Context, tenant *v1alpha1.Tenant, name string) *replicaHistory {
	GinkgoHelper()
	events, err := env.Client.Watch(ctx, &appsv1.DeploymentList{}, client.InNamespace(tenant.Name))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(events.Stop)
	history := &replicaHistory{}
	go func() {
		for event := range events.ResultChan() {
			found, isDeployment := event.Object.(*appsv1.Deployment)
			if !isDeployment || found.Name != name {
				continue
			}
			history.mutex.Lock()
			if number := ptr.Deref(found.Spec.Replicas, -1); len(history.numbers) == 0 || history.numbers[len(history.numbers)-1] != number {
				history.numbers = append(history.numbers, number)
			}
			history.mutex.Unlock()
		}
	}()
	return history
}

// queueLength is a metric that nobody serves here.
func queueLength(target string) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: "queue_length"},
		Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: new(resource.MustParse(target))},
	}}
}

// scaleByCPU matches the spec of an autoscaler that scales a Deployment between two numbers by the default metric.
func scaleByCPU(deployment string, least, most int32) OmegaMatcher {
	return And(
		HaveField("MinReplicas", HaveValue(Equal(least))), HaveField("MaxReplicas", most),
		HaveField("ScaleTargetRef", autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: deployment}),
		HaveField("Metrics", ConsistOf(HaveField("Resource.Target.AverageUtilization", HaveValue(Equal(int32(80)))))))
}

var _ = Describe("An app with autoscaling", func() {
	appOf := func(tenant *v1alpha1.Tenant) *appsv1.Deployment { return in(tenant, &appsv1.Deployment{}, "app") }
	autoscaler := func(tenant *v1alpha1.Tenant) *autoscalingv2.HorizontalPodAutoscaler {
		return in(tenant, &autoscalingv2.HorizontalPodAutoscaler{}, "app")
	}
	// scaledTo scales the app as an autoscaler does.
	scaledTo := func(ctx context.Context, tenant *v1alpha1.Tenant, replicas int32) {
		GinkgoHelper()
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
		Expect(env.Client.SubResource("scale").Update(ctx, read(ctx, appOf(tenant)), client.WithSubResourceBody(scale))).To(Succeed())
	}
	queue := queueLength("0.5")

	It("has as many replicas as its autoscaler says, and nobody undoes anything", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("scaled").App(image).Replicas(2))
		history := recordReplicas(ctx, tenant, "app")
		By("leaving the number to the autoscaler")
		change(ctx, tenant, func() {
			tenant.Spec.App.Replicas = nil
			tenant.Spec.App.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: new(int32(2)), MaxReplicas: 5}
		})
		waitReady(ctx, tenant)
		Expect(read(ctx, autoscaler(tenant)).Spec).To(scaleByCPU("app", 2, 5))
		Eventually(ctx, komega.Object(appOf(tenant)), atOnce).Should(WithTransform(insistsOnReplicas, BeFalse()))
		app := read(ctx, appOf(tenant))

		By("scaling, reconciling, and restarting by a person")
		scaledTo(ctx, tenant, 4)
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.App.ReadyReplicas", HaveValue(Equal(int32(4)))))
		change(ctx, tenant, func() { tenant.Spec.Config = map[string]string{"LOG_LEVEL": "debug"} })
		waitReady(ctx, tenant)
		kubectl(ctx, "rollout", "restart", "deployment/app", "--namespace", tenant.Name)
		kubectl(ctx, "rollout", "status", "deployment/app", "--namespace", tenant.Name, "--timeout=90s")
		change(ctx, tenant, func() { tenant.Spec.App.Autoscaling.MinReplicas = new(int32(5)) })
		Eventually(ctx, komega.Object(app)).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(5)))))
		waitReady(ctx, tenant)
		Expect(history.seen()).To(Equal([]int32{2, 4, 5}), "all numbers that it ever had")
		Expect(read(ctx, app).Spec.Template.Annotations).To(HaveKey("kubectl.kubernetes.io/restartedAt"))

		By("setting the number again")
		change(ctx, tenant, func() { tenant.Spec.App.Autoscaling, tenant.Spec.App.Replicas = nil, new(int32(1)) })
		waitGone(ctx, autoscaler(tenant))
		Eventually(ctx, komega.Object(app)).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(1)))))
		waitReady(ctx, tenant)
		Expect(history.seen()).To(Equal([]int32{2, 4, 5, 1}))
	}, SpecTimeout(specTimeout))

	It("gets its autoscaler back, and a changed one as it was", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("scaled-drift").App(image).Autoscaling(1, 3, queue))
		scaler := read(ctx, autoscaler(tenant))
		uid := scaler.UID
		change(ctx, scaler, func() { scaler.Spec.MaxReplicas = 50 })
		Eventually(ctx, komega.Object(scaler), atOnce).Should(HaveField("Spec.MaxReplicas", int32(3)))
		Expect(env.Client.Delete(ctx, scaler)).To(Succeed())
		Eventually(ctx, komega.Object(scaler), atOnce).Should(HaveField("UID", Not(Equal(uid))))
	}, SpecTimeout(specTimeout))

	It("says that nobody serves its metrics, and runs", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("scaled-blindly").App(image).Autoscaling(1, 3, queue))
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), lack(v1alpha1.ConditionStalled),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonAutoscalingInactive,
				"1 of 1 replicas are available. Their number does not change, since the autoscaler has no metrics: ", "queue_length",
				"Correct spec.app.autoscaling.metrics, or have the cluster serve these metrics, for example with metrics-server.")))
	}, SpecTimeout(specTimeout))

	It("says that the quota has no room for its highest number of replicas, until it has", func(ctx SpecContext) {
		tenant := apply(ctx, builders.Tenant("scaled-beyond").App(image).Request("cpu", "500m").Limit("cpu", "500m").Autoscaling(1, 50).Quota("requests.cpu", "8").Quota("pods", "100"))
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonAutoscalingLimited,
			"spec.app.autoscaling.maxReplicas is 50, and a quota of requests.cpu 8 has room for 16; lower the first or raise spec.quota.")))
		change(ctx, tenant, func() { tenant.Spec.Quota["requests.cpu"] = resource.MustParse("25") })
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady))
	}, SpecTimeout(specTimeout))

	It("takes precedence over the replicas of its class, and replicas over the autoscaling of its class", func(ctx SpecContext) {
		class(ctx, "scaled-fixed", `{tenant: {app: {image: `+image+`, replicas: 3}}}`)
		class(ctx, "scaled-auto", `{tenant: {app: {image: `+image+`, autoscaling: {minReplicas: 2, maxReplicas: 4}}}}`)
		of := func(name, class string, app v1alpha1.TenantApp) *v1alpha1.Tenant {
			built := builders.Tenant(name).Build()
			built.Spec.ClassName, built.Spec.App = &class, &app
			return create(ctx, built)
		}
		scaled := of("scaled-of-fixed", "scaled-fixed", v1alpha1.TenantApp{Autoscaling: &v1alpha1.Autoscaling{MaxReplicas: 2}})
		fixed := of("fixed-of-scaled", "scaled-auto", v1alpha1.TenantApp{Replicas: new(int32(1))})
		more := of("scaled-of-scaled", "scaled-auto", v1alpha1.TenantApp{Autoscaling: &v1alpha1.Autoscaling{MaxReplicas: 9}})
		wrong := of("scaled-wrongly", "scaled-auto", v1alpha1.TenantApp{Autoscaling: &v1alpha1.Autoscaling{MinReplicas: new(int32(5))}})
		waitReady(ctx, scaled)
		Expect(read(ctx, autoscaler(scaled)).Spec.MaxReplicas).To(Equal(int32(2)))
		waitReady(ctx, fixed)
		Expect(podUIDs(ctx, fixed)).To(HaveLen(1))
		waitGone(ctx, autoscaler(fixed))
		waitReady(ctx, more)
		Expect(read(ctx, autoscaler(more)).Spec).To(And(HaveField("MinReplicas", HaveValue(Equal(int32(2)))), HaveField("MaxReplicas", int32(9))))
		Eventually(ctx, komega.Object(wrong)).Should(stalled(v1alpha1.ReasonInvalid, "minReplicas is above maxReplicas; lower the first or raise the second"))
	}, SpecTimeout(specTimeout))

	DescribeTable("is refused with", func(ctx SpecContext, app v1alpha1.TenantApp, sentence string) {
		tenant := builders.Tenant("scaled-refused").App(image).Build()
		app.Image = image
		tenant.Spec.App = &app
		Expect(env.Client.Create(ctx, tenant, client.DryRunAll)).To(MatchError(ContainSubstring(sentence)))
	},
		Entry("a minimum above the maximum", v1alpha1.TenantApp{Autoscaling: &v1alpha1.Autoscaling{MinReplicas: new(int32(5)), MaxReplicas: 4}},
			"minReplicas is above maxReplicas; lower the first or raise the second"),
		Entry("replicas", v1alpha1.TenantApp{Replicas: new(int32(2)), Autoscaling: &v1alpha1.Autoscaling{MaxReplicas: 4}},
			"the app has replicas and autoscaling, which both say how many pods it has; leave one of them out"),
		Entry("no maximum", v1alpha1.TenantApp{Autoscaling: &v1alpha1.Autoscaling{MinReplicas: new(int32(2))}},
			"autoscaling needs the highest number of pods; write it in maxReplicas, or name the class that has it in spec.className"),
	)

	It("says what the API server refuses in its metrics", func(ctx SpecContext) {
		tenant := apply(ctx, builders.Tenant("scaled-nonsense").App(image).Autoscaling(1, 3, autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType}))
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonInvalid, `HorizontalPodAutoscaler.autoscaling "app" is invalid: spec.metrics[0].resource: Required value`))
	}, SpecTimeout(specTimeout))
})
