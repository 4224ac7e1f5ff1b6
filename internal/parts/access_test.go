package parts_test

import (
	"reflect"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/diff"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

func TestWhatOwnersMayDo(t *testing.T) {
	alice := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: "alice@acme.example"}
	developers := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "acme-devs"}
	deployer := rbacv1.Subject{Kind: "ServiceAccount", Name: "deployer", Namespace: "ci"}
	for _, test := range []struct {
		name   string
		tenant *builders.TenantBuilder
		want   map[string][]rbacv1.Subject // by the name of the binding and the ClusterRole
	}{
		{"no owners", builders.Tenant("acme"), map[string][]rbacv1.Subject{}},
		{
			"an admin", builders.Tenant("acme").Owner(v1alpha1.OwnerKindUser, alice.Name, v1alpha1.OwnerRoleAdmin),
			map[string][]rbacv1.Subject{"tenant-admin admin": {alice}},
		},
		{
			"a viewer", builders.Tenant("acme").Owner(v1alpha1.OwnerKindGroup, developers.Name, v1alpha1.OwnerRoleViewer),
			map[string][]rbacv1.Subject{"tenant-viewer view": {developers}},
		},
		{
			"editors, among them a ServiceAccount of another namespace",
			builders.Tenant("acme").Owner(v1alpha1.OwnerKindGroup, developers.Name, v1alpha1.OwnerRoleEditor).
				ServiceAccountOwner("ci", "deployer", v1alpha1.OwnerRoleEditor),
			map[string][]rbacv1.Subject{"tenant-editor edit": {developers, deployer}},
		},
		{
			"one of each",
			builders.Tenant("acme").ServiceAccountOwner("ci", "deployer", v1alpha1.OwnerRoleViewer).
				Owner(v1alpha1.OwnerKindGroup, developers.Name, v1alpha1.OwnerRoleEditor).
				Owner(v1alpha1.OwnerKindUser, alice.Name, v1alpha1.OwnerRoleAdmin),
			map[string][]rbacv1.Subject{
				"tenant-admin admin": {alice}, "tenant-editor edit": {developers}, "tenant-viewer view": {deployer},
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := map[string][]rbacv1.Subject{}
			for _, object := range parts.Access.Objects(inputsOf(t, test.tenant)) {
				binding := object.(*rbacv1.RoleBinding)
				if binding.RoleRef.Kind != "ClusterRole" || binding.RoleRef.APIGroup != rbacv1.GroupName {
					t.Errorf("%s is bound to %v", binding.Name, binding.RoleRef)
				}
				got[binding.Name+" "+binding.RoleRef.Name] = binding.Subjects
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Error(diff.Diff(test.want, got))
			}
		})
	}
}
