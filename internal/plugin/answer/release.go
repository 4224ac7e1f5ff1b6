package answer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Release returns how far the current revision of a class has got: its revisions with how many tenants are at each,
// and the tenants that aren't Ready.
func Release(class *v1alpha1.TenantClass, tenants []v1alpha1.Tenant) view.Node {
	mark, reason, message := readiness(class.Status.Conditions)
	root := view.Node{Kind: "TenantClass", Name: class.Name, Mark: mark, State: reason, Message: message}
	for i := range class.Status.Conditions {
		if c := &class.Status.Conditions[i]; !isSummary(c.Type) && c.Status == metav1.ConditionTrue {
			root.Add(view.Node{Kind: c.Type, Mark: view.Note, State: c.Reason, Message: c.Message})
		}
	}
	if class.Spec.Rollout.Paused {
		root.Add(view.Node{Kind: "Paused", Mark: view.Note, Message: fmt.Sprintf("No tenant is told to change until kubectl tenantry release resume %s.", class.Name)})
	}
	byRevision := tenantsByRevision(class.Name, tenants)
	current := class.Status.CurrentRevision
	if current != "" {
		root.Add(revisionNode(current, "the current revision", byRevision[current]))
	}
	for _, revision := range slices.Sorted(maps.Keys(byRevision)) {
		switch revision {
		case current:
		case "":
			root.Add(revisionNode("none", "the operator has not looked at them yet", byRevision[revision]))
		default:
			root.Add(revisionNode(revision, "", byRevision[revision]))
		}
	}
	return root
}

// tenantsByRevision returns the tenants of a class by the revision that they are at; empty for those of which the
// operator has not said so yet.
func tenantsByRevision(class string, tenants []v1alpha1.Tenant) map[string][]*v1alpha1.Tenant {
	byRevision := map[string][]*v1alpha1.Tenant{}
	for i := range tenants {
		tenant := &tenants[i]
		if naming.ClassOf(tenant) != class {
			continue
		}
		revision := ""
		if recorded := tenant.Status.Class; recorded != nil && recorded.Name == class {
			revision = recorded.Revision
		}
		byRevision[revision] = append(byRevision[revision], tenant)
	}
	return byRevision
}

// revisionNode returns the node of a revision, with the tenants there that aren't Ready.
func revisionNode(name, note string, tenants []*v1alpha1.Tenant) view.Node {
	node := view.Node{Kind: "Revision", Name: name, Mark: view.Good}
	ready, pinned := 0, 0
	var troubled []view.Node
	for _, tenant := range tenants {
		if tenant.Spec.ClassRevision == name {
			pinned++
		}
		if meta.IsStatusConditionTrue(tenant.Status.Conditions, v1alpha1.ConditionReady) {
			ready++
			continue
		}
		mark, reason, message := readiness(tenant.Status.Conditions)
		troubled = append(troubled, view.Node{Kind: "Tenant", Name: tenant.Name, Mark: mark, State: reason, Message: message})
		if node.Mark != view.Bad {
			node.Mark = mark
		}
	}
	said := []string{fmt.Sprintf("%d of %d tenants are ready", ready, len(tenants))}
	if pinned > 0 {
		said = append(said, fmt.Sprintf("%d pinned", pinned))
	}
	if note != "" {
		said = append([]string{note}, said...)
	}
	node.Message = strings.Join(said, ", ")
	if more := len(troubled) - maxTroubled; more > 0 {
		troubled = append(troubled[:maxTroubled], view.Node{Message: fmt.Sprintf("and %d more", more)})
	}
	node.Add(troubled...)
	return node
}

// maxTroubled is how many tenants of a revision are listed.
const maxTroubled = 20

// Pause returns what keeps a class from telling tenants to change.
func Pause(class *v1alpha1.TenantClass) Change {
	rest := fmt.Sprintf("Those that were told before go on; kubectl tenantry release status %s says how many have changed.", class.Name)
	if class.Spec.Rollout.Paused {
		return Change{Sentences: []string{fmt.Sprintf("There is nothing to do: the TenantClass %s is paused already. %s", class.Name, rest)}}
	}
	return Change{Spec: pausing(true), Sentences: []string{
		fmt.Sprintf("The TenantClass %s is paused: no tenant is told to change until kubectl tenantry release resume %s. %s", class.Name, class.Name, rest),
	}}
}

// Resume returns what lets a class tell tenants to change again.
func Resume(class *v1alpha1.TenantClass) Change {
	change := Change{Sentences: []string{fmt.Sprintf("There is nothing to do: the TenantClass %s isn't paused.", class.Name)}}
	if class.Spec.Rollout.Paused {
		change = Change{Spec: pausing(false), Sentences: []string{
			fmt.Sprintf("The TenantClass %s isn't paused any more: its tenants are told to change as spec.rollout says.", class.Name),
		}}
	}
	ready := meta.FindStatusCondition(class.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && ready.Reason == v1alpha1.ReasonReleaseStopped {
		change.Sentences = append(change.Sentences, ready.Message) // That is no pause, and it stays so.
	}
	if ready == nil || ready.Status != metav1.ConditionTrue || class.Status.ObservedGeneration != class.Generation {
		change.Sentences = append(change.Sentences, fmt.Sprintf("To wait for the end of its release: kubectl wait tenantclass/%s --for=condition=Ready --timeout=1h", class.Name))
	}
	return change
}

func pausing(paused bool) map[string]any {
	return map[string]any{"rollout": map[string]any{"paused": paused}}
}
