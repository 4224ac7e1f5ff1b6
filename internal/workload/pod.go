package workload

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/internal/problem"
)

// harmless are the reasons of waiting containers with nothing wrong.
var harmless = []string{"", "ContainerCreating", "PodInitializing"}

const (
	// startPatience is how long it may take to create the containers of a pod. Images may be large.
	startPatience = 5 * time.Minute
	// readyPatience is how long a container may take to be ready that has no startup probe, or has passed it.
	readyPatience = time.Minute
	// endPatience is how much longer than its grace period a pod may take to terminate.
	endPatience = 30 * time.Second
)

const (
	// reasonOutOfMemory is the reason of a container that has exceeded its memory limit.
	reasonOutOfMemory = "OOMKilled"
	// neverStarted is what runc says of a container whose limit is too low for its start.
	neverStarted = "OOM-killed (memory limit too low?)"
)

// PodTrouble returns what keeps a pod from running, or from being ready again, as the scheduler or the kubelet
// reports it; empty if nothing does.
func PodTrouble(pod *corev1.Pod) (reason, message string) {
	if pod.Status.Phase == corev1.PodSucceeded {
		return "", ""
	}
	if scheduled := condition(pod, corev1.PodScheduled); scheduled != nil && scheduled.Status == corev1.ConditionFalse {
		return scheduled.Reason, scheduled.Message
	}
	for _, container := range containers(pod) {
		if waiting := container.State.Waiting; waiting != nil && !slices.Contains(harmless, waiting.Reason) {
			return waiting.Reason, cmp.Or(waiting.Message, waiting.Reason)
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return cmp.Or(pod.Status.Reason, "PodFailed"), cmp.Or(pod.Status.Message, "it failed")
	}
	if ended := lastEnd(pod); ended != nil {
		return cmp.Or(ended.terminated.Reason, "Error"), ended.String()
	}
	if failing := failingProbe(pod); failing != "" {
		return "Unhealthy", failing
	}
	if nodeSilent(pod) {
		return "NodeNotReady", "its node does not answer"
	}
	return "", ""
}

// Settled reports whether a pod is ready. Nothing is wrong with it until its status changes.
func Settled(pod *corev1.Pod) bool {
	ready := condition(pod, corev1.PodReady)
	reason, _ := PodTrouble(pod)
	return ready != nil && ready.Status == corev1.ConditionTrue && reason == ""
}

// Signs returns a text that changes when the result of Trouble does for another reason than time.
func Signs(pod *corev1.Pod) string {
	if !pod.DeletionTimestamp.IsZero() {
		return ""
	}
	reason, _ := PodTrouble(pod)
	if reason == "" {
		return ""
	}
	restarts := int32(0)
	for _, container := range containers(pod) {
		restarts += container.RestartCount
	}
	return fmt.Sprint(reason, " ", restarts)
}

// inTrouble returns what is wrong with a pod that isn't being deleted.
func inTrouble(pod *corev1.Pod, field string, now time.Time) (problem.Problem, bool) {
	if !pod.DeletionTimestamp.IsZero() {
		return problem.Problem{}, false
	}
	about := problem.Pod{Namespace: pod.Namespace, Name: pod.Name, Node: pod.Spec.NodeName, Field: field}
	reason, message := PodTrouble(pod)
	ended := lastEnd(pod)
	switch {
	case reason == "":
		return slow(pod, about, now)
	case reason == "Unhealthy":
		return about.NotReady(message, since(condition(pod, corev1.PodReady))), true
	case reason == "NodeNotReady":
		return about.NodeSilent(since(condition(pod, corev1.PodReady))), true
	case ended != nil:
		return about.Ends(reason, message, ended.name, ended.String(), ended.outOfMemory()), true
	default:
		return about.NotRunning(reason, message), true
	}
}

// slow reports a pod of which nothing is known but that it takes long.
func slow(pod *corev1.Pod, about problem.Pod, now time.Time) (problem.Problem, bool) {
	for _, container := range pod.Status.ContainerStatuses {
		running := container.State.Running
		if running != nil && !container.Ready && ptr.Deref(container.Started, false) && now.Sub(running.StartedAt.Time) >= readyPatience {
			return about.NeverReady(container.Name, timestamp(running.StartedAt.Time)), true
		}
	}
	return slowStart(pod, about, now)
}

// slowStart reports a pod that has a node, but whose containers have not been created for a long time.
func slowStart(pod *corev1.Pod, about problem.Pod, now time.Time) (problem.Problem, bool) {
	scheduled := condition(pod, corev1.PodScheduled)
	if scheduled == nil || scheduled.Status != corev1.ConditionTrue || now.Sub(scheduled.LastTransitionTime.Time) < startPatience {
		return problem.Problem{}, false
	}
	for _, container := range pod.Status.ContainerStatuses {
		if waiting := container.State.Waiting; waiting != nil && waiting.Reason == "ContainerCreating" {
			return about.StartsSlowly(container.Name, since(scheduled)), true
		}
	}
	return problem.Problem{}, false
}

// hanging reports a pod that should have ended by its deletion timestamp.
func hanging(pod *corev1.Pod, field string, now time.Time) (problem.Problem, bool) {
	if pod.DeletionTimestamp.IsZero() || now.Sub(pod.DeletionTimestamp.Time) < endPatience {
		return problem.Problem{}, false
	}
	about := problem.Pod{Namespace: pod.Namespace, Name: pod.Name, Node: pod.Spec.NodeName, Field: field}
	return about.Hangs(timestamp(pod.DeletionTimestamp.Time), pod.Finalizers), true
}

// end is how a container that should be running has terminated.
type end struct {
	name       string
	times      int32
	terminated *corev1.ContainerStateTerminated
}

func (e end) outOfMemory() bool {
	return e.terminated.Reason == reasonOutOfMemory || strings.Contains(e.terminated.Message, neverStarted)
}

func (e end) String() string {
	last := fmt.Sprintf("exit code %d (%s)", e.terminated.ExitCode, cmp.Or(e.terminated.Reason, "Error"))
	if words := lastWords(e.terminated.Message); words != "" {
		last += ": " + words
	}
	if e.times < 2 {
		return fmt.Sprintf("container %q has ended with %s", e.name, last)
	}
	return fmt.Sprintf("container %q has ended %d times, the last time with %s", e.name, e.times, last)
}

// severity is how PostgreSQL marks the line that says why it ends. It logs more after that.
var severity = regexp.MustCompile(`(?:PANIC|FATAL): +(.+)`)

// lastWordsLimit is how many bytes are shown of what a container has said.
const lastWordsLimit = 300

// lastWords returns the line of a termination message that says why the container has ended: the last one with a
// severity, from that on, or else the last line.
func lastWords(message string) string {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	words := lines[len(lines)-1]
	if marked := severity.FindAllStringSubmatch(message, -1); len(marked) > 0 {
		words = marked[len(marked)-1][1]
	}
	words = strings.TrimSpace(words)
	if len(words) > lastWordsLimit {
		words = strings.ToValidUTF8(words[:lastWordsLimit], "") + "…"
	}
	return words
}

// lastEnd returns how the first container that has not been ready since has terminated; nil if there is none. An
// init container may terminate, but not fail, and so may one that isn't started again, a moment before its pod has
// succeeded.
func lastEnd(pod *corev1.Pod) *end {
	for _, container := range pod.Status.InitContainerStatuses {
		if ended := endOf(container); ended != nil && !container.Ready && ended.terminated.ExitCode != 0 {
			return ended
		}
	}
	mayEnd := pod.Spec.RestartPolicy == corev1.RestartPolicyNever
	for _, container := range pod.Status.ContainerStatuses {
		if ended := endOf(container); ended != nil && !container.Ready && (ended.terminated.ExitCode != 0 || !mayEnd) {
			return ended
		}
	}
	return nil
}

func endOf(container corev1.ContainerStatus) *end {
	terminated, times := container.State.Terminated, container.RestartCount+1
	if terminated == nil {
		terminated, times = container.LastTerminationState.Terminated, max(1, container.RestartCount)
	}
	if terminated == nil {
		return nil
	}
	return &end{name: container.Name, times: times, terminated: terminated}
}

// failingProbe returns the name of a running container that was ready and isn't any more. A container that was
// never ready may still be starting.
func failingProbe(pod *corev1.Pod) string {
	ready := condition(pod, corev1.PodReady)
	if ready == nil || ready.Status == corev1.ConditionTrue {
		return ""
	}
	for _, container := range pod.Status.ContainerStatuses {
		running := container.State.Running
		if running != nil && !container.Ready && ready.LastTransitionTime.After(running.StartedAt.Time) {
			return fmt.Sprintf("the readiness probe of container %q fails", container.Name)
		}
	}
	return ""
}

// nodeSilent reports whether the node of a pod doesn't answer any more. Kubernetes then only sets the pod's
// condition Ready to False.
func nodeSilent(pod *corev1.Pod) bool {
	ready, containers := condition(pod, corev1.PodReady), condition(pod, corev1.ContainersReady)
	return ready != nil && ready.Status == corev1.ConditionFalse && ready.Reason == "" &&
		containers != nil && containers.Status == corev1.ConditionTrue
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// containers returns the statuses of all containers of a pod, in the order in which they start.
func containers(pod *corev1.Pod) []corev1.ContainerStatus {
	return append(slices.Clone(pod.Status.InitContainerStatuses), pod.Status.ContainerStatuses...)
}

// since returns when a condition last changed.
func since(c *corev1.PodCondition) string { return timestamp(c.LastTransitionTime.Time) }

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
