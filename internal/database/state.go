package database

import (
	"cmp"
	"time"
)

// Isolation is how tenants are kept apart on a server.
type Isolation string

// The kinds of isolation. Roles of its own a tenant has in each of them.
const (
	// IsolationDedicated gives a tenant its own server, and on it what IsolationDatabase gives.
	IsolationDedicated Isolation = "Dedicated"
	// IsolationDatabase gives a tenant its own database.
	IsolationDatabase Isolation = "Database"
	// IsolationSchema gives a tenant its own schema in a database that tenants share.
	IsolationSchema Isolation = "Schema"
	// IsolationRow gives a tenant its own rows in tables that tenants share.
	IsolationRow Isolation = "Row"
)

// ReclaimPolicy is what becomes of a database whose tenant is deleted.
type ReclaimPolicy string

// The reclaim policies.
const (
	// ReclaimRetain keeps database and roles, disables the logins and ends their sessions.
	ReclaimRetain ReclaimPolicy = "Retain"
	// ReclaimDelete drops database and roles.
	ReclaimDelete ReclaimPolicy = "Delete"
)

// Desired is what a tenant wants.
type Desired struct {
	// UID is the UID of the Tenant; the registry goes by it.
	UID string
	// Tenant is the name of the Tenant, for people who read the registry.
	Tenant string
	// Isolation is how the tenant is kept apart from others.
	Isolation Isolation
	// ManagesTables lets the tenant create and change the tables that all tenants share. Of
	// IsolationRow only.
	ManagesTables bool
	// ConnectionLimit is how many connections the tenant may have at a time: in a change-over by each of
	// its two logins, or else the app couldn't start anew before its former sessions end.
	ConnectionLimit int32
	// Extensions are the extensions that the tenant's database has. Of IsolationDatabase only; those
	// of shared databases are in [Sharing].
	Extensions []string
	// TempFileLimit is how many bytes of temporary files a session may have at a time; nil means
	// any number.
	TempFileLimit *int64
	// StatementTimeout is how long a statement may take, unless the session sets another time;
	// zero means any time.
	StatementTimeout time.Duration
	// Active says which of [Logins] is the active one.
	Active int
	// Password is the password of the active login; empty when nobody knows it any more, which
	// leaves the login as it is.
	Password Sensitive
	// NextPassword is the password of the other login while a rotation is under way. Empty means
	// that the other login is the former one until FormerUntil, and disabled from then on.
	NextPassword Sensitive
	// FormerUntil is until when the former login stays as it is.
	FormerUntil time.Time
	// Now is the present time.
	Now time.Time
	// Adopt is the name of a retained database to take over; empty means a new database.
	Adopt string
	// Capacity is how many tenants the server takes; nil means any number.
	Capacity *int32
}

// changingOver reports whether both logins are to let the tenant in: from a rotation's start until the end
// of its grace period.
func (d Desired) changingOver() bool { return d.NextPassword != "" || d.Now.Before(d.FormerUntil) }

// databaseConnectionLimit is that of a database of the tenant's own, which has room for what its logins
// may have.
func (d Desired) databaseConnectionLimit() int32 {
	if d.changingOver() {
		return 2 * d.ConnectionLimit
	}
	return d.ConnectionLimit
}

// Name returns the name to observe the tenant's database by: that of the adopted database, or
// the one made from the UID.
func (d Desired) Name() string {
	return cmp.Or(d.Adopt, Name(d.UID))
}

// Observed is what the server has for a tenant. With Name alone it is a server that has nothing.
type Observed struct {
	// Name is the name that roles and database were looked up by: that of the tenant's own
	// registration, or else the one that was asked for.
	Name string
	// Registration is the entry of the tenant's UID in the registry; nil if there is none.
	Registration *Registration
	// Holder is the entry that has Name for another UID; nil if there is none.
	Holder *Registration
	// Owner is the role Name; nil if there is none.
	Owner *Role
	// Logins are the roles of [Logins]; nil where there is none.
	Logins [2]*Role
	// Database is the database Name; nil if there is none.
	Database *Database
	// Shared are the databases that tenants of these isolations share, those that there are.
	Shared map[Isolation]Shared
	// Memberships are those of the roles above in others, and of others in them, that the operator has
	// not made.
	Memberships []Membership
}

// Shared is what a database that tenants share has for a tenant.
type Shared struct {
	// Ready reports whether it has been prepared for tenants.
	Ready bool
	// Member reports whether the role Name is one of those that may connect.
	Member bool
	// Manager reports whether the role Name is a member of [TablesOwner].
	Manager bool
	// Placed is a note in the registry about the database as it is now. Of IsolationSchema: the
	// schema Name is in it. Of IsolationRow: the tenant is, or was until just now, a manager.
	Placed bool
}

// Membership says that a role may act as another one.
type Membership struct {
	// Role is the role that Member may act as.
	Role string
	// Member is a member of Role.
	Member string
}

// RegistrationState says whether a registered name is in use.
type RegistrationState string

// The states of a registration.
const (
	// RegistrationActive : the tenant uses it.
	RegistrationActive RegistrationState = "Active"
	// RegistrationRetained : its tenant was deleted, its data was kept.
	RegistrationRetained RegistrationState = "Retained"
)

// Registration is an entry of the server's registry: whom a name was made for.
type Registration struct {
	// UID is the UID of the Tenant.
	UID string
	// Tenant is the name of the Tenant.
	Tenant string
	// Name is the name of database and roles.
	Name string
	// Isolation is what was made.
	Isolation Isolation
	// State says whether it is in use.
	State RegistrationState
}

// Role is a role as the server has it.
type Role struct {
	// CanLogin is the attribute LOGIN.
	CanLogin bool
	// Privileged reports whether it has any of SUPERUSER, CREATEDB, CREATEROLE, REPLICATION and
	// BYPASSRLS.
	Privileged bool
	// ConnectionLimit is its limit of connections, -1 for none.
	ConnectionLimit int32
	// Verifier is the stored password, empty for none.
	Verifier Sensitive
	// MemberOfOwner reports whether it is a member of the role Name; of logins only.
	MemberOfOwner bool
	// SetRole is the role that its sessions start with; of logins only.
	SetRole string
	// Settings are those of the settings that its sessions start with that a tenant can't set; of logins
	// only.
	Settings map[string]string
	// Tampered reports whether it has settings by which no session could work for the tenant's removal,
	// or more of them than anybody could mean.
	Tampered bool
}

// Database is a database as the server has it.
type Database struct {
	// Owner is the role it belongs to.
	Owner string
	// AllowConnections is whether anybody can connect.
	AllowConnections bool
	// ConnectionLimit is its limit of connections: -1 for none, [InterruptedDrop] after an
	// interrupted DROP DATABASE.
	ConnectionLimit int32
	// IsTemplate is the attribute IS_TEMPLATE, which keeps a database from being dropped.
	IsTemplate bool
	// PublicAccess reports whether PUBLIC, that is every role of the server, has any privilege.
	PublicAccess bool
	// OwnerAccess reports whether the role Name has CONNECT, CREATE and TEMPORARY.
	OwnerAccess bool
	// Secured reports whether the schema public in it has been handed to the role Name.
	Secured bool
	// Extensions are those that have been created in it by a [CreateExtensions].
	Extensions []string
}

// InterruptedDrop is the connection limit by which PostgreSQL marks a database whose DROP DATABASE
// was interrupted. Its files may be gone in part; it can only be dropped.
const InterruptedDrop = -2
