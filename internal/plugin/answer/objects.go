package answer

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/plugin/view"
	"github.com/tenantry/tenantry/internal/workload"
)

// kindOf returns the kind of an object of a part.
func kindOf(object desired.Object) string {
	if kind := object.GetObjectKind().GroupVersionKind().Kind; kind != "" {
		return kind
	}
	return reflect.TypeOf(object).Elem().Name()
}

// partOf returns the part of a tenant that an object belongs to; nil if none has objects of its kind. A copy
// is of the class's objects. Of several other parts, it is the one that has an object of that name in each tenant, or
// else the last.
func partOf(object *unstructured.Unstructured) *parts.Part {
	if parts.IsCopy(object.GetKind(), object) {
		return parts.Objects
	}
	var found *parts.Part
	bare := parts.Inputs{
		Tenant:  effective.Of(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: object.GetNamespace()}}),
		Listing: []v1alpha1.TenantNamespace{{Name: object.GetNamespace()}},
	}
	for _, part := range parts.All {
		if part == parts.Objects || !slices.ContainsFunc(part.AllKinds(), func(kind desired.Object) bool { return kindOf(kind) == object.GetKind() }) {
			continue
		}
		found = part
		if slices.ContainsFunc(part.Objects(bare), func(o desired.Object) bool {
			return kindOf(o) == object.GetKind() && o.GetName() == object.GetName()
		}) {
			return part
		}
	}
	return found
}

// objectNode returns the node of an object that the operator has put in place.
func objectNode(object *unstructured.Unstructured) view.Node {
	node := view.Node{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName(), Mark: view.Good}
	result, err := status.Compute(object)
	switch {
	case err != nil:
		node.Mark, node.Message = view.Note, err.Error()
	case result.Status == status.FailedStatus:
		node.Mark, node.State, node.Message = view.Bad, "Failed", result.Message
	case result.Status != status.CurrentStatus:
		node.Mark, node.State, node.Message = view.Busy, result.Status.String(), result.Message
	}
	describe(object, &node)
	return node
}

// describe adds what people want to know of some kinds.
func describe(object *unstructured.Unstructured, node *view.Node) {
	switch object.GetKind() {
	case "Deployment", "StatefulSet":
		wanted, found, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
		if !found {
			wanted = 1
		}
		ready, _, _ := unstructured.NestedInt64(object.Object, "status", "readyReplicas")
		node.State = fmt.Sprintf("%d/%d ready", ready, wanted)
		if node.Mark == view.Good && ready < wanted {
			node.Mark = view.Busy
		}
	case "ResourceQuota":
		if used := usedOf(object); used != "" {
			node.Message = used
		}
	}
}

// usedOf returns what is used of a ResourceQuota.
func usedOf(object *unstructured.Unstructured) string {
	hard, _, _ := unstructured.NestedStringMap(object.Object, "status", "hard")
	used, _, _ := unstructured.NestedStringMap(object.Object, "status", "used")
	entries := make([]string, 0, len(hard))
	for _, name := range slices.Sorted(maps.Keys(hard)) {
		entries = append(entries, fmt.Sprintf("%s %s of %s", name, used[name], hard[name]))
	}
	return strings.Join(entries, ", ")
}

// podNode returns the node of a pod.
func podNode(pod *corev1.Pod) view.Node {
	node := view.Node{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, State: string(pod.Status.Phase)}
	reason, message := workload.PodTrouble(pod)
	switch {
	case !pod.DeletionTimestamp.IsZero():
		node.Mark, node.State = view.Busy, "Terminating"
	case reason != "":
		node.Mark, node.State, node.Message = view.Bad, reason, message
	case workload.Settled(pod), pod.Status.Phase == corev1.PodSucceeded:
		node.Mark = view.Good
	default:
		node.Mark = view.Busy
	}
	return node
}

// ownerOf returns the kind and name of what a pod belongs to; empty for a pod of its own. The pods of a Deployment
// are controlled by its ReplicaSets, and those of a CronJob by its Jobs.
func ownerOf(pod *corev1.Pod, objects map[string]bool) string {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return ""
	}
	parent, _ := beforeLast(owner.Name, "-")
	for _, candidate := range []string{
		key(owner.Kind, pod.Namespace, owner.Name), key(parents[owner.Kind], pod.Namespace, parent),
	} {
		if objects[candidate] {
			return candidate
		}
	}
	return ""
}

// parents has the kinds whose objects create those of others, and append something to their own name for that.
var parents = map[string]string{"ReplicaSet": "Deployment", "Job": "CronJob"}

// beforeLast returns what comes before the last separator in a text, or all of a text without one.
func beforeLast(text, separator string) (before string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, false
	}
	return text[:at], true
}

func key(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

// maxPods is how many pods of one owner are listed.
const maxPods = 10

// podNodes returns the nodes of pods, those with a problem first, and one that counts the pods that are left out.
func podNodes(pods []*corev1.Pod) []view.Node {
	nodes := make([]view.Node, 0, len(pods))
	for _, pod := range pods {
		nodes = append(nodes, podNode(pod))
	}
	rank := map[view.Mark]int{view.Bad: 0, view.Busy: 1, view.Good: 2}
	slices.SortStableFunc(nodes, func(a, b view.Node) int {
		if rank[a.Mark] != rank[b.Mark] {
			return rank[a.Mark] - rank[b.Mark]
		}
		return strings.Compare(a.Name, b.Name)
	})
	if more := len(nodes) - maxPods; more > 0 {
		nodes = append(nodes[:maxPods], view.Node{Message: fmt.Sprintf("and %d more pods", more)})
	}
	return nodes
}
