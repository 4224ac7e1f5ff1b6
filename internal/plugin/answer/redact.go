package answer

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/internal/naming"
)

// Removed is in a report in the place of what may be a secret.
const Removed = "<removed>"

// contents are the fields whose values people put secrets into, whatever the documentation says: data of Secrets and
// ConfigMaps, settings of an app, and the arguments of containers and probes. Their keys stay.
var contents = sets.New("data", "stringData", "binaryData", "config", "command", "args")

// Redact removes from an object what may be a secret: the values of environment variables, settings, arguments and
// headers, and the annotation in which kubectl keeps a copy of the whole.
func Redact(object *unstructured.Unstructured) {
	unstructured.RemoveNestedField(object.Object, "metadata", "managedFields")
	annotations := object.GetAnnotations()
	if _, found := annotations[corev1.LastAppliedConfigAnnotation]; found {
		annotations[corev1.LastAppliedConfigAnnotation] = Removed
		object.SetAnnotations(annotations)
	}
	for field, value := range object.Object {
		if field != "metadata" {
			object.Object[field] = redacted(field, value)
		}
	}
}

// redacted returns the value of a field without what may be a secret.
func redacted(field string, value any) any {
	if contents.Has(field) {
		return emptied(value)
	}
	switch typed := value.(type) {
	case map[string]any:
		for name, inner := range typed {
			typed[name] = redacted(name, inner)
		}
	case []any:
		for i, inner := range typed {
			entry, isObject := inner.(map[string]any)
			if isObject && (field == "env" || field == "httpHeaders") {
				if _, plain := entry["value"]; plain {
					entry["value"] = Removed
				}
			}
			typed[i] = redacted("", inner)
		}
	}
	return value
}

// emptied returns a value with its keys, and without what they lead to.
func emptied(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		for name, inner := range typed {
			typed[name] = emptied(inner)
		}
		return typed
	case []any:
		for i := range typed {
			typed[i] = emptied(typed[i])
		}
		return typed
	case nil:
		return nil
	default:
		return Removed
	}
}

// open are the keys of a tenant's Secret that are no secrets. They are in the status of the Tenant and its server.
var open = sets.New("type", "provider", "host", "port", "dbname", "user", "username", "schema", "ca.crt",
	"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGSSLMODE")

// shortest is the length of the shortest value that is looked for. Shorter ones are words such as true.
const shortest = 6

// SecretValues returns what must not be in a report, according to a Secret.
func SecretValues(secret *corev1.Secret) (values []string) {
	ours := naming.IsManaged(secret.Labels)
	for key, value := range secret.Data {
		if ours && open.Has(key) {
			continue
		}
		text := string(value)
		values = append(values, text, strings.TrimSpace(text))
		// A value of several lines is indented where it is quoted.
		for line := range strings.Lines(text) {
			values = append(values, strings.TrimSpace(line))
		}
	}
	return values
}

// Scrubber removes values from texts, also where they are encoded.
type Scrubber struct{ replacer *strings.Replacer }

// NewScrubber returns a Scrubber of values.
func NewScrubber(values []string) Scrubber {
	forms := sets.New[string]()
	for _, value := range values {
		if len(value) < shortest {
			continue
		}
		forms.Insert(value, base64.StdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)),
			url.QueryEscape(value), url.PathEscape(value), quotedForm(value))
	}
	// Of two that begin alike, the longer one is the whole secret.
	sorted := slices.SortedFunc(slices.Values(forms.UnsortedList()), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	pairs := make([]string, 0, 2*len(sorted))
	for _, form := range sorted {
		pairs = append(pairs, form, Removed)
	}
	return Scrubber{replacer: strings.NewReplacer(pairs...)}
}

// quotedForm returns a value as it stands in JSON.
func quotedForm(value string) string {
	written, err := json.Marshal(value)
	if err != nil {
		return value
	}
	return string(bytes.Trim(written, `"`))
}

// Scrub returns a text without the values.
func (s Scrubber) Scrub(text string) string {
	if s.replacer == nil {
		return text
	}
	return s.replacer.Replace(text)
}

// ScrubObject returns the content of an object without the values. In its YAML, a text may be broken into lines.
func (s Scrubber) ScrubObject(content any) any {
	switch typed := content.(type) {
	case string:
		return s.Scrub(typed)
	case map[string]any:
		made := make(map[string]any, len(typed))
		for name, inner := range typed {
			made[s.Scrub(name)] = s.ScrubObject(inner)
		}
		return made
	case []any:
		for i := range typed {
			typed[i] = s.ScrubObject(typed[i])
		}
		return typed
	default:
		return content
	}
}
