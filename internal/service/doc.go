// Package service decides what every service has in common that tenants get from shared servers, whatever
// engine runs there: PostgreSQL today. It is pure: it neither talks to a server nor reads a clock, and it
// knows no query language and no protocol.
//
// It has a tenant's [Account] with its passwords and their [Rotation]; the choice of a server ([Choose]); the
// [Claim] of a name in a server's registry; the [Drift] that a server tells of; the [Breaker] for a server that
// is down; and the errors that mean the same for all engines. Package fleet remembers what there is to remember
// of each: how servers are reached, their occupancy, and what has drifted.
//
// # What an engine gives
//
// A pure package, as database is for PostgreSQL, which decides what a tenant gets on its server:
//
//   - an [Engine], the words by which errors name what it gives;
//   - [Logins], which say whether a password is the one of a login, by whatever the server stores of it. A tenant
//     has two of them, of different names: one is active, the other stands by or has just been replaced. The
//     server must take sessions by both of them at the same time;
//   - of each server what it lacks for a tenant, for the [Candidate];
//   - of each name what a server has of it, for the [Entries] of a claim;
//   - a plan: the actions that lead from what the server has to what the tenant wants.
//
// A package that talks to servers, as database/postgres does. It returns the errors of this package where they
// fit, keeps a Breaker for each server, has a registry that goes by the UID of the Tenant, and can:
//
//   - probe a server: whether it can be used, how many tenants it has, and up to [MaxDrifted] tenants that have
//     changed since they were accepted, each with a digest of all that must not change unnoticed;
//   - accept those digests;
//   - observe what it has for one tenant, and execute a plan, each action of which can be repeated.
//
// And in package fleet, ledgers of its own: Logins of what it needs to reach a server, Occupancy, Inspections.
package service
