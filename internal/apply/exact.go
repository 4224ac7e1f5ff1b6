package apply

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// exact owns all of an object, except what others add to its metadata.
type exact struct{ engine *Engine }

func (x exact) unchanged(desired, live client.Object) (bool, error) {
	return unchanged(desired, live, x.engine.fieldOwner)
}

// write replaces exactly the version of the object that is in live.
func (x exact) write(ctx context.Context, desired, live client.Object) (client.Object, error) {
	merged := merge(desired, live)
	return merged, x.engine.client.Update(ctx, merged, client.FieldOwner(x.engine.fieldOwner))
}

// unchanged reports whether live is the result of writing desired: all that is desired has its value, and nobody
// else has set anything outside of metadata and status.
func unchanged(desired, live client.Object, fieldOwner string) (bool, error) {
	for _, entry := range live.GetManagedFields() {
		foreign, err := setsContent(entry, fieldOwner)
		if err != nil || foreign {
			return false, err
		}
	}
	want, err := runtime.DefaultUnstructuredConverter.ToUnstructured(merge(desired, live))
	if err != nil {
		return false, err
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return false, err
	}
	delete(want, "status")
	return includes(have, want), nil
}

// setsContent reports whether an entry of metadata.managedFields says that somebody else has set fields outside of
// metadata and status.
func setsContent(entry metav1.ManagedFieldsEntry, fieldOwner string) (bool, error) {
	if entry.Manager == fieldOwner || entry.Subresource != "" || entry.FieldsV1 == nil {
		return false, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return false, err
	}
	for field := range fields {
		if field != "f:metadata" && field != "f:status" {
			return true, nil
		}
	}
	return false, nil
}

// merge returns desired with the metadata that others have set on live.
func merge(desired, live client.Object) client.Object {
	merged := desired.DeepCopyObject().(client.Object)
	merged.SetUID(live.GetUID())
	merged.SetResourceVersion(live.GetResourceVersion())
	merged.SetFinalizers(union(live.GetFinalizers(), desired.GetFinalizers()))
	merged.SetLabels(overlay(live.GetLabels(), desired.GetLabels()))
	merged.SetAnnotations(overlay(live.GetAnnotations(), desired.GetAnnotations()))
	merged.SetOwnerReferences(overlayReferences(live.GetOwnerReferences(), desired.GetOwnerReferences()))
	return merged
}
