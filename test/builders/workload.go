package builders

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DeploymentBuilder builds a Deployment, with the status that the cluster gives it.
type DeploymentBuilder struct {
	deployment appsv1.Deployment
}

// Deployment begins a Deployment with that many replicas. The cluster has seen its spec, and has created no pods
// yet.
func Deployment(namespace, name string, replicas int32) *DeploymentBuilder {
	return &DeploymentBuilder{deployment: appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: 1},
		Spec:       appsv1.DeploymentSpec{Replicas: new(replicas)},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 1},
	}}
}

// Build returns the Deployment.
func (b *DeploymentBuilder) Build() *appsv1.Deployment { return b.deployment.DeepCopy() }

// Unobserved makes the status that of an older generation of the spec.
func (b *DeploymentBuilder) Unobserved() *DeploymentBuilder {
	b.deployment.Generation = b.deployment.Status.ObservedGeneration + 1
	return b
}

// Pods sets the numbers of pods in the status: of all, of those with the newest template, and of those that are
// ready and available.
func (b *DeploymentBuilder) Pods(total, updated, available int32) *DeploymentBuilder {
	b.deployment.Status.Replicas = total
	b.deployment.Status.UpdatedReplicas = updated
	b.deployment.Status.ReadyReplicas = available
	b.deployment.Status.AvailableReplicas = available
	return b
}

// Condition adds a condition to the status.
func (b *DeploymentBuilder) Condition(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) *DeploymentBuilder {
	b.deployment.Status.Conditions = append(b.deployment.Status.Conditions, appsv1.DeploymentCondition{
		Type: kind, Status: status, Reason: reason, Message: message,
	})
	return b
}

// PodBuilder builds a Pod, with the status that scheduler and kubelet give it.
type PodBuilder struct {
	pod corev1.Pod
}

// Pod begins a Pod with nothing wrong.
func Pod(namespace, name string) *PodBuilder {
	return &PodBuilder{pod: corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}}
}

// Build returns the Pod.
func (b *PodBuilder) Build() *corev1.Pod { return b.pod.DeepCopy() }

// CreatedAt sets when the Pod was created.
func (b *PodBuilder) CreatedAt(created time.Time) *PodBuilder {
	b.pod.CreationTimestamp = metav1.NewTime(created)
	return b
}

// DeletedAt sets the deletion timestamp.
func (b *PodBuilder) DeletedAt(deleted time.Time) *PodBuilder {
	b.pod.DeletionTimestamp = new(metav1.NewTime(deleted))
	return b
}

// RunsOnce says that its containers are not started again, as those of a Job.
func (b *PodBuilder) RunsOnce() *PodBuilder {
	b.pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	return b
}

// NotScheduled says that the scheduler finds no node, and why.
func (b *PodBuilder) NotScheduled(reason, message string) *PodBuilder {
	b.pod.Status.Conditions = append(b.pod.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message,
	})
	return b
}

// Waiting adds a container that isn't running, for this reason.
func (b *PodBuilder) Waiting(container, reason, message string) *PodBuilder {
	b.pod.Status.ContainerStatuses = append(b.pod.Status.ContainerStatuses, waiting(container, reason, message))
	return b
}

// InitWaiting adds an init container that isn't running, for this reason.
func (b *PodBuilder) InitWaiting(container, reason, message string) *PodBuilder {
	b.pod.Status.InitContainerStatuses = append(b.pod.Status.InitContainerStatuses, waiting(container, reason, message))
	return b
}

// Failed says that the Pod has failed, and why.
func (b *PodBuilder) Failed(reason, message string) *PodBuilder {
	b.pod.Status.Phase, b.pod.Status.Reason, b.pod.Status.Message = corev1.PodFailed, reason, message
	return b
}

// On sets the node that the Pod runs on.
func (b *PodBuilder) On(node string) *PodBuilder {
	b.pod.Spec.NodeName = node
	return b
}

// Condition adds a condition to the status.
func (b *PodBuilder) Condition(kind corev1.PodConditionType, status corev1.ConditionStatus, reason string, since time.Time) *PodBuilder {
	b.pod.Status.Conditions = append(b.pod.Status.Conditions, corev1.PodCondition{
		Type: kind, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(since),
	})
	return b
}

// Running adds a container that has been running since that time.
func (b *PodBuilder) Running(container string, ready bool, since time.Time) *PodBuilder {
	b.pod.Status.Phase = corev1.PodRunning
	b.pod.Status.ContainerStatuses = append(b.pod.Status.ContainerStatuses, corev1.ContainerStatus{
		Name: container, Ready: ready, Started: new(true),
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(since)}},
	})
	return b
}

// Restarted says how often the container that was added last was restarted, and how it ended last time.
func (b *PodBuilder) Restarted(times, exitCode int32, reason string) *PodBuilder {
	container := &b.pod.Status.ContainerStatuses[len(b.pod.Status.ContainerStatuses)-1]
	container.RestartCount = times
	container.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: exitCode, Reason: reason}
	return b
}

// Starting says that the startup probe of the container that was added last has not succeeded.
func (b *PodBuilder) Starting() *PodBuilder {
	b.pod.Status.ContainerStatuses[len(b.pod.Status.ContainerStatuses)-1].Started = new(false)
	return b
}

// Ended adds a container that has terminated and was not restarted yet.
func (b *PodBuilder) Ended(container string, exitCode int32, reason string) *PodBuilder {
	b.pod.Status.ContainerStatuses = append(b.pod.Status.ContainerStatuses, corev1.ContainerStatus{
		Name: container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode, Reason: reason}},
	})
	return b
}

// Saying sets what the last container has said as it ended.
func (b *PodBuilder) Saying(message string) *PodBuilder {
	container := &b.pod.Status.ContainerStatuses[len(b.pod.Status.ContainerStatuses)-1]
	for _, state := range []corev1.ContainerState{container.State, container.LastTerminationState} {
		if state.Terminated != nil {
			state.Terminated.Message = message
		}
	}
	return b
}

// Finalizer adds a finalizer.
func (b *PodBuilder) Finalizer(name string) *PodBuilder {
	b.pod.Finalizers = append(b.pod.Finalizers, name)
	return b
}

func waiting(container, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name:  container,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}
}
