// Package workload says what all that runs pods has in common. It is pure.
package workload

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/internal/problem"
)

// harmless are the reasons of a waiting container for which nothing is wrong.
var harmless = []string{"", "ContainerCreating", "PodInitializing"}

// RolledOut says whether all pods of a Deployment are those that its spec asks for, and available.
func RolledOut(deployment *appsv1.Deployment) bool {
	want, have := ptr.Deref(deployment.Spec.Replicas, 1), deployment.Status
	return have.ObservedGeneration >= deployment.Generation &&
		have.UpdatedReplicas == want && have.AvailableReplicas == want && have.Replicas == want
}

// NewestTrouble is the trouble of the newest pod that is in any, since it has the newest settings.
func NewestTrouble(pods []corev1.Pod) (problem.Problem, bool) {
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(
			b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
			cmp.Compare(a.Name, b.Name),
		)
	})
	for _, pod := range pods {
		if !pod.DeletionTimestamp.IsZero() {
			continue
		}
		if reason, message := PodTrouble(&pod); reason != "" {
			return problem.PodNotRunning(pod.Name, reason, message), true
		}
	}
	return problem.Problem{}, false
}

// PodTrouble is what keeps a pod from running, in the words of the scheduler or the kubelet; empty if
// nothing does.
func PodTrouble(pod *corev1.Pod) (reason, message string) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Reason, condition.Message
		}
	}
	for _, container := range append(slices.Clone(pod.Status.InitContainerStatuses), pod.Status.ContainerStatuses...) {
		if waiting := container.State.Waiting; waiting != nil && !slices.Contains(harmless, waiting.Reason) {
			return waiting.Reason, cmp.Or(waiting.Message, waiting.Reason)
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return cmp.Or(pod.Status.Reason, "PodFailed"), cmp.Or(pod.Status.Message, "it failed")
	}
	return "", ""
}
