// Package database decides what a tenant's database on a PostgreSQL server must look like, and which actions lead
// there. It is pure: it neither talks to a server nor reads a clock. What doesn't depend on PostgreSQL is in
// package service. Package postgres observes a server and executes the actions:
//
//	observed, err := servers.Observe(ctx, server, desired.UID, desired.Name())
//	actions, err := database.Plan(desired, observed)
//	err = servers.Execute(ctx, server, actions)
//
// Every action can be repeated, and a plan that is made from what an interrupted one has left behind leads to the
// same state. If somebody else has changed the server in between, Execute returns a [service.ChangedError], and
// the three lines above are run again.
//
// # What a tenant gets
//
// A database or a schema, and the role that owns the objects in it, have the same opaque name. The names of two
// logins are this name with _0 and _1 added. They are members of that role and take turns when the password
// changes. The database or schema itself belongs to [PlatformOwner], since its owner could raise the connection
// limit, let other tenants in, or drop it.
//
// Roles and registry are the same for all kinds of isolation. What else a tenant has depends on the mode: a
// database, a schema in a shared database, or nothing, if the login decides which rows are its own.
//
// A registry on the server has the UID of the Tenant for which each name was created. What is not in the registry
// is not ours, and is neither changed nor dropped.
package database
