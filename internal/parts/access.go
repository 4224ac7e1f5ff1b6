package parts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=roles;rolebindings,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants/namespaces,verbs=create
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles,resourceNames=admin;edit;view;tenantry-tenant-auditor;tenantry-tenant-user;tenantry-namespace-owner,verbs=bind

// Access grants the tenant's owners their rights in its namespaces.
var Access = &Part{
	Condition: v1alpha1.ConditionAccessReady,
	Opens:     true,
	Kinds:     []desired.Object{&rbacv1.Role{}, &rbacv1.RoleBinding{}, &corev1.ConfigMap{}},
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
	objects := append(present(tenantAuditor(in), tenantUser(in)), tenantNames(in)...)
	for _, place := range in.places() {
		if place.Usable {
			objects = append(objects, roleBindings(in, place)...)
		}
		objects = append(objects, present(namespaceOwner(in, place))...)
	}
	return append(objects, present(namespaceList(in))...)
}

func roleBindings(in Inputs, place Place) []desired.Object {
	var bindings []desired.Object
	for _, r := range clusterRoles {
		bindings = append(bindings, present(roleBinding(in, place.Name,
			"tenant-"+strings.ToLower(string(r.role)), r.clusterRole, hasRole(r.role)))...)
	}
	for _, name := range furtherClusterRoles(in.Tenant) {
		has := func(owner v1alpha1.Owner) bool { return slices.Contains(owner.ClusterRoles, name) }
		bindings = append(bindings, present(roleBinding(in, place.Name, naming.OwnerRole(name), name, has))...)
	}
	return bindings
}

// furtherClusterRoles returns the sorted names of the further ClusterRoles of all owners.
func furtherClusterRoles(tenant *effective.Tenant) []string {
	names := map[string]struct{}{}
	for _, owner := range tenant.Spec.Owners {
		for _, name := range owner.ClusterRoles {
			names[name] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// tenantAuditor returns the RoleBinding by which admission policies see that the tenant's policies only warn. It
// gives nobody any rights.
func tenantAuditor(in Inputs) desired.Object {
	if in.Tenant.Spec.Policy.Enforcement != v1alpha1.PolicyAudit {
		return nil
	}
	return &rbacv1.RoleBinding{
		ObjectMeta: meta(in.Tenant, naming.TenantAuditor),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: naming.RoleTenantAuditor},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: naming.ManagerNamespace, Name: naming.Manager}},
	}
}

// surplus is how many namespaces beyond its limit a tenant may have. No admission policy can count them, so
// its owners lose the right to create more.
const surplus = 5

// createsNamespaces reports whether owners may create namespaces of the tenant.
func createsNamespaces(in Inputs) bool {
	limit := in.Tenant.Spec.Namespaces.Limit
	return limit > 1 && !in.Tenant.Spec.Cordoned && len(in.Listing) < int(limit)+surplus
}

// tenantUser lets owners create namespaces of the tenant. It is only in the primary namespace: in a namespace with
// the name of another tenant it would give rights to that one.
func tenantUser(in Inputs) desired.Object {
	if !createsNamespaces(in) {
		return nil
	}
	return roleBinding(in, in.Tenant.Name, naming.TenantUser, naming.RoleTenantUser, hasRole(v1alpha1.OwnerRoleAdmin))
}

// tenantNames lets owners create namespaces with names that don't begin with the tenant's. The policy namespaces
// checks for these rights.
func tenantNames(in Inputs) []desired.Object {
	names := in.Tenant.Spec.Namespaces.AllowedNames
	binding, bound := roleBinding(in, in.Tenant.Name, naming.TenantNames, "", hasRole(v1alpha1.OwnerRoleAdmin)).(*rbacv1.RoleBinding)
	if !bound || !createsNamespaces(in) || len(names) == 0 {
		return nil
	}
	binding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: naming.TenantNames}
	rule := rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"tenants/namespaces"}, Verbs: []string{"create"}}
	for _, name := range names {
		rule.ResourceNames = append(rule.ResourceNames, string(name))
	}
	return []desired.Object{&rbacv1.Role{ObjectMeta: meta(in.Tenant, naming.TenantNames), Rules: []rbacv1.PolicyRule{rule}}, binding}
}

// namespaceOwner lets owners change and delete a further namespace.
func namespaceOwner(in Inputs, place Place) desired.Object {
	if in.isPrimary(place) {
		return nil
	}
	return roleBinding(in, place.Name, naming.NamespaceOwner, naming.RoleNamespaceOwner, hasRole(v1alpha1.OwnerRoleAdmin))
}

// namespaceList returns the ConfigMap with the tenant's namespaces, since RBAC can't filter lists of namespaces.
func namespaceList(in Inputs) desired.Object {
	if len(in.Listing) == 0 {
		return nil
	}
	data := map[string]string{}
	for _, namespace := range in.Listing[:min(len(in.Listing), MaxNamespaces)] {
		data[namespace.Name] = strings.TrimSuffix(string(namespace.State)+": "+namespace.Message, ": ")
	}
	if more := len(in.Listing) - MaxNamespaces; more > 0 {
		data[naming.MoreNamespaces] = fmt.Sprintf("and %d more, which nobody can use", more)
	}
	return &corev1.ConfigMap{ObjectMeta: meta(in.Tenant, naming.NamespaceList), Data: data}
}

func hasRole(role v1alpha1.OwnerRole) func(v1alpha1.Owner) bool {
	return func(owner v1alpha1.Owner) bool { return owner.Role == role }
}

// roleBinding returns nil if it would bind nobody.
func roleBinding(in Inputs, namespace, name, clusterRole string, bound func(v1alpha1.Owner) bool) desired.Object {
	subjects := subjectsOf(in, bound)
	if len(subjects) == 0 {
		return nil
	}
	metadata := metaIn(namespace, in.Tenant, name)
	if namespace != in.Tenant.Name {
		// The primary namespace is deleted only with the tenant, and owners have no rights any more then.
		metadata.Finalizers = []string{naming.FinalizerRights}
	}
	return &rbacv1.RoleBinding{
		ObjectMeta: metadata,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   subjects,
	}
}

func subjectsOf(in Inputs, bound func(v1alpha1.Owner) bool) []rbacv1.Subject {
	var subjects []rbacv1.Subject
	for _, owner := range in.Tenant.Spec.Owners {
		if !bound(owner) || !in.trusted(owner) {
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
