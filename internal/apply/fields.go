package apply

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// fields owns the fields in the desired state and no others.
type fields struct {
	engine *Engine
	// keep are the paths of fields whose values stay when they are no longer in the desired state.
	keep [][]string
	// yields means that fields which somebody else has set to another value stay as they are.
	yields bool
}

// unchanged reports whether live has all desired fields and the operator owns them. That the operator owns no
// others follows from annotationHash.
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

// write applies the desired state. The object may have changed since live was read, but must have the same UID.
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
	options := []client.PatchOption{client.FieldOwner(f.engine.fieldOwner)}
	if !f.yields {
		options = append(options, client.ForceOwnership)
	}
	err = f.engine.client.Patch(ctx, applied, client.RawPatch(types.ApplyPatchType, text), options...)
	if f.yields {
		return applied, f.engine.fieldsConflict(live, err)
	}
	if apierrors.IsInvalid(err) {
		// Fields of others can be invalid together with ours, for example another port with the same name.
		return f.replace(ctx, desired, live)
	}
	return applied, err
}

// replace replaces the object by PUT. It keeps only metadata of others, and the fields in keep.
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

// patchOf returns the body of a server-side apply of the desired state. The UID in it makes sure that no other
// object is changed.
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

// intentOf returns the fields of the desired state to apply: those that are set, without the status and what
// identifies the object.
func intentOf(desired client.Object) (map[string]any, error) {
	intent, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return nil, err
	}
	// The content of an object without a Go type is the object itself, which must not change.
	intent = maps.Clone(intent)
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

// omitZero drops structs without any field set from the content of a Go value. The JSON of Kubernetes' types has
// them as empty objects.
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
		omitZeroFields(of, content)
	default: // No other kind contains a struct.
	}
}

func omitZeroFields(of reflect.Value, content any) {
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
