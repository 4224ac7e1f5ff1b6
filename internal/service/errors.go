package service

import "fmt"

// The errors below are pointers to structs; find them with errors.As. Their messages are sentences that say what
// to do. They never contain a password or what a server stores of one.

// UnreachableError means that a server doesn't answer or accepts no connections. It passes by itself once the
// server is back.
type UnreachableError struct {
	// Engine is what the server runs.
	Engine Engine
	// Server is the name of its object.
	Server string
	// Address is its host:port.
	Address string
	// Err is what the attempt failed with.
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s server %s does not answer at %s: %v; check that it runs and that the operator may connect to it",
		e.Engine.Noun, e.Server, e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// AuthenticationError means that a server refuses the administrator's login.
type AuthenticationError struct {
	// Engine is what the server runs.
	Engine Engine
	// Server is the name of its object.
	Server string
	// Username is the administrator's user name.
	Username string
	// Err is the server's answer.
	Err error
}

func (e *AuthenticationError) Error() string {
	return fmt.Sprintf("%s server %s refuses to log the administrator %q in: %v; correct username and password in the Secret that spec.adminSecretRef names",
		e.Engine.Noun, e.Server, e.Username, e.Err)
}

func (e *AuthenticationError) Unwrap() error { return e.Err }

// UnsuitableServerError means that a server answers but can't take tenants as it is.
type UnsuitableServerError struct {
	// Engine is what the server runs.
	Engine Engine
	// Server is the name of its object.
	Server string
	// Problem says what is wrong and what to do instead.
	Problem string
	// Err is the server's answer; nil if it gave no error.
	Err error
}

func (e *UnsuitableServerError) Error() string {
	return fmt.Sprintf("%s server %s can't be used: %s", e.Engine.Noun, e.Server, e.Problem)
}

func (e *UnsuitableServerError) Unwrap() error { return e.Err }

// FullError means that a server has as many tenants as it may have.
type FullError struct {
	// Engine is what the server runs.
	Engine Engine
	// Tenants is the number of tenants that the server has.
	Tenants int
	// Capacity is the maximum number of tenants.
	Capacity int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("the %s server is full: it has %d tenants and its spec.capacity.tenants is %d; raise that, or name another server in %s.serverRef",
		e.Engine.Noun, e.Tenants, e.Capacity, e.Engine.Field)
}

// ConflictError means that something that wasn't created for this tenant has a name that it needs. It stays until
// somebody changes the server or the Tenant.
type ConflictError struct {
	// Problem says what conflicts and what to do about it.
	Problem string
}

func (e *ConflictError) Error() string { return e.Problem }

// AdoptNotFoundError means that what is to be adopted isn't retained on the server.
type AdoptNotFoundError struct {
	// Engine is what the server runs.
	Engine Engine
	// Name is the name that was asked for.
	Name string
}

func (e *AdoptNotFoundError) Error() string {
	return fmt.Sprintf("there is no retained %[1]s %[2]s to adopt on the server; set %[3]s.adopt to one that status.retained of the %[4]s lists, or leave it out to get a new %[1]s",
		e.Engine.Noun, e.Name, e.Engine.Field, e.Engine.ServerKind)
}

// AdoptInUseError means that what is to be adopted still belongs to another tenant.
type AdoptInUseError struct {
	// Engine is what the server runs.
	Engine Engine
	// Name is the name that was asked for.
	Name string
	// Tenant is the name of the Tenant that uses it.
	Tenant string
}

func (e *AdoptInUseError) Error() string {
	return fmt.Sprintf("%[1]s %[2]s can't be adopted while tenant %[3]s uses it; delete that tenant with reclaimPolicy Retain first, or adopt another %[1]s",
		e.Engine.Noun, e.Name, e.Tenant)
}

// ChangedError means that the server has changed between observing and acting, for example because another replica
// of the operator did the same. Observe and plan again.
type ChangedError struct {
	// Engine is what the server runs.
	Engine Engine
	// Err is the server's answer.
	Err error
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the %s server changed meanwhile: %v; it is looked at again", e.Engine.Noun, e.Err)
}

func (e *ChangedError) Unwrap() error { return e.Err }

// UnfinishedError means that there is more to remove than one call removes. What was removed stays removed;
// observe and plan again to continue with the rest.
type UnfinishedError struct {
	// Left is how many there still are.
	Left int64
	// What names them, in the plural.
	What string
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("the tenant's data is being removed in portions; %d %s are left", e.Left, e.What)
}
