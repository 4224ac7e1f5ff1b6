package environment

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Backup is what a backup tool such as Velero has saved. The zero value is empty.
type Backup struct {
	objects []*unstructured.Unstructured
}

// Add saves an object, and returns it as it is in the cluster.
func (b *Backup) Add(ctx context.Context, c client.Client, kind schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	if err := c.Get(ctx, key, object); err != nil {
		return nil, err
	}
	b.add(object)
	return object, nil
}

// AddAll saves all objects of a kind that the options select, and returns them as they are in the cluster.
func (b *Backup) AddAll(ctx context.Context, c client.Client, kind schema.GroupVersionKind, options ...client.ListOption) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind)
	if err := c.List(ctx, list, options...); err != nil {
		return nil, err
	}
	for i := range list.Items {
		b.add(&list.Items[i])
	}
	return list.Items, nil
}

// add saves an object as a backup tool restores it: of its metadata only the name, the labels and the annotations,
// and nothing that the cluster has added.
func (b *Backup) add(object *unstructured.Unstructured) {
	kept := map[string]any{"name": object.GetName()}
	for _, field := range []string{"namespace", "labels", "annotations"} {
		if value, found, _ := unstructured.NestedFieldCopy(object.Object, "metadata", field); found {
			kept[field] = value
		}
	}
	saved := object.DeepCopy()
	saved.Object["metadata"] = kept
	delete(saved.Object, "status")
	for _, path := range [][]string{{"spec", "clusterIP"}, {"spec", "clusterIPs"}, {"spec", "nodeName"}, {"spec", "volumeName"}} {
		unstructured.RemoveNestedField(saved.Object, path...)
	}
	for _, binding := range []string{"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"} {
		unstructured.RemoveNestedField(saved.Object, "metadata", "annotations", binding)
	}
	b.objects = append(b.objects, saved)
}

// Restore creates all objects that don't exist, in the order in which they were added. It returns what the API
// server refuses, by kind.
func (b *Backup) Restore(ctx context.Context, c client.Client) (refused map[string]error, err error) {
	refused = map[string]error{}
	for _, object := range b.objects {
		err := c.Create(ctx, object.DeepCopy(), client.FieldOwner("velero-server"))
		switch {
		case err == nil, apierrors.IsAlreadyExists(err):
		case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
			refused[object.GetKind()] = err
		default:
			return refused, fmt.Errorf("restore %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return refused, nil
}
