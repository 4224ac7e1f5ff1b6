package tenant

import (
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/test/builders"
)

// The API server refuses most of such Tenants, as long as nothing but their own spec can supply what is missing.
func TestWhatIsMissingStallsThePartThatNeedsIt(t *testing.T) {
	for _, test := range []struct {
		name   string
		tenant *builders.TenantBuilder
		part   *parts.Part
	}{
		{"a server", builders.Tenant("acme").ConnectionLimit(5), parts.Database},
		{"the size of a server", builders.Tenant("acme").Isolation(v1alpha1.DatabaseIsolationDedicated), parts.Database},
		{"an image", builders.Tenant("acme").Port(8080), parts.App},
		{"the volume of a sidecar", builders.Tenant("acme").App("registry.example/shop:1").Pods(func(pods *v1alpha1.AppPods) {
			pods.Sidecars = []v1alpha1.AppSidecar{{AppContainer: v1alpha1.AppContainer{Name: "proxy", VolumeMounts: []v1alpha1.AppVolumeMount{{Name: "cache", MountPath: "/cache"}}}}}
		}), parts.App},
		{"the name of a sidecar", builders.Tenant("acme").App("registry.example/shop:1").Pods(func(pods *v1alpha1.AppPods) {
			pods.InitContainers = []v1alpha1.AppContainer{{Name: "proxy"}}
			pods.Sidecars = []v1alpha1.AppSidecar{{AppContainer: v1alpha1.AppContainer{Name: "proxy"}}}
		}), parts.App},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := &pass{
				inputs:   parts.Inputs{Tenant: builders.Effective(t, test.tenant.Build())},
				findings: findings{problems: map[string]problem.Problem{}},
			}
			run.database.in = &run.inputs
			r := &Reconciler{} // It asks nobody.
			if err := run.database.load(t.Context()); err != nil {
				t.Fatal(err)
			}
			run.record(test.part, r.put(t.Context(), run, test.part))
			found := run.problems[test.part.Condition]
			if !found.Stalled || found.Reason != v1alpha1.ReasonInvalid || found.Message == "" || run.retry != problem.OnChange {
				t.Errorf("the problem is %+v", found)
			}
			if run.blocked() {
				t.Error("it holds up the other parts")
			}
		})
	}
}

func TestTheOwnerOfObjectsIsTheTenantWithoutItsSpec(t *testing.T) {
	tenant := builders.Effective(t, builders.Tenant("acme").Finalizers("a").App("registry.example/shop:1").Build())
	owner := objectOf(tenant)
	if owner.GetUID() != tenant.UID || owner.GetName() != "acme" || owner.Spec.App != nil {
		t.Errorf("it is %+v", owner)
	}
	owner.GetFinalizers()[0] = "b"
	if tenant.Finalizers[0] != "a" {
		t.Error("to change it changes the tenant")
	}
}
