package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// podsBeside returns the pods of a worker, a schedule or a migration.
func podsBeside(ctx context.Context, tenant *v1alpha1.Tenant, name string) func() ([]corev1.Pod, error) {
	return func() ([]corev1.Pod, error) {
		pods := &corev1.PodList{}
		err := env.Client.List(ctx, pods, client.InNamespace(tenant.Name), client.MatchingLabels{"app.kubernetes.io/name": name})
		return pods.Items, err
	}
}

// withSettings matches pods that have the settings of the app's Deployment as it is now.
func withSettings(ctx context.Context, tenant *v1alpha1.Tenant) OmegaMatcher {
	app := read(ctx, in(tenant, &appsv1.Deployment{}, "app"))
	return HaveEach(HaveField("Annotations", HaveKeyWithValue("tenantry.dev/settings", app.Spec.Template.Annotations["tenantry.dev/settings"])))
}

// endPod lets a pod end as a kubelet would.
func endPod(ctx context.Context, pod *corev1.Pod, exitCode int32, lastWords string) {
	GinkgoHelper()
	change := pod.DeepCopy()
	change.Status.Phase = corev1.PodSucceeded
	reason := "Completed"
	if exitCode != 0 {
		change.Status.Phase, reason = corev1.PodFailed, "Error"
	}
	change.Status.ContainerStatuses = nil
	for _, container := range pod.Spec.Containers {
		change.Status.ContainerStatuses = append(change.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: exitCode, Reason: reason, Message: lastWords, FinishedAt: metav1.Now(),
			}},
		})
	}
	Expect(env.Client.Status().Patch(ctx, change, client.MergeFrom(pod))).To(Succeed())
}

