// Package membership says which namespaces a tenant has and which of them it can use. It is pure.
//
// The label tenantry.dev/tenant says whose a namespace is: the API server lets nobody set, change or
// remove it but who may use or manage that tenant (config/admission/namespaces.yaml).
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
	// Namespace is the namespace as the cluster has it; nil for a primary one that isn't there yet.
	Namespace *corev1.Namespace
}

// Members are the namespaces of a tenant.
type Members struct {
	// All are all of them: the primary one, then those in use, then the others, the older first.
	All []Member
	// Leaving are namespaces that the tenant still controls and that no longer have its label.
	Leaving []*corev1.Namespace
}

// Of are the members among the namespaces that have the tenant's name or its label, or are
// controlled by it.
func Of(tenant *effective.Tenant, namespaces []*corev1.Namespace) Members {
	members := Members{All: []Member{{TenantNamespace: v1alpha1.TenantNamespace{
		Name: tenant.Name, Primary: true, State: v1alpha1.NamespaceUsable,
	}}}}
	var others []*corev1.Namespace
	for _, namespace := range namespaces {
		switch {
		case namespace.Name == tenant.Name:
			members.All[0].Namespace = namespace
		case namespace.Labels[naming.LabelTenant] == tenant.Name:
			others = append(others, namespace)
		case metav1.IsControlledBy(namespace, tenant):
			members.Leaving = append(members.Leaving, namespace)
		}
	}
	slices.SortFunc(others, inOrder)
	used := int32(1)
	for _, namespace := range others {
		member := Member{Namespace: namespace, TenantNamespace: stateOf(tenant, namespace, used)}
		// One that is being deleted still has what runs in it.
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

// inOrder: namespaces in use keep their place, and else the older one comes first.
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
	case controller != nil && controller.UID != tenant.UID:
		result.State = v1alpha1.NamespaceConflict
		result.Message = fmt.Sprintf("It belongs to %s %q and is left as it is; take its owner reference off, or the label %s.",
			controller.Kind, controller.Name, naming.LabelTenant)
	case !namespace.DeletionTimestamp.IsZero():
		result.State = v1alpha1.NamespaceTerminating
		result.Message = "It is being deleted."
	case used >= tenant.Spec.Namespaces.Limit:
		result.State = v1alpha1.NamespaceOverLimit
		result.Message = fmt.Sprintf("The tenant may use %d namespaces and has that many already; delete one of them, or raise spec.namespaces.limit.", tenant.Spec.Namespaces.Limit)
	}
	return result
}

// Mine says whether the tenant may write to a namespace: it controls it, or the label says that it
// should and nobody else does.
func Mine(tenant *effective.Tenant, namespace *corev1.Namespace) bool {
	controller := metav1.GetControllerOf(namespace)
	if controller == nil {
		return namespace.Labels[naming.LabelTenant] == tenant.Name
	}
	return controller.UID == tenant.UID
}

// List are the namespaces as a status has them.
func (m Members) List() []v1alpha1.TenantNamespace {
	list := make([]v1alpha1.TenantNamespace, 0, len(m.All))
	for _, member := range m.All {
		list = append(list, member.TenantNamespace)
	}
	return list
}

// Names are the names of namespaces in a state, for people to read.
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
