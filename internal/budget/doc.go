// Package budget splits a tenant's quota over the ResourceQuotas of its namespaces. It is pure: it
// sees what the ResourceQuotas of one tenant say, and says what they should say next.
//
// What the API server enforces in a namespace is the status.hard of its ResourceQuota, which the
// quota controller sets to spec.hard some moments after that has changed; until then both count. A
// namespace's claim is therefore the greatest of spec.hard, status.hard and status.used, and a slice
// grows only into what the claims of the others leave: others shrink first, and grow is what waits.
// The sum thus never exceeds the budget, whoever crashes in between.
//
// That holds for one operator at a time. Two that work at once, because the first was halted and
// doesn't know yet that it no longer leads, are kept apart by the holder in each slice's Note: a
// slice grows only when all slices of the tenant are held by the one who lets it grow, and taking
// over a slice is a write that makes the former holder's next one a conflict. It costs nothing until
// the first slice has to grow after a change of leaders.
//
// A request that is larger than what a slice has left is refused by the API server, and shows in nobody's
// use. What was refused is Wanted of a slice, and Demand says from the API server's words how much that is.
//
// A split stays as it is until somebody is short: it costs no write at rest. Who is short is told by
// how much is used now and how much was when the slice was last written, so nothing is lost by a
// restart.
package budget
