package answer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Why returns the chain that explains why a tenant isn't Ready: from Ready to the part that it is about, the object,
// the pod, and the last Event.
func Why(f Facts) Answer {
	chain := []view.Node{{Kind: "Tenant", Name: f.Name, Mark: view.Note, Message: notReadable}}
	if f.Tenant == nil {
		return Answer{Node: chained(f, append(chain, inTrouble(worst(f, nil))...)), Unread: f.Unread}
	}
	mark, reason, message := readiness(f.Tenant.Status.Conditions)
	chain[0].Mark, chain[0].State, chain[0].Message = mark, reason, message+since(f, v1alpha1.ConditionReady)
	if mark == view.Good {
		chain[0].Children = notes(f.Tenant)
		return Answer{Node: chain[0], Unread: f.Unread}
	}
	if f.Tenant.Status.ObservedGeneration < f.Tenant.Generation {
		chain[0].Message += " The operator hasn't looked at the last change of the Tenant yet."
	}
	if part := culprit(f.Tenant); part != nil {
		condition := meta.FindStatusCondition(f.Tenant.Status.Conditions, part.Condition)
		said := condition.Message
		if said == message {
			said = "" // Once is enough.
		}
		chain = append(chain, view.Node{Kind: part.Condition, Mark: markOf(condition), State: condition.Reason, Message: said + since(f, part.Condition)})
		chain = append(chain, inTrouble(worst(f, part))...)
	}
	return Answer{Node: chained(f, chain), Unread: f.Unread}
}

// since says since when a condition is as it is.
func since(f Facts, condition string) string {
	found := meta.FindStatusCondition(f.Tenant.Status.Conditions, condition)
	if found == nil || found.LastTransitionTime.Unix() <= 0 {
		return ""
	}
	return fmt.Sprintf(" (since %s)", age(f.Now, found.LastTransitionTime.Time))
}

// culprit returns the part that Ready is about: the one that says the same. Nil is none.
func culprit(tenant *v1alpha1.Tenant) *parts.Part {
	ready := meta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return nil
	}
	var failing *parts.Part
	for _, part := range parts.All {
		condition := meta.FindStatusCondition(tenant.Status.Conditions, part.Condition)
		if condition == nil || condition.Status == metav1.ConditionTrue {
			continue
		}
		if condition.Reason == ready.Reason && condition.Message == ready.Message {
			return part
		}
		failing = cmp.Or(failing, part)
	}
	return failing
}

// worst returns the first node that is bad below a part, or below any; if none is bad, the first that takes time. The
// result is empty if all is well.
func worst(f Facts, part *parts.Part) view.Node {
	pods := podsByOwner(f)
	for _, mark := range []view.Mark{view.Bad, view.Busy} {
		for _, candidate := range parts.All {
			if part != nil && candidate != part {
				continue
			}
			node, _ := partNode(f, candidate, pods)
			for _, child := range node.Children {
				if has(child, mark) {
					return narrowed(child, mark)
				}
			}
		}
	}
	return view.Node{}
}

func has(node view.Node, mark view.Mark) bool {
	return node.Mark == mark || slices.ContainsFunc(node.Children, func(child view.Node) bool { return has(child, mark) })
}

// narrowed returns a node with only the first of its children that has a mark.
func narrowed(node view.Node, mark view.Mark) view.Node {
	for _, child := range node.Children {
		if has(child, mark) {
			node.Children = []view.Node{narrowed(child, mark)}
			return node
		}
	}
	node.Children = nil
	return node
}

// inTrouble returns a node and what explains it as a list.
func inTrouble(node view.Node) (chain []view.Node) {
	for node.Kind != "" {
		below := node.Children
		node.Children = nil
		chain = append(chain, node)
		if len(below) == 0 {
			break
		}
		node = below[0]
	}
	return chain
}

// chained returns a chain as a tree, with the last Event about its end.
func chained(f Facts, chain []view.Node) view.Node {
	for _, c := range slices.Backward(chain) {
		if event := lastEvent(f.Events, c); event != nil {
			chain = append(chain, eventNode(f.Now, event))
			break
		}
	}
	for i := len(chain) - 1; i > 0; i-- {
		chain[i-1].Add(chain[i])
	}
	return chain[0]
}

// lastEvent returns the last Event about an object, or about what it has created by a name that begins with its own.
// A warning comes before what is normal. Nil is none.
func lastEvent(events []corev1.Event, node view.Node) *corev1.Event {
	var found *corev1.Event
	for i := range events {
		event := &events[i]
		if !isAbout(event, node) {
			continue
		}
		if found == nil || isWarning(event) && !isWarning(found) ||
			isWarning(event) == isWarning(found) && seenAt(event).After(seenAt(found)) {
			found = event
		}
	}
	return found
}

func isWarning(event *corev1.Event) bool { return event.Type == corev1.EventTypeWarning }

func isAbout(event *corev1.Event, node view.Node) bool {
	about := event.InvolvedObject
	if about.Namespace != node.Namespace || node.Name == "" {
		return false
	}
	prefix, cut := beforeLast(about.Name, "-")
	return about.Kind == node.Kind && about.Name == node.Name ||
		cut && parents[about.Kind] == node.Kind && prefix == node.Name
}

// seenAt returns when an Event was seen last. There are two kinds of them, in one store.
func seenAt(event *corev1.Event) time.Time {
	if event.Series != nil {
		return event.Series.LastObservedTime.Time
	}
	if !event.LastTimestamp.IsZero() {
		return event.LastTimestamp.Time
	}
	if !event.EventTime.IsZero() {
		return event.EventTime.Time
	}
	return event.CreationTimestamp.Time
}

func eventNode(now time.Time, event *corev1.Event) view.Node {
	mark := view.None
	if isWarning(event) {
		mark = view.Bad
	}
	times, from := "", cmp.Or(event.Source.Component, event.ReportingController)
	count := event.Count
	if event.Series != nil {
		count = event.Series.Count
	}
	if count > 1 {
		times = fmt.Sprintf(", %d times", count)
	}
	if from != "" {
		from = ", by " + from
	}
	message := fmt.Sprintf("%s (%s ago%s%s)", strings.TrimSpace(event.Message), age(now, seenAt(event)), times, from)
	return view.Node{Kind: "Event", Mark: mark, State: event.Reason, Message: message}
}
