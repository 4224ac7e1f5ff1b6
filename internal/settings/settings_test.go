package settings_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	flagd "github.com/open-feature/flagd-schemas/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/tenantry/tenantry/internal/settings"
)

type values = map[string]apiextensionsv1.JSON

func of(name, value string) values { return values{name: {Raw: []byte(value)}} }

func TestFeaturesBecomeWhatFlagdReads(t *testing.T) {
	file, err := settings.Features(values{
		"new-checkout": {Raw: []byte(`true`)},
		"old-menu":     {Raw: []byte(`false`)},
		"greeting":     {Raw: []byte(`"<hello>"`)},
		"discount":     {Raw: []byte(`0.10`)},
		"theme":        {Raw: []byte(`{"variants": {"light": "#fff", "dark": "#000"}, "defaultVariant": "dark"}`)},
		"limits":       {Raw: []byte(`{"variants": {"small": {"rows": 10}, "large": {"rows": 100}}, "defaultVariant": "small", "targeting": {"if": [{"ends_with": [{"var": "email"}, "@acme.example"]}, "large", "small"]}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	content, err := jsonschema.UnmarshalJSON(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := flagdSchema(t).Validate(content); err != nil {
		t.Errorf("flagd would refuse the file: %v", err)
	}
	read := struct {
		Flags map[string]struct {
			State, DefaultVariant string
			Variants              map[string]json.RawMessage
			Targeting             json.RawMessage
		}
	}{}
	if err := json.Unmarshal([]byte(file), &read); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"new-checkout": "true", "old-menu": "false", "greeting": `"<hello>"`, "discount": "0.10", "theme": `"#000"`, "limits": `{"rows":10}`,
	} {
		flag := read.Flags[name]
		got := strings.NewReplacer(" ", "", "\n", "").Replace(string(flag.Variants[flag.DefaultVariant]))
		if got != want || flag.State != "ENABLED" {
			t.Errorf("%s is %s, and %s; want %s", name, got, flag.State, want)
		}
	}
	if len(read.Flags["limits"].Targeting) == 0 {
		t.Error("the targeting is lost")
	}
}

func flagdSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	for address, text := range map[string]string{
		"https://flagd.dev/schema/v0/flags.json": flagd.FlagSchema, "https://flagd.dev/schema/v0/targeting.json": flagd.TargetingSchema,
	} {
		content, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err == nil {
			err = compiler.AddResource(address, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return compiler.MustCompile("https://flagd.dev/schema/v0/flags.json")
}

func TestTheSameFeaturesAlwaysMakeTheSameFile(t *testing.T) {
	features := values{"a": {Raw: []byte(`true`)}, "b": {Raw: []byte(`{"defaultVariant":"x","variants":{"x":1,"y":2}}`)}, "c": {Raw: []byte(`"c"`)}}
	first, err := settings.Features(features)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := settings.Features(features); again != first {
			t.Fatalf("it is\n%s\nand was\n%s", again, first)
		}
	}
}

func TestWhatIsNoFeatureIsSaid(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"the default is none of the variants", `{"variants": {"light": 1, "dark": 2}, "defaultVariant": "dim"}`, `spec.features.theme.defaultVariant is "dim", and the variants are dark, light; write one of these`},
		{"there is no default", `{"variants": {"light": 1, "dark": 2}}`, `spec.features.theme.defaultVariant is left out, and the variants are dark, light; write one of these`},
		{"the default is no name", `{"variants": {"1": 1}, "defaultVariant": 1}`, `spec.features.theme.defaultVariant is "1", and the variants are 1; write one of these`},
		{"there are no variants", `{"variants": {}, "defaultVariant": "a"}`, `spec.features.theme.variants is empty; write the values that the feature can have, each with a name`},
		{"the variants are a list", `{"variants": ["a"], "defaultVariant": "a"}`, `spec.features.theme.variants is empty; write the values that the feature can have, each with a name`},
		{"an object has no name", `{"rows": 10}`, `spec.features.theme has the field rows, which a feature has not; write variants, defaultVariant, targeting, and an object as one of the variants`},
		{"the variants have several types", `{"variants": {"a": 1, "b": "2"}, "defaultVariant": "a"}`, `spec.features.theme.variants has a number in a and a string in b; write values of one type`},
		{"a variant is a list", `{"variants": {"a": [1]}, "defaultVariant": "a"}`, `spec.features.theme.variants.a is neither a boolean, a string, a number nor an object; write one`},
		{"it is a list", `[1]`, `spec.features.theme is neither a boolean, a string nor a number; write one, or write variants and a defaultVariant`},
		{"it is null", `null`, `spec.features.theme is neither a boolean, a string nor a number; write one, or write variants and a defaultVariant`},
		{"nobody knows the targeting", `{"variants": {"a": 1}, "defaultVariant": "a", "targeting": {"wenn": [true, "a"]}}`, `spec.features.theme.targeting is no rule of flagd; see https://flagd.dev/reference/flag-definitions/#targeting-rules (`},
		{"it is too large", `"` + strings.Repeat("x", 200<<10) + `"`, "spec.features makes a file of 200 KiB, and the limit is 128 KiB; write less, or have the app keep it elsewhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := settings.Features(of("theme", test.value))
			invalid, ok := errors.AsType[*settings.InvalidError](err)
			if !ok || !strings.HasPrefix(invalid.Error(), test.want) {
				t.Errorf("it says\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

func TestAllFaultsAreSaidAtOnce(t *testing.T) {
	_, err := settings.Features(values{"a": {Raw: []byte(`[]`)}, "b": {Raw: []byte(`true`)}, "c": {Raw: []byte(`{}`)}})
	if err == nil || !strings.Contains(err.Error(), "spec.features.a ") || !strings.Contains(err.Error(), "; spec.features.c.variants") || strings.Contains(err.Error(), "features.b") {
		t.Errorf("it says %v", err)
	}
}

func TestCustomFieldsAreHandedOnAsTheyAreWritten(t *testing.T) {
	schema := `{"type": "object", "properties": {"costCentre": {"type": "string", "pattern": "^[0-9]{4}$"}}, "required": ["costCentre"]}`
	file, err := settings.CustomFields(values{"order": {Raw: []byte(schema)}, "customer": {Raw: []byte(`{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/name", "definitions": {"name": {"type": "string"}}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]any{}
	if err := json.Unmarshal([]byte(file), &read); err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("order.json", read["order"]); err != nil {
		t.Fatal(err)
	}
	order := compiler.MustCompile("order.json")
	if err := order.Validate(map[string]any{"costCentre": "4711"}); err != nil {
		t.Error(err)
	}
	if err := order.Validate(map[string]any{"costCentre": "x"}); err == nil {
		t.Error("the schema has lost its pattern")
	}
}

func TestWhatIsNoJSONSchemaIsSaid(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"a type that isn't one", `{"type": "object", "properties": {"costCentre": {"type": "strng"}}}`, "spec.customFields.order is no JSON Schema: properties.costCentre.type: "},
		{"a pattern that isn't one", `{"type": "string", "pattern": "("}`, "spec.customFields.order is no JSON Schema: "},
		{"it is text", `"string"`, "spec.customFields.order is no JSON Schema: it is no object; write one such as {type: object, properties: {costCentre: {type: string}}}"},
		{"it refers to itself in vain", `{"$ref": "#/$defs/missing"}`, "spec.customFields.order is no JSON Schema: "},
		{"it refers to a server", `{"$ref": "http://127.0.0.1:1/x.json"}`, "spec.customFields.order is no JSON Schema: "},
		{"it refers to a file", `{"$ref": "file:///etc/passwd"}`, "spec.customFields.order is no JSON Schema: "},
		{"it has a dialect that nobody knows", `{"$schema": "http://127.0.0.1:1/x.json"}`, "spec.customFields.order is no JSON Schema: "},
		{"it is too large", `{"description": "` + strings.Repeat("x", 200<<10) + `"}`, "spec.customFields makes a file of 200 KiB, and the limit is 128 KiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := settings.CustomFields(of("order", test.value))
			invalid, ok := errors.AsType[*settings.InvalidError](err)
			if !ok || !strings.HasPrefix(invalid.Error(), test.want) {
				t.Errorf("it says\n%v\nwant\n%s", err, test.want)
			}
			t.Log(err)
		})
	}
	if _, err := settings.CustomFields(of("../order", `{}`)); err == nil || !strings.Contains(err.Error(), `spec.customFields has the entity "../order"; begin its name with a letter`) {
		t.Errorf("it says %v", err)
	}
}

func FuzzSettings(f *testing.F) {
	for _, seed := range []string{`true`, `{"variants": {"a": 1}, "defaultVariant": "a", "targeting": {"if": [true, "a"]}}`, `{"$ref": "#"}`, `{"type": ["object"]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if !json.Valid([]byte(value)) {
			t.Skip()
		}
		for _, reading := range []func(values) (string, error){settings.Features, settings.CustomFields} {
			file, err := reading(of("it", value))
			if err == nil && !json.Valid([]byte(file)) {
				t.Errorf("%s becomes %s", value, file)
			}
		}
	})
}
