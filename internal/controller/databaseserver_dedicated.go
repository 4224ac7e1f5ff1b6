package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/dedicated"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/status"
)

// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=clusters.postgresql.cnpg.io,verbs=get
// +kubebuilder:rbac:groups=postgresql.cnpg.io,resources=clusters,verbs=get;list;watch;create;update;delete

// serverKinds are the kinds of what makes up a server that the operator runs, but for Clusters, which
// not each Kubernetes cluster knows.
func serverKinds() []client.Object {
	return []client.Object{
		&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Service{}, &networkingv1.NetworkPolicy{},
		&corev1.PersistentVolumeClaim{}, &appsv1.StatefulSet{},
	}
}

// runDedicated keeps a server running that the operator runs itself, and says what runs it. One that
// doesn't run yet is a problem.
func (r *DatabaseServerReconciler) runDedicated(ctx context.Context, server *v1alpha1.DatabaseServer) (status.Dedicated, error) {
	result := status.Dedicated{Provisioner: server.Status.Provisioner, Storage: server.Status.Storage}
	if server.Spec.Dedicated == nil {
		return result, nil
	}
	in, err := r.loadDedicated(ctx, server)
	if err != nil {
		return result, err
	}
	result.Provisioner = in.Provisioner
	if err := r.keepData(ctx, in); err != nil {
		return result, err
	}
	result.Storage = dedicated.Storage(in)
	for _, object := range dedicated.Objects(in) {
		if _, err := r.Engine.Apply(ctx, server, object); err != nil {
			return result, err
		}
	}
	return result, r.running(ctx, in)
}

// loadDedicated reads all that the server's objects depend on, and makes up the secrets that it lacks.
func (r *DatabaseServerReconciler) loadDedicated(ctx context.Context, server *v1alpha1.DatabaseServer) (dedicated.Inputs, error) {
	in := dedicated.Inputs{Server: server}
	volume := &corev1.PersistentVolumeClaim{}
	err := r.Get(ctx, inDatabases(naming.ServerVolume(server.Name)), volume)
	if client.IgnoreNotFound(err) != nil {
		return in, err
	}
	if err == nil {
		in.Volume = volume
	}
	if in.Provisioner, err = r.provisioner(ctx, in); err != nil {
		return in, err
	}
	if in.Provisioner == v1alpha1.ProvisionerCloudNativePG {
		if err := r.watchClusters(); err != nil {
			return in, err
		}
	}
	var secrets [3]corev1.Secret
	for i, name := range []string{naming.ServerSuperuser(server.Name), naming.ServerAuthority(server.Name), naming.ServerCertificate(server.Name)} {
		if err := r.ownSecret(ctx, name, &secrets[i]); err != nil {
			return in, err
		}
	}
	in.Secrets, err = dedicated.SecretsIn(&secrets[0], &secrets[1], &secrets[2]).Complete(server.Spec.Host, time.Now())
	return in, err
}

func inDatabases(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: naming.DatabasesNamespace, Name: name}
}

// ownSecret reads a Secret of a server, and leaves it empty if there is none. The cache sees managed
// objects only, and somebody may have taken the label off.
func (r *DatabaseServerReconciler) ownSecret(ctx context.Context, name string, into *corev1.Secret) error {
	err := r.Get(ctx, inDatabases(name), into)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, inDatabases(name), into)
	}
	return client.IgnoreNotFound(err)
}

// provisioner is what runs the server. That is decided once.
func (r *DatabaseServerReconciler) provisioner(ctx context.Context, in dedicated.Inputs) (v1alpha1.DatabaseServerProvisioner, error) {
	chosen := in.Server.Status.Provisioner
	if chosen == "" && in.Volume == nil {
		installed, err := r.hasCloudNativePG(ctx)
		if err != nil {
			return "", err
		}
		if installed {
			chosen = v1alpha1.ProvisionerCloudNativePG
		}
	}
	if chosen == v1alpha1.ProvisionerCloudNativePG {
		return chosen, nil
	}
	if instances := in.Server.Spec.Dedicated.Instances; instances > 1 {
		return chosen, invalid("To run %d instances takes CloudNativePG, which the cluster had not when the server was made; write 1 in spec.database.dedicated.instances of the Tenant, or, as long as it has no data, install CloudNativePG.", instances)
	}
	return v1alpha1.ProvisionerStatefulSet, nil
}

// hasCloudNativePG asks the API server, since what the client knows of the kinds that there are may be
// outdated. It costs a request for each new server.
func (r *DatabaseServerReconciler) hasCloudNativePG(ctx context.Context) (bool, error) {
	definition, err := definitionOf(ctx, r.Live, dedicated.ClusterDefinition)
	return err == nil && definition.DeletionTimestamp.IsZero(), client.IgnoreNotFound(err)
}

