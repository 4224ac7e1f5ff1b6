package databaseserver

import (
	"cmp"
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/dedicated"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/status"
)

// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=clusters.postgresql.cnpg.io,verbs=get
// +kubebuilder:rbac:groups=postgresql.cnpg.io,resources=clusters,verbs=get;list;watch;create;update;delete

// serverKinds returns the kinds of the objects of a dedicated server, except for CloudNativePG's Cluster, which
// not every Kubernetes cluster has.
func serverKinds() []client.Object {
	return []client.Object{
		&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Service{}, &networkingv1.NetworkPolicy{},
		&corev1.PersistentVolumeClaim{}, &appsv1.StatefulSet{},
	}
}

// runDedicated puts the objects of a dedicated server in place, and returns what runs it. It returns a problem if
// the server isn't running yet.
func (r *Reconciler) runDedicated(ctx context.Context, server *v1alpha1.DatabaseServer) (status.Dedicated, error) {
	result := recordedDedicated(server)
	if server.Spec.Dedicated == nil {
		return result, nil
	}
	in, err := r.loadDedicated(ctx, server)
	if err != nil {
		return result, err
	}
	result.Provisioner = in.Provisioner
	r.dropOutdatedLogin(server, in.Secrets.Authority)
	if err := r.keepData(ctx, in); err != nil {
		if in.Volume == nil || !apierrors.IsForbidden(err) {
			return result, err
		}
		result.Unmet = new(problem.VolumeCannotGrow(in.Server.Spec.Dedicated.Storage, err))
	}
	result.Unmet = cmp.Or(result.Unmet, unmet(in))
	result.Storage = dedicated.Storage(in)
	for _, object := range dedicated.Objects(in) {
		if _, _, err := r.Engine.Put(ctx, server, object, owningOf(object)); err != nil {
			return result, r.retries.KeepsChanging(ctx, server.Name, object, err)
		}
	}
	return result, r.running(ctx, in)
}

// recordedDedicated returns the state of a dedicated server that its status records.
func recordedDedicated(server *v1alpha1.DatabaseServer) status.Dedicated {
	return status.Dedicated{Provisioner: server.Status.Provisioner, Storage: server.Status.Storage}
}

// loadDedicated reads everything that the server's objects depend on, and generates missing secrets.
func (r *Reconciler) loadDedicated(ctx context.Context, server *v1alpha1.DatabaseServer) (dedicated.Inputs, error) {
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

// authorityOf returns the certificate authority of a server that CloudNativePG runs, which the cache doesn't have.
// It reads the Secret again if the Cluster has changed, whose status has the expiry of the certificates.
func (r *Reconciler) authorityOf(ctx context.Context, in dedicated.Inputs) (*corev1.Secret, error) {
	name, version := in.Server.Name, ""
	if in.Cluster != nil {
		version = in.Cluster.GetResourceVersion()
	}
	if known, found := r.Fleet.Authorities.Of(name, version); found {
		return known, nil
	}
	secret := &corev1.Secret{}
	found, err := r.own(ctx, naming.ServerAuthority(name), secret)
	if found {
		r.Fleet.Authorities.Put(name, version, secret)
	}
	return secret, err
}

func inDatabases(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: naming.DatabasesNamespace, Name: name}
}

// own reads an object of a server, and reports whether it exists. The cache has only managed objects, and somebody
// may have removed the label, or restored a backup without it.
func (r *Reconciler) own(ctx context.Context, name string, into client.Object) (found bool, err error) {
	err = r.Get(ctx, inDatabases(name), into)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, inDatabases(name), into)
	}
	return err == nil, client.IgnoreNotFound(err)
}

// dropOutdatedLogin forgets the login if it has a former certificate authority of the server, so that it is read
// again.
func (r *Reconciler) dropOutdatedLogin(server *v1alpha1.DatabaseServer, authority []byte) {
	if known, found := r.Fleet.Logins.To(server); found && known.CACert != string(authority) {
		r.Fleet.Logins.Drop(server.Name)
	}
}

// reload makes a server that a StatefulSet runs reload its certificate, if it doesn't present the one in its
// Secret yet. The kubelet may take minutes to update the Secret in the pod, so each probe repeats this until the
// server presents the new one.
func (r *Reconciler) reload(ctx context.Context, server *v1alpha1.DatabaseServer, access database.Server, shown []byte) error {
	if server.Spec.Dedicated == nil || server.Status.Provisioner != v1alpha1.ProvisionerStatefulSet {
		return nil
	}
	secret := &corev1.Secret{}
	found, err := r.own(ctx, naming.ServerCertificate(server.Name), secret)
	if err != nil || !found || dedicated.HasCertificate(secret, shown) {
		return err
	}
	ctrl.LoggerFrom(ctx).Info("The server still shows its former certificate; telling it to reload", "server", server.Name)
	return r.Databases.Reload(ctx, access)
}

// running returns a problem if a server isn't running yet.
func (r *Reconciler) running(ctx context.Context, in dedicated.Inputs) error {
	pods, err := r.podsOf(ctx, in.Server)
	if err != nil {
		return err
	}
	if in.Server.Spec.Dedicated.Suspended {
		if len(pods) > 0 {
			return problem.Stopping()
		}
		return problem.Suspended(in.Server.Spec.Dedicated.Tenant)
	}
	now := time.Now()
	var waits *problem.Problem
	if in.Provisioner == v1alpha1.ProvisionerCloudNativePG {
		cluster := dedicated.NewCluster()
		if err := r.Get(ctx, inDatabases(in.Server.Name), cluster); err != nil {
			return err
		}
		waits = status.OfCluster(cluster, pods, now)
	} else {
		set := &appsv1.StatefulSet{}
		if err := r.Get(ctx, inDatabases(in.Server.Name), set); err != nil {
			return err
		}
		waits = status.OfStatefulSet(set, pods, now)
	}
	since := r.Fleet.Troubles.Server(in.Server.Name, waits != nil && waits.Reason != v1alpha1.ReasonProgressing, status.TroubleBegun(in.Server.Status.Conditions, v1alpha1.ConditionReady, now))
	if waits != nil {
		return waits.Lasting(since, now)
	}
	return nil
}

// watchClusters has a server reconciled when its Cluster changes. There is nothing to watch before CloudNativePG
// is installed.
func (r *Reconciler) watchClusters() error {
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

// byServer returns the server in an object's label.
func byServer(_ context.Context, object client.Object) []ctrl.Request {
	if name := object.GetLabels()[naming.LabelServer]; name != "" {
		return []ctrl.Request{{NamespacedName: types.NamespacedName{Name: name}}}
	}
	return nil
}

// owningOf says how an object of a server is owned. What a backup tool has restored is taken over: nobody but the
// cluster's administrators and the operator writes into the namespace of the servers.
func owningOf(object desired.Object) apply.Owning {
	owning := desired.OwningOf(object)
	return apply.Owning{Fields: owning.Fields, Keep: owning.Keep, Restored: true}
}
