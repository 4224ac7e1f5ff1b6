package controller

import (
	"cmp"
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
	"k8s.io/utils/ptr"
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
	r.heedAuthority(server.Name, in.Secrets.Authority)
	if err := r.keepData(ctx, in); err != nil {
		if in.Volume == nil || !apierrors.IsForbidden(err) {
			return result, err
		}
		result.Unmet = cannotGrow(in, err)
	}
	result.Unmet = cmp.Or(result.Unmet, unmet(in))
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
	if err := r.loadData(ctx, &in); err != nil {
		return in, err
	}
	superuser, authority, certificate := &corev1.Secret{}, &corev1.Secret{}, &corev1.Secret{}
	_, err := r.own(ctx, naming.ServerSuperuser(server.Name), superuser)
	if err != nil {
		return in, err
	}
	if in.Provisioner == v1alpha1.ProvisionerCloudNativePG {
		authority, err = r.authorityOf(ctx, in)
		in.Secrets = dedicated.SecretsIn(superuser, authority, certificate).CompletePassword()
		return in, err
	}
	if _, err := r.own(ctx, naming.ServerAuthority(server.Name), authority); err != nil {
		return in, err
	}
	if _, err := r.own(ctx, naming.ServerCertificate(server.Name), certificate); err != nil {
		return in, err
	}
	in.Secrets, err = dedicated.SecretsIn(superuser, authority, certificate).CompletePassword().CompleteCertificate(server.Spec.Host, time.Now())
	return in, err
}

// authorityAt is the authority of a server by a version of its Cluster.
type authorityAt struct {
	version string
	secret  *corev1.Secret
}

// authorityOf reads the authority of a server that CloudNativePG runs. It isn't in the cache, and read
// again when the Cluster has changed, which says in its status until when its certificates are valid.
func (r *DatabaseServerReconciler) authorityOf(ctx context.Context, in dedicated.Inputs) (*corev1.Secret, error) {
	name, version := in.Server.Name, ""
	if in.Cluster != nil {
		version = in.Cluster.GetResourceVersion()
	}
	if known, found := r.authorities.Load(name); found && known.(authorityAt).version == version {
		return known.(authorityAt).secret, nil
	}
	secret := &corev1.Secret{}
	found, err := r.own(ctx, naming.ServerAuthority(name), secret)
	if found {
		r.authorities.Store(name, authorityAt{version, secret})
	}
	return secret, err
}

// loadData reads what holds the server's data, and says what runs it.
func (r *DatabaseServerReconciler) loadData(ctx context.Context, in *dedicated.Inputs) error {
	if in.Server.Status.Provisioner != v1alpha1.ProvisionerCloudNativePG {
		volume := &corev1.PersistentVolumeClaim{}
		found, err := r.own(ctx, naming.ServerVolume(in.Server.Name), volume)
		if err != nil {
			return err
		}
		if found {
			in.Volume = volume
		}
	}
	var err error
	if in.Provisioner, err = r.provisioner(ctx, *in); err != nil || in.Provisioner == v1alpha1.ProvisionerStatefulSet {
		return err
	}
	if err := r.watchClusters(); err != nil {
		return err
	}
	cluster := dedicated.NewCluster()
	found, err := r.own(ctx, in.Server.Name, cluster)
	if found {
		in.Cluster = cluster
	}
	return err
}

func inDatabases(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: naming.DatabasesNamespace, Name: name}
}

// own reads an object of a server, and says whether there is one. The cache sees managed objects only,
// and somebody may have taken the label off, or restored a backup without it.
func (r *DatabaseServerReconciler) own(ctx context.Context, name string, into client.Object) (found bool, err error) {
	err = r.Get(ctx, inDatabases(name), into)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, inDatabases(name), into)
	}
	return err == nil, client.IgnoreNotFound(err)
}

// heedAuthority has the server's login made up anew if its authority is another one by now.
func (r *DatabaseServerReconciler) heedAuthority(server string, authority []byte) {
	if known, found := r.access.Load(server); found && known.(connection).server.CACert != string(authority) {
		r.access.Delete(server)
	}
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
	if problem := tooMany(in); problem != nil && in.Volume == nil {
		return chosen, &problemError{Problem: *problem}
	}
	return v1alpha1.ProvisionerStatefulSet, nil
}

// hasCloudNativePG asks the API server, since what the client knows of the kinds that there are may be
// outdated. It costs a request for each new server.
func (r *DatabaseServerReconciler) hasCloudNativePG(ctx context.Context) (bool, error) {
	definition, err := definitionOf(ctx, r.Live, dedicated.ClusterDefinition)
	return err == nil && definition.DeletionTimestamp.IsZero(), client.IgnoreNotFound(err)
}

// unmet is what the spec asks for of a server that has data, and can't have; nil if nothing.
func unmet(in dedicated.Inputs) *status.Problem {
	if in.Volume == nil {
		return nil
	}
	if wanted, has := in.Server.Spec.Dedicated.StorageClassName, ptr.Deref(in.Volume.Spec.StorageClassName, ""); wanted != "" && wanted != has {
		return invalid("The volume has the StorageClass %q and can't get another one; write that in spec.database.dedicated.storageClassName of the Tenant.", has)
	}
	return tooMany(in)
}

func tooMany(in dedicated.Inputs) *status.Problem {
	if instances := in.Server.Spec.Dedicated.Instances; instances > 1 {
		return invalid("To run %d instances takes CloudNativePG, which the cluster had not when the server was made; write 1 in spec.database.dedicated.instances of the Tenant, or, as long as it has no data, install CloudNativePG.", instances)
	}
	return nil
}

func cannotGrow(in dedicated.Inputs, err error) *status.Problem {
	return invalid("The volume can't grow to %s: %v. Write its present size in spec.database.dedicated.storage of the Tenant, or let its StorageClass expand volumes.", in.Server.Spec.Dedicated.Storage, err)
}

func invalid(format string, args ...any) *status.Problem {
	return &status.Problem{Reason: v1alpha1.ReasonInvalid, Message: fmt.Sprintf(format, args...), Stalled: true}
}

// keepData puts in place what holds the data, unless that is another database's. For a database that is
// to be adopted it must be there.
func (r *DatabaseServerReconciler) keepData(ctx context.Context, in dedicated.Inputs) error {
	if dedicated.Adopts(in.Server) && in.Volume == nil && in.Cluster == nil {
		return &problemError{Problem: status.Problem{Reason: v1alpha1.ReasonConflict, Stalled: true, Message: fmt.Sprintf(
			"There is nothing in namespace %s that has the database %s, neither a PersistentVolumeClaim %q nor a Cluster %q; correct spec.database.adopt of the Tenant, leave it out to start with an empty database, or restore the data there.",
			naming.DatabasesNamespace, in.Server.Spec.Dedicated.Database, naming.ServerVolume(in.Server.Name), in.Server.Name)}}
	}
	if in.Replaceable() {
		if err := r.Engine.Delete(ctx, in.Volume.DeepCopy()); err != nil {
			return err
		}
		return &apply.TerminatingError{Object: fmt.Sprintf("PersistentVolumeClaim %q, which has no volume yet and is another one than the spec asks for,", in.Volume.Name)}
	}
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
		in.Cluster = live.(*unstructured.Unstructured)
		_, err = r.Engine.Keep(ctx, naming.AnnotationDatabase, dedicated.Data(in))
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
