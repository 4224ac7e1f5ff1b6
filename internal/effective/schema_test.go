package effective_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

func TestTheAPIServerFillsNothingIn(t *testing.T) {
	spec := builders.Schema(t, "Tenant").Properties["spec"]
	(&structuralschema.Visitor{Structural: func(s *structuralschema.Structural) bool {
		if s.Default.Object != nil {
			t.Errorf("the default %v would be stored as if somebody had written it, in the field that says %q", s.Default.Object, s.Description)
		}
		return false
	}}).Visit(&spec)
}

// TestEachFieldSaysItsDefault reads the descriptions that kubectl explain shows.
func TestEachFieldSaysItsDefault(t *testing.T) {
	said := map[string]string{
		"containers":                                "Left out, a container that states no limits has cpu 500m and memory 256Mi, and requests cpu 100m and memory 128Mi.",
		"policy.serviceTypes":                       "Left out, it is ClusterIP alone.",
		"policy.maxTokenLifetime":                   "Left out, it is 24h.",
		"database.credentials.rotation.gracePeriod": "Left out, it is 1h.",
	}
	silent := builders.Tenant("acme").Dedicated(sized).App(image)
	written, made := leaves(t, silent.Build().Spec), leaves(t, v1alpha1.TenantSpec(builders.Effective(t, silent.Build()).Spec))
	schema := builders.Schema(t, "Tenant").Properties["spec"]
	for path, value := range made {
		if _, found := written[path]; found {
			continue
		}
		if strings.HasPrefix(path, "containers.") {
			path = "containers"
		}
		want, found := said[path]
		if !found {
			want = fmt.Sprintf("Left out, it is %v.", value)
		}
		if text := describe(t, schema, path); !strings.Contains(text, want) {
			t.Errorf("spec.%s is explained by %q, want %q in it", path, text, want)
		}
	}
	if len(made)-len(written) < len(said) {
		t.Errorf("only these are made up: %v", made)
	}
}

// leaves returns the values of a spec that aren't objects, by their paths.
func leaves(t *testing.T, spec v1alpha1.TenantSpec) map[string]any {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]any{}
	if err := json.Unmarshal(text, &content); err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	var walk func(path []string, value any)
	walk = func(path []string, value any) {
		fields, isObject := value.(map[string]any)
		if !isObject {
			found[strings.Join(path, ".")] = value
			return
		}
		for name, field := range fields {
			walk(append(slices.Clone(path), name), field)
		}
	}
	walk(nil, content)
	return found
}

// describe returns the description of a field, in one line.
func describe(t *testing.T, schema structuralschema.Structural, path string) string {
	t.Helper()
	for name := range strings.SplitSeq(path, ".") {
		field, found := schema.Properties[name]
		if !found {
			t.Fatalf("the schema has no %s", path)
		}
		schema = field
	}
	return strings.Join(strings.Fields(schema.Description), " ")
}
