package apply

import (
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Restored reports whether an object is one that the engine has once written with these labels, and that
// nobody controls: a backup tool restores labels and annotations, and leaves out the owner references.
func Restored(live client.Object, labels map[string]string) bool {
	_, written := live.GetAnnotations()[annotationHash]
	have := maps.Clone(live.GetLabels())
	maps.DeleteFunc(have, func(key, _ string) bool { _, asked := labels[key]; return !asked })
	return written && metav1.GetControllerOf(live) == nil && maps.Equal(have, labels)
}

// isRestored reports whether an object is the desired one, restored.
func isRestored(desired, live client.Object) bool {
	labels := maps.Clone(desired.GetLabels())
	return len(labels) > 0 && Restored(live, labels)
}

// takeIn makes an object one that can be owned: whoever has restored it has set each of its fields, and is to
// have no say in them. It returns the object as it is then.
func (e *Engine) takeIn(ctx context.Context, live client.Object, how way) (client.Object, error) {
	// The cache has the operator's own entries only.
	whole, err := e.get(ctx, e.live, live)
	if err != nil {
		return nil, err
	}
	if whole.GetUID() != live.GetUID() || metav1.GetControllerOf(whole) != nil {
		return nil, e.outdated(live)
	}
	next, err := e.disowned(whole)
	if err != nil {
		return nil, err
	}
	return next, how.disown(ctx, whole, next)
}

// disowned returns an object whose fields are nobody's, but for its hash and its status.
func (e *Engine) disowned(whole client.Object) (client.Object, error) {
	hash := fieldpath.NewSet(fieldpath.MakePathOrDie("metadata", "annotations", annotationHash))
	text, err := hash.ToJSON()
	if err != nil {
		return nil, err
	}
	gvk, err := apiutil.GVKForObject(whole, e.client.Scheme())
	if err != nil {
		return nil, err
	}
	next := whole.DeepCopyObject().(client.Object)
	// With no entry at all, the first server-side apply would give all fields to a manager of its own.
	entries := []metav1.ManagedFieldsEntry{{
		Manager: e.fieldOwner, Operation: metav1.ManagedFieldsOperationApply, APIVersion: gvk.GroupVersion().String(),
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(text)),
	}}
	next.SetManagedFields(append(entries, slices.DeleteFunc(whole.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Subresource == ""
	})...))
	return next, nil
}

// disown writes by PUT, as the operator does with objects that it owns as a whole.
func (x exact) disown(ctx context.Context, _, next client.Object) error {
	return x.engine.client.Update(ctx, next, client.FieldOwner(x.engine.fieldOwner))
}

// disown leaves fields alone that the operator knows nothing of.
func (f fields) disown(ctx context.Context, whole, next client.Object) error {
	return f.engine.client.Patch(ctx, next, client.MergeFromWithOptions(whole, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(f.engine.fieldOwner))
}
