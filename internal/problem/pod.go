package problem

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Grace is how long pods may be in trouble before the tenant is Stalled, since many problems of pods pass by
// themselves.
const Grace = 30 * time.Second

// Lasting returns the problem of pods that have been in trouble since that time. After Grace it is Stalled.
func (p Problem) Lasting(since, now time.Time) Problem {
	p.Stalled = p.Stalled || (p.Reason != v1alpha1.ReasonProgressing && now.Sub(since) >= Grace)
	return p
}

// Pod is a pod that is in trouble.
type Pod struct {
	// Namespace, Name and Node are the pod's; Node is empty for one that has none.
	Namespace, Name, Node string
	// Field is the field of the Tenant with the pod's resources, such as spec.app.
	Field string
}

// NotRunning means that the pod isn't running. reason and message are from the scheduler or the kubelet.
func (p Pod) NotRunning(reason, message string) Problem {
	found := temporary(reason, OnChange, "Pod %s does not run: %s.", p.Name, strings.TrimSuffix(message, "."))
	if advice := p.remedy(reason); advice != "" {
		found.Message += " " + advice
	}
	return found
}

// whole returns the field with the image: what runs beside the app has that of the app.
func (p Pod) whole() string {
	if strings.HasPrefix(p.Field, App.Field+".") {
		return App.Field
	}
	return p.Field
}

// remedy returns what to do about a pod that isn't running; empty if the pod is replaced in any case.
func (p Pod) remedy(reason string) string {
	switch {
	case reason == corev1.PodReasonUnschedulable:
		return fmt.Sprintf("Lower %s.resources, or have the cluster's administrator make room on its nodes.", p.Field)
	case slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}, reason):
		return fmt.Sprintf("Correct %s.image, or see that the registry answers and lets its nodes in.", p.whole())
	case strings.HasPrefix(reason, "Create") || strings.HasPrefix(reason, "Run") || strings.HasPrefix(reason, "CrashLoop"):
		return fmt.Sprintf("See \"kubectl describe pod --namespace %s %s\", and correct %s.", p.Namespace, p.Name, p.Field)
	default:
		return ""
	}
}

// Ends means that a container of the pod keeps terminating. message is from the kubelet, and may be the same as
// ended, which says how the container has terminated. outOfMemory says that it exceeded its memory limit.
func (p Pod) Ends(reason, message, container, ended string, outOfMemory bool) Problem {
	if message != ended {
		message = strings.TrimSuffix(message, ".") + "; " + ended
	}
	remedy := fmt.Sprintf("\"kubectl logs --namespace %s %s --container %s --previous\" has its last words; correct %s.", p.Namespace, p.Name, container, p.Field)
	if outOfMemory {
		remedy = fmt.Sprintf("It needs more memory than its limit; raise %s.resources.limits.memory.", p.Field)
	}
	return temporary(reason, OnChange, "Pod %s does not run: %s. %s", p.Name, message, remedy)
}

// NotReady means that a container of the pod is running but no longer ready. which is its name.
func (p Pod) NotReady(which, since string) Problem {
	return temporary("Unhealthy", OnChange,
		"Pod %s is not ready since %s: %s. See \"kubectl describe pod --namespace %s %s\" for what the probe was answered; mend what the container needs, or delete the pod to start it anew.",
		p.Name, since, which, p.Namespace, p.Name)
}

// NeverReady means that a container of the pod runs, but has not become ready.
func (p Pod) NeverReady(container, since string) Problem {
	return temporary("Unhealthy", OnChange,
		"Pod %s is not ready: its container %q runs since %s, and its readiness probe has not succeeded. See \"kubectl describe pod --namespace %s %s\" for what the probe was answered, and \"kubectl logs\" for what the container does.",
		p.Name, container, since, p.Namespace, p.Name)
}

// NodeSilent means that the node of the pod doesn't answer.
func (p Pod) NodeSilent(since string) Problem {
	return temporary("NodeNotReady", OnChange,
		"Pod %s is not ready since %s: its node %s does not answer. Kubernetes replaces the pod some minutes later; have the cluster's administrator mend the node, or delete it if it is gone.",
		p.Name, since, p.Node)
}

// StartsSlowly means that the containers of the pod have not been created for a long time.
func (p Pod) StartsSlowly(container, since string) Problem {
	return temporary("ContainerCreating", OnChange,
		"Pod %s has a node since %s, and its container %q is not made yet. See \"kubectl describe pod --namespace %s %s\" for what it waits for: its image, a volume or the network.",
		p.Name, since, container, p.Namespace, p.Name)
}

// Hangs means that the pod should have terminated, but still exists.
func (p Pod) Hangs(since string, finalizers []string) Problem {
	if len(finalizers) > 0 {
		return temporary("Terminating", OnChange,
			"Pod %s hangs in Terminating since %s: it has the finalizers %s. Have what has set them do its work, or take them off the pod.",
			p.Name, since, strings.Join(finalizers, ", "))
	}
	return temporary("Terminating", OnChange,
		"Pod %s hangs in Terminating since %s: its node %s does not say that it has ended. Have the cluster's administrator mend the node; if that is gone, delete the Node, or the pod by \"kubectl delete pod --namespace %s %s --force --grace-period=0\".",
		p.Name, since, p.Node, p.Namespace, p.Name)
}
