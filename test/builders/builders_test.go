package builders_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

func TestBuildFillsInNothing(t *testing.T) {
	tenant := builders.Tenant("acme").Database("shared").App("registry.example/shop:1").Build()
	if tenant.Spec.Database.ReclaimPolicy != "" || tenant.Spec.App.Replicas != nil || tenant.Spec.Policy.PodSecurity != "" {
		t.Errorf("Build filled in defaults: %+v", tenant.Spec)
	}
}

func TestStoredHasTheDefaultsThatTheAPIDocuments(t *testing.T) {
	server := builders.Stored(t, builders.DatabaseServer("shared", "pg.example").CASecret("tenantry-system", "ca", "").Build())
	if server.Spec.Engine != v1alpha1.DatabaseEnginePostgreSQL || server.Spec.Port != 5432 ||
		server.Spec.SSLMode != v1alpha1.SSLModeVerifyFull || server.Spec.CASecretRef.Key != "ca.crt" ||
		len(server.Spec.Isolations) != 1 || server.Spec.Isolations[0] != v1alpha1.DatabaseIsolationDatabase {
		t.Errorf("the defaults of a DatabaseServer are %+v", server.Spec)
	}
}

func TestStoredKeepsWhatTheUserWrote(t *testing.T) {
	for _, written := range []*v1alpha1.Tenant{
		builders.Tenant("acme").Build(),
		builders.Tenant("acme").Database("shared").App("registry.example/shop:1").Build(),
		builders.Tenant("acme").NoContainerLimits().Rotation(0, 0).Build(),
		builders.Tenant("acme").PodSecurity(v1alpha1.PodSecurityBaseline).Database("shared").DatabaseSecret("login").
			App("registry.example/shop:1").Replicas(0).Build(),
	} {
		if stored := builders.Stored(t, written); !equality.Semantic.DeepEqual(stored.Spec, written.Spec) {
			t.Errorf("Stored changed what the user wrote:\n%s", diff.Diff(written.Spec, stored.Spec))
		}
	}
}

func TestEachBuildIsAnObjectOfItsOwn(t *testing.T) {
	builder := builders.Tenant("acme").Config("LOG_LEVEL", "info")
	first := builder.Build()
	builder.Config("LOG_LEVEL", "debug")
	if first.Spec.Config["LOG_LEVEL"] != "info" {
		t.Error("going on with the builder changed an object that it has built")
	}
}
