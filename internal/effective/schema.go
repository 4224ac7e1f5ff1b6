package effective

import (
	"context" //nolint:depguard // The API server's validation asks for one, and waits for nothing.
	"errors"
	"fmt"
	"strings"
	"sync"
	_ "time/tzdata" // The rules ask for time zones, and the operator's image has none.

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/tenantry/tenantry/config/crd"
)

// atOnce is the context of rules, which are evaluated within their cost and without waiting.
var atOnce = context.Background()

// tenantType is the name of the spec of a Tenant among the types of the schema.
const tenantType = "TenantSpec"

// tenantSchema is the schema of a Tenant's spec, in the forms in which the API server merges and validates by it.
type tenantSchema struct {
	structural *structuralschema.Structural
	merging    typed.ParseableType
	fields     validation.SchemaValidator
	rules      *cel.Validator
}

// schema returns the schema of the CustomResourceDefinition that this program was built with.
var schema = sync.OnceValue(func() *tenantSchema {
	loaded, err := loadSchema()
	if err != nil {
		panic(fmt.Errorf("the CustomResourceDefinition of Tenants is broken: %w", err)) // The tests would have seen that.
	}
	return loaded
})

func loadSchema() (*tenantSchema, error) {
	written, err := crd.TenantSpec()
	if err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(written)
	if err != nil {
		return nil, err
	}
	types, err := schemaconv.ToSchemaFromOpenAPI(map[string]*spec.Schema{tenantType: structural.ToKubeOpenAPI()}, false)
	if err != nil {
		return nil, err
	}
	fields, _, err := validation.NewSchemaValidator(written)
	if err != nil {
		return nil, err
	}
	return &tenantSchema{
		structural: structural, merging: typed.ParseableType{Schema: types, TypeRef: smdschema.TypeRef{NamedType: new(tenantType)}}, fields: fields,
		rules: cel.NewValidator(structural, false, celconfig.PerCallLimit),
	}, nil
}

// merge returns what two specs say together by the rules of server-side apply, where the second comes first.
func (s *tenantSchema) merge(under, over map[string]any) (map[string]any, error) {
	base, err := s.merging.FromUnstructured(under)
	if err != nil {
		return nil, err
	}
	own, err := s.merging.FromUnstructured(over)
	if err != nil {
		return nil, err
	}
	merged, err := base.Merge(own)
	if err != nil {
		return nil, err
	}
	result, isObject := merged.AsValue().Unstructured().(map[string]any)
	if !isObject {
		return nil, errors.New("the merged spec is no object")
	}
	return result, nil
}

// validate returns what the API server would say about a spec of a Tenant without a class.
func (s *tenantSchema) validate(content map[string]any) field.ErrorList {
	path := field.NewPath("spec")
	found := validation.ValidateCustomResource(path, content, s.fields)
	broken, _ := s.rules.Validate(atOnce, path, s.structural, content, nil, celconfig.RuntimeCELCostBudget)
	return append(found, broken...)
}

// sentences returns what errors say, in the API server's words.
func sentences(errs field.ErrorList) string {
	said := make([]string, 0, len(errs))
	for _, err := range errs {
		said = append(said, err.Field+": "+strings.TrimSuffix(err.Detail, "."))
	}
	return strings.Join(said, "; ")
}
