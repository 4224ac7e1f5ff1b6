package integration

import (
	"context"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// appPodsOf returns the pods of a tenant's app.
func appPodsOf(ctx context.Context, tenant *v1alpha1.Tenant) []corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(env.Client.List(ctx, pods, client.InNamespace(tenant.Name), client.MatchingLabels{"app.kubernetes.io/name": "app"})).To(Succeed())
	return pods.Items
}

// report changes the status of a pod, as its kubelet does.
func report(ctx context.Context, pod *corev1.Pod, change func(*corev1.PodStatus)) {
	GinkgoHelper()
	before := pod.DeepCopy()
	change(&pod.Status)
	Expect(env.Client.Status().Patch(ctx, pod, client.MergeFrom(before))).To(Succeed())
}

// turnReady returns what a kubelet reports when a readiness probe begins to fail, or to succeed.
func turnReady(ready bool) func(*corev1.PodStatus) {
	return func(is *corev1.PodStatus) {
		is.ContainerStatuses[0].Ready = ready
		for i := range is.Conditions {
			condition := &is.Conditions[i]
			if condition.Type != corev1.PodReady && condition.Type != corev1.ContainersReady {
				continue
			}
			// A second after the start of the container, since times are in whole seconds.
			condition.LastTransitionTime = metav1.NewTime(time.Now().Add(time.Second))
			condition.Status, condition.Reason = corev1.ConditionTrue, ""
			if !ready {
				condition.Status, condition.Reason = corev1.ConditionFalse, "ContainersNotReady"
			}
		}
	}
}

var _ = Describe("An app that turns bad after it was Ready", Label("K10"), func() {
	It("names the pod, the container and why, and fails after a grace, until it is well again", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("turning"))
		pod := appPodsOf(ctx, tenant)[0]
		report(ctx, &pod, turnReady(false))
		Eventually(ctx, komega.Object(tenant), atOnce).Should(And(
			haveCondition(v1alpha1.ConditionAppReady, "False", "Unhealthy", "Pod "+pod.Name+" is not ready since ", `the readiness probe of container "app" fails`),
			haveCondition(v1alpha1.ConditionReconciling, "True", "Unhealthy"), lack(v1alpha1.ConditionStalled)))
		Eventually(ctx, komega.Object(tenant)).WithTimeout(time.Minute).Should(stalled("Unhealthy", "Pod "+pod.Name))
		Expect(kstatusOf(tenant)).To(Equal(status.FailedStatus))

		By("an operator that has just started")
		Expect(env.RestartOperator(ctx)).To(Succeed())
		kubectl(ctx, "annotate", "tenant", tenant.Name, "look=again")
		Consistently(ctx, komega.Object(tenant)).WithTimeout(3 * time.Second).Should(stalled("Unhealthy"))

		report(ctx, &pod, turnReady(true))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("says how often its container has ended, and of what", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("forgetful"))
		pod := appPodsOf(ctx, tenant)[0]
		report(ctx, &pod, func(is *corev1.PodStatus) {
			turnReady(false)(is)
			container := &is.ContainerStatuses[0]
			container.RestartCount = 3
			container.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}
			container.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 40s restarting failed container"}}
		})
		Eventually(ctx, komega.Object(tenant), atOnce).Should(haveCondition(v1alpha1.ConditionAppReady, "False", "CrashLoopBackOff",
			`container "app" has ended 3 times, the last time with exit code 137 (OOMKilled). It needs more memory than its limit; raise spec.app.resources.limits.memory.`))
	}, SpecTimeout(specTimeout))
})
