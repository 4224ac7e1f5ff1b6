// Package templates has the objects of a TenantClass with values in ${…}: it compiles them, checks their types, and
// fills in the values of a tenant. It is pure.
//
// A value is filled into the content of an object and never into its text, and is never looked at again. So nothing
// that a tenant writes, such as its display name, can become a field, an object or an expression.
package templates

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Template is a compiled template of an object.
type Template struct {
	// Path is the field of the class that has the template.
	Path string
	// Kind is the kind of the object.
	Kind schema.GroupVersionKind
	// Each says that each namespace of a tenant has the object, and not only the primary one.
	Each bool

	content map[string]any // with a *text where there are values
	used    sets.Set[string]
}

// Uses reports whether a variable is in the template.
func (t *Template) Uses(variable string) bool { return t.used.Has(variable) }

// Error says what is wrong in a template.
type Error struct {
	// Path is the field of the class.
	Path string
	// Line and Column are where in the field's text it is; 0 if it is about the field as a whole.
	Line, Column int
	// Message says what is wrong and what to write instead, without a period at its end.
	Message string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Message)
	}
	return fmt.Sprintf("%s, line %d, column %d: %s", e.Path, e.Line, e.Column, e.Message)
}

// Compile compiles the templates of a class. The error has an *Error for each mistake. Without an error there is a
// result for each object, in their order.
func Compile(objects []v1alpha1.TenantClassObject) ([]*Template, error) {
	var made []*Template
	var failures []error
	for i, object := range objects {
		c := compiler{used: sets.New[string]()}
		template := &Template{Path: fmt.Sprintf("spec.objects[%d].template", i), Each: object.Each == v1alpha1.EachNamespace, used: c.used}
		content := map[string]any{}
		if err := json.Unmarshal(object.Template.Raw, &content); err != nil {
			failures = append(failures, &Error{Path: template.Path, Message: "this is no object; write one with apiVersion, kind and metadata.name"})
			continue
		}
		c.checkObject(template, content)
		template.content, _ = c.compile(template.Path, content, false).(map[string]any)
		failures = append(failures, c.failures...)
		made = append(made, template)
	}
	return made, errors.Join(failures...)
}

type compiler struct {
	used     sets.Set[string]
	failures []error
}

func (c *compiler) fail(path, format string, args ...any) {
	c.failures = append(c.failures, &Error{Path: path, Message: fmt.Sprintf(format, args...)})
}

// reserved begins the labels and annotations that only the operator may set.
var reserved = v1alpha1.GroupVersion.Group + "/"

// checkObject checks what identifies an object.
func (c *compiler) checkObject(template *Template, content map[string]any) {
	version, kind := c.literal(template.Path, content, "apiVersion"), c.literal(template.Path, content, "kind")
	parsed, err := schema.ParseGroupVersion(version)
	if err != nil {
		c.fail(template.Path+".apiVersion", "%v", err)
	}
	template.Kind = parsed.WithKind(kind)
	if _, found := content["status"]; found {
		c.fail(template.Path+".status", "the status is for whoever works on the object; leave it out")
	}
	path := template.Path + ".metadata"
	metadata, _ := content["metadata"].(map[string]any)
	if name, _ := metadata["name"].(string); name == "" {
		c.fail(path+".name", "the object needs a name")
	}
	for _, field := range slices.Sorted(maps.Keys(metadata)) {
		switch field {
		case "name":
		case "labels", "annotations":
			entries, _ := metadata[field].(map[string]any)
			for _, key := range slices.Sorted(maps.Keys(entries)) {
				if strings.HasPrefix(key, reserved) {
					c.fail(child(path+"."+field, key), "what begins with %s is the operator's to set; leave it out", reserved)
				}
			}
		case "namespace":
			c.fail(path+".namespace", "the object is in the tenant's own namespaces; leave this out, and write each: Namespace beside template to have it in each of them")
		default:
			c.fail(path+"."+field, "only name, labels and annotations can be here; leave this out")
		}
	}
}

// literal returns a field that must be a text without values.
func (c *compiler) literal(path string, content map[string]any, field string) string {
	text, _ := content[field].(string)
	switch {
	case text == "":
		c.fail(path+"."+field, "the object needs one")
	case strings.Contains(text, "${"):
		c.fail(path+"."+field, "this must be known before the tenant is; write it without values in ${…}")
	}
	return text
}

// compile returns the content with a *text for each text that has values. Below metadata, all values become text.
func (c *compiler) compile(path string, content any, asText bool) any {
	switch content := content.(type) {
	case map[string]any:
		result := make(map[string]any, len(content))
		for _, key := range slices.Sorted(maps.Keys(content)) {
			if strings.Contains(key, "${") {
				c.fail(child(path, key), "only values can have ${…} in them, and no names of fields")
			}
			result[key] = c.compile(child(path, key), content[key], asText || strings.HasSuffix(path, "].template") && key == "metadata")
		}
		return result
	case []any:
		result := make([]any, len(content))
		for i, item := range content {
			result[i] = c.compile(fmt.Sprintf("%s[%d]", path, i), item, asText)
		}
		return result
	case string:
		return c.compileText(path, content, asText)
	default:
		return content
	}
}

// child returns the path of a field of an object.
func child(path, field string) string {
	if strings.ContainsAny(field, `./[]" $`) {
		return fmt.Sprintf("%s[%q]", path, field)
	}
	return path + "." + field
}

// maxSize is how many bytes an object may have as JSON. The API server stores little more than 1 MiB.
const maxSize = 512 << 10

// Render returns the object for a tenant. The error is an *Error.
func (t *Template) Render(scope *Scope) (*unstructured.Unstructured, error) {
	content, err := scope.fill(t.content)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: content.(map[string]any)}
	if text, err := json.Marshal(object.Object); err != nil || len(text) > maxSize {
		return nil, &Error{Path: t.Path, Message: fmt.Sprintf("the object has %d bytes and may have %d; let it have less", len(text), maxSize)}
	}
	if object.GetName() == "" {
		return nil, &Error{Path: t.Path + ".metadata.name", Message: "the name is empty for this tenant"}
	}
	return object, nil
}
