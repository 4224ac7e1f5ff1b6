package settings

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	flagd "github.com/open-feature/flagd-schemas/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// flagsSchema and targetingSchema are the addresses of flagd's schemas, by which they refer to each other.
const (
	flagsSchema     = "https://flagd.dev/schema/v0/flags.json"
	targetingSchema = "https://flagd.dev/schema/v0/targeting.json"
)

// fieldsOfFeature are the fields of a feature that has variants.
var fieldsOfFeature = []string{"variants", "defaultVariant", "targeting"}

// flag is a feature in flagd's format (https://flagd.dev/reference/flag-definitions/).
type flag struct {
	State          string         `json:"state"`
	Variants       map[string]any `json:"variants"`
	DefaultVariant string         `json:"defaultVariant"`
	Targeting      any            `json:"targeting,omitempty"`
}

// Features returns the file with feature flags in flagd's format. It returns an [*InvalidError] if a feature is none.
func Features(features map[string]apiextensionsv1.JSON) (string, error) {
	found, flags := &InvalidError{}, map[string]flag{}
	for _, name := range sorted(features) {
		value, err := decode(features[name])
		if err != nil {
			found.add("spec.features.%s is no JSON: %v", name, err)
			continue
		}
		made, fault := feature(value)
		if fault == "" {
			fault = refusedByFlagd(made)
		}
		if fault != "" {
			found.add("spec.features.%s%s", name, fault)
			continue
		}
		flags[name] = made
	}
	return check("features", map[string]any{"$schema": flagsSchema, "flags": flags}, found)
}

// feature returns the flag that a tenant means, or what is wrong with it, to be read after its name.
func feature(value any) (made flag, fault string) {
	switch value := value.(type) {
	case bool:
		made = flag{Variants: map[string]any{"on": true, "off": false}, DefaultVariant: "off"}
		if value {
			made.DefaultVariant = "on"
		}
	case map[string]any:
		made, fault = withVariants(value)
	case nil, []any:
		return flag{}, " is neither a boolean, a string nor a number; write one, or write variants and a defaultVariant"
	default:
		made = flag{Variants: map[string]any{"value": value}, DefaultVariant: "value"}
	}
	made.State = "ENABLED"
	return made, fault
}

func withVariants(value map[string]any) (made flag, fault string) {
	for _, field := range sorted(value) {
		if !slices.Contains(fieldsOfFeature, field) {
			return flag{}, fmt.Sprintf(" has the field %s, which a feature has not; write %s, and an object as one of the variants", field, strings.Join(fieldsOfFeature, ", "))
		}
	}
	variants, _ := value["variants"].(map[string]any)
	if len(variants) == 0 {
		return flag{}, ".variants is empty; write the values that the feature can have, each with a name"
	}
	if fault := mixed(variants); fault != "" {
		return flag{}, fault
	}
	chosen, isText := value["defaultVariant"].(string)
	if _, exists := variants[chosen]; !isText || !exists {
		return flag{}, fmt.Sprintf(".defaultVariant is %s, and the variants are %s; write one of these", quoted(value["defaultVariant"]), strings.Join(sorted(variants), ", "))
	}
	return flag{Variants: variants, DefaultVariant: chosen, Targeting: value["targeting"]}, ""
}

// quoted returns a value as a tenant reads it.
func quoted(value any) string {
	if value == nil {
		return "left out"
	}
	return fmt.Sprintf("%q", fmt.Sprint(value))
}

// mixed says that variants have values of several types; empty if they have not.
func mixed(variants map[string]any) string {
	names := sorted(variants)
	first := kindOf(variants[names[0]])
	for _, name := range names {
		switch kind := kindOf(variants[name]); {
		case kind == "":
			return fmt.Sprintf(".variants.%s is neither a boolean, a string, a number nor an object; write one", name)
		case kind != first:
			return fmt.Sprintf(".variants has %s in %s and %s in %s; write values of one type", first, names[0], kind, name)
		}
	}
	return ""
}

// kindOf names the type that a feature with this value has; empty if there is none.
func kindOf(value any) string {
	switch value.(type) {
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case map[string]any:
		return "an object"
	case nil, []any:
		return ""
	default:
		return "a number"
	}
}

// flagdSchema is flagd's own schema of a file with flags.
var flagdSchema = sync.OnceValue(func() *jsonschema.Schema {
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nothing{})
	for address, text := range map[string]string{flagsSchema: flagd.FlagSchema, targetingSchema: flagd.TargetingSchema} {
		content, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err == nil {
			err = compiler.AddResource(address, content)
		}
		if err != nil {
			panic(fmt.Errorf("flagd's schema %s is broken: %w", address, err)) // The tests would have seen that.
		}
	}
	return compiler.MustCompile(flagsSchema)
})

// refusedByFlagd says that flagd doesn't know the targeting of a flag; empty if it does. The rest is known to be right.
func refusedByFlagd(made flag) string {
	if made.Targeting == nil {
		return ""
	}
	text, err := encode(map[string]any{"flags": map[string]flag{"it": made}})
	if err != nil {
		return " is no JSON"
	}
	content, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = flagdSchema().Validate(content)
	}
	if err == nil {
		return ""
	}
	return fmt.Sprintf(".targeting is no rule of flagd; see https://flagd.dev/reference/flag-definitions/#targeting-rules (%s)",
		strings.TrimPrefix(explain(err), "flags.it."))
}
