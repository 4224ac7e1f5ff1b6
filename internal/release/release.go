// Package release decides which tenants of a class move to its current revision, and when. It is pure: it has no
// clients and no clock, and times are arguments.
//
// A Release is told of each tenant once and of each change of one. It keeps counters and ordered queues, so that a
// change costs the tenant that has changed, and a decision those that it assigns, however many there are.
package release

import (
	"container/heap"
	"maps"
	"slices"
	"strings"
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
	// Deadline is how long a tenant may take to become Ready, or to become so again.
	Deadline time.Duration
	// Most is how many tenants may be on their way at a time, whatever MaxUnavailable says; zero for any number.
	Most int
	// Paused says that nobody may be assigned now.
	Paused bool
	// Closed says that no window is open: nobody may be assigned but who holds a slot already, or has been made
	// unavailable by an earlier revision.
	Closed bool
}

// Tenant is what is known of a tenant.
type Tenant struct {
	// Name is the name of the Tenant.
	Name string
	// Canary says that it goes first.
	Canary bool
	// Skipped says that it doesn't take part: it is pinned, cordoned, asleep or being deleted.
	Skipped bool
	// Asleep says that it will take part when it is awake.
	Asleep bool
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
	// Complete says that all tenants that take part have reached the revision. While all sleep, none has tried it.
	Complete bool
	// Wait is how long to wait for the next decision if no tenant changes; zero for as long as that takes.
	Wait time.Duration
}

// sort is which of a revision's queues a tenant is in.
type sort struct {
	canary bool
	state  state
}

// state is what a move does to a tenant.
type state int

const (
	// ready tenants may be made unavailable, and need a slot.
	ready state = iota
	// unready tenants are unavailable. At the proven revision they go last and need no slot. At others, the release
	// has made them so: they hold a slot, and go first.
	unready
	// exempt tenants were unready when an earlier revision came, and have not been Ready since.
	exempt
)

// draft is a queue of tenants.
type draft struct {
	waiting ordered
	count   int
}

func (d *draft) size() int {
	if d == nil {
		return 0
	}
	return d.count
}

// entry is a tenant with its place.
type entry struct {
	Tenant
	// version changes with the place, so that what is ordered by a former place is void.
	version int
	queue   *draft
	flight  *flight
	// exempt says that it was assigned without a slot, and has not been Ready since.
	exempt bool
}

// Flight is a tenant on its way.
type Flight struct {
	// Name is the name of the Tenant, and Revision the one that it was assigned.
	Name, Revision string
	// AssignedAt is when that was.
	AssignedAt time.Time
	// Exempt says that it was not Ready beforehand, and holds no slot.
	Exempt bool
}

// flight is a tenant on its way, which holds a slot.
type flight struct {
	revision   string
	assignedAt time.Time
	// from is when its deadline began: when it was assigned, or when it was last seen to be Ready no more.
	from time.Time
	// arrived says that it was Ready at the revision when it was last looked at.
	arrived bool
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

	// told are the tenants that were assigned without a slot, since they were not Ready before, and when.
	told map[string]time.Time
	// stranded are the tenants on their way to a former revision. They keep their slots.
	stranded map[string]*entry
	// lost are those that were Ready at the revision and are no more, since the last decision.
	lost []*entry

	taking, moved, asleep             int
	canariesInFlight, canariesFailing int
}

// New returns a release without tenants. current is the revision to move to. proven is the newest that all have
// reached; empty if there is none.
func New(current, proven string) *Release {
	return &Release{
		current: current, proven: proven, tenants: map[string]*entry{}, queues: map[string]map[sort]*draft{},
		flights: map[string]*entry{}, failing: map[string]*entry{}, told: map[string]time.Time{}, stranded: map[string]*entry{},
	}
}

// Begin ends the wave and begins the one to another revision. Those that are on their way keep their slots, and move
// first.
func (r *Release) Begin(current, proven string) {
	r.current, r.proven = current, proven
	for _, tenant := range r.flights {
		tenant.flight.late = false
		r.follow(tenant)
	}
	for name := range r.told {
		delete(r.told, name)
		r.place(r.tenants[name])
	}
	maps.DeleteFunc(r.queues, func(_ string, queues map[sort]*draft) bool {
		for _, queue := range queues {
			if queue.count > 0 {
				return false
			}
		}
		return true
	})
	r.moved = 0
	for _, queue := range r.queues[current] {
		r.moved += queue.count
	}
}

// Prove notes that all tenants that take part have reached the current revision.
func (r *Release) Prove() { r.proven = r.current }

// Resume notes a tenant that was assigned before this process began.
func (r *Release) Resume(flight Flight) {
	tenant := r.tenants[flight.Name]
	if tenant == nil || tenant.Skipped || tenant.flight != nil {
		return
	}
	r.leave(tenant)
	switch {
	case !flight.Exempt:
		r.launch(tenant, flight.Revision, flight.AssignedAt)
	case flight.Revision == r.current && tenant.Revision != r.current:
		tenant.exempt = true
		r.told[flight.Name] = flight.AssignedAt
	default:
		tenant.exempt = !tenant.Ready
		r.place(tenant)
	}
}

