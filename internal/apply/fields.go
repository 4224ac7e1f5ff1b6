package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// fields is the way of owning the fields that the desired state has, and no others.
type fields struct {
	engine *Engine
	// keep are the paths of fields whose values stay when the desired state no longer has them.
	keep [][]string
}

// unchanged says whether live has all that is desired, and shows it to be the operator's. That nothing
// else is the operator's, the hash among the annotations says.
func (f fields) unchanged(desired, live client.Object) (bool, error) {
	owned, err := ownedFields(live, f.engine.fieldOwner)
	if err != nil {
		return false, err
	}
	want, err := intentOf(desired)
	if err != nil {
		return false, err
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return false, err
	}
	return holdsAll(owned, want, have), nil
}

// write applies the desired state. It may find another version of the object than the one that is
// given, but no other object.
func (f fields) write(ctx context.Context, desired, live client.Object) (client.Object, error) {
	if err := f.takeOver(ctx, desired, live); err != nil {
		return nil, err
	}
	gvk, err := apiutil.GVKForObject(desired, f.engine.client.Scheme())
	if err != nil {
		return nil, err
	}
	patch, err := patchOf(desired, live, gvk)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	applied, err := empty(desired, gvk, f.engine.client.Scheme())
	if err != nil {
		return nil, err
	}
	applied.SetNamespace(live.GetNamespace())
	applied.SetName(live.GetName())
	err = f.engine.client.Patch(ctx, applied, client.RawPatch(types.ApplyPatchType, text),
		client.FieldOwner(f.engine.fieldOwner), client.ForceOwnership)
	if apierrors.IsInvalid(err) {
		// What others have set may not go with what is desired, as another port of the same name.
		return f.replace(ctx, desired, live)
	}
	return applied, err
}

// replace replaces the object, with nothing of others left but its metadata and what is to be kept.
func (f fields) replace(ctx context.Context, desired, live client.Object) (client.Object, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return nil, err
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return nil, err
	}
	for _, path := range f.keep {
		value, found, err := unstructured.NestedFieldNoCopy(have, path...)
		if _, said, _ := unstructured.NestedFieldNoCopy(content, path...); err != nil || said || !found {
			continue
		}
		if err := unstructured.SetNestedField(content, value, path...); err != nil {
			return nil, err
		}
	}
	whole := reflect.New(reflect.TypeOf(desired).Elem()).Interface().(client.Object)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, whole); err != nil {
		return nil, err
	}
	return exact{f.engine}.write(ctx, whole, live)
}

// patchOf is the server-side apply of the desired state to just that object.
func patchOf(desired, live client.Object, gvk schema.GroupVersionKind) (map[string]any, error) {
	patch, err := intentOf(desired)
	if err != nil {
		return nil, err
	}
	patch["apiVersion"], patch["kind"] = gvk.GroupVersion().String(), gvk.Kind
	metadata := patch["metadata"].(map[string]any)
	metadata["name"], metadata["uid"] = live.GetName(), string(live.GetUID())
	if namespace := live.GetNamespace(); namespace != "" {
		metadata["namespace"] = namespace
	}
	return patch, nil
}

// takeOver makes the fields that the operator has set by POST or PUT those of its server-side apply,
// which otherwise would not remove them, and lets go of those to keep, which it otherwise would.
func (f fields) takeOver(ctx context.Context, desired, live client.Object) error {
	if rearranged, err := f.rearrange(desired, live.DeepCopyObject().(client.Object)); err != nil || !rearranged {
		return err
	}
	// The cache has the operator's own entries only.
	whole, err := f.engine.get(ctx, f.engine.live, live)
	if err != nil {
		return err
	}
	if whole.GetUID() != live.GetUID() {
		return f.engine.outdated(live)
	}
	next := whole.DeepCopyObject().(client.Object)
	if rearranged, err := f.rearrange(desired, next); err != nil || !rearranged {
		return err
	}
	return f.engine.client.Patch(ctx, next, client.MergeFromWithOptions(whole, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(f.engine.fieldOwner))
}

// rearrange changes metadata.managedFields as takeOver says, and says whether there was need to.
func (f fields) rearrange(desired, object client.Object) (bool, error) {
	before := object.GetManagedFields()
	owner := f.engine.fieldOwner
	if err := csaupgrade.UpgradeManagedFields(object, sets.New(owner), owner); err != nil {
		return false, fmt.Errorf("take over the fields of %s: %w", f.engine.describe(object), err)
	}
	entries := object.GetManagedFields()
	left, err := f.left(desired)
	if err != nil {
		return false, err
	}
	for i := range entries {
		if err := letGo(&entries[i], owner, left); err != nil {
			return false, err
		}
	}
	object.SetManagedFields(entries)
	return !reflect.DeepEqual(before, entries), nil
}

// letGo takes fields out of an entry of the operator.
func letGo(entry *metav1.ManagedFieldsEntry, fieldOwner string, left *fieldpath.Set) error {
	if !isOwn(*entry, fieldOwner) {
		return nil
	}
	owned := &fieldpath.Set{}
	if err := owned.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
		return err
	}
	if owned.Intersection(left).Empty() {
		return nil
	}
	text, err := owned.Difference(left).ToJSON()
	entry.FieldsV1 = metav1.NewFieldsV1(string(text))
	return err
}

