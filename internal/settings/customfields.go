package settings

import (
	"errors"
	"regexp"

	"github.com/santhosh-tekuri/jsonschema/v6"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// errNoObject means that something else was written in place of a schema.
var errNoObject = errors.New("it is no object; write one such as {type: object, properties: {costCentre: {type: string}}}")

// entityName is what the name of an entity must be, since apps use it in their own names.
var entityName = regexp.MustCompile(`^[A-Za-z][-_A-Za-z0-9]{0,62}$`)

// CustomFields returns the file with the JSON Schemas of custom fields, by entity. It returns an [*InvalidError] if
// one of them is none.
func CustomFields(schemas map[string]apiextensionsv1.JSON) (string, error) {
	found, entities := &InvalidError{}, map[string]any{}
	for _, name := range sorted(schemas) {
		if !entityName.MatchString(name) {
			found.add("spec.customFields has the entity %q; begin its name with a letter, and use letters, digits, dashes and underscores, 63 at most", name)
			continue
		}
		schema, err := decode(schemas[name])
		if err == nil {
			entities[name] = schema
			err = compile(name, schema)
		}
		if err != nil {
			found.add("spec.customFields.%s is no JSON Schema: %s", name, explain(err))
		}
	}
	return check("customFields", entities, found)
}

// compile returns an error if a schema is none. A pattern must be a regular expression that every language knows
// (https://github.com/google/re2/wiki/Syntax), since the apps may be written in any.
func compile(name string, schema any) error {
	if _, isObject := schema.(map[string]any); !isObject {
		return errNoObject
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nothing{})
	address := "tenant:" + name
	if err := compiler.AddResource(address, schema); err != nil {
		return err
	}
	_, err := compiler.Compile(address)
	return err
}
