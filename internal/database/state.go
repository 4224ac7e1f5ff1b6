package database

import (
	"cmp"
	"time"

	"github.com/tenantry/tenantry/internal/service"
)

// Isolation is how tenants are kept apart on a server.
type Isolation = service.Isolation

// The kinds of isolation. A tenant has roles of its own in each of them.
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
	// ManagesTables lets the tenant create and change the tables that all tenants share. It is for
	// IsolationRow only.
	ManagesTables bool
	// ConnectionLimit is how many connections the tenant may have at a time. During a rotation each of its two
	// logins may have that many, since otherwise the app couldn't restart before its former sessions end.
	ConnectionLimit int32
	// Extensions are the extensions that the tenant's database is to have. They are for IsolationDatabase and
	// IsolationDedicated only; those of shared databases are in [Sharing].
	Extensions []string
	// TempFileLimit is how many bytes of temporary files a session may have at a time; nil means
	// any number.
	TempFileLimit *int64
	// StatementTimeout is how long a statement may take, unless the session sets another time;
	// zero means any time.
	StatementTimeout time.Duration
	// Active says which of [Logins] is the active one.
	Active int
	// Password is the password of the active login; empty when nobody knows it any more, and then the
	// login stays as it is.
	Password service.Sensitive
	// NextPassword is the password of the other login while a rotation is under way. Empty means
	// that the other login is the former one until FormerUntil, and disabled from then on.
	NextPassword service.Sensitive
	// FormerUntil is until when the former login stays as it is.
	FormerUntil time.Time
	// Now is the present time.
	Now time.Time
	// Adopt is the name of a retained database to take over; empty means a new database.
	Adopt string
	// Restored says that the tenant was restored from a backup, so that the database to take over may still be
	// registered as that of a Tenant of the same name, which is no more.
	Restored bool
	// Anew says that a new database is wanted also where a former tenant of the name, which was gone before
	// it could be retained, has left one.
	Anew bool
	// Capacity is how many tenants the server takes; nil means any number.
	Capacity *int32
}

// changingOver reports whether both logins are to be enabled: from the start of a rotation until the end of
// its grace period.
func (d Desired) changingOver() bool { return d.NextPassword != "" || d.Now.Before(d.FormerUntil) }

// databaseConnectionLimit returns the limit of a database of the tenant's own, with room for all that its logins
// may have.
func (d Desired) databaseConnectionLimit() int32 {
	if d.changingOver() {
		return 2 * d.ConnectionLimit
	}
	return d.ConnectionLimit
}

// Name returns the name by which to observe the tenant's database: that of the adopted database, or the one
// made from the UID.
func (d Desired) Name() string {
	return cmp.Or(d.Adopt, Name(d.UID))
}

// Observed is what the server has for a tenant. With nothing but a Name, the server has nothing.
type Observed struct {
	// Name is the name of the roles and the database: that of the tenant's own registration, or else the one
	// that was asked for.
	Name string
	// Registration is the entry of the tenant's UID in the registry; nil if there is none.
	Registration *service.Registration
	// Holder is the entry that has Name for another UID; nil if there is none.
	Holder *service.Registration
	// Owner is the role Name; nil if there is none.
	Owner *Role
	// Logins are the roles of [Logins].
	Logins LoginRoles
	// Database is the database Name; nil if there is none.
	Database *Database
	// Shared are the existing databases that tenants of an isolation share.
	Shared map[Isolation]Shared
	// Memberships are the memberships of these roles in others, and of others in them, that the operator has
	// not granted.
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
	// Placed is a note in the registry about the database as it is now. For IsolationSchema it says that the
	// schema Name is in it, and for IsolationRow that the tenant is, or was until just now, a manager.
	Placed bool
}

// Membership says that a role may act as another one.
type Membership struct {
	// Role is the role that Member may act as.
	Role string
	// Member is a member of Role.
	Member string
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
	Verifier service.Sensitive
	// MemberOfOwner reports whether it is a member of the role Name; of logins only.
	MemberOfOwner bool
	// SetRole is the role that its sessions start with; of logins only.
	SetRole string
	// Settings are what its sessions start with, as far as a tenant can't set that itself; of logins only.
	Settings map[string]string
	// Tampered reports whether it has settings with which the tenant could not be removed, or more settings
	// than anybody could have meant.
	Tampered bool
}

// Database is a database as the server has it.
type Database struct {
	// Owner is the role that owns it.
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
