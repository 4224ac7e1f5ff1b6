package effective_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
)

func TestEachValueHasItsSource(t *testing.T) {
	for _, test := range []struct {
		name, class, tenant string
		placed              *v1alpha1.TenantDatabaseStatus
		want                []string
	}{
		{
			name: "neither says anything",
			want: []string{
				"spec.containers.default.cpu 500m Default", "spec.namespaces.limit 1 Default",
				"spec.policy.podSecurity Restricted Default", `spec.policy.serviceTypes[="ClusterIP"] ClusterIP Default`,
			},
		},
		{
			name:   "maps and objects, entry by entry",
			class:  `{quota: {pods: "5", requests.cpu: "2000m"}, app: {image: a/b:1, port: 80}}`,
			tenant: `{quota: {pods: "7"}, app: {replicas: 3}, displayName: Acme}`,
			want: []string{
				"spec.quota.pods 7 Tenant", "spec.quota.requests.cpu 2 Class", "spec.app.image a/b:1 Class", "spec.app.replicas 3 Tenant",
				"spec.displayName Acme Tenant", "spec.app.readinessProbe.tcpSocket.port 80 Default",
			},
		},
		{
			name:   "the same in both is the tenant's",
			class:  `{quota: {pods: "5"}}`,
			tenant: `{quota: {pods: "5"}}`,
			want:   []string{"spec.quota.pods 5 Tenant"},
		},
		{
			name:   "lists by their keys, sets by their entries, and others as a whole",
			class:  `{app: {image: a/b:1, args: [a], env: [{name: A, value: a}, {name: B, value: b}]}, policy: {imageRegistries: [a.example]}}`,
			tenant: `{app: {args: [b], env: [{name: B, value: c}]}, policy: {imageRegistries: [b.example]}}`,
			want: []string{
				`spec.app.env[name="A"] map[name:A value:a] Class`, `spec.app.env[name="B"] map[name:B value:c] Tenant`, "spec.app.args [b] Tenant",
				`spec.policy.imageRegistries[="a.example"] a.example Class`, `spec.policy.imageRegistries[="b.example"] b.example Tenant`,
			},
		},
		{
			name:   "what stays although the class says something else",
			class:  `{database: {isolation: Schema, serverSelector: {matchLabels: {region: eu}}, connectionLimit: 7}}`,
			placed: &v1alpha1.TenantDatabaseStatus{Server: "shared", Isolation: "Database"},
			want: []string{
				"spec.database.isolation Database Database", "spec.database.serverRef.name shared Database", //nolint:dupword // The value and where it comes from.
				"spec.database.connectionLimit 7 Class", "spec.database.reclaimPolicy Retain Default",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			tenant := tenantSaying(t, test.tenant)
			tenant.Status.Database = test.placed
			made, err := effective.OfClass(tenant, &effective.Class{Name: "gold", Tenant: specOf(t, test.class)})
			if err != nil {
				t.Fatal(err)
			}
			values, err := made.Values(&tenant.Spec)
			if err != nil {
				t.Fatal(err)
			}
			lines := make([]string, 0, len(values))
			for _, value := range values {
				lines = append(lines, fmt.Sprintf("%s %v %s", value.Field, value.Value, value.Source))
			}
			all := "\n" + strings.Join(lines, "\n") + "\n"
			for _, want := range test.want {
				if !strings.Contains(all, "\n"+want+"\n") {
					t.Errorf("want %s in:%s", want, all)
				}
			}
		})
	}
}

func TestAllValuesOfATenantWithoutAClassHaveASource(t *testing.T) {
	tenant := tenantSaying(t, `{quota: {pods: "5"}}`)
	values, err := effective.Of(tenant).Values(&tenant.Spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range values {
		if (value.Source == effective.FromTenant) != (value.Field == "spec.quota.pods") || value.Value == nil {
			t.Errorf("%s is %v by the %s", value.Field, value.Value, value.Source)
		}
	}
}