// left are the fields to keep that the desired state doesn't have.
func (f fields) left(desired client.Object) (*fieldpath.Set, error) {
	want, err := intentOf(desired)
	if err != nil {
		return nil, err
	}
	left := fieldpath.NewSet()
	for _, path := range f.keep {
		if _, found, err := unstructured.NestedFieldNoCopy(want, path...); err != nil || found {
			continue
		}
		var steps fieldpath.Path
		for _, name := range path {
			steps = append(steps, fieldpath.FieldNameElement(name))
		}
		left.Insert(steps)
	}
	return left, nil
}

// isOwn says whether an entry of metadata.managedFields has what the operator has written.
func isOwn(entry metav1.ManagedFieldsEntry, fieldOwner string) bool {
	return entry.Manager == fieldOwner && entry.Subresource == "" && entry.FieldsV1 != nil
}

// ownedFields are the fields that the operator has written, in whatever way.
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

// intentOf is what a server-side apply of the desired state says: no field that isn't set, neither
// status nor what tells the object from others.
func intentOf(desired client.Object) (map[string]any, error) {
	intent, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return nil, err
	}
	omitZero(reflect.ValueOf(desired), intent)
	for _, field := range []string{"apiVersion", "kind", "status"} {
		delete(intent, field)
	}
	metadata, _ := intent["metadata"].(map[string]any)
	intent["metadata"] = map[string]any{}
	for _, field := range []string{"labels", "annotations", "ownerReferences"} {
		if value, found := metadata[field]; found {
			intent["metadata"].(map[string]any)[field] = value
		}
	}
	return intent, nil
}

// omitZero drops the structs that have no field set, which the JSON of Kubernetes' types shows as empty
// objects, from the content of a Go value.
func omitZero(of reflect.Value, content any) {
	switch of.Kind() {
	case reflect.Pointer:
		omitZero(of.Elem(), content)
	case reflect.Slice:
		items, _ := content.([]any)
		for i := range items {
			omitZero(of.Index(i), items[i])
		}
	case reflect.Struct:
		object, _ := content.(map[string]any)
		for field, below := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			said, found := object[name]
			switch {
			case name == "" && field.Anonymous:
				omitZero(below, content)
			case !found:
			case below.Kind() == reflect.Struct && below.IsZero():
				delete(object, name)
			default:
				omitZero(below, said)
			}
		}
	}
}

// holdsAll says whether all that is in want is in have, and owned. Of a list whose items are owned one
// by one, have may have others in between.
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
			have = have[at+1:] // The order of one's own items matters to environment variables.
		}
		return true
	default:
		return false // Nothing is below a value.
	}
}

// holds is holdsAll for what is a step further down.
func holds(owned *fieldpath.Set, step fieldpath.PathElement, want, have any) bool {
	if below, deeper := owned.Children.Get(step); deeper {
		return holdsAll(below, want, have)
	}
	return want == nil || (owned.Members.Has(step) && includes(have, want))
}

// stepTo is the step that leads to an item of a list among those that are owned.
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

// leadsTo says whether a step leads to an item of a list. One that is desired may leave out those of its
// keys that have a default.
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
