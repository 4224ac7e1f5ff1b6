// Package postgres looks at PostgreSQL servers and carries out what package database plans. It is
// the only package that speaks SQL.
//
// # What the operator's sessions are
//
// Every session pins its settings by startup parameters, which win over what anybody set on a
// database or a role: above all search_path, without which whoever may create objects in a
// database could shadow a function or an operator and have it run with our rights. Inside a
// tenant's database a session only changes the schema public, and creates extensions in one that the
// tenant can't change; it never touches a tenant's tables. Where a tenant's rows are to be deleted from
// tables that tenants share, that is done in a session of the tenant's own login, since a trigger can
// undo any SET ROLE of a superuser. Passwords never reach a server, only verifiers computed here.
//
// # Databases that tenants share
//
// Share makes them: who may connect is a role of the database's name, of which the tenants' owner
// roles are members, so that its list of rights doesn't grow with them. Their search_path is set on
// the database, where a tenant can't change it for others, and which costs no statement a tenant. The
// schema of a tenant belongs to the platform's role, not to the tenant. Which tenant a row belongs to
// is part of the name of the login, which nobody but the operator makes: there is no table of logins
// that could differ from the roles, and nothing to be written for a tenant.
//
// # What the administrator must be
//
// A superuser. Probe refuses any other role, in a sentence. What a role with CREATEROLE and
// CREATEDB lacks, as the administrator of a managed service is, was tried on PostgreSQL 14 and 15:
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
// Databases that Tenantry did not make keep their privileges: where one lets PUBLIC connect, which
// is PostgreSQL's default, tenants may connect to it too. Revoke that on a server that other
// applications share. What can't be closed on any shared server is in the suite of attacks in this
// package: the names of databases and roles, and who is connected, can be listed.
package postgres
