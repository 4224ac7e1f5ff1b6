package membership

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// reclaimPolicy says what happens to a namespace when its tenant is deleted.
func reclaimPolicy(tenant *effective.Tenant, movedIn bool) v1alpha1.NamespaceReclaimPolicy {
	policy := tenant.Spec.Namespaces.ReclaimPolicy
	if policy == v1alpha1.NamespaceRelease || policy == "" && movedIn {
		return v1alpha1.NamespaceRelease
	}
	return ""
}

// isMovedIn reports whether a namespace existed before it became the tenant's. That is decided when the tenant
// gets the namespace, and noted in an annotation.
func isMovedIn(namespace *corev1.Namespace) bool {
	if _, noted := namespace.Annotations[naming.AnnotationMovedIn]; noted {
		return true
	}
	return metav1.GetControllerOf(namespace) == nil && !createdWithLabel(namespace)
}

// createdWithLabel reports whether a namespace was created with the label of a tenant, according to its
// metadata.managedFields. It ignores what the operator has set.
func createdWithLabel(namespace *corev1.Namespace) bool {
	labeled := false
	for _, entry := range namespace.ManagedFields {
		set := &fieldpath.Set{}
		if entry.Manager == naming.FieldOwner || entry.FieldsV1 == nil || set.FromJSON(entry.FieldsV1.GetRawReader()) != nil {
			continue
		}
		if !set.Has(fieldpath.MakePathOrDie("metadata", "labels", naming.LabelTenant)) {
			continue
		}
		labeled = true
		// The creator of a namespace is also the manager of this label, which the API server sets.
		creates := entry.Operation == metav1.ManagedFieldsOperationApply ||
			set.Has(fieldpath.MakePathOrDie("metadata", "labels", corev1.LabelMetadataName))
		if creates && entry.Time != nil && entry.Time.Sub(namespace.CreationTimestamp.Time) <= time.Second {
			return true
		}
	}
	return !labeled
}

// NotGone returns, for the status, the namespaces of a tenant that is being deleted.
func (m Members) NotGone() []v1alpha1.TenantNamespace {
	var list []v1alpha1.TenantNamespace
	for _, member := range m.All {
		if member.Namespace == nil {
			continue
		}
		listed := member.TenantNamespace
		if member.IsTerminating() {
			listed.State, listed.Message = v1alpha1.NamespaceTerminating, terminating(member.Obstacles)
		}
		list = append(list, listed)
	}
	return list
}

// maxMessage is the maximum length of a namespace's message in the status, in characters.
const maxMessage = 512

// maxPods is the maximum number of pods in a message.
const maxPods = 5

// HeldBy returns the member with these pods as its obstacles. As long as pods are left, the namespace controller
// deletes nothing else and reports nothing.
func (m Member) HeldBy(pods []corev1.Pod) Member {
	var texts []string
	for i := range pods {
		if i == maxPods {
			texts = append(texts, "and more")
			break
		}
		texts = append(texts, ofPod(&pods[i]))
	}
	if len(texts) == 0 {
		return m
	}
	m.Obstacles = "Some pods are remaining: " + strings.Join(texts, ", ")
	if m.State == v1alpha1.NamespaceTerminating {
		m.Message = terminating(m.Obstacles)
	}
	return m
}

// ofPod returns the name of a pod that is left, and what keeps it.
func ofPod(pod *corev1.Pod) string {
	switch {
	case len(pod.Finalizers) > 0:
		return pod.Name + " with the finalizers " + strings.Join(pod.Finalizers, " and ")
	case pod.DeletionTimestamp.IsZero():
		return pod.Name
	default:
		return fmt.Sprintf("%s, which node %s was to end by %s", pod.Name, pod.Spec.NodeName, pod.DeletionTimestamp.UTC().Format(time.RFC3339))
	}
}

// terminating returns the message of a namespace that is being deleted.
func terminating(obstacles string) string {
	text := "It is being deleted"
	if obstacles != "" {
		text += ": " + obstacles
	}
	if runes := []rune(text); len(runes) >= maxMessage {
		return string(runes[:maxMessage-1]) + "…"
	}
	return strings.TrimSuffix(text, ".") + "."
}

// Obstacles returns what keeps a namespace from being deleted, according to its own conditions, without what the
// operator itself keeps there to the end; empty if nothing is known.
func Obstacles(namespace *corev1.Namespace) string {
	left := contentOf(namespace)
	var texts []string
	for _, condition := range namespace.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		intro, items, isList := listIn(condition)
		if !isList {
			texts = append(texts, condition.Message)
			continue
		}
		if items = slices.DeleteFunc(items, left.isRight); len(items) > 0 {
			texts = append(texts, intro+strings.Join(items, ", "))
		}
	}
	if len(namespace.Finalizers) > 0 {
		texts = append(texts, "The namespace itself has finalizers remaining: "+strings.Join(namespace.Finalizers, ", "))
	}
	return strings.Join(texts, "; ")
}

// OnlyRightsRemain reports whether only RoleBindings that the operator keeps to the end are left in a namespace.
func OnlyRightsRemain(namespace *corev1.Namespace) bool {
	left, kept := contentOf(namespace), false
	for _, condition := range namespace.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		_, items, isList := listIn(condition)
		if !isList || slices.ContainsFunc(items, func(item string) bool { return !left.isRight(item) }) {
			return false
		}
		kept = kept || condition.Type == corev1.NamespaceFinalizersRemaining
	}
	return kept
}

// content is what is left of the owners' rights in a namespace, in the namespace controller's words.
type content struct{ bindings, finalizers string }

func (c content) isRight(item string) bool {
	return c.finalizers != "" && (item == c.bindings || item == c.finalizers)
}

// contentOf reads how many objects still have FinalizerRights. All of these are RoleBindings.
func contentOf(namespace *corev1.Namespace) content {
	for _, condition := range namespace.Status.Conditions {
		if condition.Type != corev1.NamespaceFinalizersRemaining || condition.Status != corev1.ConditionTrue {
			continue
		}
		_, items, _ := listIn(condition)
		for _, item := range items {
			if count, found := strings.CutPrefix(item, naming.FinalizerRights+" in "); found {
				return content{finalizers: item, bindings: "rolebindings.rbac.authorization.k8s.io has " + count}
			}
		}
	}
	return content{}
}

// listIn splits a message of the namespace controller that lists what remains.
func listIn(condition corev1.NamespaceCondition) (intro string, items []string, isList bool) {
	if condition.Type != corev1.NamespaceContentRemaining && condition.Type != corev1.NamespaceFinalizersRemaining {
		return "", nil, false
	}
	intro, list, found := strings.Cut(condition.Message, ": ")
	return fmt.Sprintf("%s: ", intro), strings.Split(list, ", "), found
}
