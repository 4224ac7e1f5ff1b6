package apply

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// isOwn reports whether an entry of metadata.managedFields is for what the operator has written.
func isOwn(entry metav1.ManagedFieldsEntry, fieldOwner string) bool {
	return entry.Manager == fieldOwner && entry.Subresource == "" && entry.FieldsV1 != nil
}

// ownedFields returns the fields that the operator has written, by any kind of request.
func ownedFields(live client.Object, fieldOwner string) (*fieldpath.Set, error) {
	all := &fieldpath.Set{}
	for _, entry := range live.GetManagedFields() {
		if !isOwn(entry, fieldOwner) {
			continue
		}
		owned := &fieldpath.Set{}
		if err := owned.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			return nil, fmt.Errorf("read metadata.managedFields of %q: %w", live.GetName(), err)
		}
		all = all.Union(owned)
	}
	return all, nil
}

// holdsAll reports whether have contains all of want, and all of that is owned. In lists whose items are owned one
// by one, have may contain further items.
func holdsAll(owned *fieldpath.Set, want, have any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, _ := have.(map[string]any)
		for key, item := range want {
			if !holds(owned, fieldpath.FieldNameElement(key), item, have[key]) {
				return false
			}
		}
		return true
	case []any:
		have, _ := have.([]any)
		for _, item := range want {
			step, found := stepTo(owned, item)
			if !found {
				return false
			}
			at := slices.IndexFunc(have, func(other any) bool { return leadsTo(step, other, false) })
			if at < 0 || !holds(owned, step, item, have[at]) {
				return false
			}
			have = have[at+1:] // The order of the operator's own items matters for environment variables.
		}
		return true
	default:
		return false // There is nothing below a value.
	}
}

// holds does what holdsAll does for one field or list item.
func holds(owned *fieldpath.Set, step fieldpath.PathElement, want, have any) bool {
	if below, deeper := owned.Children.Get(step); deeper {
		return holdsAll(below, want, have)
	}
	return want == nil || (owned.Members.Has(step) && includes(have, want))
}

// stepTo returns the owned path element that leads to an item of a list.
func stepTo(owned *fieldpath.Set, item any) (step fieldpath.PathElement, found bool) {
	look := func(candidate fieldpath.PathElement) {
		if !found && leadsTo(candidate, item, true) {
			step, found = candidate, true
		}
	}
	owned.Children.Iterate(look)
	owned.Members.Iterate(look)
	return step, found
}

// leadsTo reports whether a path element leads to an item of a list. A desired item may leave out keys that have a
// default.
func leadsTo(step fieldpath.PathElement, item any, desired bool) bool {
	if step.Value != nil {
		return value.Equals(*step.Value, value.NewValueInterface(item))
	}
	fields, isMap := item.(map[string]any)
	if step.Key == nil || !isMap {
		return false
	}
	for _, key := range *step.Key {
		field, found := fields[key.Name]
		if found && !value.Equals(key.Value, value.NewValueInterface(field)) || !found && !desired {
			return false
		}
	}
	return true
}
