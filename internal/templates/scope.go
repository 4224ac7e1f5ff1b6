package templates

import (
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	celenvironment "k8s.io/apiserver/pkg/cel/environment"

	"github.com/tenantry/tenantry/config/crd"
)

// The variables of templates.
const (
	VariableTenant   = "tenant"
	VariableClass    = "class"
	VariableSpec     = "spec"
	VariableDatabase = "database"
	VariableApp      = "app"
)

// rootType begins the names of the types of all variables.
const rootType = "variables"

// variables are the types of all variables, and the environment of CEL that knows them.
type variables struct {
	root *structuralschema.Structural
	env  *cel.Env
}

// environment returns the variables. The spec has the type that it has in the CustomResourceDefinition that this
// program was built with, and the functions are those of validation rules there.
var environment = sync.OnceValue(func() *variables {
	made, err := newVariables()
	if err != nil {
		panic(fmt.Errorf("the CustomResourceDefinition of Tenants is broken: %w", err)) // The tests would have seen that.
	}
	return made
})

func newVariables() (*variables, error) {
	written, err := crd.TenantSpec()
	if err != nil {
		return nil, err
	}
	spec, err := structuralschema.NewStructural(written)
	if err != nil {
		return nil, err
	}
	one := func(name string) structuralschema.Structural {
		return structuralschema.Structural{Generic: structuralschema.Generic{Type: name}}
	}
	object := func(fields map[string]structuralschema.Structural) structuralschema.Structural {
		made := one("object")
		made.Properties = fields
		return made
	}
	texts := one("object")
	texts.AdditionalProperties = &structuralschema.StructuralOrBool{Structural: new(one("string"))}
	root := object(map[string]structuralschema.Structural{
		VariableTenant: object(map[string]structuralschema.Structural{
			"name": one("string"), "uid": one("string"), "displayName": one("string"), "namespace": one("string"), "labels": texts, "annotations": texts,
		}),
		VariableClass: object(map[string]structuralschema.Structural{"name": one("string")}),
		VariableSpec:  *spec,
		VariableDatabase: object(map[string]structuralschema.Structural{
			"host": one("string"), "port": one("integer"), "name": one("string"), "secretName": one("string"),
		}),
		VariableApp: object(map[string]structuralschema.Structural{
			"url": one("string"), "internalURL": one("string"), "image": one("string"),
		}),
	})
	declared := model.SchemaDeclType(&root, false).MaybeAssignTypeName(rootType)
	options := celenvironment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0), DeclTypes: []*apiservercel.DeclType{declared},
	}
	for name, field := range declared.Fields {
		options.EnvOptions = append(options.EnvOptions, cel.Variable(name, field.Type.CelType()))
	}
	set, err := celenvironment.MustBaseEnvSet(celenvironment.DefaultCompatibilityVersion()).Extend(options)
	if err != nil {
		return nil, err
	}
	return &variables{root: &root, env: set.NewExpressionsEnv()}, nil
}

// Values are what the variables are for a tenant, by their names, as in JSON.
type Values map[string]any

// Scope has the values of a tenant's variables, and how much more may be computed for it.
type Scope struct {
	activation map[string]any
	left       int64
}

// NewScope returns a scope with these values. A variable without a value has no fields.
func NewScope(values Values) *Scope {
	scope := &Scope{activation: map[string]any{}, left: celconfig.RuntimeCELCostBudget}
	for name := range environment().root.Properties {
		scope.set(name, values[name])
	}
	return scope
}

func (s *Scope) set(name string, value any) {
	if value == nil {
		value = map[string]any{}
	}
	field := environment().root.Properties[name]
	s.activation[name] = schemacel.UnstructuredToVal(value, &field)
}

// Set gives a variable other values.
func (s *Scope) Set(name string, value map[string]any) {
	s.activation = maps.Clone(s.activation)
	s.set(name, value)
}

// leftOut stands for a value that isn't there.
type leftOut struct{}

