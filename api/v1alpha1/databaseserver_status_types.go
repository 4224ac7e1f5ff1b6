package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RetainedDatabase is a database whose tenant was deleted and whose data was kept.
type RetainedDatabase struct {
	// name is the name of the database. A new tenant takes it over with spec.database.adopt.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// tenant is the name of the Tenant that the database belonged to.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tenant string `json:"tenant,omitempty"`

	// since is when that Tenant was deleted.
	// +required
	Since metav1.Time `json:"since,omitzero"`
}

// UnprotectedTable is a table or view in the database of the isolation Row that isn't isolated by
// tenant.
type UnprotectedTable struct {
	// name is the name of the table or view, with its schema.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// problem says what is wrong with the table and what to do.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Problem string `json:"problem,omitempty"`
}

// DatabaseServerService is the Service that the host of a server names, with its endpoints.
type DatabaseServerService struct {
	// namespace is the namespace of the Service, and of its pods.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name is the name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// selector is the Service's selector. It is absent if the Service has none.
	// +optional
	Selector map[string]string `json:"selector,omitempty"`

	// addresses are the endpoints of a Service without a selector, at most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	Addresses []string `json:"addresses,omitempty"`

	// clusterIPs are the cluster IPs of the Service. A headless Service has none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MaxLength=45
	ClusterIPs []string `json:"clusterIPs,omitempty"`

	// ports are the ports of the endpoints that the Service's port forwards to.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Ports []int32 `json:"ports,omitempty"`
}

// DatabaseServerStatus is the observed state of a DatabaseServer.
type DatabaseServerStatus struct {
	// conditions describe the state of the server. Ready is True while the server answers and is prepared for
	// tenants. DeletionBlocked is present while the server is being deleted and still has tenants, UnexpectedAccess
	// while it has superusers that it didn't have when it was prepared, NetworkPeersUnknown while the operator can't
	// find the endpoints of the Service that spec.host names, and UpkeepFailed while it can't do all that the server
	// needs.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status reflects.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// provisioner is what runs a dedicated server: CloudNativePG, or StatefulSet if CloudNativePG was not
	// installed when the server was created. A StatefulSet has one instance, no failover and no backups.
	// It never changes.
	// +optional
	Provisioner DatabaseServerProvisioner `json:"provisioner,omitempty"`

	// storage is the requested size of each volume of a server that the operator runs. The volume may
	// still be growing to it.
	// +optional
	Storage *resource.Quantity `json:"storage,omitempty"`

	// version is the version that the server reports, for example 15.18.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// tenants is the number of tenants whose database is on the server. It can be a minute old while tenants come and
	// go.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants *int32 `json:"tenants,omitempty"`

	// retainedDatabases is the number of databases that were kept when their tenant was deleted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RetainedDatabases *int32 `json:"retainedDatabases,omitempty"`

	// retained lists the 100 most recent of the retained databases.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Retained []RetainedDatabase `json:"retained,omitempty"`

	// unprotectedTables is the number of tables and views in the database of the isolation Row that aren't
	// isolated by tenant. It is absent if the server doesn't offer that isolation.
	// +optional
	// +kubebuilder:validation:Minimum=0
	UnprotectedTables *int32 `json:"unprotectedTables,omitempty"`

	// unprotected lists the first 20 of these tables and views, by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	Unprotected []UnprotectedTable `json:"unprotected,omitempty"`

	// addresses are the IP addresses that spec.host resolves to.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses,omitempty"`

	// service is the Service that spec.host names. It is absent if spec.host names none, or one that doesn't exist.
	// +optional
	Service *DatabaseServerService `json:"service,omitempty"`

	// caBundle is the content of the Secret key that spec.caSecretRef refers to.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1048576
	CABundle string `json:"caBundle,omitempty"`
}