func invalid(format string, args ...any) error {
	return &problemError{Problem: status.Problem{Reason: v1alpha1.ReasonInvalid, Message: fmt.Sprintf(format, args...), Stalled: true}}
}

// keepData puts in place what holds the data, unless that is another database's.
func (r *DatabaseServerReconciler) keepData(ctx context.Context, in dedicated.Inputs) error {
	data := dedicated.Data(in)
	_, err := r.Engine.Keep(ctx, naming.AnnotationDatabase, data)
	if volume := in.Volume; err != nil && volume != nil && !volume.DeletionTimestamp.IsZero() {
		return &apply.TerminatingError{Object: fmt.Sprintf("PersistentVolumeClaim %q", volume.Name)}
	}
	if conflict, ok := errors.AsType[*apply.ConflictError](err); ok {
		return &problemError{Problem: status.Problem{
			Reason:  v1alpha1.ReasonConflict,
			Message: fmt.Sprintf("%s has the data of another database; its annotation %s says which, to take it over by spec.database.adopt of the Tenant. Or delete it to start with an empty one.", conflict.Object, naming.AnnotationDatabase),
			Stalled: true,
		}}
	}
	if apierrors.IsForbidden(err) {
		return invalid("The volume can't grow to %s: %v. Write its present size in spec.database.dedicated.storage of the Tenant, or let its StorageClass expand volumes.", in.Server.Spec.Dedicated.Storage, err)
	}
	return err
}

// running says what a server waits for that doesn't run yet.
func (r *DatabaseServerReconciler) running(ctx context.Context, in dedicated.Inputs) error {
	pods := &corev1.PodList{}
	if err := r.List(ctx, pods, client.InNamespace(naming.DatabasesNamespace), client.MatchingLabels{naming.LabelServer: in.Server.Name}); err != nil {
		return err
	}
	var problem *status.Problem
	if in.Provisioner == v1alpha1.ProvisionerCloudNativePG {
		cluster := dedicated.NewCluster()
		if err := r.Get(ctx, inDatabases(in.Server.Name), cluster); err != nil {
			return err
		}
		problem = status.OfCluster(cluster)
	} else {
		set := &appsv1.StatefulSet{}
		if err := r.Get(ctx, inDatabases(in.Server.Name), set); err != nil {
			return err
		}
		problem = status.OfStatefulSet(set, pods.Items)
	}
	if problem != nil {
		return &problemError{Problem: *problem}
	}
	return nil
}

// releaseData lets go of the data of a server that nobody uses any more, as its reclaim policy says.
func (r *DatabaseServerReconciler) releaseData(ctx context.Context, server *v1alpha1.DatabaseServer) error {
	if server.Spec.Dedicated == nil {
		return nil
	}
	in := dedicated.Inputs{Server: server, Provisioner: server.Status.Provisioner, Retired: true}
	if in.Provisioner == "" {
		installed, err := r.hasCloudNativePG(ctx)
		if err != nil {
			return err
		}
		if installed {
			in.Provisioner = v1alpha1.ProvisionerCloudNativePG
		}
	}
	data, spec := dedicated.Data(in), server.Spec.Dedicated
	live := data.DeepCopyObject().(client.Object)
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(data), live)
	switch {
	case apierrors.IsNotFound(err), apimeta.IsNoMatchError(err):
		return nil
	case err != nil:
		return err
	case live.GetAnnotations()[naming.AnnotationDatabase] != spec.Database:
		return nil
	case spec.ReclaimPolicy == v1alpha1.ReclaimPolicyDelete:
		return r.Engine.Delete(ctx, live)
	case in.Provisioner == v1alpha1.ProvisionerCloudNativePG:
		_, err = r.Engine.Keep(ctx, naming.AnnotationDatabase, data)
	}
	return err
}

// watchClusters looks at a server when its Cluster has changed. There is nothing to watch before
// CloudNativePG is installed.
func (r *DatabaseServerReconciler) watchClusters() error {
	r.clusters.Lock()
	defer r.clusters.Unlock()
	if r.watchesClusters {
		return nil
	}
	err := r.controller.Watch(source.Kind(r.cache, dedicated.NewCluster(), handler.TypedEnqueueRequestsFromMapFunc(
		func(ctx context.Context, cluster *unstructured.Unstructured) []ctrl.Request {
			return byServer(ctx, cluster)
		})))
	r.watchesClusters = err == nil
	return err
}

// byServer: what makes up a server says so by a label.
func byServer(_ context.Context, object client.Object) []ctrl.Request {
	if name := object.GetLabels()[naming.LabelServer]; name != "" {
		return []ctrl.Request{{NamespacedName: types.NamespacedName{Name: name}}}
	}
	return nil
}