// Assigned notes that tenants of a decision were assigned.
func (r *Release) Assigned(names []string, now time.Time) {
	for _, name := range names {
		tenant := r.tenants[name]
		if tenant == nil || tenant.Skipped {
			continue
		}
		if tenant.flight != nil {
			if tenant.flight.revision != r.current {
				r.land(tenant)
				r.launch(tenant, r.current, now)
			}
			continue
		}
		excused := r.excused(tenant)
		r.leave(tenant)
		if excused {
			tenant.exempt = true
			r.told[name] = now
			continue
		}
		r.launch(tenant, r.current, now)
	}
}

// excused reports whether a tenant was not Ready beforehand.
func (r *Release) excused(tenant *entry) bool {
	return !tenant.Ready && (tenant.exempt || tenant.Revision == r.proven)
}

// InFlight returns the tenants that are on their way once a decision takes effect, by name.
func (r *Release) InFlight(assign []string, now time.Time) []Flight {
	var flights []Flight
	again := make(map[string]bool, len(assign))
	for _, name := range assign {
		tenant := r.tenants[name]
		again[name] = true
		flights = append(flights, Flight{name, r.current, now, tenant.flight == nil && r.excused(tenant)})
	}
	for name, tenant := range r.flights {
		if !again[name] {
			flights = append(flights, Flight{name, tenant.flight.revision, tenant.flight.assignedAt, false})
		}
	}
	for name, at := range r.told {
		flights = append(flights, Flight{name, r.current, at, true})
	}
	slices.SortFunc(flights, func(a, b Flight) int { return strings.Compare(a.Name, b.Name) })
	return flights
}

func (r *Release) launch(tenant *entry, revision string, at time.Time) {
	tenant.flight = &flight{revision: revision, assignedAt: at, from: at}
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
	delete(r.stranded, tenant.Name)
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
		if known.flight != nil && !tenant.Skipped {
			r.watch(known, tenant)
			return
		}
		r.remove(known)
		if tenant.Skipped || tenant.Revision == r.current {
			delete(r.told, tenant.Name)
		}
	}
	known.Tenant = tenant
	known.exempt = known.exempt && !tenant.Ready && !tenant.Skipped
	switch {
	case !tenant.Skipped:
		r.taking++
		r.place(known)
	case tenant.Asleep:
		r.asleep++
	}
}

// watch notes what is known of a tenant on its way.
func (r *Release) watch(known *entry, tenant Tenant) {
	if known.Canary != tenant.Canary {
		r.fail(known, false)
		r.canariesInFlight += map[bool]int{true: 1, false: -1}[tenant.Canary]
	}
	known.Tenant = tenant
	r.follow(known)
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
		if tenant.Asleep {
			r.asleep--
		}
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
	if _, told := r.told[tenant.Name]; told {
		return
	}
	queues := r.queues[tenant.Revision]
	if queues == nil {
		queues = map[sort]*draft{}
		r.queues[tenant.Revision] = queues
	}
	key := sort{tenant.Canary, tenant.state()}
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

func (e *entry) state() state {
	switch {
	case e.Ready:
		return ready
	case e.exempt:
		return exempt
	default:
		return unready
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

// follow sets when a tenant on its way has to be looked at again. One on its way to a former revision is not, but is
// assigned anew.
func (r *Release) follow(tenant *entry) {
	r.renew(tenant)
	if tenant.flight.revision != r.current {
		r.fail(tenant, false)
		r.stranded[tenant.Name] = tenant
		return
	}
	delete(r.stranded, tenant.Name)
	at := tenant.flight.from.Add(r.settings.Deadline)
	arrived := tenant.Revision == r.current && tenant.Ready
	if tenant.flight.arrived && !arrived {
		r.lost = append(r.lost, tenant)
	}
	tenant.flight.arrived = arrived
	if arrived {
		at = tenant.ReadyAt.Add(r.settings.MinReady)
		tenant.flight.late = false
	}
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
	r.adopt(settings)
	for _, tenant := range r.lost {
		if tenant.flight != nil && !tenant.flight.arrived {
			tenant.flight.from = now
			r.follow(tenant)
		}
	}
	r.lost = nil
	r.settle(now)
	result := Decision{
		Stopped:  r.canariesFailing > 0 || len(r.failing) > settings.MaxFailures,
		Complete: r.isComplete(),
	}
	for name := range r.failing {
		result.Failing = append(result.Failing, name)
	}
	slices.Sort(result.Failing)
	if !settings.Paused && !result.Stopped {
		result.Assign = r.choose()
	}
	if len(r.due) > 0 {
		result.Wait = r.due[0].at.Sub(now)
	}
	return result
}

// adopt takes settings, and follows those on their way anew if their times have changed.
func (r *Release) adopt(settings Settings) {
	again := r.settings.Deadline != settings.Deadline || r.settings.MinReady != settings.MinReady
	r.settings = settings
	if !again {
		return
	}
	for _, tenant := range r.flights {
		tenant.flight.late = false
		r.follow(tenant)
	}
}

// isComplete reports whether all that take part have reached the revision, and somebody has tried it.
func (r *Release) isComplete() bool { return r.moved == r.taking && (r.taking > 0 || r.asleep == 0) }

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

// Flies reports whether a tenant is on its way, to the current revision or a former one.
func (r *Release) Flies(name string) bool {
	tenant := r.tenants[name]
	return tenant != nil && tenant.flight != nil
}
