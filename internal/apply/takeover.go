package apply

import (
	"context"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// takeOver changes the operator's entries in metadata.managedFields before a server-side apply. The fields that it
// has set by POST or PUT become those of its apply, which could not remove them otherwise. It gives up the fields
// in keep, which the apply would remove otherwise.
func (f fields) takeOver(ctx context.Context, desired, live client.Object) error {
	if rearranged, err := f.rearrange(desired, live.DeepCopyObject().(client.Object)); err != nil || !rearranged {
		return err
	}
	// The cache keeps only the operator's own entries of metadata.managedFields.
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

// rearrange changes metadata.managedFields as takeOver says, and reports whether that was necessary.
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
		if err := giveUp(&entries[i], owner, left); err != nil {
			return false, err
		}
	}
	object.SetManagedFields(entries)
	return !reflect.DeepEqual(before, entries), nil
}

// giveUp removes fields from an entry of the operator in metadata.managedFields.
func giveUp(entry *metav1.ManagedFieldsEntry, fieldOwner string, left *fieldpath.Set) error {
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

// left returns the fields in keep that are not in the desired state.
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
