package answer

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Effective is a tenant's effective spec with the source of each value.
type Effective struct {
	// Tenant is the name of the Tenant.
	Tenant string `json:"tenant"`
	// Class and Revision are the TenantClass that it has and the TenantClassRevision that it is at; empty for none.
	Class    string `json:"class,omitempty"`
	Revision string `json:"revision,omitempty"`
	// Values are all values, by their fields.
	Values []effective.Value `json:"values"`
	// HeldBack says which fields stay as they are, since the database is placed.
	HeldBack []string `json:"heldBack,omitempty"`
	// Notes are further sentences.
	Notes []string `json:"notes,omitempty"`
}

// EffectiveOf returns the effective spec of a Tenant. class is what its class says at the revision that the tenant is
// at; nil if it has none. current is the name of the class's current revision.
func EffectiveOf(tenant *v1alpha1.Tenant, class *effective.Class, current string) (Effective, error) {
	made := effective.Of(tenant)
	result := Effective{Tenant: tenant.Name}
	if class != nil {
		result.Class, result.Revision = class.Name, class.Revision
		var err error
		if made, err = effective.OfClass(tenant, class); err != nil {
			return result, err
		}
		result.HeldBack = made.HeldBack
		if note := behind(tenant, class, current); note != "" {
			result.Notes = append(result.Notes, note)
		}
	}
	values, err := made.Values(&tenant.Spec)
	result.Values = values
	return result, err
}

// behind says why a tenant isn't at the current revision of its class; empty if it is.
func behind(tenant *v1alpha1.Tenant, class *effective.Class, current string) string {
	pinned := tenant.Spec.ClassRevision
	switch {
	case pinned != "" && current == class.Revision:
		return fmt.Sprintf("spec.classRevision pins the tenant to %s, which is the current revision of the class.", pinned)
	case pinned != "":
		return fmt.Sprintf("spec.classRevision pins the tenant to %s. The class is at %s; leave classRevision out to follow it.", pinned, current)
	case current != "" && current != class.Revision:
		return fmt.Sprintf("The class is at %s. The tenant is at %s, because the current one changes nothing for it or has not reached it yet.", current, class.Revision)
	default:
		return ""
	}
}

// Table returns the values as a table.
func (e Effective) Table() view.Table {
	sources := map[effective.Source]view.Cell{
		effective.FromTenant:   {Text: "the Tenant", Mark: view.Good},
		effective.FromClass:    {Text: "class " + e.Class, Mark: view.Busy},
		effective.FromDefault:  view.Text("default"),
		effective.FromDatabase: {Text: "held: the database is placed", Mark: view.Note},
	}
	table := view.Table{Header: []string{"FIELD", "VALUE", "FROM"}}
	for _, value := range e.Values {
		table.Rows = append(table.Rows, []view.Cell{view.Text(value.Field), view.Text(short(value.Value)), sources[value.Source]})
	}
	return table
}

// Sentences returns what there is to know beside the table.
func (e Effective) Sentences() (sentences []string) {
	if e.Class != "" {
		sentences = append(sentences, fmt.Sprintf("Class %s, revision %s.", e.Class, e.Revision))
	}
	sentences = append(sentences, e.Notes...)
	for _, held := range e.HeldBack {
		sentences = append(sentences, "Held back: "+held+".")
	}
	return sentences
}

// maxValue is how many characters of a value a table shows.
const maxValue = 80

// short returns a value in one line.
func short(value any) string {
	text := fmt.Sprint(value)
	switch value.(type) {
	case map[string]any, []any:
		if written, err := yaml.Marshal(value); err == nil {
			text = strings.Join(strings.Fields(strings.TrimSpace(string(written))), " ")
		}
	}
	if runes := []rune(text); len(runes) > maxValue {
		return string(runes[:maxValue-1]) + "…"
	}
	return text
}
