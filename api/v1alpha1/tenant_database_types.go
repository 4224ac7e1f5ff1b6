package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DatabaseServerReference names a DatabaseServer.
type DatabaseServerReference struct {
	// name is the name of the DatabaseServer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
}

// ReclaimPolicy says what happens to a tenant's database when the tenant is deleted.
// +kubebuilder:validation:Enum=Retain;Delete
type ReclaimPolicy string

// The reclaim policies.
const (
	// ReclaimPolicyRetain keeps the database and the roles, and disables the logins. A dedicated server
	// is shut down and its volume is kept.
	ReclaimPolicyRetain ReclaimPolicy = "Retain"
	// ReclaimPolicyDelete drops the database and the roles. A dedicated server is deleted with its volume.
	ReclaimPolicyDelete ReclaimPolicy = "Delete"
)

// SharedTables says what a tenant with the isolation Row may do with the tables that tenants share.
// +kubebuilder:validation:Enum=Use;Manage
type SharedTables string

// The values of SharedTables.
const (
	// SharedTablesUse lets the tenant read and change its own rows.
	SharedTablesUse SharedTables = "Use"
	// SharedTablesManage also lets the tenant create and change the tables.
	SharedTablesManage SharedTables = "Manage"
)

// AnnotationRotateCredentials on a Tenant requests a new password. Each new value, for example the
// current time, requests one. Removing the annotation does nothing.
const AnnotationRotateCredentials = "tenantry.dev/rotate-credentials" //nolint:gosec // It is a name and no credential.

// CredentialsRotation says when the tenant gets a new password, and how long the former login keeps
// working. Two logins take turns, so an app always has one that works.
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || duration(self.interval) > duration(has(self.gracePeriod) ? self.gracePeriod : '1h')",message="interval must be longer than gracePeriod, which is 1h if left out; write a longer interval or a shorter gracePeriod",fieldPath=".interval"
type CredentialsRotation struct {
	// interval is the time between two rotations, for example 720h: 10s to 87600h, in hours (h), minutes
	// (m) and seconds (s). Left out, the password changes only when the annotation
	// tenantry.dev/rotate-credentials of the Tenant gets a new value, or when the password was lost or
	// changed by others.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && self != '' && duration(self) >= duration('10s') && duration(self) <= duration('87600h')",message="interval must be a time from 10s to 87600h in hours, minutes and seconds, such as 720h or 1h30m"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// gracePeriod is how long the former login accepts new sessions after a rotation, so that apps can
	// switch to the new one: 0s to 8760h, in hours (h), minutes (m) and seconds (s). Sessions that are
	// open are not ended. Left out, it is 1h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && self != '' && duration(self) <= duration('8760h')",message="gracePeriod must be a time from 0s to 8760h in hours, minutes and seconds, such as 1h or 10m"
	GracePeriod *metav1.Duration `json:"gracePeriod,omitempty"`
}

// DatabaseCredentials says where the tenant finds its login, and when the password changes.
type DatabaseCredentials struct {
	// secretName is the name of the Secret in the tenant's namespace. Its keys are those of CloudNativePG (host,
	// port, dbname, user, username, password, uri, jdbc-uri, pgpass), of libpq (PGHOST, PGPORT, PGDATABASE, PGUSER,
	// PGPASSWORD, PGSSLMODE), DATABASE_URL, those of the Service Binding specification (type, provider), and schema,
	// the schema with the tables. Left out, it is database.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="secretName must be the name of a Secret: lower-case letters, digits, dashes and dots, with a letter or digit at both ends"
	SecretName string `json:"secretName,omitempty"`

	// rotation says when the password changes. Left out, it changes only on request.
	// +optional
	Rotation CredentialsRotation `json:"rotation,omitzero"`
}

// AdoptNew in spec.database.adopt asks for an empty database even if a former Tenant of this name has left one.
const AdoptNew = "New"

