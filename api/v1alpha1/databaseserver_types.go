package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DatabaseEngine is the kind of database that a server runs.
// +kubebuilder:validation:Enum=PostgreSQL
type DatabaseEngine string

// DatabaseEnginePostgreSQL is PostgreSQL, version 14 or newer.
const DatabaseEnginePostgreSQL DatabaseEngine = "PostgreSQL"

// DatabaseIsolation is how a tenant's data is kept apart from other tenants' data.
// +kubebuilder:validation:Enum=Dedicated;Database;Schema;Row
// +kubebuilder:validation:MaxLength=9
type DatabaseIsolation string

// The kinds of isolation. In each of them a tenant has roles of its own.
const (
	// DatabaseIsolationDedicated gives a tenant a server of its own, which the operator runs.
	DatabaseIsolationDedicated DatabaseIsolation = "Dedicated"
	// DatabaseIsolationDatabase gives a tenant a database of its own.
	DatabaseIsolationDatabase DatabaseIsolation = "Database"
	// DatabaseIsolationSchema gives a tenant a schema of its own in a database that tenants share.
	DatabaseIsolationSchema DatabaseIsolation = "Schema"
	// DatabaseIsolationRow gives a tenant its own rows in tables that tenants share.
	DatabaseIsolationRow DatabaseIsolation = "Row"
)

// SSLMode says how a connection is protected; the values are those of libpq's sslmode
// (https://www.postgresql.org/docs/current/libpq-ssl.html).
// +kubebuilder:validation:Enum=disable;require;verify-ca;verify-full
type SSLMode string

// The SSL modes.
const (
	// SSLModeDisable : plain connections.
	SSLModeDisable SSLMode = "disable"
	// SSLModeRequire : encrypted, the server's certificate is not checked.
	SSLModeRequire SSLMode = "require"
	// SSLModeVerifyCA : encrypted, the certificate must come from a trusted authority.
	SSLModeVerifyCA SSLMode = "verify-ca"
	// SSLModeVerifyFull : as verify-ca, and the certificate must be for the host.
	SSLModeVerifyFull SSLMode = "verify-full"
)

