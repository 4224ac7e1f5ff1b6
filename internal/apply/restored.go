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

// Restored reports whether an object has no controller and the engine has once written it with these labels.
// Backup tools restore labels and annotations, but not owner references.
func Restored(live client.Object, labels map[string]string) bool {
	_, written := live.GetAnnotations()[annotationHash]
	have := maps.Clone(live.GetLabels())
	maps.DeleteFunc(have, func(key, _ string) bool { _, asked := labels[key]; return !asked })
	return written && metav1.GetControllerOf(live) == nil && maps.Equal(have, labels)
}

// isRestored reports whether live is the desired object as a backup tool restored it.
func isRestored(desired, live client.Object) bool {
	labels := maps.Clone(desired.GetLabels())
	return len(labels) > 0 && Restored(live, labels)
}

// prepareRestored makes it possible to own a restored object, and returns the result. The backup tool is the
// manager of all of its fields, which would make each look like somebody else's change.
func (e *Engine) prepareRestored(ctx context.Context, live client.Object, how way) (client.Object, error) {
	// The cache drops some entries of metadata.managedFields.
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

// disowned returns the object without managers of its fields, except those of annotationHash and of subresources.
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

func (x exact) disown(ctx context.Context, _, next client.Object) error {
	return x.engine.client.Update(ctx, next, client.FieldOwner(x.engine.fieldOwner))
}

// disown sends a patch, since a PUT would drop fields that the operator's types don't have.
func (f fields) disown(ctx context.Context, whole, next client.Object) error {
	return f.engine.client.Patch(ctx, next, client.MergeFromWithOptions(whole, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(f.engine.fieldOwner))
}
