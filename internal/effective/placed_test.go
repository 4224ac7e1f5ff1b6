package effective_test

import (
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// TestWhatIsFixedStaysSoWhereItIsLeftOut validates changes of a Tenant whose database is placed with the API
// server's own code: a field that is left out counts as its built-in default.
func TestWhatIsFixedStaysSoWhereItIsLeftOut(t *testing.T) {
	const (
		fixedIsolation = "which can not change; write that value"
		fixedVersion   = "which another major version can not read"
	)
	isolation := func(written v1alpha1.DatabaseIsolation) *builders.TenantBuilder {
		return builders.Tenant("acme").Database("shared").Isolation(written)
	}
	version := func(written string) *builders.TenantBuilder {
		return builders.Tenant("acme").Dedicated(func(server *v1alpha1.DedicatedServer) {
			sized(server)
			server.Version = written
		})
	}
	on := func(placed v1alpha1.DatabaseIsolation) v1alpha1.TenantDatabaseStatus {
		return v1alpha1.TenantDatabaseStatus{Server: "shared", Name: "t_brewsrmdqcfqkxdoaomm", Isolation: placed}
	}
	data := func(version string) v1alpha1.TenantDatabaseStatus {
		status := on(v1alpha1.DatabaseIsolationDedicated)
		status.Version, status.Storage = version, new(resource.MustParse("10Gi"))
		return status
	}
	for _, test := range []struct {
		name     string
		from, to *builders.TenantBuilder
		placed   v1alpha1.TenantDatabaseStatus
		refused  string
	}{
		{"the isolation written out", isolation(""), isolation("Database"), on("Database"), ""},
		{"the isolation no longer written out", isolation("Database"), isolation(""), on("Database"), ""},
		{"another isolation", isolation(""), isolation("Schema"), on("Database"), fixedIsolation},
		{"another isolation, by leaving it out", isolation("Schema"), isolation(""), on("Schema"), fixedIsolation},
		{"no database any more", isolation(""), builders.Tenant("acme"), on("Database"), "the tenant has a database"},
		{"the version written out", version(""), version("18"), data("18.1"), ""},
		{"the version no longer written out", version("18.1"), version(""), data("18.1"), ""},
		{"another major version", version(""), version("17"), data("18.1"), fixedVersion},
		{"another major version, by leaving it out", version("15"), version(""), data("15.18"), fixedVersion},
		{"a version that the image never had, written out", version(""), version("18"), data("15.18"), ""},
		{"a version that the image never had, no longer written out", version("18"), version(""), data("15.18"), ""},
		{"a version that the image has not, by leaving it out", version("16"), version(""), data("15.18"), fixedVersion},
	} {
		t.Run(test.name, func(t *testing.T) {
			was, is := test.from.Build(), test.to.Build()
			was.Status.Database, is.Status.Database = &test.placed, &test.placed
			schema := builders.Schema(t, "Tenant")
			failures, _ := cel.NewValidator(schema, true, celconfig.PerCallLimit).Validate(
				t.Context(), nil, schema, content(t, is), content(t, was), celconfig.RuntimeCELCostBudget)
			message := ""
			if err := failures.ToAggregate(); err != nil {
				message = err.Error()
			}
			if (message == "") != (test.refused == "") || !strings.Contains(message, test.refused) {
				t.Errorf("the API server says %q, want %q", message, test.refused)
			}
		})
	}
}

func content(t *testing.T, tenant *v1alpha1.Tenant) map[string]any {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(tenant)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
