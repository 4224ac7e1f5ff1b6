// Package settings makes the files in which an app finds its feature flags and its custom fields, and says what is
// wrong with what a tenant writes about them. It is pure.
package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// maxFile is the maximum size of a file, in bytes. Each is a part of a ConfigMap, and what is written in a Tenant.
const maxFile = 128 << 10

// InvalidError says what is wrong with settings.
type InvalidError struct {
	// Faults has a clause for each fault, with the field and what to write instead.
	Faults []string
}

func (e *InvalidError) Error() string { return strings.Join(e.Faults, "; ") }

// orNil returns the error if it has faults.
func (e *InvalidError) orNil() error {
	if len(e.Faults) == 0 {
		return nil
	}
	return e
}

func (e *InvalidError) add(format string, args ...any) {
	e.Faults = append(e.Faults, fmt.Sprintf(format, args...))
}

// check returns the file with this content, or an [*InvalidError] about the field that it comes from.
func check(field string, content any, found *InvalidError) (string, error) {
	text, err := encode(content)
	if err != nil {
		return "", err
	}
	if len(text) > maxFile {
		found.add("spec.%s makes a file of %d KiB, and the limit is %d KiB; write less, or have the app keep it elsewhere", field, len(text)>>10, maxFile>>10)
	}
	return text, found.orNil()
}

// encode returns a value as JSON, with its keys in order, and with the characters that people have written.
func encode(value any) (string, error) {
	text := &bytes.Buffer{}
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return text.String(), err
}

// decode returns a value of a Tenant with its numbers as they were written.
func decode(value apiextensionsv1.JSON) (any, error) {
	return jsonschema.UnmarshalJSON(bytes.NewReader(value.Raw))
}

// sorted returns the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// nothing loads no schema: one that a tenant writes must not make the operator read a file or ask a server.
type nothing struct{}

func (nothing) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not part of the schema; write what it has into $defs, and refer to that", url)
}

// explain returns what a schema says about a value, in one clause. Of several faults it is the one that is deepest in
// the value, since the others usually follow from it.
func explain(err error) string {
	if schema, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		err = schema.Err
	}
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return strings.TrimSuffix(err.Error(), ".")
	}
	fault := deepest(invalid)
	said := fault.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	if len(fault.InstanceLocation) == 0 {
		return said
	}
	return strings.Join(fault.InstanceLocation, ".") + ": " + said
}

func deepest(fault *jsonschema.ValidationError) *jsonschema.ValidationError {
	if len(fault.Causes) == 0 {
		return fault
	}
	found := deepest(fault.Causes[0])
	for _, cause := range fault.Causes[1:] {
		if other := deepest(cause); len(other.InstanceLocation) > len(found.InstanceLocation) {
			found = other
		}
	}
	return found
}