// fill returns the content with the values filled in.
func (s *Scope) fill(content any) (any, error) {
	switch content := content.(type) {
	case map[string]any:
		result := make(map[string]any, len(content))
		for key, item := range content {
			if err := s.fillItem(item, func(filled any) { result[key] = filled }); err != nil {
				return nil, err
			}
		}
		return result, nil
	case []any:
		result := make([]any, 0, len(content))
		for _, item := range content {
			if err := s.fillItem(item, func(filled any) { result = append(result, filled) }); err != nil {
				return nil, err
			}
		}
		return result, nil
	case *text:
		return s.fillText(content)
	case float64:
		if whole := int64(content); float64(whole) == content {
			return whole, nil // encoding/json knows no other numbers.
		}
		return content, nil
	default:
		return content, nil
	}
}

// fillItem hands an item with its values filled in to put, unless it is left out.
func (s *Scope) fillItem(item any, put func(filled any)) error {
	filled, err := s.fill(item)
	if err != nil {
		return err
	}
	if _, none := filled.(leftOut); !none {
		put(filled)
	}
	return nil
}

func (s *Scope) fillText(t *text) (any, error) {
	var joined strings.Builder
	for _, piece := range t.pieces {
		if piece.program == nil {
			joined.WriteString(piece.literal)
			continue
		}
		value, err := s.evaluate(t.path, piece)
		if err != nil {
			return nil, err
		}
		if t.whole {
			return value, nil
		}
		switch value := value.(type) {
		case string, int64, float64, bool:
			fmt.Fprint(&joined, value)
		case leftOut:
		default:
			return nil, &Error{Path: t.path, Message: fmt.Sprintf("${%s} is no text, number or bool for this tenant, and can't be part of a text", piece.shown())}
		}
	}
	return joined.String(), nil
}

// evaluate returns the value of an expression, as in JSON.
func (s *Scope) evaluate(path string, of piece) (any, error) {
	failure := func(why string) error {
		return &Error{Path: path, Message: fmt.Sprintf("${%s} has no value for this tenant: %s", of.shown(), why)}
	}
	if s.left < 0 {
		return nil, failure("all values of the class together take too long; let them compute less")
	}
	value, details, err := of.program.Eval(s.activation)
	if details != nil && details.ActualCost() != nil {
		s.left -= int64(*details.ActualCost())
	}
	switch {
	case err != nil && strings.Contains(err.Error(), "cost limit exceeded"):
		return nil, failure("it takes too long; let it compute less")
	case err != nil:
		return nil, failure(err.Error() + "; has() tells whether a field is there, and .? and orValue() choose another value")
	}
	plain, err := plainOf(value)
	if err != nil {
		return nil, failure(err.Error())
	}
	return plain, nil
}

// plainOf returns a value of CEL as in JSON.
func plainOf(value ref.Val) (any, error) {
	switch value := value.(type) {
	case types.Bool, types.Int, types.Double, types.String:
		return value.Value(), nil
	case types.Uint:
		return int64(value), nil
	case types.Bytes:
		return base64.StdEncoding.EncodeToString(value), nil
	case types.Null:
		return nil, nil
	case types.Timestamp, types.Duration:
		return fmt.Sprint(value.ConvertToType(types.StringType).Value()), nil
	case *types.Optional:
		if !value.HasValue() {
			return leftOut{}, nil
		}
		return plainOf(value.GetValue())
	case traits.Mapper:
		return plainMap(value)
	case traits.Lister:
		return plainList(value)
	default:
		return nil, fmt.Errorf("it is a %s, which no field can have", value.Type().TypeName())
	}
}

func plainMap(value traits.Mapper) (any, error) {
	if plain, ofSpec := value.Value().(map[string]any); ofSpec {
		return runtime.DeepCopyJSON(plain), nil // CEL would see names such as namespace as __namespace__.
	}
	result := map[string]any{}
	for keys := value.Iterator(); keys.HasNext() == types.True; {
		key := keys.Next()
		name, isText := key.(types.String)
		if !isText {
			return nil, fmt.Errorf("it is a map with a key that is no text, %v", key.Value())
		}
		item, err := plainOf(value.Get(key))
		if err != nil {
			return nil, err
		}
		if _, none := item.(leftOut); !none {
			result[string(name)] = item
		}
	}
	return result, nil
}

func plainList(value traits.Lister) (any, error) {
	result := []any{}
	for items := value.Iterator(); items.HasNext() == types.True; {
		item, err := plainOf(items.Next())
		if err != nil {
			return nil, err
		}
		if _, none := item.(leftOut); !none {
			result = append(result, item)
		}
	}
	return result, nil
}
