package answer_test

import (
	"testing"

	"github.com/tenantry/tenantry/internal/plugin/answer"
)

func TestAMissingRightSaysWhoCanGrantIt(t *testing.T) {
	const owners = "In a tenant's namespaces, owners with the role %s have it: who manages the Tenant can give it in spec.owners. Elsewhere, a cluster admin can."
	for _, test := range []struct{ name, refused, object, said, remedy string }{
		{
			"one Tenant", `tenants.tenantry.dev "acme" is forbidden: User "alice@acme.example" cannot get resource "tenants" in API group "tenantry.dev" at the cluster scope`, "acme",
			"The user alice@acme.example has no right to get tenants.tenantry.dev acme.",
			"A cluster admin can grant it for this one: kubectl create clusterrole tenantry-read-tenant-acme --verb=get --resource=tenants.tenantry.dev --resource-name=acme && kubectl create clusterrolebinding tenantry-read-tenant-acme --clusterrole=tenantry-read-tenant-acme --user=alice@acme.example",
		},
		{
			"all Tenants", `tenants.tenantry.dev is forbidden: User "o'hara the first" cannot list resource "tenants" in API group "tenantry.dev" at the cluster scope`, "",
			"The user o'hara the first has no right to list tenants.tenantry.dev in the whole cluster.",
			`A cluster admin can grant it for all of them: kubectl create clusterrolebinding 'tenantry-tenant-viewer:o'\''hara the first' --clusterrole=tenantry-tenant-viewer --user='o'\''hara the first'`,
		},
		{
			"changing a Tenant, as a ServiceAccount", `tenants.tenantry.dev "acme" is forbidden: User "system:serviceaccount:ci:deployer" cannot patch resource "tenants" in API group "tenantry.dev" at the cluster scope`, "acme",
			"The user system:serviceaccount:ci:deployer has no right to patch tenants.tenantry.dev acme.",
			"A cluster admin can grant it, with all other changes of all of them: kubectl create clusterrolebinding tenantry-tenant-editor:system:serviceaccount:ci:deployer --clusterrole=tenantry-tenant-editor --serviceaccount=ci:deployer",
		},
		{
			"Secrets", `secrets "database" is forbidden: User "eve" cannot get resource "secrets" in API group "" in the namespace "acme"`, "database",
			"The user eve has no right to get secrets database in the namespace acme.", "Editor",
		},
		{
			"RoleBindings", `rolebindings.rbac.authorization.k8s.io is forbidden: User "eve" cannot list resource "rolebindings" in API group "rbac.authorization.k8s.io" in the namespace "acme"`, "",
			"The user eve has no right to list rolebindings.rbac.authorization.k8s.io in the namespace acme.", "Admin",
		},
		{
			"logs", `pods "x" is forbidden: User "eve" cannot get resource "pods/log" in API group "" in the namespace "acme"`, "x",
			"The user eve has no right to get pods/log x in the namespace acme.", "Viewer",
		},
		{
			"what isn't ours", `nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope`, "",
			"The user eve has no right to list nodes in the whole cluster.", "A cluster admin can grant it: kubectl create clusterrole NAME --verb=list --resource=nodes, and a ClusterRoleBinding.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			right, found := answer.MissingRight(test.refused, test.object)
			if !found || right.String() != test.said {
				t.Errorf("says %q, want %q", right, test.said)
			}
			want := test.remedy
			if len(want) < 10 {
				want = owners[:len("In a tenant's namespaces, owners with the role ")] + want + owners[len("In a tenant's namespaces, owners with the role %s"):]
			}
			if right.Remedy() != want {
				t.Errorf("the remedy is\n%s\nwant\n%s", right.Remedy(), want)
			}
		})
	}
	if right, found := answer.MissingRight(`tenants "acme" is forbidden: ValidatingAdmissionPolicy 'tenants.tenantry.dev' denied request: no`, "acme"); found {
		t.Errorf("a policy is no missing right: %v", right)
	}
}
