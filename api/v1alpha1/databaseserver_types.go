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

// The kinds of isolation. With each of them a tenant has roles of its own.
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

// SSLMode says how a connection is protected. The values are those of libpq's sslmode
// (https://www.postgresql.org/docs/current/libpq-ssl.html).
// +kubebuilder:validation:Enum=disable;require;verify-ca;verify-full
type SSLMode string

// The SSL modes.
const (
	// SSLModeDisable doesn't encrypt connections.
	SSLModeDisable SSLMode = "disable"
	// SSLModeRequire encrypts connections but doesn't verify the server's certificate.
	SSLModeRequire SSLMode = "require"
	// SSLModeVerifyCA encrypts connections and verifies that a trusted authority signed the server's certificate.
	SSLModeVerifyCA SSLMode = "verify-ca"
	// SSLModeVerifyFull does what SSLModeVerifyCA does, and verifies that the certificate is for the host.
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

// DatabaseServerCapacity limits how many tenants a server has.
type DatabaseServerCapacity struct {
	// tenants is the maximum number of tenants on the server. Databases that are retained after their
	// tenant was deleted don't count. Left out, there is no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants *int32 `json:"tenants,omitempty"`
}

// DedicatedServer is a PostgreSQL server that the operator runs for one tenant.
type DedicatedServer struct {
	// instances is the number of PostgreSQL instances: one primary, and replicas that take over when it
	// fails. More than one requires CloudNativePG in the cluster. Left out, it is 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9
	Instances int32 `json:"instances,omitempty"`

	// storage is the size of the volume of each instance, at least 128Mi. It can grow if the StorageClass
	// allows volume expansion. It can't shrink. It is required here or in the class.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('128Mi')) >= 0",message="storage must be at least 128Mi, which an empty database nearly fills; write for example 10Gi"
	Storage *resource.Quantity `json:"storage,omitempty"`

	// storageClassName is the StorageClass of the volumes. It is immutable once the database exists. Left
	// out, it is the cluster's default StorageClass.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`

	// version is the version of PostgreSQL, 14 or newer: a major version such as 18, with whatever minor
	// version the image has, or a full version such as 18.1. The major version is immutable. Left out, it
	// is 18.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^(1[4-9]|[2-9][0-9])([.][0-9]{1,3})?$')",message="version must be a version of PostgreSQL from 14 on, such as 18 or 18.1"
	Version string `json:"version,omitempty"`

	// resources are the compute resources of each instance. They don't count against the tenant's
	// quota. Left out, there are no limits.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// image is the container image. It must have the programs of that version of PostgreSQL in its PATH. A
	// StatefulSet runs it as user 999, which must have a name in the image: images based on Debian have one, those
	// based on Alpine don't. Left out, it is docker.io/library/postgres, or ghcr.io/cloudnative-pg/postgresql where
	// CloudNativePG runs the server, with the version as its tag.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`
}

// DatabaseServerDedication describes a server that the operator runs for one tenant.
// +kubebuilder:validation:XValidation:rule="has(self.instances) && has(self.version) && has(self.storage)",message="a server that the operator runs has instances, storage and a version here; the operator writes them, as spec.database.dedicated of the Tenant says"
type DatabaseServerDedication struct {
	DedicatedServer `json:",inline"`

	// tenant is the name of the Tenant that has the server. Only its namespaces can reach it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tenant string `json:"tenant,omitempty"`

	// maxConnections is the server's max_connections: the maximum number of concurrent connections.
	// +required
	// +kubebuilder:validation:Minimum=20
	// +kubebuilder:validation:Maximum=20000
	MaxConnections int32 `json:"maxConnections,omitempty"`

	// database is the name of the tenant's database. The operator doesn't use a volume that has another database.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Database string `json:"database,omitempty"`

	// reclaimPolicy says what happens to the server's volumes when the DatabaseServer is deleted.
	// +required
	ReclaimPolicy ReclaimPolicy `json:"reclaimPolicy,omitempty"`

	// suspended stops the server and keeps its volumes, since its tenant sleeps. Left out, it is false.
	// +optional
	Suspended bool `json:"suspended,omitempty"`
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

// DatabaseServerSpec describes how to connect to a server and what tenants may use it for.
// +kubebuilder:validation:XValidation:rule="!has(self.caSecretRef) || (has(self.sslMode) && self.sslMode.startsWith('verify'))",message="caSecretRef is used by the sslModes verify-ca and verify-full only; set one of them, or leave caSecretRef out",fieldPath=".caSecretRef"
// +kubebuilder:validation:XValidation:rule="has(self.dedicated) == (has(self.isolations) && 'Dedicated' in self.isolations) && (!has(self.dedicated) || size(self.isolations) == 1)",message="Dedicated is the isolation of servers that the operator makes for one tenant, and their only one; write Database, Schema or Row",fieldPath=".isolations"
type DatabaseServerSpec struct {
	// engine is the kind of database the server runs. Left out, it is PostgreSQL.
	// +optional
	// +default="PostgreSQL"
	Engine DatabaseEngine `json:"engine,omitempty"`

	// host is the DNS name or IP address of the server. Both the operator and the tenants' pods must be able to reach
	// it. For a server behind a Service of the cluster, write name.namespace.svc or the Service's cluster IP.
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

	// sslMode says how the connections of the operator and of the tenants are protected: disable, require,
	// verify-ca or verify-full, as in libpq. Left out, it is verify-full.
	// +optional
	// +default="verify-full"
	SSLMode SSLMode `json:"sslMode,omitempty"`

	// caSecretRef refers to the certificate authorities, in PEM, that are trusted to sign the server's
	// certificate. Tenants get them as ca.crt in their Secret. Left out, the authorities in the operator's
	// image are trusted.
	// +optional
	CASecretRef *SecretKeyReference `json:"caSecretRef,omitempty"`

	// adminSecretRef refers to the Secret with the keys username and password of the role that the
	// operator logs in with. The role must be a superuser.
	// +required
	AdminSecretRef SecretReference `json:"adminSecretRef,omitzero"`

	// isolations are the kinds of isolation that the server offers to tenants: Database, Schema or Row. A
	// server that the operator has created for one tenant has Dedicated. For Schema and Row, the operator
	// creates the databases tenantry_schema and tenantry_row, which those tenants share. tenantry_row has
	// the tables of one app, so a second app with the isolation Row needs another server. Left out, it is
	// Database.
	// +optional
	// +default=["Database"]
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Isolations []DatabaseIsolation `json:"isolations,omitempty"`

	// extensions are the PostgreSQL extensions that tenants may use but can't create themselves. Tenants
	// with the isolation Schema or Row have all of them, in the schema extensions, which is in the
	// search_path. Tenants with the isolation Database get those in their spec.database.extensions. The
	// extensions must be installed on the server and must be safe for tenants to use; dblink, file_fdw,
	// postgres_fdw and languages such as plpython3u are not. Left out, there are none. Tenants with the
	// isolation Database can always create extensions that PostgreSQL marks as trusted. Removing an
	// extension from the list doesn't drop it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.all(e, e.matches('^[a-z_][-a-z0-9_]*$'))",message="extensions has an entry that is no name of an extension; write one that pg_available_extensions lists, such as pg_trgm"
	Extensions []string `json:"extensions,omitempty"`

	// capacity limits how many tenants the server has. Left out, there is no limit.
	// +optional
	Capacity *DatabaseServerCapacity `json:"capacity,omitempty"`

	// unschedulable keeps new tenants off the server. Tenants that are on it are not affected. Left out,
	// it is false.
	// +optional
	Unschedulable bool `json:"unschedulable,omitempty"`

	// networkPeers are the peers that the NetworkPolicy allow-database opens the server's port to: the pods and
	// namespaces of a server inside the cluster, or address blocks. Left out, they are the endpoints of the Service
	// that host names, or, if host names none, the addresses that it resolves to. The operator keeps them current.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	NetworkPeers []networkingv1.NetworkPolicyPeer `json:"networkPeers,omitempty"`

	// dedicated is set on a server that the operator runs for one tenant, in the namespace
	// tenantry-databases. The operator copies it from spec.database.dedicated of the Tenant; change it
	// there.
	// +optional
	Dedicated *DatabaseServerDedication `json:"dedicated,omitempty"`
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

	// spec describes how to connect to the server and what tenants may use it for.
	// +required
	Spec DatabaseServerSpec `json:"spec,omitzero"`

	// status is the observed state of the server.
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
