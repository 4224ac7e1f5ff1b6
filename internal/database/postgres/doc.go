// Package postgres observes PostgreSQL servers and executes what package database plans. It is the only package
// with SQL.
//
// # What the operator's sessions are
//
// Every session sets its settings by startup parameters, which take precedence over what anybody has set on a
// database or a role. The most important one is search_path: without it, anybody who can create objects in a
// database could shadow a function or an operator and have it run with our rights. Inside a tenant's database a
// session only changes the schema public, and creates extensions in a schema that the tenant can't change; it
// never touches a tenant's tables. A tenant's rows in tables that tenants share are deleted in a session of the
// tenant's own login, since a trigger can undo any SET ROLE of a superuser. Passwords never reach a server, only
// verifiers.
//
// # Databases that tenants share
//
// Share makes them. A role with the name of the database has CONNECT, and the tenants' owner roles are its
// members, so the database's access privileges don't grow with the number of tenants. search_path is set on the
// database, where a tenant can't change it for others, and where it needs no statement for each tenant. The schema
// of a tenant belongs to [database.PlatformOwner], not to the tenant. Which tenant a row belongs to follows from
// the name of the login, and only the operator creates logins: there is no table of logins that could differ from
// the roles, and nothing to write for a tenant.
//
// # What the administrator must be
//
// A superuser. Probe refuses any other role. The administrator of a managed service, a role with CREATEROLE and
// CREATEDB, lacks the following, as was tried on PostgreSQL 14 and 15:
//
//   - reading pg_authid, by which a password that somebody changed is noticed;
//   - REVOKE on the databases postgres and template1, which belong to another role: PostgreSQL only
//     warns, and tenants can go on connecting to them;
//   - CREATE on the maintenance database, for the registry;
//   - CREATE DATABASE for [database.PlatformOwner], until it is granted that role;
//   - ALTER SCHEMA public OWNER TO a tenant's role, until it is granted that role too; on
//     PostgreSQL 14 not even then, because there the schema belongs to the first superuser;
//   - ending other roles' sessions, and with that DROP DATABASE … WITH (FORCE), until it is granted
//     pg_signal_backend.
//
// # What stays open
//
// Databases that Tenantry did not create keep their privileges: if PUBLIC can connect to one, which is
// PostgreSQL's default, tenants can connect to it too. Revoke that on a server that other applications share. The
// suite of attacks in this package has what no shared server can prevent: tenants can list the names of databases
// and roles, and who is connected.
package postgres
