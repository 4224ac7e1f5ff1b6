package builders_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

func TestBuildLeavesTheDefaultsToTheAPIServer(t *testing.T) {
	tenant := builders.Tenant("acme").Database("shared").App("registry.example/shop:1").Build()
	if tenant.Spec.Database.ReclaimPolicy != "" || tenant.Spec.App.Replicas != nil || tenant.Spec.Policy.PodSecurity != "" {
		t.Errorf("Build filled in defaults: %+v", tenant.Spec)
	}
}

func TestStoredHasTheDefaultsThatTheAPIDocuments(t *testing.T) {
	tenant := builders.Stored(t, builders.Tenant("acme").Database("shared").App("registry.example/shop:1").Build())
	want := builders.Tenant("acme").Generation(1).NamespaceLimit(1).PodSecurity(v1alpha1.PodSecurityRestricted).
		ContainerDefault(corev1.ResourceCPU, "500m").ContainerDefault(corev1.ResourceMemory, "256Mi").
		ContainerDefaultRequest(corev1.ResourceCPU, "100m").ContainerDefaultRequest(corev1.ResourceMemory, "128Mi").
		Database("shared").ReclaimPolicy(v1alpha1.ReclaimPolicyRetain).ConnectionLimit(20).DatabaseSecret("database").
		Rotation(0, time.Hour).
		App("registry.example/shop:1").Replicas(1).
		Policy(func(rules *v1alpha1.PolicyRules) {
			rules.Enforcement = v1alpha1.PolicyEnforce
			rules.ServiceTypes = []corev1.ServiceType{corev1.ServiceTypeClusterIP}
		}).Build()
	want.Spec.Database.Isolation = v1alpha1.DatabaseIsolationDatabase
	want.Spec.Policy.Enforcement = v1alpha1.PolicyEnforce
	want.Spec.Policy.ServiceTypes = []corev1.ServiceType{corev1.ServiceTypeClusterIP}
	if !equality.Semantic.DeepEqual(tenant.Spec, want.Spec) {
		t.Error(diff.Diff(want.Spec, tenant.Spec))
	}
	server := builders.Stored(t, builders.DatabaseServer("shared", "pg.example").CASecret("tenantry-system", "ca", "").Build())
	if server.Spec.Engine != v1alpha1.DatabaseEnginePostgreSQL || server.Spec.Port != 5432 ||
		server.Spec.SSLMode != v1alpha1.SSLModeVerifyFull || server.Spec.CASecretRef.Key != "ca.crt" ||
		len(server.Spec.Isolations) != 1 || server.Spec.Isolations[0] != v1alpha1.DatabaseIsolationDatabase {
		t.Errorf("the defaults of a DatabaseServer are %+v", server.Spec)
	}
}

func TestStoredKeepsWhatTheUserWrote(t *testing.T) {
	written := builders.Tenant("acme").PodSecurity(v1alpha1.PodSecurityBaseline).Database("shared").DatabaseSecret("login").
		App("registry.example/shop:1").Replicas(0).Build()
	tenant := builders.Stored(t, written)
	if tenant.Spec.Policy.PodSecurity != v1alpha1.PodSecurityBaseline || *tenant.Spec.App.Replicas != 0 ||
		tenant.Spec.Database.Credentials.SecretName != "login" {
		t.Errorf("Stored changed what the user wrote: %+v", tenant.Spec)
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
