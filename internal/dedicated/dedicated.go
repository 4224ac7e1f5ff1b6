// Package dedicated has the objects of a PostgreSQL server that the operator runs for one tenant. It is pure: the
// same Inputs always give the same objects. Only [Secrets] generates something.
//
// CloudNativePG runs the server if the cluster has it, and otherwise a StatefulSet does. Both have a Service, a
// certificate authority and a superuser with the same names, so that clients needn't know which it is.
package dedicated

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

// Inputs is all that a server's objects depend on.
type Inputs struct {
	// Server is the DatabaseServer, with spec.dedicated.
	Server *v1alpha1.DatabaseServer
	// Provisioner is what runs it.
	Provisioner v1alpha1.DatabaseServerProvisioner
	// Secrets are the secrets of the server.
	Secrets Secrets
	// Volume is the live claim of a server that a StatefulSet runs; nil if there is none yet.
	Volume *corev1.PersistentVolumeClaim
	// Cluster is the live Cluster of a server that CloudNativePG runs; nil if there is none yet.
	Cluster *unstructured.Unstructured
	// Retired says that the server is shut down and its data stays.
	Retired bool
}

// Adopts reports whether a server is for a database of a former tenant with the same name.
func Adopts(server *v1alpha1.DatabaseServer) bool {
	return server.Spec.Dedicated.Database != database.Name(server.Annotations[naming.AnnotationTenantUID])
}

// Data returns the object with the server's data: its volume, or the Cluster that has the volumes. It outlives the
// server unless the reclaim policy is Delete.
func Data(in Inputs) desired.Object {
	if in.Provisioner == v1alpha1.ProvisionerCloudNativePG {
		return cluster(in)
	}
	return volume(in)
}

// IntendedData returns what Data returns for an object that doesn't exist yet: without what the live one has.
func IntendedData(in Inputs) desired.Object {
	in.Volume, in.Cluster = nil, nil
	return Data(in)
}

// Objects returns all other objects of the server, in the order in which they are put in place.
func Objects(in Inputs) []desired.Object {
	if in.Provisioner == v1alpha1.ProvisionerCloudNativePG {
		return []desired.Object{superuser(in), networkPolicy(in)}
	}
	return []desired.Object{
		superuser(in), certificate(in), authority(in), networkPolicy(in), configuration(in), clusterService(in), statefulSet(in),
	}
}

func meta(server *v1alpha1.DatabaseServer, name string) metav1.ObjectMeta {
	labels := naming.ManagedLabels(server.Spec.Dedicated.Tenant)
	labels[naming.LabelServer] = server.Name
	return metav1.ObjectMeta{Namespace: naming.DatabasesNamespace, Name: name, Labels: labels}
}

// dataMeta returns the metadata of the object with the data.
func dataMeta(server *v1alpha1.DatabaseServer, name string) metav1.ObjectMeta {
	metadata := meta(server, name)
	metadata.Annotations = map[string]string{naming.AnnotationDatabase: server.Spec.Dedicated.Database}
	return metadata
}

// podLabels select the server's pods.
func podLabels(server *v1alpha1.DatabaseServer) map[string]string {
	return map[string]string{naming.LabelServer: server.Name}
}
