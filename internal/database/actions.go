package database

import (
	"fmt"

	"github.com/tenantry/tenantry/internal/service"
)

// Action is one step towards what a tenant wants. It prints as a short phrase without secrets.
type Action interface {
	fmt.Stringer
	// accept calls the visitor's method with the name of the action.
	accept(v Visitor)
}

// Visitor has a method for each action. What executes actions implements it, so that the compiler finds actions
// that are not handled.
type Visitor interface {
	Register(Register)
	Adopt(Adopt)
	CheckRegistered(CheckRegistered)
	CreateOwner(CreateOwner)
	CreateLogin(CreateLogin)
	GrantOwner(GrantOwner)
	SetLoginRole(SetLoginRole)
	SetLoginSetting(SetLoginSetting)
	ResetLoginSetting(ResetLoginSetting)
	ResetSettings(ResetSettings)
	JoinShared(JoinShared)
	GrantTables(GrantTables)
	RevokeTables(RevokeTables)
	CreateSchema(CreateSchema)
	DropSchema(DropSchema)
	DeleteRows(DeleteRows)
	DropOwned(DropOwned)
	UnmarkSecured(UnmarkSecured)
	EnableLogin(EnableLogin)
	DisableLogin(DisableLogin)
	SuspendLogin(SuspendLogin)
	RestrictRole(RestrictRole)
	CreateDatabase(CreateDatabase)
	RevokePublic(RevokePublic)
	GrantDatabase(GrantDatabase)
	OpenDatabase(OpenDatabase)
	SecureSchema(SecureSchema)
	MarkSecured(MarkSecured)
	CreateExtensions(CreateExtensions)
	MarkExtensions(MarkExtensions)
	TerminateSessions(TerminateSessions)
	MarkRetained(MarkRetained)
	UnsetTemplate(UnsetTemplate)
	DropDatabase(DropDatabase)
	DropRoles(DropRoles)
	Deregister(Deregister)
}

// Visit calls the visitor's method with the name of the action.
func Visit(action Action, visitor Visitor) { action.accept(visitor) }

// Register registers a name for the tenant, unless the server is full.
type Register struct {
	UID, Tenant, Name string
	Isolation         Isolation
	// Capacity is the maximum number of active tenants on the server; nil means no limit.
	Capacity *int32
	// Anew registers a new name even if a former tenant with the same name has left something on the server.
	Anew bool
}

// Adopt moves the entry of a retained database to the tenant, unless the server is full.
type Adopt struct {
	UID, Tenant, Name string
	// From is the UID of the Tenant that it was registered for.
	From string
	// Capacity is the maximum number of active tenants on the server; nil means no limit.
	Capacity *int32
}

// CheckRegistered makes the actions after it fail, with a [service.ChangedError], if the name is no longer registered
// as it was when they were planned: the database may have been adopted or retained since.
type CheckRegistered struct {
	UID, Name string
	State     service.RegistrationState
}

func checkRegistered(o Observed) CheckRegistered {
	return CheckRegistered{UID: o.Registration.UID, Name: o.Name, State: o.Registration.State}
}

// CreateOwner creates the role, without LOGIN, that owns the objects in the tenant's database.
type CreateOwner struct{ Role string }

// CreateLogin creates a login as a member of the owner role. Without a password it can't log in.
type CreateLogin struct {
	Login, Owner    string
	ConnectionLimit int32
	Password        service.Sensitive
}

// GrantOwner makes a login a member of the owner role.
type GrantOwner struct{ Login, Owner string }

// SetLoginRole makes the sessions of a login start as the role, so that what they create belongs
// to it.
type SetLoginRole struct{ Login, Role string }

// SetLoginSetting sets a default setting of a login.
type SetLoginSetting struct{ Login, Setting, Value string }

// ResetLoginSetting resets a setting of a login to the server's own.
type ResetLoginSetting struct{ Login, Setting string }

// ResetSettings resets all settings of a role, in every database. The settings that the role needs must be set
// again after it.
type ResetSettings struct{ Role string }

// JoinShared lets the members of the owner role connect to the database that tenants of the
// isolation share.
type JoinShared struct {
	Owner     string
	Isolation Isolation
}

// GrantTables makes the owner role a member of [TablesOwner].
type GrantTables struct{ Owner string }

// RevokeTables undoes GrantTables. Sessions that are open keep their role.
type RevokeTables struct{ Owner string }

// CreateSchema creates a schema of [PlatformOwner] in the shared database, in which the role with the same name
// may create objects.
type CreateSchema struct{ Schema string }

// DropSchema drops a schema of [PlatformOwner] with everything in it.
type DropSchema struct{ Schema string }

