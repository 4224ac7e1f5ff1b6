package databaseserver

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/dedicated"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// hold keeps a server from being deleted while tenants have, or may have, something on it, and while what is deleted
// with it is still there, so that its status can say what holds that. If it is being deleted, hold returns how many
// tenants those are, or else a problem while something is left.
func (r *Reconciler) hold(ctx context.Context, server *v1alpha1.DatabaseServer) (users int, err error) {
	before := server.DeepCopy()
	if server.DeletionTimestamp.IsZero() {
		if controllerutil.AddFinalizer(server, naming.FinalizerServer) {
			err = r.patchFinalizer(ctx, before, server)
		}
		return 0, err
	}
	tenants := &v1alpha1.TenantList{}
	if err := r.List(ctx, tenants, client.MatchingFields{naming.IndexPlaced: server.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return 0, err
	}
	if len(tenants.Items) > 0 {
		return len(tenants.Items), nil
	}
	// The cache may not have the latest reclaim policy yet.
	live := &v1alpha1.DatabaseServer{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(server), live); err != nil {
		return 0, err
	}
	if err := r.dismantle(ctx, live); err != nil {
		return 0, err
	}
	if controllerutil.RemoveFinalizer(server, naming.FinalizerServer) {
		err = r.patchFinalizer(ctx, before, server)
	}
	return 0, err
}

// dismantle deletes what runs a server, and its data unless that is to be kept. It returns a problem while any of it
// is still there. Everything else is the garbage collector's.
func (r *Reconciler) dismantle(ctx context.Context, server *v1alpha1.DatabaseServer) error {
	if server.Spec.Dedicated == nil {
		return nil
	}
	set, err := r.deleteSet(ctx, server)
	if err != nil {
		return err
	}
	data, err := r.releaseData(ctx, server)
	remaining := slices.Concat(set, data)
	if err != nil || len(remaining) == 0 {
		return err
	}
	pods, err := r.podsOf(ctx, server)
	if err != nil {
		return err
	}
	for i := range pods {
		remaining = append(remaining, &pods[i])
	}
	return r.remains(remaining)
}

// remains returns the problem that these objects of a server are still there.
func (r *Reconciler) remains(objects []client.Object) error {
	var held []problem.Held
	for _, object := range objects {
		key, err := apply.KeyOf(object, r.Client)
		if err != nil {
			return err
		}
		held = append(held, problem.Held{Object: key.String(), Finalizers: object.GetFinalizers()})
	}
	return problem.ServerRemains(held)
}

// deleteSet deletes the StatefulSet that runs a server, and returns it while that is held.
func (r *Reconciler) deleteSet(ctx context.Context, server *v1alpha1.DatabaseServer) (remaining []client.Object, err error) {
	set := &appsv1.StatefulSet{}
	found, err := r.own(ctx, server.Name, set)
	if err != nil || !found || !metav1.IsControlledBy(set, server) {
		return nil, err
	}
	return r.deleteHeld(ctx, set)
}

// releaseData deletes or keeps the data of a server that nobody uses any more, depending on its reclaim policy. It
// returns what it deletes, while that is held.
func (r *Reconciler) releaseData(ctx context.Context, server *v1alpha1.DatabaseServer) (remaining []client.Object, err error) {
	in := dedicated.Inputs{Server: server, Provisioner: server.Status.Provisioner, Retired: true}
	if in.Provisioner == "" {
		installed, err := r.hasCloudNativePG(ctx)
		if err != nil {
			return nil, err
		}
		if installed {
			in.Provisioner = v1alpha1.ProvisionerCloudNativePG
		}
	}
	data, spec := dedicated.Data(in), server.Spec.Dedicated
	live := data.DeepCopyObject().(client.Object)
	err = r.Live.Get(ctx, client.ObjectKeyFromObject(data), live)
	switch {
	case apierrors.IsNotFound(err), apimeta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, err
	case live.GetAnnotations()[naming.AnnotationDatabase] != spec.Database:
		return nil, nil
	case spec.ReclaimPolicy == v1alpha1.ReclaimPolicyDelete:
		return r.deleteHeld(ctx, live)
	case in.Provisioner == v1alpha1.ProvisionerCloudNativePG:
		in.Cluster = live.(*unstructured.Unstructured)
		_, err = r.Engine.Keep(ctx, naming.AnnotationDatabase, dedicated.Data(in), dedicated.IntendedData(in), false)
	}
	return nil, err
}

// deleteHeld deletes an object that the cache may not have, unless it is being deleted. It returns the object if that
// has finalizers, and so is still there.
func (r *Reconciler) deleteHeld(ctx context.Context, object client.Object) (remaining []client.Object, err error) {
	if object.GetDeletionTimestamp().IsZero() {
		err = r.Engine.Delete(ctx, object, client.DisableReadYourWritesConsistency)
	}
	if len(object.GetFinalizers()) > 0 {
		remaining = []client.Object{object}
	}
	return remaining, err
}

// podsOf returns the pods in which a server runs.
func (r *Reconciler) podsOf(ctx context.Context, server *v1alpha1.DatabaseServer) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := r.List(ctx, pods, client.InNamespace(naming.DatabasesNamespace), client.MatchingLabels{naming.LabelServer: server.Name})
	return pods.Items, err
}
