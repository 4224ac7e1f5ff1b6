package crd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/config/crd"
	"github.com/tenantry/tenantry/test/builders"
)

// maxAnnotations is how much all annotations of an object may have together. "kubectl apply" puts the object in one.
const maxAnnotations = 256 << 10

func TestEachDefinitionFitsIntoAnAnnotation(t *testing.T) {
	files, err := filepath.Glob("bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, definition); err != nil {
			t.Fatal(err)
		}
		content, err := json.Marshal(definition)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) >= maxAnnotations {
			t.Errorf("%s has %d bytes, and kubectl apply would fail from %d on", file, len(content), maxAnnotations)
		}
	}
}

func TestNothingIsRequiredOfWhatAClassSaysFieldByField(t *testing.T) {
	for _, kind := range []string{"TenantClass", "TenantClassRevision"} {
		tenant := builders.Schema(t, kind).Properties["spec"].Properties["tenant"]
		if len(tenant.Properties) < 10 {
			t.Fatalf("%s has only the fields %v", kind, tenant.Properties)
		}
		for _, rule := range tenant.XValidations {
			if strings.HasPrefix(rule.Rule, "has(self.className)") {
				t.Errorf("%s has a rule about what a Tenant without a class must have: %s", kind, rule.Rule)
			}
		}
		nothingRequired(t, kind+".spec.tenant", &tenant)
	}
}

func nothingRequired(t *testing.T, path string, schema *structuralschema.Structural) {
	t.Helper()
	if schema.XMapType != nil && *schema.XMapType == "atomic" {
		return
	}
	if schema.ValueValidation != nil && len(schema.ValueValidation.Required) > 0 {
		t.Errorf("%s requires %v", path, schema.ValueValidation.Required)
	}
	if schema.Default.Object != nil {
		t.Errorf("%s has a default, which would be stored as if somebody had written it", path)
	}
	for name, field := range schema.Properties {
		nothingRequired(t, path+"."+name, &field)
	}
}

func TestWhatIsReplacedAsAWholeMustBeComplete(t *testing.T) {
	owners := builders.Schema(t, "TenantClass").Properties["spec"].Properties["tenant"].Properties["owners"]
	if len(owners.Items.ValueValidation.Required) != 3 {
		t.Errorf("of an owner are required %v", owners.Items.ValueValidation.Required)
	}
}

func TestTheSchemaOfATenant(t *testing.T) {
	spec, err := crd.TenantSpec()
	if err != nil {
		t.Fatal(err)
	}
	if _, found := spec.Properties["className"]; !found {
		t.Errorf("the spec has only %v", spec.Properties)
	}
}