// TenantDatabase describes the database of a tenant. Rules about several of its fields are rules of TenantSpec.
type TenantDatabase struct {
	// isolation says how the tenant's data is kept apart from other tenants' data. Dedicated: the tenant
	// has a server of its own, which the operator runs. Database: it has a database of its own on a shared
	// server. Schema: it has a schema of its own in a shared database. Row: it has its own rows in shared
	// tables, isolated by row-level security. With each of them it has roles of its own. The isolation is
	// immutable once the database is placed. Left out, it is Database.
	// +optional
	Isolation DatabaseIsolation `json:"isolation,omitempty"`

	// sharedTables says what a tenant with the isolation Row may do with the shared tables. Use: read and
	// change its own rows. Manage: also create and change the tables, for all tenants. Give Manage only to
	// the one tenant in which you run the app's migrations, since whoever may change a table can read all
	// of its rows. Left out, it is Use.
	// +optional
	SharedTables SharedTables `json:"sharedTables,omitempty"`

	// dedicated describes the server of a tenant with the isolation Dedicated. It runs in the namespace
	// tenantry-databases, where the tenant has no rights, and is listed as the DatabaseServer dedicated-<name of the
	// tenant>. Install CloudNativePG before you create such a tenant: it runs replicas, fails over and makes backups.
	// Without CloudNativePG, the server is a StatefulSet with a single instance, which is down while its pod restarts
	// or moves. It has no backups unless you take snapshots of its volume.
	// +optional
	Dedicated *DedicatedServer `json:"dedicated,omitempty"`

	// serverRef refers to the DatabaseServer. It is immutable once the database is placed. Set either this
	// or serverSelector, unless the isolation is Dedicated. It takes the place of the class's serverSelector, as
	// serverSelector takes the place of the class's serverRef.
	// +optional
	ServerRef DatabaseServerReference `json:"serverRef,omitzero"`

	// serverSelector selects DatabaseServers by label. Among those that are Ready, schedulable, have room,
	// and offer the isolation and the extensions, the operator chooses the one with the fewest tenants
	// relative to its capacity. It chooses once; status.database.server has the result, and later changes
	// of labels have no effect.
	// +optional
	ServerSelector *metav1.LabelSelector `json:"serverSelector,omitempty"`

	// reclaimPolicy says what happens to the database when the Tenant is deleted. Retain keeps the data and the
	// roles, and disables the logins; a dedicated server is shut down and its volumes are kept. Delete drops the
	// tenant's database, schema or rows, and its roles; a dedicated server is deleted with its volumes. Left out, it
	// is Retain.
	// +optional
	ReclaimPolicy ReclaimPolicy `json:"reclaimPolicy,omitempty"`

	// adopt is the name of a retained database to take over instead of creating an empty one. The status of the
	// DatabaseServer lists the names. A dedicated server can be taken over only by a Tenant of the same name as
	// before; the name to write is in the annotation tenantry.dev/database of its volume. New asks for an empty
	// database even if the server still has one of a former Tenant of this name, which was removed before its
	// deletion was complete. In that case a tenant without adopt waits until you write either.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == 'New' || self.matches('^t_[a-z2-7]{20}$')",message="adopt must be the name of a retained database, t_ and 20 letters or digits, as in status.retained of the DatabaseServer"
	Adopt string `json:"adopt,omitempty"`

	// connectionLimit is the maximum number of concurrent connections of the tenant. Left out, it is 20.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	ConnectionLimit int32 `json:"connectionLimit,omitempty"`

	// extensions are the PostgreSQL extensions that are created in the tenant's database, in the schema
	// extensions, which is in the search_path. Each must be in spec.extensions of the DatabaseServer.
	// Tenants with the isolation Schema or Row always have all of those. Removing an extension from the
	// list doesn't drop it. Left out, none are created.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Extensions []string `json:"extensions,omitempty"`

	// tempFileLimit limits the disk space for temporary files of a session, for example for large sorts. A
	// statement that needs more fails. The tenant can't raise the limit. Left out, the server's own
	// temp_file_limit applies.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('64Ki')) >= 0 && quantity(string(self)).compareTo(quantity('1Ti')) <= 0",message="tempFileLimit must be between 64Ki and 1Ti; write for example 1Gi"
	TempFileLimit *resource.Quantity `json:"tempFileLimit,omitempty"`

	// statementTimeoutSeconds is the number of seconds after which a statement is canceled. It is a
	// default, which sessions can change. Left out, the server's own statement_timeout applies.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	StatementTimeoutSeconds int32 `json:"statementTimeoutSeconds,omitempty"`

	// credentials says where the tenant finds its login, and when the password changes. Left out, the login is in the
	// Secret database, and the password changes only on request.
	// +optional
	Credentials DatabaseCredentials `json:"credentials,omitzero"`
}

// TenantDatabaseStatus is the observed state of a tenant's database.
type TenantDatabaseStatus struct {
	// server is the name of the DatabaseServer with the database.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Server string `json:"server,omitempty"`

	// isolation is the isolation of the database.
	// +optional
	Isolation DatabaseIsolation `json:"isolation,omitempty"`

	// name is the name of the tenant's database or schema, or the value of the column tenant_id in its
	// rows, depending on the isolation. spec.database.adopt accepts it. It reveals nothing about the
	// tenant, since all tenants of a server can see it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// version is the version of PostgreSQL on a dedicated server.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// storage is the size of each volume of a dedicated server.
	// +optional
	Storage *resource.Quantity `json:"storage,omitempty"`

	// host is the host name or address of the server.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`

	// connectionLimit is the current maximum number of concurrent connections.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ConnectionLimit int32 `json:"connectionLimit,omitempty"`

	// sharedTables is Manage if the tenant may create and change shared tables, and absent otherwise.
	// +optional
	SharedTables SharedTables `json:"sharedTables,omitempty"`

	// extensions are the extensions that the tenant asked for and has.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Extensions []string `json:"extensions,omitempty"`

	// tempFileLimit is the current limit for temporary files of a session.
	// +optional
	TempFileLimit *resource.Quantity `json:"tempFileLimit,omitempty"`

	// statementTimeoutSeconds is the current default statement timeout.
	// +optional
	// +kubebuilder:validation:Minimum=1
	StatementTimeoutSeconds int32 `json:"statementTimeoutSeconds,omitempty"`

	// secretName is the name of the Secret with the login, in the tenant's namespace.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// credentialsRevision identifies the password that the server has for the login. It changes when the
	// password changes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	CredentialsRevision string `json:"credentialsRevision,omitempty"`

	// login is the role in the Secret. It is one of two, which take turns.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Login string `json:"login,omitempty"`

	// suspended says that both logins are disabled and their sessions ended, since the tenant sleeps.
	// +optional
	Suspended bool `json:"suspended,omitempty"`

	// rotatedAt is when the current password was generated.
	// +optional
	RotatedAt *metav1.Time `json:"rotatedAt,omitempty"`

	// nextRotation is when the next rotation is due. It is absent if the spec has no interval.
	// +optional
	NextRotation *metav1.Time `json:"nextRotation,omitempty"`

	// formerLoginUntil is when the former login stops accepting new sessions. It is absent once it has.
	// +optional
	FormerLoginUntil *metav1.Time `json:"formerLoginUntil,omitempty"`

	// rotationRequest is the value that the annotation tenantry.dev/rotate-credentials had when the
	// current password was generated, or its SHA-256 in hex if it had more than 253 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	RotationRequest string `json:"rotationRequest,omitempty"`
}
