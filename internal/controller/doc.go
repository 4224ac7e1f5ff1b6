// Package controller holds the controllers: one for Tenants, one for DatabaseServers. They alone
// sequence input and output; what to do is decided by the pure packages desired, database and
// status.
//
// A reconcile of a Tenant reads from top to bottom: load the inputs, put the parts in place one
// after the other, observe what came of it, write one status.
package controller
