package database

import (
	"cmp"
	"time"

	"github.com/tenantry/tenantry/internal/service"
)

// Isolation is how tenants are isolated on a server.
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

// ReclaimPolicy says what happens to a database when its tenant is deleted.
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
	// UID is the UID of the Tenant, the key of the registry.
	UID string
	// Tenant is the name of the Tenant, for people who read the registry.
	Tenant string
	// Isolation is the isolation that the tenant asks for.
	Isolation Isolation
	// ManagesTables lets the tenant create and change shared tables. It is for IsolationRow only.
	ManagesTables bool
	// ConnectionLimit is the maximum number of concurrent connections. During a rotation it applies to each of the
	// tenant's two logins, since otherwise the app couldn't restart before its old sessions end.
	ConnectionLimit int32
	// Extensions are the desired extensions of the tenant's database. They are for IsolationDatabase and
	// IsolationDedicated only; those of shared databases are in [Sharing].
	Extensions []string
	// TempFileLimit is the limit for temporary files of a session, in bytes; nil means the server's own.
	TempFileLimit *int64
	// StatementTimeout is the default statement timeout of sessions; zero means the server's own.
	StatementTimeout time.Duration
	// Suspended disables both logins, which keep their passwords.
	Suspended bool
	// Active is the index of the active one of [Logins].
	Active int
	// Password is the password of the active login. It is empty if nobody knows it any more; then the login isn't
	// changed.
	Password service.Sensitive
	// NextPassword is the password of the other login while a rotation is under way. Empty means
	// that the other login is the former one until FormerUntil, and disabled from then on.
	NextPassword service.Sensitive
	// FormerUntil is until when the former login stays enabled.
	FormerUntil time.Time
	// Now is the current time.
	Now time.Time
	// Adopt is the name of a retained database to take over; empty means a new database.
	Adopt string
	// Restored says that the tenant was restored from a backup, so that the database to take over may still be
	// registered for a former Tenant with the same name.
	Restored bool
	// Anew asks for a new database even if a former tenant with the same name, which was removed without the
	// operator, has left one.
	Anew bool
	// Capacity is the maximum number of tenants on the server; nil means no limit.
	Capacity *int32
}

// changingOver reports whether both logins must be enabled: from the start of a rotation until the end of its
// grace period.
func (d Desired) changingOver() bool { return d.NextPassword != "" || d.Now.Before(d.FormerUntil) }

// databaseConnectionLimit returns the limit of a database of the tenant's own, with room for all connections of
// its logins.
func (d Desired) databaseConnectionLimit() int32 {
	if d.changingOver() {
		return 2 * d.ConnectionLimit
	}
	return d.ConnectionLimit
}

// Name returns the name to observe the tenant's database with: that of the adopted database, or the one derived
// from the UID.
func (d Desired) Name() string {
	return cmp.Or(d.Adopt, Name(d.UID))
}

// Observed is what the server has for a tenant. If only Name is set, the server has nothing.
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
	// Memberships are the memberships of these roles in others, and of others in them, that the operator didn't
	// grant.
	Memberships []Membership
}

// Shared is what a shared database has for a tenant.
type Shared struct {
	// Ready reports whether it has been prepared for tenants.
	Ready bool
	// Member reports whether the role Name is one of those that may connect.
	Member bool
	// Manager reports whether the role Name is a member of [TablesOwner].
	Manager bool
	// Placed is a note in the registry about this database. For IsolationSchema it says that the schema Name exists
	// in it, and for IsolationRow that the tenant is, or was until just now, a manager.
	Placed bool
}

// Membership says that a role may act as another one.
type Membership struct {
	// Role is the role that Member may act as.
	Role string
	// Member is a member of Role.
	Member string
}

// Role is a role on the server.
type Role struct {
	// CanLogin is the attribute LOGIN.
	CanLogin bool
	// Privileged reports whether it has any of SUPERUSER, CREATEDB, CREATEROLE, REPLICATION and
	// BYPASSRLS.
	Privileged bool
	// ConnectionLimit is its connection limit, -1 for none.
	ConnectionLimit int32
	// Verifier is the stored password, empty for none.
	Verifier service.Sensitive
	// MemberOfOwner reports whether it is a member of the role Name; of logins only.
	MemberOfOwner bool
	// SetRole is the role that its sessions start as; of logins only.
	SetRole string
	// Settings are its default settings that a tenant can't set itself; of logins only.
	Settings map[string]string
	// Tampered reports whether it has settings that keep the tenant from being removed, or more settings than are
	// plausible.
	Tampered bool
}

// Database is a database on the server.
type Database struct {
	// Owner is the role that owns it.
	Owner string
	// AllowConnections is the attribute ALLOW_CONNECTIONS.
	AllowConnections bool
	// ConnectionLimit is its connection limit: -1 for none, [InterruptedDrop] after an interrupted DROP DATABASE.
	ConnectionLimit int32
	// IsTemplate is the attribute IS_TEMPLATE, which keeps a database from being dropped.
	IsTemplate bool
	// PublicAccess reports whether PUBLIC, that is every role of the server, has any privilege.
	PublicAccess bool
	// OwnerAccess reports whether the role Name has CONNECT, CREATE and TEMPORARY.
	OwnerAccess bool
	// Secured reports whether its schema public was given to the role Name.
	Secured bool
	// Extensions are the extensions that a [CreateExtensions] has created in it.
	Extensions []string
}

// InterruptedDrop is the connection limit with which PostgreSQL marks a database whose DROP DATABASE was
// interrupted. Some of its files may be missing; it can only be dropped.
const InterruptedDrop = -2
