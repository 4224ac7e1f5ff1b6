package effective

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Source says where a value of an effective spec comes from.
type Source string

// The sources.
const (
	// FromTenant means that the Tenant says so.
	FromTenant Source = "Tenant"
	// FromClass means that the tenant's class says so.
	FromClass Source = "Class"
	// FromDefault means that neither says anything, and that this is the built-in default.
	FromDefault Source = "Default"
	// FromDatabase means that the Tenant or its class says something else, and that this is fixed since the database
	// is placed.
	FromDatabase Source = "Database"
)

// Value is a value of an effective spec, and where it comes from.
type Value struct {
	// Field is its path, such as spec.app.env[name="LEVEL"].
	Field string `json:"field"`
	// Value is the value.
	Value any `json:"value"`
	// Source says where it comes from.
	Source Source `json:"source"`
}

// Values returns all values of a tenant's effective spec, each with its source, by their paths. own is the Tenant's
// spec as it was written.
func (t *Tenant) Values(own *v1alpha1.TenantSpec) ([]Value, error) {
	spec := v1alpha1.TenantSpec(t.Spec)
	spec.ClassName, spec.ClassRevision = nil, ""
	made, err := layerOf(&spec)
	if err != nil {
		return nil, err
	}
	written, err := layerOf(own)
	if err != nil {
		return nil, err
	}
	class := layer{set: fieldpath.NewSet()}
	if t.Class != nil {
		if class, err = layerOf(&t.Class.Tenant); err != nil {
			return nil, err
		}
	}
	var values []Value
	made.set.Leaves().Iterate(func(path fieldpath.Path) {
		found := at(made.content, path)
		values = append(values, Value{
			Field: "spec" + path.String(), Value: found, Source: sourceOf(path.Copy(), found, written, class),
		})
	})
	slices.SortFunc(values, func(a, b Value) int { return strings.Compare(a.Field, b.Field) })
	return values, nil
}

// sourceOf returns where a value comes from.
func sourceOf(path fieldpath.Path, found any, own, class layer) Source {
	switch {
	case own.says(path, found):
		return FromTenant
	case class.says(path, found) && !own.set.Has(path):
		return FromClass
	// A server has no default; where nobody names it, its tenant has been placed on it by its labels.
	case own.set.Has(path), class.set.Has(path), strings.HasPrefix(path.String(), ".database.serverRef."):
		return FromDatabase
	default:
		return FromDefault
	}
}

// layer is what one of those who have a say in a spec says, as the API server stores it.
type layer struct {
	content any
	set     *fieldpath.Set
}

func layerOf(spec *v1alpha1.TenantSpec) (layer, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
	if err != nil {
		return layer{}, err
	}
	typed, err := schema().merging.FromUnstructured(content)
	if err != nil {
		return layer{}, err
	}
	set, err := typed.ToFieldSet()
	return layer{content: content, set: set}, err
}

// says reports whether a layer has a value.
func (l layer) says(path fieldpath.Path, wanted any) bool {
	return l.set.Has(path) && equality.Semantic.DeepEqual(at(l.content, path), wanted)
}

// at returns what a path leads to; nil if that is nothing.
func at(content any, path fieldpath.Path) any {
	for _, element := range path {
		switch {
		case element.FieldName != nil:
			object, _ := content.(map[string]any)
			content = object[*element.FieldName]
		case element.Key != nil:
			content = item(content, func(candidate any) bool { return hasKey(candidate, *element.Key) })
		case element.Value != nil:
			content = item(content, func(candidate any) bool { return value.Equals(value.NewValueInterface(candidate), *element.Value) })
		default:
			return nil // Nothing of a Tenant is addressed by its place in a list.
		}
	}
	return content
}

func item(content any, wanted func(any) bool) any {
	list, _ := content.([]any)
	if i := slices.IndexFunc(list, wanted); i >= 0 {
		return list[i]
	}
	return nil
}

func hasKey(candidate any, key value.FieldList) bool {
	object, _ := candidate.(map[string]any)
	return !slices.ContainsFunc(key, func(field value.Field) bool {
		return fmt.Sprint(object[field.Name]) != fmt.Sprint(field.Value.Unstructured())
	})
}
