// Package database decides what a tenant's database on a PostgreSQL server has to look like, and which
// steps lead there. It is pure: it neither talks to a server nor reads a clock. What doesn't depend on
// PostgreSQL is in package service. Package postgres observes a server and carries the steps out:
//
//	observed, err := servers.Observe(ctx, server, desired.UID, desired.Name())
//	actions, err := database.Plan(desired, observed)
//	err = servers.Execute(ctx, server, actions)
//
// Every step can be repeated, and a plan made from whatever an interrupted one left behind ends
// in the same state. When somebody else changed the server in between, Execute returns a
// [service.ChangedError], and the three lines above are run again.
//
// # What a tenant gets
//
// One opaque name stands for a database or a schema, for the role that owns what is in it, and, with
// _0 and _1 added, for two logins that are members of that role and take turns when the password
// changes. The database or schema itself belongs to [PlatformOwner]: an owner could lift the
// connection limit, let other tenants in, or drop it.
//
// Roles and registry are the same for all kinds of isolation. What else a tenant has depends on the mode: a
// database, a schema in a database that tenants share, or nothing, where the login tells which rows are its
// own.
//
// A registry on the server says for which Tenant, by UID, each name was made. What is not in the registry is
// not ours, and is neither changed nor dropped.
package database
