package builders

import (
	"os"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
)

// Effective returns a Tenant as the operator sees it once the API server has stored it.
func Effective(tb testing.TB, tenant *v1alpha1.Tenant) *effective.Tenant {
	tb.Helper()
	return effective.Of(Stored(tb, tenant))
}

// Stored returns a Tenant or a DatabaseServer as the API server stores it: with the defaults of its CRD, set by
// the API server's own code, and with the metadata of a new object where it is missing.
func Stored[T v1alpha1.Tenant | v1alpha1.DatabaseServer](tb testing.TB, object *T) *T {
	tb.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		tb.Fatal(err)
	}
	defaulting.Default(content, Schema(tb, reflect.TypeFor[T]().Name()))
	stored := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, stored); err != nil {
		tb.Fatal(err)
	}
	meta := any(stored).(metav1.Object)
	if meta.GetUID() == "" {
		meta.SetUID(types.UID("uid-of-" + meta.GetName()))
	}
	if meta.GetGeneration() == 0 {
		meta.SetGeneration(1)
	}
	return stored
}

// Schema returns the schema of a kind, as `make manifests` writes it.
func Schema(tb testing.TB, kind string) *structuralschema.Structural {
	tb.Helper()
	_, here, _, _ := goruntime.Caller(0)
	plural := strings.ToLower(kind) + "s"
	if strings.HasSuffix(kind, "s") {
		plural = strings.ToLower(kind) + "es"
	}
	file := v1alpha1.GroupVersion.Group + "_" + plural + ".yaml"
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "config", "crd", "bases", file))
	if err != nil {
		tb.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(text, crd); err != nil {
		tb.Fatal(err)
	}
	schema := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema, schema, nil); err != nil {
		tb.Fatal(err)
	}
	structural, err := structuralschema.NewStructural(schema)
	if err != nil {
		tb.Fatal(err)
	}
	return structural
}
