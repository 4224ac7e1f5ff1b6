package parts_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

func TestServiceAccountsOfForeignNamespacesHaveNoRights(t *testing.T) {
	tenant := builders.Tenant("acme").
		ServiceAccountOwner("ci", "deployer", v1alpha1.OwnerRoleEditor).
		ServiceAccountOwner("ci", "trusted", v1alpha1.OwnerRoleEditor).TrustNamespace().
		ServiceAccountOwner("acme", "own", v1alpha1.OwnerRoleEditor).
		Owner(v1alpha1.OwnerKindUser, "system:serviceaccount:ci:user", v1alpha1.OwnerRoleEditor).
		Owner(v1alpha1.OwnerKindGroup, "system:serviceaccounts:ci", v1alpha1.OwnerRoleEditor).
		Owner(v1alpha1.OwnerKindGroup, "system:serviceaccounts", v1alpha1.OwnerRoleEditor).
		Owner(v1alpha1.OwnerKindGroup, "ci", v1alpha1.OwnerRoleEditor).
		Owner(v1alpha1.OwnerKindUser, "ci", v1alpha1.OwnerRoleEditor)
	in := inputsOf(t, tenant)
	if got := fmt.Sprint(parts.OwnersNamespaces(in.Tenant)); got != "[ci ci ci]" {
		t.Errorf("the namespaces to be trusted are %s", got)
	}
	in.UntrustedNamespaces = map[string]string{"ci": "doesn't exist"}
	var bound []string
	for _, subject := range find[*rbacv1.RoleBinding](t, parts.Access, in).Subjects {
		bound = append(bound, subject.Name)
	}
	if want := []string{"trusted", "own", "system:serviceaccounts", "ci", "ci"}; !slices.Equal(bound, want) {
		t.Errorf("rights have %v, want %v", bound, want)
	}
	state := parts.Access.State(parts.Observation{Tenant: in.Tenant, UntrustedNamespaces: in.UntrustedNamespaces})
	want := "These owners have no rights, which others would have through them: ServiceAccount deployer: the namespace ci doesn't exist; " +
		"User system:serviceaccount:ci:user: the namespace ci doesn't exist; Group system:serviceaccounts:ci: the namespace ci doesn't exist. " +
		"Create the namespace, name another owner, or set the owner's trustNamespace to true."
	if state.Reason != v1alpha1.ReasonUntrustedOwner || state.Message != want {
		t.Errorf("it says %s: %q, want %q", state.Reason, state.Message, want)
	}
}

func TestOwnersOfATenantWithFarTooManyNamespacesCreateNoMore(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").NamespaceLimit(2).AllowedNames("shop-*", "playground").
		Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin))
	for number := range 300 {
		in.Listing = append(in.Listing, v1alpha1.TenantNamespace{Name: fmt.Sprintf("acme-%d", number), State: v1alpha1.NamespaceOverLimit})
		may := slices.Contains(list(t, parts.Access.Objects(in)), "RoleBinding tenant-user")
		names := slices.Contains(list(t, parts.Access.Objects(in)), "Role tenant-names")
		if want := number+1 < 7; may != want || names != want {
			t.Fatalf("with %d namespaces they may create more: %t, under other names: %t", number+1, may, names)
		}
	}
	listed := find[*corev1.ConfigMap](t, parts.Access, in).Data
	if len(listed) != 257 || listed["_more"] != "and 44 more, which nobody can use" {
		t.Errorf("%d entries tell of 300 namespaces, and of the others %q", len(listed), listed["_more"])
	}
}

func TestTheNamesThatOwnersMayChoose(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").NamespaceLimit(2).AllowedNames("shop-*", "playground").
		Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).Owner(v1alpha1.OwnerKindUser, "bob", v1alpha1.OwnerRoleEditor))
	role := find[*rbacv1.Role](t, parts.Access, in)
	if got := fmt.Sprint(role.Rules); got != "[{[create] [tenantry.dev] [tenants/namespaces] [shop-* playground] []}]" {
		t.Errorf("the Role has the rules %s", got)
	}
	binding := findNamed[*rbacv1.RoleBinding](t, parts.Access, in, "tenant-names")
	if binding.RoleRef.Kind != "Role" || binding.RoleRef.Name != role.Name || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "alice" {
		t.Errorf("%v is bound for %v", binding.RoleRef, binding.Subjects)
	}
}