// DeleteRows deletes the rows of a tenant in a session of its login, which must have no other sessions.
type DeleteRows struct{ Login string }

// DropOwned drops what the owner role and its logins own in any database, and what refers to them there: rights,
// default privileges and policies. Each of these keeps a role from being dropped.
type DropOwned struct{ Owner string }

// EnableLogin gives a login LOGIN, a password and a connection limit.
type EnableLogin struct {
	Login           string
	ConnectionLimit int32
	Password        service.Sensitive
}

// DisableLogin removes LOGIN and the password. Open sessions stay.
type DisableLogin struct{ Login string }

// SuspendLogin removes LOGIN and keeps the password. Open sessions stay.
type SuspendLogin struct{ Login string }

// RestrictRole removes SUPERUSER, CREATEDB, CREATEROLE, REPLICATION and BYPASSRLS.
type RestrictRole struct{ Role string }

// CreateDatabase creates an empty database of [PlatformOwner] that nobody can connect to yet.
type CreateDatabase struct{ Database string }

// RevokePublic takes all privileges on a database from PUBLIC.
type RevokePublic struct{ Database string }

// GrantDatabase gives the owner role CONNECT, CREATE and TEMPORARY on the database.
type GrantDatabase struct{ Database, Owner string }

// OpenDatabase allows connections of roles with CONNECT, up to the limit.
type OpenDatabase struct {
	Database        string
	ConnectionLimit int32
}

// SecureSchema revokes the rights of PUBLIC on the schema public of the database, and gives the schema to the
// owner role.
type SecureSchema struct{ Database, Owner string }

// MarkSecured notes in the registry that this database has what the tenant needs in it, so that nobody has to
// connect to it to find out.
type MarkSecured struct{ Name, Database string }

// UnmarkSecured undoes MarkSecured.
type UnmarkSecured struct{ Name string }

// CreateExtensions creates extensions in a tenant's database, in a schema that the tenant can use but not
// change.
type CreateExtensions struct {
	Database, Owner string
	Extensions      []string
}

// MarkExtensions notes in the registry that the database has the extensions.
type MarkExtensions struct {
	Name       string
	Extensions []string
}

// TerminateSessions ends the sessions of the logins and waits until they have ended.
type TerminateSessions struct{ Logins [2]string }

// MarkRetained notes in the registry that the tenant was deleted and its data kept.
type MarkRetained struct {
	UID, Name string
	// Abandoned says that the tenant was removed without the operator.
	Abandoned bool
}

// UnsetTemplate removes IS_TEMPLATE from a database.
type UnsetTemplate struct{ Database string }

// DropDatabase drops a database and ends all sessions in it.
type DropDatabase struct{ Database string }

// DropRoles drops roles. It skips those that don't exist.
type DropRoles struct{ Roles []string }

// Deregister removes the tenant's entry from the registry.
type Deregister struct{ UID, Name string }

func (a Register) String() string { return "register " + a.Name + " for tenant " + a.Tenant }
func (a Adopt) String() string    { return "adopt " + a.Name + " for tenant " + a.Tenant }
func (a CheckRegistered) String() string {
	return "check that " + a.Name + " is still registered"
}
func (a CreateOwner) String() string  { return "create owner role " + a.Role }
func (a CreateLogin) String() string  { return "create login " + a.Login }
func (a GrantOwner) String() string   { return "grant " + a.Owner + " to " + a.Login }
func (a SetLoginRole) String() string { return "set role of " + a.Login + " to " + a.Role }
func (a SetLoginSetting) String() string {
	return "set " + a.Setting + " of " + a.Login + " to " + a.Value
}
func (a ResetLoginSetting) String() string { return "reset " + a.Setting + " of " + a.Login }
func (a ResetSettings) String() string     { return "reset all settings of " + a.Role }
func (a JoinShared) String() string {
	return "let " + a.Owner + " into the shared database of isolation " + string(a.Isolation)
}
func (a GrantTables) String() string { return "let " + a.Owner + " manage the shared tables" }
func (a RevokeTables) String() string {
	return "let " + a.Owner + " no longer manage the shared tables"
}
func (a CreateSchema) String() string   { return "create schema " + a.Schema }
func (a DropSchema) String() string     { return "drop schema " + a.Schema }
func (a DeleteRows) String() string     { return "delete the rows of " + a.Login }
func (a DropOwned) String() string      { return "drop what " + a.Owner + " has in any database" }
func (a UnmarkSecured) String() string  { return "unmark " + a.Name }
func (a EnableLogin) String() string    { return "enable login " + a.Login }
func (a DisableLogin) String() string   { return "disable login " + a.Login }
func (a SuspendLogin) String() string   { return "suspend login " + a.Login }
func (a RestrictRole) String() string   { return "restrict role " + a.Role }
func (a CreateDatabase) String() string { return "create database " + a.Database }
func (a RevokePublic) String() string   { return "revoke database " + a.Database + " from public" }
func (a GrantDatabase) String() string  { return "grant database " + a.Database + " to " + a.Owner }
func (a OpenDatabase) String() string   { return "open database " + a.Database }
func (a SecureSchema) String() string   { return "secure schema public of " + a.Database }
func (a MarkSecured) String() string    { return "mark " + a.Name + " secured" }
func (a CreateExtensions) String() string {
	return fmt.Sprintf("create extensions %v in %s", a.Extensions, a.Database)
}
func (a MarkExtensions) String() string {
	return fmt.Sprintf("mark %s to have extensions %v", a.Name, a.Extensions)
}
func (a TerminateSessions) String() string {
	return "terminate sessions of " + a.Logins[0] + " and " + a.Logins[1]
}
func (a MarkRetained) String() string  { return "mark " + a.Name + " retained" }
func (a UnsetTemplate) String() string { return "unset template " + a.Database }
func (a DropDatabase) String() string  { return "drop database " + a.Database }
func (a DropRoles) String() string     { return fmt.Sprintf("drop roles %v", a.Roles) }
func (a Deregister) String() string    { return "deregister " + a.Name }

