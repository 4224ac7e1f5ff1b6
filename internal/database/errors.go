package database

import (
	"fmt"
	"time"
)

// The errors below are pointers to structs; find them with errors.As. Their messages are
// sentences that say what to do, and never hold a password or a verifier.

// UnreachableError says that a server doesn't answer or takes no connection. It passes by itself
// once the server is back.
type UnreachableError struct {
	// Server is the name of the DatabaseServer.
	Server string
	// Address is its host:port.
	Address string
	// Err is what the attempt failed with.
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("database server %s does not answer at %s: %v; check that it runs and that the operator may connect to it",
		e.Server, e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// AuthenticationError says that a server refuses the administrator.
type AuthenticationError struct {
	// Server is the name of the DatabaseServer.
	Server string
	// Username is the administrator's role.
	Username string
	// Err is the server's answer.
	Err error
}

func (e *AuthenticationError) Error() string {
	return fmt.Sprintf("database server %s refuses to log the administrator %q in: %v; correct username and password in the Secret that spec.adminSecretRef names",
		e.Server, e.Username, e.Err)
}

func (e *AuthenticationError) Unwrap() error { return e.Err }

// UnsuitableServerError says that a server answers but can't take tenants as it is.
type UnsuitableServerError struct {
	// Server is the name of the DatabaseServer.
	Server string
	// Problem says what is wrong and what to do instead.
	Problem string
	// Err is the server's answer; nil if it gave no error.
	Err error
}

func (e *UnsuitableServerError) Error() string {
	return fmt.Sprintf("database server %s can't be used: %s", e.Server, e.Problem)
}

func (e *UnsuitableServerError) Unwrap() error { return e.Err }

// FullError says that a server has as many tenants as it may have.
type FullError struct {
	// Tenants is the number of tenants that the server has.
	Tenants int
	// Capacity is the number that it may have.
	Capacity int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("the database server is full: it has %d tenants and its spec.capacity.tenants is %d; raise that, or name another server in spec.database.serverRef",
		e.Tenants, e.Capacity)
}

// ConflictError says that something is in the way that wasn't made for this tenant. It stays
// until somebody changes the server or the Tenant.
type ConflictError struct {
	// Problem says what is in the way and what to do about it.
	Problem string
}

func (e *ConflictError) Error() string { return e.Problem }

// UnpreparedError says that the database that tenants of an isolation share isn't ready yet. It
// passes by itself when the server has been looked at.
type UnpreparedError struct {
	// Isolation is the one that was asked for.
	Isolation Isolation
}

func (e *UnpreparedError) Error() string {
	return fmt.Sprintf("the database server is not prepared for isolation %s yet; that happens while it is Ready and its spec.isolations has %s",
		e.Isolation, e.Isolation)
}

// AdoptNotFoundError says that the database to adopt isn't a retained one.
type AdoptNotFoundError struct {
	// Name is the database that was asked for.
	Name string
}

func (e *AdoptNotFoundError) Error() string {
	return fmt.Sprintf("there is no retained database %s to adopt on the server; set spec.database.adopt to one that status.retained of the DatabaseServer lists, or leave it out to get a new database",
		e.Name)
}

// AdoptInUseError says that the database to adopt still belongs to another tenant.
type AdoptInUseError struct {
	// Name is the database that was asked for.
	Name string
	// Tenant is the name of the Tenant that uses it.
	Tenant string
}

func (e *AdoptInUseError) Error() string {
	return fmt.Sprintf("database %s can't be adopted while tenant %s uses it; delete that tenant with reclaimPolicy Retain first, or adopt another database",
		e.Name, e.Tenant)
}

// ChangedError says that the server changed between looking and acting, for example because
// another replica of the operator did the same. Observe and plan again.
type ChangedError struct {
	// Err is the server's answer.
	Err error
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the database server changed meanwhile: %v; it is looked at again", e.Err)
}

func (e *ChangedError) Unwrap() error { return e.Err }

// LockedError says that a session of somebody else holds a lock on what the operator wanted to look at
// or to change. Nothing was changed. It says nothing of the server, and passes when that session's
// transaction ends.
type LockedError struct {
	// Server is the name of the DatabaseServer.
	Server string
	// Holder is the session that has the lock, or waits for it in front; nil if it was gone before it
	// could be found.
	Holder *LockHolder
	// Err is the server's answer.
	Err error
}

// LockHolder is a session that others wait for.
type LockHolder struct {
	// PID is its process ID on the server.
	PID int32
	// Role is the login that it was opened with.
	Role string
	// Since is when its transaction began.
	Since time.Time
}

func (e *LockedError) Error() string {
	if e.Holder == nil {
		return fmt.Sprintf("a lock on database server %s was not to be had in time, and whoever had it is gone", e.Server)
	}
	return fmt.Sprintf("on database server %[1]s, role %[2]s has had a transaction open since %[3]s that locks what the operator has to change; end it in that app, or run SELECT pg_terminate_backend(%[4]d) there",
		e.Server, e.Holder.Role, e.Holder.Since.UTC().Format(time.RFC3339), e.Holder.PID)
}

func (e *LockedError) Unwrap() error { return e.Err }

// UnfinishedError says that there is more to remove than is removed at one go. What was removed is gone
// for good; observing and planning again goes on with the rest.
type UnfinishedError struct {
	// Left is how many there still are.
	Left int64
	// What names them, in the plural.
	What string
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("the tenant's data is being removed in portions; %d %s are left", e.Left, e.What)
}
