package databaseserver

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/dedicated"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// loadData reads the volume or Cluster with the server's data, and decides what runs the server.
func (r *Reconciler) loadData(ctx context.Context, in *dedicated.Inputs) error {
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

// provisioner returns what runs the server. Once decided, that doesn't change.
func (r *Reconciler) provisioner(ctx context.Context, in dedicated.Inputs) (v1alpha1.DatabaseServerProvisioner, error) {
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
	if found := tooMany(in); found != nil && in.Volume == nil {
		return chosen, *found
	}
	return v1alpha1.ProvisionerStatefulSet, nil
}

// hasCloudNativePG asks the API server, since the client's REST mapping may be outdated. It costs one request for
// each new server.
func (r *Reconciler) hasCloudNativePG(ctx context.Context) (bool, error) {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	err := r.Live.Get(ctx, client.ObjectKey{Name: dedicated.ClusterDefinition}, definition)
	return err == nil && definition.DeletionTimestamp.IsZero(), client.IgnoreNotFound(err)
}

// unmet returns a problem if the spec asks for something that a server with data can't change.
func unmet(in dedicated.Inputs) *problem.Problem {
	if in.Volume == nil {
		return nil
	}
	if wanted, has := in.Server.Spec.Dedicated.StorageClassName, ptr.Deref(in.Volume.Spec.StorageClassName, ""); wanted != "" && wanted != has {
		return new(problem.StorageClassFixed(has))
	}
	return tooMany(in)
}

func tooMany(in dedicated.Inputs) *problem.Problem {
	if instances := in.Server.Spec.Dedicated.Instances; instances > 1 {
		return new(problem.TooManyInstances(instances))
	}
	return nil
}

// keepData creates or updates the volume or Cluster. It fails if that has the data of another database, or doesn't
// exist although its database is to be adopted.
func (r *Reconciler) keepData(ctx context.Context, in dedicated.Inputs) error {
	if dedicated.Adopts(in.Server) && in.Volume == nil && in.Cluster == nil {
		return problem.DataNotFound(in.Server.Name, in.Server.Spec.Dedicated.Database)
	}
	if in.Replaceable() {
		if err := r.Engine.Delete(ctx, in.Volume.DeepCopy()); err != nil {
			return err
		}
		return &apply.TerminatingError{Object: fmt.Sprintf("PersistentVolumeClaim %q, which has no volume yet and is another one than the spec asks for,", in.Volume.Name)}
	}
	data := dedicated.Data(in)
	_, err := r.Engine.Keep(ctx, naming.AnnotationDatabase, data, dedicated.IntendedData(in), false)
	if volume := in.Volume; err != nil && volume != nil && !volume.DeletionTimestamp.IsZero() {
		return &apply.TerminatingError{Object: fmt.Sprintf("PersistentVolumeClaim %q", volume.Name)}
	}
	if conflict, ok := errors.AsType[*apply.ConflictError](err); ok {
		return problem.DataOfAnother(conflict.Object)
	}
	return r.retries.KeepsChanging(ctx, in.Server.Name, data, err)
}