func (a Register) accept(v Visitor)          { v.Register(a) }
func (a Adopt) accept(v Visitor)             { v.Adopt(a) }
func (a CheckRegistered) accept(v Visitor)   { v.CheckRegistered(a) }
func (a CreateOwner) accept(v Visitor)       { v.CreateOwner(a) }
func (a CreateLogin) accept(v Visitor)       { v.CreateLogin(a) }
func (a GrantOwner) accept(v Visitor)        { v.GrantOwner(a) }
func (a SetLoginRole) accept(v Visitor)      { v.SetLoginRole(a) }
func (a SetLoginSetting) accept(v Visitor)   { v.SetLoginSetting(a) }
func (a ResetLoginSetting) accept(v Visitor) { v.ResetLoginSetting(a) }
func (a ResetSettings) accept(v Visitor)     { v.ResetSettings(a) }
func (a JoinShared) accept(v Visitor)        { v.JoinShared(a) }
func (a GrantTables) accept(v Visitor)       { v.GrantTables(a) }
func (a RevokeTables) accept(v Visitor)      { v.RevokeTables(a) }
func (a CreateSchema) accept(v Visitor)      { v.CreateSchema(a) }
func (a DropSchema) accept(v Visitor)        { v.DropSchema(a) }
func (a DeleteRows) accept(v Visitor)        { v.DeleteRows(a) }
func (a DropOwned) accept(v Visitor)         { v.DropOwned(a) }
func (a UnmarkSecured) accept(v Visitor)     { v.UnmarkSecured(a) }
func (a EnableLogin) accept(v Visitor)       { v.EnableLogin(a) }
func (a DisableLogin) accept(v Visitor)      { v.DisableLogin(a) }
func (a SuspendLogin) accept(v Visitor)      { v.SuspendLogin(a) }
func (a RestrictRole) accept(v Visitor)      { v.RestrictRole(a) }
func (a CreateDatabase) accept(v Visitor)    { v.CreateDatabase(a) }
func (a RevokePublic) accept(v Visitor)      { v.RevokePublic(a) }
func (a GrantDatabase) accept(v Visitor)     { v.GrantDatabase(a) }
func (a OpenDatabase) accept(v Visitor)      { v.OpenDatabase(a) }
func (a SecureSchema) accept(v Visitor)      { v.SecureSchema(a) }
func (a MarkSecured) accept(v Visitor)       { v.MarkSecured(a) }
func (a CreateExtensions) accept(v Visitor)  { v.CreateExtensions(a) }
func (a MarkExtensions) accept(v Visitor)    { v.MarkExtensions(a) }
func (a TerminateSessions) accept(v Visitor) { v.TerminateSessions(a) }
func (a MarkRetained) accept(v Visitor)      { v.MarkRetained(a) }
func (a UnsetTemplate) accept(v Visitor)     { v.UnsetTemplate(a) }
func (a DropDatabase) accept(v Visitor)      { v.DropDatabase(a) }
func (a DropRoles) accept(v Visitor)         { v.DropRoles(a) }
func (a Deregister) accept(v Visitor)        { v.Deregister(a) }
