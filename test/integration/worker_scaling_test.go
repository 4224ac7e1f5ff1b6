package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

var _ = Describe("A worker with autoscaling", func() {
	mail := func(tenant *v1alpha1.Tenant) *appsv1.Deployment { return in(tenant, &appsv1.Deployment{}, "mail") }
	autoscaler := func(tenant *v1alpha1.Tenant) *autoscalingv2.HorizontalPodAutoscaler {
		return in(tenant, &autoscalingv2.HorizontalPodAutoscaler{}, "mail")
	}
	scaled := func(ctx context.Context, tenant *v1alpha1.Tenant, replicas string) {
		GinkgoHelper()
		kubectl(ctx, "scale", "deployment/mail", "--replicas="+replicas, "--namespace", tenant.Name)
	}
	// settled waits until the operator has reconciled the tenant after a change that rolls the worker.
	settled := func(ctx context.Context, tenant *v1alpha1.Tenant, value string, replicas int32) {
		GinkgoHelper()
		change(ctx, tenant, func() { tenant.Spec.Config = map[string]string{"LOG_LEVEL": value} })
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveWorker("mail", replicas)))
		Expect(podsBeside(ctx, tenant, "mail")()).To(withSettings(ctx, tenant))
	}
	queue := queueLength("30")

	It("has as many pods as its autoscaler or the cluster's admin says, and nobody undoes anything", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("worker-scaled").App(image).Worker("mail", 2, "/worker").Worker("pdf", 1, "/pdf"))
		history := recordReplicas(ctx, tenant, "mail")
		By("leaving the number to the autoscaler")
		change(ctx, tenant, func() {
			worker := &tenant.Spec.App.Workers[0]
			worker.Replicas, worker.Autoscaling = nil, &v1alpha1.Autoscaling{MaxReplicas: 6}
		})
		waitReady(ctx, tenant)
		Expect(read(ctx, autoscaler(tenant)).Spec).To(scaleByCPU("mail", 1, 6))
		Eventually(ctx, komega.Object(mail(tenant)), atOnce).Should(WithTransform(insistsOnReplicas, BeFalse()))

		By("scaling and restarting by a person, scaling by the autoscaler, and reconciling after each")
		scaled(ctx, tenant, "4")
		settled(ctx, tenant, "debug", 4)
		kubectl(ctx, "rollout", "restart", "deployment/mail", "--namespace", tenant.Name)
		change(ctx, tenant, func() { tenant.Spec.App.Workers[0].Autoscaling.MinReplicas = new(int32(5)) })
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveWorker("mail", 5)))
		settled(ctx, tenant, "info", 5)
		scaled(ctx, tenant, "6")
		settled(ctx, tenant, "warning", 6)
		Expect(history.seen()).To(Equal([]int32{2, 4, 5, 6}), "all numbers that it ever had")
		Expect(read(ctx, mail(tenant)).Spec.Template.Annotations).To(HaveKey("kubectl.kubernetes.io/restartedAt"))
		Expect(tenant).To(haveWorker("pdf", 1))

		By("setting the number again")
		change(ctx, tenant, func() {
			worker := &tenant.Spec.App.Workers[0]
			worker.Autoscaling, worker.Replicas = nil, new(int32(2))
		})
		waitGone(ctx, autoscaler(tenant))
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveWorker("mail", 2)))
		Expect(history.seen()).To(Equal([]int32{2, 4, 5, 6, 2}))
	}, SpecTimeout(specTimeout))

	It("may be one that an owner's HorizontalPodAutoscaler scales, for as long as there is one", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("worker-scaled-by-owner").Worker("mail", 3, "/worker"))
		alice := as("alice@" + tenant.Name)
		history := recordReplicas(ctx, tenant, "mail")
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 4}}
		Expect(alice.SubResource("scale").Update(ctx, read(ctx, mail(tenant)), client.WithSubResourceBody(scale))).To(MatchError(ContainSubstring(
			"to scale it, set spec.app.workers[mail].replicas of the Tenant " + tenant.Name + ", or create a HorizontalPodAutoscaler for the Deployment mail")))
		own := autoscalerOf(tenant, 2, 5)
		own.Name, own.Spec.ScaleTargetRef.Name = "queue", "mail"
		Expect(alice.Create(ctx, own)).To(Succeed())
		Eventually(ctx, komega.Object(mail(tenant)), atOnce).Should(WithTransform(insistsOnReplicas, BeFalse()))
		change(ctx, own, func() { own.Spec.MinReplicas = new(int32(5)) })
		Eventually(ctx, komega.Object(tenant)).Should(haveWorker("mail", 5))
		settled(ctx, tenant, "debug", 5)
		change(ctx, tenant, func() { tenant.Spec.App.Workers[0].Replicas = new(int32(1)) })
		settled(ctx, tenant, "info", 5)
		Expect(history.seen()).To(Equal([]int32{3, 5}), "all numbers that it ever had")
		Expect(alice.Delete(ctx, own)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveWorker("mail", 1)))
		Expect(history.seen()).To(Equal([]int32{3, 5, 1}))
	}, SpecTimeout(specTimeout))

	It("wakes with as many pods as its autoscaler had chosen, and takes the autoscaler along when it is taken away", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("worker-scaled-asleep").App(image).ScaledWorker("mail", 5, "/worker"))
		scaled(ctx, tenant, "4")
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveWorker("mail", 4)))
		history := recordReplicas(ctx, tenant, "mail")
		suspend := func(suspended bool) {
			GinkgoHelper()
			change(ctx, tenant, func() { tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Suspended: &suspended} })
		}
		suspend(true)
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		Expect(podsBeside(ctx, tenant, "mail")()).To(BeEmpty())
		suspend(false)
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveWorker("mail", 4)))
		Eventually(ctx, komega.Object(mail(tenant)), atOnce).Should(WithTransform(insistsOnReplicas, BeFalse()))
		Expect(history.seen()).To(Equal([]int32{4, 0, 4}), "all numbers that it ever had")
		change(ctx, tenant, func() { tenant.Spec.App.Workers = nil })
		waitGone(ctx, autoscaler(tenant))
		waitGone(ctx, mail(tenant))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("says that nobody serves its metrics and that the quota is too small, and runs", func(ctx SpecContext) {
		tenant := apply(ctx, bare("worker-scaled-blindly").App(image).MaxReplicas(6).ScaledWorker("mail", 5, "/worker").
			Workloads(func(app *v1alpha1.TenantApp) { app.Workers[0].Autoscaling.Metrics = []autoscalingv2.MetricSpec{queue} }).Quota("pods", "10"))
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonAutoscalingLimited,
			"With spec.app.autoscaling.maxReplicas 6 and spec.app.workers[mail].autoscaling.maxReplicas 5, all replicas together need pods 11, and spec.quota has 10;")))
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), lack(v1alpha1.ConditionStalled),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonAutoscalingInactive,
				"The number of replicas of the worker mail does not change, since its autoscaler has no metrics: ", "queue_length",
				"Correct spec.app.workers[mail].autoscaling.metrics, or have the cluster serve these metrics, for example with metrics-server.")))
	}, SpecTimeout(specTimeout))

	It("takes precedence over the replicas of its class, and replicas over the autoscaling of its class", func(ctx SpecContext) {
		class(ctx, "worker-scaled-mixed", `{tenant: {app: {image: `+image+`, workers: [{name: mail, command: [/mail], replicas: 3}, {name: pdf, command: [/pdf], autoscaling: {minReplicas: 2, maxReplicas: 4}}]}}}`)
		built := bare("worker-scaled-of-class").Build()
		built.Spec.ClassName = new("worker-scaled-mixed")
		built.Spec.App = &v1alpha1.TenantApp{Workers: []v1alpha1.AppWorker{
			{Name: "mail", Autoscaling: &v1alpha1.Autoscaling{MaxReplicas: 2}}, {Name: "pdf", Replicas: new(int32(1))},
		}}
		tenant := create(ctx, built)
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), haveWorker("mail", 1), haveWorker("pdf", 1)))
		Expect(read(ctx, autoscaler(tenant)).Spec.MaxReplicas).To(Equal(int32(2)))
		waitGone(ctx, in(tenant, &autoscalingv2.HorizontalPodAutoscaler{}, "pdf"))
	}, SpecTimeout(specTimeout))

	DescribeTable("is refused with", func(ctx SpecContext, change func(*v1alpha1.AppWorker), sentence string) {
		tenant := builders.Tenant("worker-scaled-refused").App(image).ScaledWorker("mail", 4, "/worker").Build()
		change(&tenant.Spec.App.Workers[0])
		Expect(env.Client.Create(ctx, tenant, client.DryRunAll)).To(MatchError(ContainSubstring(sentence)))
	},
		Entry("a minimum above the maximum", func(worker *v1alpha1.AppWorker) { worker.Autoscaling.MinReplicas = new(int32(5)) },
			"spec.app.workers[0].autoscaling: Invalid value: minReplicas is above maxReplicas; lower the first or raise the second"),
		Entry("replicas", func(worker *v1alpha1.AppWorker) { worker.Replicas = new(int32(2)) },
			"the worker has replicas and autoscaling, which both say how many pods it has; leave one of them out"),
		Entry("no maximum", func(worker *v1alpha1.AppWorker) { worker.Autoscaling.MaxReplicas = 0 },
			"the autoscaling of a worker needs the highest number of pods; write it in maxReplicas, or name the class that has it in spec.className"),
	)

	It("says what the API server refuses in its metrics", func(ctx SpecContext) {
		tenant := apply(ctx, bare("worker-scaled-nonsense").App(image).ScaledWorker("mail", 3, "/worker").Workloads(func(app *v1alpha1.TenantApp) {
			app.Workers[0].Autoscaling.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType}}
		}))
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonInvalid,
			`HorizontalPodAutoscaler.autoscaling "mail" is invalid: spec.metrics[0].resource: Required value`, "Correct spec.app.workers[mail]."))
	}, SpecTimeout(specTimeout))
})

// haveWorker matches a tenant of which a worker has this many pods, which are all ready.
func haveWorker(worker v1alpha1.WorkloadName, replicas int32) OmegaMatcher {
	return HaveField("Status.App.Workers", ContainElement(And(HaveField("Name", worker),
		HaveField("Replicas", HaveValue(Equal(replicas))), HaveField("ReadyReplicas", HaveValue(Equal(replicas))))))
}
