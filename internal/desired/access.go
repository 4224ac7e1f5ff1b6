package desired

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// clusterRoles are Kubernetes' own user-facing roles.
var clusterRoles = []struct {
	role        v1alpha1.OwnerRole
	clusterRole string
}{
	{v1alpha1.OwnerRoleAdmin, "admin"},
	{v1alpha1.OwnerRoleEditor, "edit"},
	{v1alpha1.OwnerRoleViewer, "view"},
}

func roleBindings(tenant *v1alpha1.Tenant) []Object {
	var bindings []Object
	for _, r := range clusterRoles {
		if subjects := subjectsOf(tenant, r.role); len(subjects) > 0 {
			bindings = append(bindings, &rbacv1.RoleBinding{
				ObjectMeta: meta(tenant, "tenant-"+strings.ToLower(string(r.role))),
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: r.clusterRole},
				Subjects:   subjects,
			})
		}
	}
	return bindings
}

func subjectsOf(tenant *v1alpha1.Tenant, role v1alpha1.OwnerRole) []rbacv1.Subject {
	var subjects []rbacv1.Subject
	for _, owner := range tenant.Spec.Owners {
		if owner.Role != role {
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