var _ = Describe("A worker", func() {
	It("runs beside the app with its image, settings and login, and follows the Tenant", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("workers").Worker("mail", 2, "/worker"))
		Expect(tenant).To(haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady, "2 of 2 replicas are available, and 2 of 2 of its workers."))
		Expect(tenant.Status.App.Workers).To(ConsistOf(And(
			HaveField("Name", v1alpha1.WorkloadName("mail")), HaveField("Replicas", HaveValue(Equal(int32(2)))), HaveField("ReadyReplicas", HaveValue(Equal(int32(2)))))))
		Expect(podsBeside(ctx, tenant, "mail")()).To(And(HaveLen(2), withSettings(ctx, tenant)))

		By("being rolled by another setting")
		change(ctx, tenant, func() { tenant.Spec.Config = map[string]string{"LOG_LEVEL": "debug"} })
		waitReady(ctx, tenant)
		Eventually(ctx, podsBeside(ctx, tenant, "mail")).Should(And(HaveLen(2), withSettings(ctx, tenant)))

		By("having another number of pods")
		change(ctx, tenant, func() { tenant.Spec.App.Workers[0].Replicas = new(int32(1)) })
		waitReady(ctx, tenant)
		Eventually(ctx, podsBeside(ctx, tenant, "mail")).Should(HaveLen(1))

		By("being taken away")
		change(ctx, tenant, func() { tenant.Spec.App.Workers = nil })
		waitReady(ctx, tenant)
		Eventually(ctx, podsBeside(ctx, tenant, "mail")).Should(BeEmpty())
		Expect(tenant.Status.App.Workers).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("that fits on no node shows in AppReady, and keeps nothing else from running", func(ctx SpecContext) {
		tenant := apply(ctx, whole("broken-worker").Worker("mail", 1, "/worker"))
		Eventually(ctx, komega.Object(tenant)).Should(beReady())
		change(ctx, tenant, func() {
			tenant.Spec.App.Workers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("5000")}
			tenant.Spec.App.Workers[0].Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("5000")}
		})
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "False", corev1.PodReasonUnschedulable,
			"Pod mail-", "Lower spec.app.workers[mail].resources, or have the cluster's administrator make room on its nodes."))
		Expect(tenant.Status.App.ReadyReplicas).To(HaveValue(Equal(int32(2))))
	}, SpecTimeout(specTimeout))

	It("and the app need the same database login, which is good until both have the next one", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("slow-worker").Worker("mail", 1, "/worker").Rotation(0, specTimeout))
		first := loginOf(ctx, tenant)
		requestRotation(ctx, tenant, "1")
		rotated(ctx, tenant, first)
		Eventually(ctx, podsBeside(ctx, tenant, "mail")).Should(And(HaveLen(1), withSettings(ctx, tenant)))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A schedule", func() {
	start := func(ctx SpecContext, tenant *v1alpha1.Tenant, job string) {
		GinkgoHelper()
		kubectl(ctx, "create", "job", "--namespace", tenant.Name, "--from=cronjob/bill", job, "--as=alice@"+tenant.Name)
	}
	scheduled := func(name string) *builders.TenantBuilder {
		return whole(name).Schedule("bill", "0 3 1 1 *", "/bill")
	}

	It("is a CronJob with the app's image, settings and login, which owners can run by hand", func(ctx SpecContext) {
		tenant := applyReady(ctx, scheduled("timetabled"))
		cronJob := read(ctx, in(tenant, &batchv1.CronJob{}, "bill"))
		Expect(cronJob.Spec.TimeZone).To(HaveValue(Equal("UTC")))
		start(ctx, tenant, "by-hand")
		job := in(tenant, &batchv1.Job{}, "by-hand")
		Eventually(ctx, komega.Object(job)).Should(HaveField("Status.Succeeded", Equal(int32(1))))
		Expect(podsBeside(ctx, tenant, "bill")()).To(And(HaveLen(1), withSettings(ctx, tenant)))
		waitReady(ctx, tenant)

		change(ctx, tenant, func() { tenant.Spec.App.Schedules = nil })
		Eventually(ctx, komega.Get(cronJob)).Should(MatchError(apierrors.IsNotFound, "not found"))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("whose run fails says so with the pod's last words, until a run succeeds", func(ctx SpecContext) {
		tenant := applyReady(ctx, scheduled("failing"))
		change(ctx, tenant, func() {
			schedule := &tenant.Spec.App.Schedules[0]
			schedule.BackoffLimit = new(int32(0))
			// So that its pods end when this spec lets them.
			schedule.Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("5000")}
			schedule.Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("5000")}
		})
		waitReady(ctx, tenant)
		for _, run := range []struct {
			job, while string
			exitCode   int32
			after      OmegaMatcher
		}{
			{"first", corev1.PodReasonUnschedulable, 1, haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonJobFailed,
				"The last run of the schedule bill has failed at ", `container "bill" has ended with exit code 1 (Error): KeyError: 'RATE'`)},
			{"second", v1alpha1.ReasonJobFailed, 0, beReady()},
		} {
			start(ctx, tenant, run.job)
			var pods []corev1.Pod
			Eventually(ctx, func() ([]corev1.Pod, error) {
				list := &corev1.PodList{}
				err := env.Client.List(ctx, list, client.InNamespace(tenant.Name), client.MatchingLabels{batchv1.JobNameLabel: run.job})
				pods = list.Items
				return pods, err
			}).Should(HaveLen(1))
			Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "False", run.while,
				"Lower spec.app.schedules[bill].resources"))
			Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(&pods[0]), &pods[0])).To(Succeed())
			endPod(ctx, &pods[0], run.exitCode, "Traceback:\nKeyError: 'RATE'")
			Eventually(ctx, komega.Object(tenant)).Should(run.after)
		}
	}, SpecTimeout(specTimeout))

	It("whose run the quota leaves no room for says so", func(ctx SpecContext) {
		tenant := applyReady(ctx, scheduled("overbooked"))
		change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("2") })
		Eventually(ctx, func() string { return quotaOf(ctx, tenant, corev1.ResourcePods) }).Should(Equal("2"))
		start(ctx, tenant, "too-many")
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonQuotaExceeded,
			"The schedule bill's pods need more than the quota leaves", "Raise spec.quota, or lower spec.app.schedules[bill].resources."))
		change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("9") })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})
