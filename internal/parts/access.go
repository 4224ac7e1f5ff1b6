package parts

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=rolebindings,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles,resourceNames=admin;edit;view;tenantry-tenant-user;tenantry-namespace-owner,verbs=bind

// Access is the rights of the tenant's owners in its namespaces.
var Access = &Part{
	Condition: v1alpha1.ConditionAccessReady,
	Opens:     true,
	Kinds:     []desired.Object{&rbacv1.RoleBinding{}, &corev1.ConfigMap{}},
	objects:   access,
	inPlace:   accessInPlace,
}

// clusterRoles are Kubernetes' own user-facing roles.
var clusterRoles = []struct {
	role        v1alpha1.OwnerRole
	clusterRole string
}{
	{v1alpha1.OwnerRoleAdmin, "admin"},
	{v1alpha1.OwnerRoleEditor, "edit"},
	{v1alpha1.OwnerRoleViewer, "view"},
}

func access(in Inputs) []desired.Object {
	objects := present(tenantUser(in))
	for _, place := range in.places() {
		if place.Usable {
			objects = append(objects, roleBindings(in.Tenant, place)...)
		}
		objects = append(objects, present(namespaceOwner(in, place))...)
	}
	return append(objects, present(namespaceList(in))...)
}

func roleBindings(tenant *effective.Tenant, place Place) []desired.Object {
	var bindings []desired.Object
	for _, r := range clusterRoles {
		bindings = append(bindings, present(roleBinding(tenant, place.Name,
			"tenant-"+strings.ToLower(string(r.role)), r.clusterRole, hasRole(r.role)))...)
	}
	for _, name := range furtherClusterRoles(tenant) {
		has := func(owner v1alpha1.Owner) bool { return slices.Contains(owner.ClusterRoles, name) }
		bindings = append(bindings, present(roleBinding(tenant, place.Name, naming.OwnerRole(name), name, has))...)
	}
	return bindings
}

// furtherClusterRoles are those that owners have beside Kubernetes' own ones, in order.
func furtherClusterRoles(tenant *effective.Tenant) []string {
	names := map[string]struct{}{}
	for _, owner := range tenant.Spec.Owners {
		for _, name := range owner.ClusterRoles {
			names[name] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// tenantUser lets owners create namespaces of the tenant, unless it is cordoned. It is in the primary
// namespace only: in another one that is named like another tenant it would open that one.
func tenantUser(in Inputs) desired.Object {
	if in.Tenant.Spec.Namespaces.Limit < 2 || in.Tenant.Spec.Cordoned {
		return nil
	}
	return roleBinding(in.Tenant, in.Tenant.Name, naming.TenantUser, naming.RoleTenantUser, hasRole(v1alpha1.OwnerRoleAdmin))
}

// namespaceOwner lets owners change and delete a namespace that they have made, or could have.
func namespaceOwner(in Inputs, place Place) desired.Object {
	if in.isPrimary(place) {
		return nil
	}
	return roleBinding(in.Tenant, place.Name, naming.NamespaceOwner, naming.RoleNamespaceOwner, hasRole(v1alpha1.OwnerRoleAdmin))
}

// namespaceList tells owners of their namespaces, which Kubernetes can't list for them.
func namespaceList(in Inputs) desired.Object {
	if len(in.Listing) == 0 {
		return nil
	}
	data := map[string]string{}
	for _, namespace := range in.Listing {
		data[namespace.Name] = strings.TrimSuffix(string(namespace.State)+": "+namespace.Message, ": ")
	}
	return &corev1.ConfigMap{ObjectMeta: meta(in.Tenant, naming.NamespaceList), Data: data}
}

func hasRole(role v1alpha1.OwnerRole) func(v1alpha1.Owner) bool {
	return func(owner v1alpha1.Owner) bool { return owner.Role == role }
}

// roleBinding is nil where it would bind nobody.
func roleBinding(tenant *effective.Tenant, namespace, name, clusterRole string, bound func(v1alpha1.Owner) bool) desired.Object {
	subjects := subjectsOf(tenant, bound)
	if len(subjects) == 0 {
		return nil
	}
	return &rbacv1.RoleBinding{
		ObjectMeta: metaIn(namespace, tenant, name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   subjects,
	}
}

func subjectsOf(tenant *effective.Tenant, bound func(v1alpha1.Owner) bool) []rbacv1.Subject {
	var subjects []rbacv1.Subject
	for _, owner := range tenant.Spec.Owners {
		if !bound(owner) {
			continue
		}
		subject := rbacv1.Subject{Kind: string(owner.Kind), Name: owner.Name, Namespace: owner.Namespace}
		if owner.Kind != v1alpha1.OwnerKindServiceAccount {
			subject.APIGroup = rbacv1.GroupName
		}
		subjects = append(subjects, subject)
	}
	return subjects
}

func accessInPlace(o Observation) condition.State {
	if len(o.Tenant.Spec.Owners) == 0 {
		return condition.Ready("The tenant has no owners.")
	}
	return condition.Ready("The owners' rights are in place.")
}
