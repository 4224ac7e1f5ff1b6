package status

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
)

// harmless are the reasons of a waiting container for which nothing is wrong.
var harmless = []string{"", "ContainerCreating", "PodInitializing"}

func appInPlace(o Observation) state {
	deployment := o.Deployment
	if _, missing := o.Problems[v1alpha1.ConditionDatabaseReady]; missing && deployment == nil {
		return progressing("The app waits for its database.")
	}
	if deployment == nil || deployment.Status.ObservedGeneration < deployment.Generation {
		return progressing("The app is being rolled out.")
	}
	want, have := ptr.Deref(deployment.Spec.Replicas, 1), deployment.Status
	if want == 0 && have.Replicas == 0 {
		return state{status: "True", reason: v1alpha1.ReasonScaledToZero, message: "The app has zero replicas."}
	}
	if RolledOut(deployment) {
		return ready("%d of %d replicas are available.", want, want)
	}
	for _, find := range []func(Observation) (problem.Problem, bool){refused, podTrouble, deadlineExceeded} {
		if trouble, found := find(o); found {
			return stateOf(trouble)
		}
	}
	return rollout(want, have)
}

// RolledOut says whether all pods of a Deployment are those that its spec asks for, and available.
func RolledOut(deployment *appsv1.Deployment) bool {
	want, have := ptr.Deref(deployment.Spec.Replicas, 1), deployment.Status
	return have.ObservedGeneration >= deployment.Generation &&
		have.UpdatedReplicas == want && have.AvailableReplicas == want && have.Replicas == want
}

// rollout tells how far along the app is.
func rollout(want int32, have appsv1.DeploymentStatus) state {
	available := min(have.UpdatedReplicas, have.AvailableReplicas)
	if former := have.Replicas - want; available >= want && former > 0 {
		return progressing("%d of %d replicas are available, with %d more to end.", want, want, former)
	}
	return progressing("%d of %d replicas are available.", available, want)
}

// refused tells of pods that the API server doesn't let the app create.
func refused(o Observation) (problem.Problem, bool) {
	failure := deploymentCondition(o.Deployment, appsv1.DeploymentReplicaFailure)
	if failure == nil || failure.Status != corev1.ConditionTrue {
		return problem.Problem{}, false
	}
	return problem.PodsRefused(failure.Message), true
}

func podTrouble(o Observation) (problem.Problem, bool) { return newestTrouble(o.Pods) }

// newestTrouble lets the newest pod in trouble speak, since it has the newest settings.
func newestTrouble(pods []corev1.Pod) (problem.Problem, bool) {
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

func deadlineExceeded(o Observation) (problem.Problem, bool) {
	condition := deploymentCondition(o.Deployment, appsv1.DeploymentProgressing)
	if condition == nil || condition.Status != corev1.ConditionFalse {
		return problem.Problem{}, false
	}
	return problem.RolloutStuck(condition.Reason, condition.Message), true
}

func deploymentCondition(deployment *appsv1.Deployment, kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range deployment.Status.Conditions {
		if deployment.Status.Conditions[i].Type == kind {
			return &deployment.Status.Conditions[i]
		}
	}
	return nil
}
