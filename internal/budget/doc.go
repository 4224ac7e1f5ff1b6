// Package budget splits a tenant's quota over the ResourceQuotas of its namespaces. It is pure: from what the
// ResourceQuotas of a tenant say now, it decides what they should say next.
//
// The API server enforces the status.hard of a ResourceQuota, which the quota controller sets to spec.hard some
// moments after that has changed. Until then both count. A namespace's claim is therefore the greatest of
// spec.hard, status.hard and status.used, and a slice grows only into what the claims of the others leave: it
// waits until others have shrunk. So the sum never exceeds the budget, whatever crashes in between.
//
// That holds for one operator at a time. Two can work at once if the first was suspended and doesn't know yet that
// it is no longer the leader. The holder in each slice's Note keeps them apart: an operator lets a slice grow only
// if it holds all slices of the tenant, and taking over a slice is a write that makes the former holder's next
// write a conflict. After a change of leaders this costs nothing until the first slice has to grow.
//
// A request that is larger than what a slice has left is refused by the API server, and doesn't show in what is
// used. It counts as Wanted of the slice; Demand computes that from the API server's messages.
//
// A split stays as it is until a slice is short, so it costs no writes at rest. Whether a slice is short follows
// from what is used now and what was used when the slice was last written, so a restart loses nothing.
package budget
