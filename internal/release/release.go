// Package release decides which tenants of a class move to its current revision, and when. It is pure: it has no
// clients and no clock, and times are arguments.
//
// A Release is told of each tenant once and of each change of one. It keeps counters and ordered queues, so that a
// change costs the tenant that has changed, and a decision those that it assigns, however many there are.
package release

import (
	"container/heap"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// Settings say how a class is released.
type Settings struct {
	// MaxUnavailable is how many tenants may be on their way at a time, as a number or as a percentage of all, rounded
	// down. It is one at least.
	MaxUnavailable intstr.IntOrString
	// MaxFailures is how many tenants may fail before the release stops. Of canaries, none may.
	MaxFailures int
	// MinReady is how long a tenant must be Ready to count as moved.
	MinReady time.Duration
	// Deadline is how long a tenant may take to become Ready.
	Deadline time.Duration
	// Closed says that nobody may be assigned now: the release is paused, or no window is open.
	Closed bool
}

// Tenant is what is known of a tenant.
type Tenant struct {
	// Name is the name of the Tenant.
	Name string
	// Canary says that it goes first.
	Canary bool
	// Skipped says that it doesn't take part: it is pinned, cordoned, hibernated or being deleted.
	Skipped bool
	// Revision is the one that the tenant is at.
	Revision string
	// Ready says that it is Ready at that revision, and ReadyAt since when.
	Ready   bool
	ReadyAt time.Time
	// Stalled says that it needs somebody to change something.
	Stalled bool
}

// Decision is what to do now.
type Decision struct {
	// Assign are the tenants to move to the current revision, in this order. It takes effect with Assigned.
	Assign []string
	// Failing are the tenants that have failed, by name.
	Failing []string
	// Stopped says that so many have failed that no others are assigned.
	Stopped bool
	// Complete says that all tenants that take part have reached the revision.
	Complete bool
	// Wait is how long to wait for the next decision if no tenant changes; zero for as long as that takes.
	Wait time.Duration
}

// sort is which of a revision's queues a tenant is in. Those that are unready come first within the unproven
// revision that has made them so, and last within the proven one.
type sort struct{ canary, ready bool }

// draft is a queue of tenants.
type draft struct {
	waiting ordered
	count   int
}

// entry is a tenant with its place.
type entry struct {
	Tenant
	// version changes with the place, so that what is ordered by a former place is void.
	version int
	queue   *draft
	flight  *flight
}

// flight is a tenant on its way, which holds a slot.
type flight struct {
	assignedAt time.Time
	// late says that it was not Ready by its deadline, and failed that it counts as failed, for this or otherwise.
	late, failed bool
}

// Release is the release of a class. New makes one.
type Release struct {
	current, proven string
	tenants         map[string]*entry
	queues          map[string]map[sort]*draft
	flights         map[string]*entry
	failing         map[string]*entry
	due             deadlines
	settings        Settings
	// versions is how many versions tenants have had, those that are gone included.
	versions int

	// told are the tenants that were assigned without a slot, since they were not Ready before.
	told map[string]*entry

	taking, moved                     int
	canariesInFlight, canariesFailing int
}

// New returns a release without tenants. current is the revision to move to. proven is the newest that all have
// reached; empty if there is none.
func New(current, proven string) *Release {
	return &Release{
		current: current, proven: proven, tenants: map[string]*entry{}, queues: map[string]map[sort]*draft{},
		flights: map[string]*entry{}, failing: map[string]*entry{}, told: map[string]*entry{},
	}
}

// Begin ends the wave and begins the one to another revision. Those that are on their way are at the former revision
// from now on, and move first unless that is proven.
func (r *Release) Begin(current, proven string) {
	former := r.current
	r.current, r.proven = current, proven
	for _, tenant := range r.flights {
		r.land(tenant)
		r.turn(tenant, former)
	}
	for _, tenant := range r.told {
		delete(r.told, tenant.Name)
		r.turn(tenant, former)
	}
	r.moved = 0
	for _, queue := range r.queues[current] {
		r.moved += queue.count
	}
}

// turn puts a tenant that was on its way to a former revision into a queue again.
func (r *Release) turn(tenant *entry, former string) {
	if tenant.Revision != r.current {
		tenant.Revision = former
	}
	r.place(tenant)
}

// Prove notes that all tenants that take part have reached the current revision.
func (r *Release) Prove() { r.proven = r.current }

// Resume notes a tenant that was assigned before this process began.
func (r *Release) Resume(name string, assignedAt time.Time) {
	if tenant := r.tenants[name]; tenant != nil && !tenant.Skipped && tenant.flight == nil {
		r.leave(tenant)
		r.launch(tenant, assignedAt)
	}
}

// Assigned notes that tenants of a decision were assigned.
func (r *Release) Assigned(names []string, now time.Time) {
	for _, name := range names {
		tenant := r.tenants[name]
		if tenant == nil || tenant.Skipped || tenant.flight != nil {
			continue
		}
		r.leave(tenant)
		if !tenant.Ready && tenant.Revision == r.proven {
			r.told[name] = tenant
			continue
		}
		r.launch(tenant, now)
	}
}

func (r *Release) launch(tenant *entry, at time.Time) {
	tenant.flight = &flight{assignedAt: at}
	r.flights[tenant.Name] = tenant
	if tenant.Canary {
		r.canariesInFlight++
	}
	r.follow(tenant)
}

// land ends a tenant's flight.
func (r *Release) land(tenant *entry) {
	r.fail(tenant, false)
	delete(r.flights, tenant.Name)
	if tenant.Canary {
		r.canariesInFlight--
	}
	tenant.flight = nil
	r.renew(tenant)
}

// Update notes what is known of a tenant now.
func (r *Release) Update(tenant Tenant) {
	known := r.tenants[tenant.Name]
	if known == nil {
		known = &entry{}
		r.tenants[tenant.Name] = known
	} else {
		if known.flight != nil && !tenant.Skipped && tenant.Canary == known.Canary {
			known.Tenant = tenant
			r.follow(known)
			return
		}
		r.remove(known)
		if tenant.Skipped || tenant.Revision == r.current {
			delete(r.told, tenant.Name)
		}
	}
	known.Tenant = tenant
	if !tenant.Skipped {
		r.taking++
		r.place(known)
	}
}

// Remove forgets a tenant.
func (r *Release) Remove(name string) {
	if known := r.tenants[name]; known != nil {
		r.remove(known)
		delete(r.told, name)
		delete(r.tenants, name)
	}
}

// remove takes a tenant out of what counts and orders it.
func (r *Release) remove(tenant *entry) {
	if tenant.Skipped {
		return
	}
	r.taking--
	if tenant.flight != nil {
		r.land(tenant)
	}
	r.leave(tenant)
}

// place puts a tenant that is not on its way into the queue of its revision.
func (r *Release) place(tenant *entry) {
	if r.told[tenant.Name] != nil {
		return
	}
	queues := r.queues[tenant.Revision]
	if queues == nil {
		queues = map[sort]*draft{}
		r.queues[tenant.Revision] = queues
	}
	key := sort{tenant.Canary, tenant.Ready}
	if queues[key] == nil {
		queues[key] = &draft{}
	}
	tenant.queue = queues[key]
	r.renew(tenant)
	tenant.queue.count++
	tenant.queue.waiting = compact(tenant.queue.waiting, tenant.queue.count, func(t ticket) bool { return r.waits(t, tenant.queue) },
		func(left []ticket) { heap.Init((*ordered)(&left)) })
	heap.Push(&tenant.queue.waiting, ticket{tenant.Name, tenant.version})
	if tenant.Revision == r.current {
		r.moved++
	}
}

// leave takes a tenant out of its queue.
func (r *Release) leave(tenant *entry) {
	if tenant.queue == nil {
		return
	}
	tenant.queue.count--
	tenant.queue = nil
	r.renew(tenant)
	if tenant.Revision == r.current {
		r.moved--
	}
}

// follow sets when a tenant on its way has to be looked at again.
func (r *Release) follow(tenant *entry) {
	at := tenant.flight.assignedAt.Add(r.settings.Deadline)
	arrived := tenant.Revision == r.current && tenant.Ready
	if arrived {
		at = tenant.ReadyAt.Add(r.settings.MinReady)
		tenant.flight.late = false
	}
	r.renew(tenant)
	r.fail(tenant, !arrived && (tenant.flight.late || tenant.Stalled && tenant.Revision == r.current))
	r.due = compact(r.due, len(r.flights), func(d deadline) bool { return r.flies(d.ticket) },
		func(left []deadline) { heap.Init((*deadlines)(&left)) })
	heap.Push(&r.due, deadline{at, ticket{tenant.Name, tenant.version}})
}

// fail notes whether a tenant on its way has failed.
func (r *Release) fail(tenant *entry, failed bool) {
	if tenant.flight.failed == failed {
		return
	}
	tenant.flight.failed = failed
	change := 1
	if failed {
		r.failing[tenant.Name] = tenant
	} else {
		delete(r.failing, tenant.Name)
		change = -1
	}
	if tenant.Canary {
		r.canariesFailing += change
	}
}

// Decide returns what to do now. Other settings than before apply to those on their way, too.
func (r *Release) Decide(settings Settings, now time.Time) Decision {
	again := r.settings.Deadline != settings.Deadline || r.settings.MinReady != settings.MinReady
	r.settings = settings
	if again {
		for _, tenant := range r.flights {
			tenant.flight.late = false
			r.follow(tenant)
		}
	}
	r.settle(now)
	result := Decision{
		Stopped:  r.canariesFailing > 0 || len(r.failing) > settings.MaxFailures,
		Complete: r.moved == r.taking,
	}
	for name := range r.failing {
		result.Failing = append(result.Failing, name)
	}
	slices.Sort(result.Failing)
	if !settings.Closed && !result.Stopped {
		result.Assign = r.choose()
	}
	if len(r.due) > 0 {
		result.Wait = r.due[0].at.Sub(now)
	}
	return result
}

// settle looks at those that are due.
func (r *Release) settle(now time.Time) {
	for len(r.due) > 0 {
		next := r.due[0]
		tenant := r.tenants[next.name]
		valid := r.flies(next.ticket)
		if valid && next.at.After(now) {
			return
		}
		heap.Pop(&r.due)
		switch {
		case !valid:
		case tenant.Revision == r.current && tenant.Ready:
			r.land(tenant)
			r.place(tenant)
		default:
			tenant.flight.late = true
			r.fail(tenant, true)
		}
	}
}

// choose returns who is next.
func (r *Release) choose() []string {
	free := r.slots() - len(r.flights)
	chosen := r.draw(true, free)
	if len(chosen) > 0 || r.canariesInFlight > 0 || free <= 0 {
		return chosen
	}
	if chosen = r.draw(false, free); len(chosen) > 0 || r.proven == r.current {
		return chosen
	}
	for _, canary := range []bool{true, false} {
		chosen = r.take(chosen, r.queues[r.proven][sort{canary, false}], r.slots())
	}
	return chosen
}

// draw returns canaries, or others, that need a slot: first those at revisions that are not proven.
func (r *Release) draw(canary bool, free int) (chosen []string) {
	var unproven []string
	for revision := range r.queues {
		if revision != r.current && revision != r.proven {
			unproven = append(unproven, revision)
		}
	}
	slices.Sort(unproven)
	for _, revision := range unproven {
		chosen = r.take(chosen, r.queues[revision][sort{canary, false}], free)
		chosen = r.take(chosen, r.queues[revision][sort{canary, true}], free)
	}
	if r.proven != r.current {
		chosen = r.take(chosen, r.queues[r.proven][sort{canary, true}], free)
	}
	return chosen
}

// take adds the first of a queue to those that are chosen, up to a number of all. They stay in the queue.
func (r *Release) take(chosen []string, queue *draft, limit int) []string {
	if queue == nil || queue.count == 0 {
		return chosen
	}
	var drawn []ticket
	for len(chosen) < limit && len(queue.waiting) > 0 {
		next := heap.Pop(&queue.waiting).(ticket)
		if !r.waits(next, queue) {
			continue
		}
		drawn = append(drawn, next)
		chosen = append(chosen, next.name)
	}
	for _, ticket := range drawn {
		heap.Push(&queue.waiting, ticket)
	}
	return chosen
}

// renew voids what is ordered by a tenant's former place.
func (r *Release) renew(tenant *entry) {
	r.versions++
	tenant.version = r.versions
}

// waits and flies report whether a ticket for a queue, or for a deadline, is valid.
func (r *Release) waits(t ticket, queue *draft) bool {
	tenant := r.tenants[t.name]
	return tenant != nil && tenant.queue == queue && tenant.version == t.version
}

func (r *Release) flies(t ticket) bool {
	tenant := r.tenants[t.name]
	return tenant != nil && tenant.flight != nil && tenant.version == t.version
}

// slots returns how many tenants may be on their way.
func (r *Release) slots() int {
	limit, err := intstr.GetScaledValueFromIntOrPercent(&r.settings.MaxUnavailable, r.taking, false)
	if err != nil {
		return 1
	}
	return max(1, limit)
}