// SecretReference names a Secret in a namespace.
type SecretReference struct {
	// namespace is the namespace of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// SecretKeyReference names one key of a Secret in a namespace.
type SecretKeyReference struct {
	SecretReference `json:",inline"`

	// key is the key in the Secret's data. Left out, it is ca.crt.
	// +optional
	// +default="ca.crt"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// DatabaseServerCapacity is how much a server takes.
type DatabaseServerCapacity struct {
	// tenants is the number of tenants the server may have; databases retained after their tenant
	// was deleted don't count. Left out, there is no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants *int32 `json:"tenants,omitempty"`
}

// DedicatedServer is a PostgreSQL server that the operator runs for one tenant.
type DedicatedServer struct {
	// instances is the number of PostgreSQL instances: one primary, and the others are replicas that
	// take over when it fails. More than one needs CloudNativePG in the cluster. Left out, it is 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9
	Instances int32 `json:"instances,omitempty"`

	// storage is the size of the volume of each instance, at least 128Mi. It can grow, if the
	// StorageClass allows volumes to be expanded, and not shrink.
	// +required
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('128Mi')) >= 0",message="storage must be at least 128Mi, which an empty database nearly fills; write for example 10Gi"
	Storage *resource.Quantity `json:"storage,omitempty"`

	// storageClassName is the StorageClass of the volumes. It can't be changed once there is a database.
	// Left out, it is the default one of the cluster.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`

	// version is the version of PostgreSQL, 14 or newer: a major one such as 18, which takes the
	// minor version that the image has, or one with both such as 18.1. The major version can't be
	// changed. Left out, it is 18.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^(1[4-9]|[2-9][0-9])([.][0-9]{1,3})?$')",message="version must be a version of PostgreSQL from 14 on, such as 18 or 18.1"
	Version string `json:"version,omitempty"`

	// resources are the compute resources of each instance. They don't count against the tenant's
	// quota. Left out, there are no limits.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// image is the container image with the programs of PostgreSQL of that version in its PATH. In a
	// StatefulSet it runs as the user 999, which must have a name in the image; it has one in the images
	// based on Debian, and none in those based on Alpine. Left out, it is docker.io/library/postgres, or
	// ghcr.io/cloudnative-pg/postgresql where CloudNativePG runs the server, with the version as its tag.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`
}

// DatabaseServerDedication describes a server that the operator runs for one tenant.
// +kubebuilder:validation:XValidation:rule="has(self.instances) && has(self.version)",message="a server that the operator runs has instances and a version here; the operator writes them, as spec.database.dedicated of the Tenant says"
type DatabaseServerDedication struct {
	DedicatedServer `json:",inline"`

	// tenant is the name of the Tenant whose namespaces may reach the server.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tenant string `json:"tenant,omitempty"`

	// maxConnections is the server's max_connections: how many connections it takes at a time.
	// +required
	// +kubebuilder:validation:Minimum=20
	// +kubebuilder:validation:Maximum=20000
	MaxConnections int32 `json:"maxConnections,omitempty"`

	// database is the name of the tenant's database. A volume with another database is left alone.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Database string `json:"database,omitempty"`

	// reclaimPolicy is what happens to the server's volumes when the DatabaseServer is deleted.
	// +required
	ReclaimPolicy ReclaimPolicy `json:"reclaimPolicy,omitempty"`
}

// DatabaseServerProvisioner is what runs a dedicated server.
// +kubebuilder:validation:Enum=CloudNativePG;StatefulSet
type DatabaseServerProvisioner string

// The provisioners.
const (
	// ProvisionerCloudNativePG is a Cluster of CloudNativePG (https://cloudnative-pg.io), with replicas,
	// failover and, once you configure them, backups. It is used wherever it is installed.
	ProvisionerCloudNativePG DatabaseServerProvisioner = "CloudNativePG"
	// ProvisionerStatefulSet is a StatefulSet, for clusters without CloudNativePG. It runs one instance,
	// without failover and without backups.
	ProvisionerStatefulSet DatabaseServerProvisioner = "StatefulSet"
)

// DatabaseServerSpec says how to reach a server and what it may be used for.
// +kubebuilder:validation:XValidation:rule="!has(self.caSecretRef) || (has(self.sslMode) && self.sslMode.startsWith('verify'))",message="caSecretRef is used by the sslModes verify-ca and verify-full only; set one of them, or leave caSecretRef out",fieldPath=".caSecretRef"
// +kubebuilder:validation:XValidation:rule="has(self.dedicated) == (has(self.isolations) && 'Dedicated' in self.isolations) && (!has(self.dedicated) || size(self.isolations) == 1)",message="Dedicated is the isolation of servers that the operator makes for one tenant, and their only one; write Database, Schema or Row",fieldPath=".isolations"
type DatabaseServerSpec struct {
	// engine is the kind of database the server runs. Left out, it is PostgreSQL.
	// +optional
	// +default="PostgreSQL"
	Engine DatabaseEngine `json:"engine,omitempty"`

	// host is the DNS name or IP address under which both the operator and the tenants' pods reach
	// the server.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`

	// port is the server's TCP port. Left out, it is 5432.
	// +optional
	// +default=5432
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// sslMode is how connections are protected, the operator's and the tenants' alike: disable,
	// require, verify-ca or verify-full, as in libpq. Left out, it is verify-full.
	// +optional
	// +default="verify-full"
	SSLMode SSLMode `json:"sslMode,omitempty"`

	// caSecretRef names the certificate authorities (PEM) that may have signed the server's
	// certificate; they also reach the tenants, as ca.crt in their Secret. Left out, the
	// authorities trusted by the operator's image count.
	// +optional
	CASecretRef *SecretKeyReference `json:"caSecretRef,omitempty"`

	// adminSecretRef names the Secret with the keys username and password of the role by which the
	// operator creates databases and roles. It must be a superuser.
	// +required
	AdminSecretRef SecretReference `json:"adminSecretRef,omitzero"`

	// isolations are the kinds of isolation that tenants may ask for on this server: Database, Schema
	// or Row; of a server that the operator has made for one tenant it is Dedicated. For Schema and Row the operator makes a database tenantry_schema and tenantry_row, which
	// those tenants share; the tables of one app are in tenantry_row, so a second app of that
	// isolation needs a second server. Left out, it is Database.
	// +optional
	// +default=["Database"]
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Isolations []DatabaseIsolation `json:"isolations,omitempty"`

	// extensions are the extensions of PostgreSQL that tenants may use which can't create them
	// themselves: the databases that tenants of the isolations Schema and Row share have all of them,
	// in the schema extensions, which is in the search_path; tenants of the isolation Database get
	// those that their spec.database.extensions lists. They must be installed on the server, and be
	// safe in the hands of tenants: dblink, file_fdw, postgres_fdw and languages such as plpython3u
	// are not. Left out, there are none; tenants of the isolation Database can create those that
	// PostgreSQL calls trusted in any case. One that is taken off the list stays where it is.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.all(e, e.matches('^[a-z_][-a-z0-9_]*$'))",message="extensions has an entry that is no name of an extension; write one that pg_available_extensions lists, such as pg_trgm"
	Extensions []string `json:"extensions,omitempty"`

	// capacity is how much the server takes. Left out, there is no limit.
	// +optional
	Capacity *DatabaseServerCapacity `json:"capacity,omitempty"`

	// unschedulable keeps new tenants off the server; those that it has go on as before. Left out, it
	// is false.
	// +optional
	Unschedulable bool `json:"unschedulable,omitempty"`

	// networkPeers is where the tenants' pods find the server, for the network policy
	// allow-database: the pods and namespaces of a server inside the cluster, or address blocks.
	// Left out, it is the addresses that host resolves to, kept current.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	NetworkPeers []networkingv1.NetworkPolicyPeer `json:"networkPeers,omitempty"`

	// dedicated says that the operator runs the server itself, in the namespace tenantry-databases, for
	// one tenant. It writes this, from spec.database.dedicated of the Tenant; change it there.
	// +optional
	Dedicated *DatabaseServerDedication `json:"dedicated,omitempty"`
}

// RetainedDatabase is a database whose tenant was deleted and whose data was kept.
type RetainedDatabase struct {
	// name is the name of the database; a tenant takes it over with spec.database.adopt.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// tenant is the name of the tenant that it belonged to.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tenant string `json:"tenant,omitempty"`

	// since is when its tenant was deleted.
	// +required
	Since metav1.Time `json:"since,omitzero"`
}

// UnprotectedTable is a table of the isolation Row that is not kept apart by tenant.
type UnprotectedTable struct {
	// name is the name of the table or view, with its schema.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// problem says what is wrong with it, and what to do.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Problem string `json:"problem,omitempty"`
}

// DatabaseServerStatus is what the operator found out about the server.
type DatabaseServerStatus struct {
	// conditions are how the server is. Ready is True while the server answers and is prepared for tenants.
	// DeletionBlocked is there while the server is to be deleted and has tenants, UnexpectedAccess while it
	// has superusers that it had not when it was prepared.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// provisioner is what runs a dedicated server: CloudNativePG, or StatefulSet if CloudNativePG was not
	// installed when the server was created. A StatefulSet has one instance, no failover and no backups.
	// It never changes.
	// +optional
	Provisioner DatabaseServerProvisioner `json:"provisioner,omitempty"`

	// storage is the size of each volume of a server that the operator runs. It is what was asked for, also
	// where the volume is still to grow.
	// +optional
	Storage *resource.Quantity `json:"storage,omitempty"`

	// version is the server's own version, for example 15.18.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// tenants is the number of tenants that have their database on the server.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants *int32 `json:"tenants,omitempty"`

	// retainedDatabases is the number of databases kept after their tenant was deleted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RetainedDatabases *int32 `json:"retainedDatabases,omitempty"`

	// retained are the newest 100 of the retained databases.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Retained []RetainedDatabase `json:"retained,omitempty"`

	// unprotectedTables is the number of tables and views in the database of the isolation Row that
	// are not kept apart by tenant. Left out, the server does not offer that isolation.
	// +optional
	// +kubebuilder:validation:Minimum=0
	UnprotectedTables *int32 `json:"unprotectedTables,omitempty"`

	// unprotected are the first 20 of them by name.
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

	// caBundle is the content of the Secret key that spec.caSecretRef names.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1048576
	CABundle string `json:"caBundle,omitempty"`
}

// DatabaseServer is a PostgreSQL server on which the databases of tenants may be placed.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=dbs,categories=tenantry
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Tenants",type=integer,JSONPath=`.status.tenants`
// +kubebuilder:printcolumn:name="Capacity",type=integer,JSONPath=`.spec.capacity.tenants`
// +kubebuilder:printcolumn:name="Retained",type=integer,JSONPath=`.status.retainedDatabases`,priority=1
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.host`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",message="the name of a DatabaseServer must be a DNS label: at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
type DatabaseServer struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says how to reach the server and what it may be used for.
	// +required
	Spec DatabaseServerSpec `json:"spec,omitzero"`

	// status is what the operator found out about the server.
	// +optional
	// +default={"observedGeneration": -1, "conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "Waiting for the operator.", "lastTransitionTime": "1970-01-01T00:00:00Z"}]}
	Status DatabaseServerStatus `json:"status,omitzero"`
}

// DatabaseServerList is a list of DatabaseServers.
// +kubebuilder:object:root=true
type DatabaseServerList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the DatabaseServers.
	// +required
	Items []DatabaseServer `json:"items"`
}
