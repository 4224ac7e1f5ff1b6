// Package membership decides which namespaces a tenant has and which of them it can use. It is pure.
//
// The label tenantry.dev/tenant says which tenant a namespace belongs to. Only users with the verb use or manage
// on that tenant can set, change or remove it (config/admission/namespaces.yaml).
package membership

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// Member is a namespace of a tenant.
type Member struct {
	v1alpha1.TenantNamespace
	// Namespace is the live namespace; nil if the operator has not created it yet.
	Namespace *corev1.Namespace
	// MovedIn says that it existed before it became the tenant's.
	MovedIn bool
	// Obstacles is what keeps a namespace from being deleted; empty if that isn't known.
	Obstacles string
}

// IsTerminating reports whether it is being deleted.
func (m Member) IsTerminating() bool {
	return m.Namespace != nil && !m.Namespace.DeletionTimestamp.IsZero()
}

// Members are the namespaces of a tenant.
type Members struct {
	// All has the primary namespace, then those in use, then the others, older ones first.
	All []Member
	// Leaving are namespaces that the tenant still controls but that no longer have its label.
	Leaving []*corev1.Namespace
}

// Of returns the members among the namespaces that have the tenant's name or its label, are controlled by it, or
// are named in its spec; and the named ones that don't exist.
func Of(tenant *effective.Tenant, namespaces []*corev1.Namespace) Members {
	members := Members{All: []Member{{TenantNamespace: v1alpha1.TenantNamespace{
		Name: tenant.Name, Primary: true, State: v1alpha1.NamespaceUsable,
	}}}}
	var others []*corev1.Namespace
	for _, namespace := range namespaces {
		switch {
		case namespace.Name == tenant.Name:
			members.All[0].Namespace = namespace
			members.All[0].Obstacles = Obstacles(namespace)
			members.All[0].MovedIn = isMovedIn(namespace)
			members.All[0].ReclaimPolicy = reclaimPolicy(tenant, members.All[0].MovedIn)
		case namespace.Labels[naming.LabelTenant] == tenant.Name:
			others = append(others, namespace)
		case metav1.IsControlledBy(namespace, tenant):
			members.Leaving = append(members.Leaving, namespace)
		case slices.Contains(tenant.Spec.Namespaces.Names, namespace.Name):
			others = append(others, namespace)
		}
	}
	others = append(others, missing(tenant, namespaces)...)
	slices.SortFunc(others, inOrder)
	used := int32(1)
	for _, namespace := range others {
		member := Member{TenantNamespace: stateOf(tenant, namespace, used)}
		if exists(namespace) {
			member.Namespace, member.MovedIn, member.Obstacles = namespace, isMovedIn(namespace), Obstacles(namespace)
		}
		member.ReclaimPolicy = reclaimPolicy(tenant, member.MovedIn)
		// Pods still run in a namespace that is being deleted, so it counts.
		if member.State == v1alpha1.NamespaceUsable || (member.State == v1alpha1.NamespaceTerminating && isInUse(namespace)) {
			used++
		}
		members.All = append(members.All, member)
	}
	slices.SortStableFunc(members.All[1:], func(a, b Member) int {
		return cmp.Compare(rank(a.State), rank(b.State))
	})
	return members
}

// missing returns placeholders for the namespaces that the spec names and that don't exist. They have no UID, and
// no creation time, so they come before all that aren't in use.
func missing(tenant *effective.Tenant, namespaces []*corev1.Namespace) []*corev1.Namespace {
	var result []*corev1.Namespace
	for _, name := range tenant.Spec.Namespaces.Names {
		there := slices.ContainsFunc(namespaces, func(namespace *corev1.Namespace) bool { return namespace.Name == name })
		if !there && name != tenant.Name {
			result = append(result, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name: name, Labels: map[string]string{naming.LabelTenant: tenant.Name},
			}})
		}
	}
	return result
}

func exists(namespace *corev1.Namespace) bool { return namespace.UID != "" }

// inOrder sorts namespaces in use first, so that they keep their place, and older ones before younger.
func inOrder(a, b *corev1.Namespace) int {
	if isInUse(a) != isInUse(b) {
		if isInUse(a) {
			return -1
		}
		return 1
	}
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.UID, b.UID),
		cmp.Compare(a.Name, b.Name),
	)
}

func isInUse(namespace *corev1.Namespace) bool {
	_, inUse := namespace.Annotations[naming.AnnotationUsable]
	return inUse
}

func rank(state v1alpha1.NamespaceState) int {
	return slices.Index([]v1alpha1.NamespaceState{
		v1alpha1.NamespaceUsable, v1alpha1.NamespaceOverLimit, v1alpha1.NamespaceConflict, v1alpha1.NamespaceTerminating,
	}, state)
}

func stateOf(tenant *effective.Tenant, namespace *corev1.Namespace, used int32) v1alpha1.TenantNamespace {
	result := v1alpha1.TenantNamespace{Name: namespace.Name, State: v1alpha1.NamespaceUsable}
	controller := metav1.GetControllerOf(namespace)
	switch {
	case namespace.Labels[naming.LabelTenant] != tenant.Name:
		result.State = v1alpha1.NamespaceConflict
		result.Message = fmt.Sprintf("spec.namespaces.names has it, but it exists and isn't the tenant's; choose another name, or move it in with the label %s=%s.",
			naming.LabelTenant, tenant.Name)
	case controller != nil && controller.UID != tenant.UID:
		result.State = v1alpha1.NamespaceConflict
		result.Message = fmt.Sprintf("It belongs to %s %q and is left as it is; take its owner reference off, or the label %s.",
			controller.Kind, controller.Name, naming.LabelTenant)
	case !namespace.DeletionTimestamp.IsZero():
		result.State = v1alpha1.NamespaceTerminating
		result.Message = terminating(Obstacles(namespace))
	case used >= tenant.Spec.Namespaces.Limit:
		result.State = v1alpha1.NamespaceOverLimit
		result.Message = fmt.Sprintf("The tenant may use %d namespaces and has that many already; delete one of them, or raise spec.namespaces.limit.", tenant.Spec.Namespaces.Limit)
	}
	return result
}

// Mine reports whether the operator may write to a namespace for the tenant: the tenant controls it, or it has the
// tenant's label and no other controller.
func Mine(tenant *effective.Tenant, namespace *corev1.Namespace) bool {
	controller := metav1.GetControllerOf(namespace)
	if controller == nil {
		return namespace.Labels[naming.LabelTenant] == tenant.Name
	}
	return controller.UID == tenant.UID
}

// List returns the namespaces for the status.
func (m Members) List() []v1alpha1.TenantNamespace {
	list := make([]v1alpha1.TenantNamespace, 0, len(m.All))
	for _, member := range m.All {
		list = append(list, member.TenantNamespace)
	}
	return list
}

// Names returns the names of the namespaces in a state, for a message.
func Names(list []v1alpha1.TenantNamespace, state v1alpha1.NamespaceState) string {
	const most = 10
	var names []string
	for _, namespace := range list {
		if namespace.State == state {
			names = append(names, namespace.Name)
		}
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
