package dedicated

import (
	"cmp"
	"maps"
	"strconv"

	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tenantry/tenantry/internal/naming"
)

// ClusterKind is the kind Cluster of CloudNativePG
// (https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/).
var ClusterKind = schema.GroupVersionKind{Group: "postgresql.cnpg.io", Version: "v1", Kind: "Cluster"}

// ClusterDefinition names the CustomResourceDefinition of ClusterKind.
const ClusterDefinition = "clusters.postgresql.cnpg.io"

// annotationHibernation shuts a Cluster down and keeps its volumes
// (https://cloudnative-pg.io/documentation/current/declarative_hibernation/).
const annotationHibernation = "cnpg.io/hibernation"

// NewCluster returns an empty Cluster, to read one into.
func NewCluster() *unstructured.Unstructured {
	cluster := &unstructured.Unstructured{}
	cluster.SetGroupVersionKind(ClusterKind)
	return cluster
}

// cluster returns a Cluster with only the database that CloudNativePG always creates, to which nobody can connect.
func cluster(in Inputs) *unstructured.Unstructured {
	spec, result := in.Server.Spec.Dedicated, NewCluster()
	storage := map[string]any{"size": spec.Storage.String()}
	if spec.StorageClassName != "" {
		storage["storageClass"] = spec.StorageClassName
	}
	inherited := map[string]any{}
	for key, value := range podLabels(in.Server) {
		inherited[key] = value
	}
	content := map[string]any{
		"instances":             int64(spec.Instances),
		"imageName":             cmp.Or(spec.Image, "ghcr.io/cloudnative-pg/postgresql:"+spec.Version),
		"enableSuperuserAccess": true,
		"superuserSecret":       map[string]any{"name": naming.ServerSuperuser(in.Server.Name)},
		"inheritedMetadata":     map[string]any{"labels": inherited},
		"bootstrap": map[string]any{"initdb": map[string]any{
			"database": "app", "owner": "app",
			"postInitApplicationSQL": []any{"REVOKE ALL ON DATABASE app FROM PUBLIC"},
		}},
		"postgresql": map[string]any{
			"parameters": map[string]any{"max_connections": strconv.Itoa(int(spec.MaxConnections))},
			"pg_hba":     []any{"hostnossl all all all reject"}, //nolint:dupword // These are columns.
		},
		"storage": storage,
	}
	// The conversion fails only for values that JSON can't express, and this type has none.
	if resources, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&spec.Resources); err == nil && len(resources) > 0 {
		content["resources"] = resources
	}
	if in.Cluster != nil {
		// All other fields are the admin's, such as backups and plugins.
		others, _, _ := unstructured.NestedMap(in.Cluster.Object, "spec")
		delete(others, "resources")
		maps.Copy(others, content)
		content = others
	}
	result.Object["spec"] = content
	metadata := dataMeta(in.Server, in.Server.Name)
	result.SetNamespace(metadata.Namespace)
	result.SetName(metadata.Name)
	result.SetLabels(metadata.Labels)
	metadata.Annotations[annotationHibernation] = "off"
	if in.Retired || spec.Suspended {
		metadata.Annotations[annotationHibernation] = "on"
	}
	result.SetAnnotations(metadata.Annotations)
	return result
}
