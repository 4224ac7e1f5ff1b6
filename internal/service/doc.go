// Package service decides what is the same for everything that tenants get from shared servers, whatever engine
// runs there; today that is PostgreSQL. It is pure: it neither talks to a server nor reads a clock, and it knows
// no query language and no protocol.
//
// It has a tenant's [Account] with its passwords and their [Rotation]; the choice of a server ([Choose]); the
// [Claim] to a name in a server's registry; the [Drift] that a server reports; the [Breaker] for a server that is
// down; and the errors that are the same for all engines. Package fleet remembers what is needed between
// reconciles: how to connect to servers, their occupancy, and what has drifted.
//
// # What an engine needs
//
// A pure package, as database is for PostgreSQL, which decides what a tenant gets on its server. It has:
//
//   - an [Engine], the words with which errors name what it gives;
//   - [Logins], which verify passwords with what the server stores of them. A tenant has two, with different
//     names: one is active, the other stands by or was just replaced. The server must accept sessions with both
//     of them at the same time;
//   - for the [Candidate], what a server lacks for a tenant;
//   - for the [Entries] of a claim, what a server has under a name;
//   - a plan: the actions that lead from what the server has to what the tenant wants.
//
// A package that talks to servers, as database/postgres does. It returns the errors of this package where they
// fit, keeps a Breaker for each server, has a registry with the UIDs of Tenants as its keys, and can:
//
//   - probe a server: whether it can be used, how many tenants it has, and up to [MaxDrifted] tenants that have
//     changed since they were accepted, each with a digest of everything that must not change unnoticed;
//   - accept those digests;
//   - observe what it has for one tenant, and execute a plan, each action of which can be repeated.
//
// And ledgers in package fleet: Logins with what it needs to connect to a server, Occupancy, Inspections.
package service
