package release_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/internal/release"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// settings let one tenant move at a time.
var settings = release.Settings{MaxUnavailable: intstr.FromInt32(1), MinReady: time.Minute, Deadline: 10 * time.Minute}

func at(name, revision string) release.Tenant {
	return release.Tenant{Name: name, Revision: revision, Ready: true, ReadyAt: noon.Add(-time.Hour)}
}

func fleetOf(tenants ...release.Tenant) *release.Release {
	r := release.New("new", "old")
	for _, tenant := range tenants {
		r.Update(tenant)
	}
	return r
}

func expect(t *testing.T, r *release.Release, s release.Settings, now time.Time, want release.Decision) {
	t.Helper()
	if got := r.Decide(s, now); !reflect.DeepEqual(got, want) {
		t.Fatalf("at %s it is decided %+v, want %+v", now.Sub(noon), got, want)
	}
}

func TestARelease(t *testing.T) {
	canary := at("zulu", "old")
	canary.Canary = true
	unready := at("aaa", "old")
	unready.Ready = false
	pinned := at("abc", "old")
	pinned.Skipped = true
	r := fleetOf(at("globex", "old"), at("acme", "old"), canary, unready, pinned)

	expect(t, r, settings, noon, release.Decision{Assign: []string{"zulu"}})
	r.Assigned([]string{"zulu"}, noon)
	expect(t, r, settings, noon, release.Decision{Wait: 10 * time.Minute})
	canary.Revision, canary.ReadyAt = "new", noon.Add(time.Second)
	r.Update(canary)
	expect(t, r, settings, noon.Add(time.Second), release.Decision{Wait: time.Minute})

	// The others wait until the canary has been Ready for long enough.
	now := noon.Add(61 * time.Second)
	expect(t, r, settings, now, release.Decision{Assign: []string{"acme"}})
	closed, paused := settings, settings
	closed.Closed, paused.Paused = true, true
	expect(t, r, closed, now, release.Decision{})
	expect(t, r, paused, now, release.Decision{})
	r.Assigned([]string{"acme"}, now)
	expect(t, r, settings, now.Add(9*time.Minute), release.Decision{Wait: time.Minute})

	// It stops by itself, and goes on once the tenant works.
	expect(t, r, settings, now.Add(10*time.Minute), release.Decision{Failing: []string{"acme"}, Stopped: true})
	wider := settings
	wider.MaxUnavailable, wider.MaxFailures = intstr.FromString("50%"), 1
	expect(t, r, wider, now.Add(10*time.Minute), release.Decision{Failing: []string{"acme"}, Assign: []string{"globex"}})
	acme := at("acme", "new")
	acme.ReadyAt = now.Add(11 * time.Minute)
	r.Update(acme)
	now = now.Add(12 * time.Minute)
	expect(t, r, settings, now, release.Decision{Assign: []string{"globex"}})
	r.Assigned([]string{"globex"}, now)
	globex := at("globex", "new")
	globex.ReadyAt = now
	r.Update(globex)

	// Who was not Ready beforehand goes last, without a slot.
	now = now.Add(time.Minute)
	expect(t, r, settings, now, release.Decision{Assign: []string{"aaa"}})
	r.Assigned([]string{"aaa"}, now)
	expect(t, r, settings, now.Add(time.Hour), release.Decision{})
	unready.Revision = "new"
	r.Update(unready)
	expect(t, r, settings, now, release.Decision{Complete: true})
}

func TestATenantThatIsReadyNoMoreHasItsDeadlineAgain(t *testing.T) {
	r := fleetOf(at("acme", "old"), at("globex", "old"))
	r.Decide(settings, noon)
	r.Assigned([]string{"acme"}, noon)
	acme, long := at("acme", "new"), settings
	acme.ReadyAt, long.MinReady = noon, time.Hour
	r.Update(acme)
	expect(t, r, long, noon, release.Decision{Wait: time.Hour})
	acme.Ready = false
	r.Update(acme)
	expect(t, r, long, noon.Add(30*time.Minute), release.Decision{Wait: 10 * time.Minute})
	acme.Ready = true
	r.Update(acme) // It was scaled.
	expect(t, r, long, noon.Add(31*time.Minute), release.Decision{Wait: 29 * time.Minute})
	acme.Ready = false
	r.Update(acme)
	expect(t, r, long, noon.Add(32*time.Minute), release.Decision{Wait: 10 * time.Minute})
	expect(t, r, long, noon.Add(42*time.Minute), release.Decision{Failing: []string{"acme"}, Stopped: true})
}

func TestTheNextRevisionMovesThoseOnTheUnprovenOneFirst(t *testing.T) {
	r := fleetOf(at("acme", "old"), at("globex", "old"), at("initech", "old"))
	expect(t, r, settings, noon, release.Decision{Assign: []string{"acme"}})
	r.Assigned([]string{"acme"}, noon)
	broken := at("acme", "new")
	broken.Ready, broken.Stalled = false, true
	r.Update(broken)
	expect(t, r, settings, noon, release.Decision{Failing: []string{"acme"}, Stopped: true, Wait: 10 * time.Minute})

	// The old content is a revision that is known, and those that are at it need nothing.
	r.Begin("old", "old")
	expect(t, r, settings, noon, release.Decision{Assign: []string{"acme"}})
	r.Assigned([]string{"acme"}, noon)
	r.Update(at("acme", "old"))
	expect(t, r, settings, noon, release.Decision{Complete: true})
}

func TestThoseThatSleepHoldNoSlotAndProveNothing(t *testing.T) {
	acme, globex := at("acme", "old"), at("globex", "old")
	r := fleetOf(acme, globex)
	expect(t, r, settings, noon, release.Decision{Assign: []string{"acme"}})
	r.Assigned([]string{"acme"}, noon)
	acme.Skipped, acme.Asleep = true, true
	r.Update(acme)
	expect(t, r, settings, noon, release.Decision{Assign: []string{"globex"}})
	globex.Skipped, globex.Asleep = true, true
	r.Update(globex)
	expect(t, r, settings, noon, release.Decision{})
	r.Update(globex) // Something else of it has changed.
	r.Remove("acme")
	expect(t, r, settings, noon, release.Decision{})

	// It wakes, and is the only one left to try the revision.
	r.Update(at("globex", "old"))
	expect(t, r, settings, noon, release.Decision{Assign: []string{"globex"}})
	r.Assigned([]string{"globex"}, noon)
	r.Update(at("globex", "new"))
	expect(t, r, settings, noon, release.Decision{Complete: true})
}

func TestAPercentageOfFewIsOne(t *testing.T) {
	tenth := settings
	tenth.MaxUnavailable = intstr.FromString("10%")
	expect(t, fleetOf(at("a", "old"), at("b", "old")), tenth, noon, release.Decision{Assign: []string{"a"}})
	expect(t, fleetOf(), tenth, noon, release.Decision{Complete: true})
}

// flown is a tenant on its way.
type flown struct {
	revision      string
	at            time.Time
	arrived, lost bool
}

// model decides by walking over all tenants.
type model struct {
	current, proven string
	tenants         map[string]release.Tenant
	flights         map[string]flown
	late            map[string]bool
	told            map[string]bool
	exempt          map[string]bool
}

func (m *model) slots(s release.Settings) int {
	taking := 0
	for _, tenant := range m.tenants {
		if !tenant.Skipped {
			taking++
		}
	}
	limit, _ := intstr.GetScaledValueFromIntOrPercent(&s.MaxUnavailable, taking, false)
	return max(1, limit)
}

func (m *model) settle(s release.Settings, now time.Time) {
	for name, flight := range m.flights {
		if flight.revision != m.current {
			continue
		}
		tenant := m.tenants[name]
		arrived := tenant.Revision == m.current && tenant.Ready
		if arrived {
			m.late[name] = false
		}
		if flight.lost && !arrived {
			flight.at = now
		}
		flight.lost = false
		m.flights[name] = flight
		switch {
		case arrived && !tenant.ReadyAt.Add(s.MinReady).After(now):
			delete(m.flights, name)
		case !arrived && !flight.at.Add(s.Deadline).After(now):
			m.late[name] = true
		}
	}
}

func (m *model) decide(s release.Settings, now time.Time) (assign, failing []string, stopped, complete bool) {
	m.settle(s, now)
	complete, canaryFailed, canaryHolds := true, false, false
	queues := map[int][]string{}
	for _, name := range slices.Sorted(maps.Keys(m.tenants)) {
		tenant := m.tenants[name]
		flight, flies := m.flights[name]
		moved := tenant.Revision == m.current
		complete = complete && (tenant.Skipped || !flies && !m.told[name] && moved)
		switch {
		case flies && flight.revision != m.current:
			canaryHolds = canaryHolds || tenant.Canary
			queues[0] = append(queues[0], name)
		case flies:
			canaryHolds = canaryHolds || tenant.Canary
			if (!moved || !tenant.Ready) && (m.late[name] || moved && tenant.Stalled) {
				failing = append(failing, name)
				canaryFailed = canaryFailed || tenant.Canary
			}
		case !tenant.Skipped && !m.told[name] && !moved:
			rank := m.rank(tenant)
			canaryHolds = canaryHolds || tenant.Canary && rank < 20
			queues[rank] = append(queues[rank], name)
		}
	}
	stopped = canaryFailed || len(failing) > s.MaxFailures
	if s.Paused || stopped {
		return nil, failing, stopped, complete
	}
	return m.next(queues, s, canaryHolds), failing, stopped, complete
}

// revisions are those of the fleets that are played.
var revisions = []string{"r0", "r1", "r2", "r3"}

// begin begins the wave to another revision.
func (m *model) begin(current, proven string) {
	m.current, m.proven = current, proven
	clear(m.told)
	clear(m.late)
	for name := range m.flights {
		m.note(name, m.tenants[name].Revision == current && m.tenants[name].Ready)
	}
}

// rank orders those that hold a slot, by canary and revision; canaries; others; those that were not Ready beforehand.
func (m *model) rank(tenant release.Tenant) int {
	canary, revision := map[bool]int{true: 0, false: 1}[tenant.Canary], slices.Index(revisions, tenant.Revision)
	proven := tenant.Revision == m.proven
	switch {
	case tenant.Ready && proven:
		return 20 + 10*canary + 9
	case tenant.Ready:
		return 20 + 10*canary + revision
	case proven && m.exempt[tenant.Name]:
		return 40 + 10*canary + 8
	case proven:
		return 40 + 10*canary + 9
	case m.exempt[tenant.Name]:
		return 40 + 10*canary + revision
	default:
		return 10*canary + revision + 1
	}
}

func (m *model) next(queues map[int][]string, s release.Settings, canaryHolds bool) (assign []string) {
	assign = queues[0]
	free := m.slots(s) - len(m.flights)
	add := func(from, to, limit int) {
		for rank := from; rank < to; rank++ {
			assign = append(assign, queues[rank][:min(len(queues[rank]), max(0, limit-len(assign)))]...)
		}
	}
	add(1, 20, len(assign)+free)
	if s.Closed {
		return assign
	}
	for rank := 1; rank < 20; rank++ {
		free -= len(queues[rank])
	}
	for _, from := range []int{20, 30} {
		before := len(assign)
		add(from, from+10, before+free)
		if free <= 0 || canaryHolds || len(assign) > before {
			return assign
		}
	}
	if len(assign) == 0 {
		add(40, 60, m.slots(s))
	}
	return assign
}

// TestDecisionsAreThoseOfAWalkOverAllTenants plays random fleets, and compares each decision with one that was made by
// walking over all.
func TestDecisionsAreThoseOfAWalkOverAllTenants(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { play(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func play(t *testing.T, random *rand.Rand) {
	t.Helper()
	m := &model{
		current: "r2", proven: "r0", tenants: map[string]release.Tenant{}, flights: map[string]flown{},
		late: map[string]bool{}, told: map[string]bool{}, exempt: map[string]bool{},
	}
	r, now, s := release.New(m.current, m.proven), noon, settings
	s.MaxFailures = random.IntN(3)
	s.MaxUnavailable = []intstr.IntOrString{intstr.FromInt32(1), intstr.FromInt32(3), intstr.FromString("40%")}[random.IntN(3)]
	for range 300 {
		name := fmt.Sprintf("t%02d", random.IntN(20))
		switch random.IntN(12) {
		case 0:
			r.Remove(name)
			m.remove(name)
		case 3:
			if current := revisions[random.IntN(len(revisions))]; random.IntN(5) == 0 {
				r.Begin(current, m.proven)
				m.begin(current, m.proven)
			}
		case 1:
			s.Closed, s.Paused = random.IntN(3) == 0, random.IntN(4) == 0
		case 2:
			now = now.Add(time.Duration(random.IntN(400)) * time.Second)
		default:
			tenant := m.changed(name, random, now)
			r.Update(tenant)
			m.update(tenant)
		}
		got := r.Decide(s, now)
		assign, failing, stopped, complete := m.decide(s, now)
		if !slices.Equal(got.Assign, assign) || !slices.Equal(got.Failing, failing) || got.Stopped != stopped || got.Complete != complete {
			t.Fatalf("it is decided %+v, want %v, %v, %t, %t", got, assign, failing, stopped, complete)
		}
		m.check(t, got.Assign, s)
		if random.IntN(3) > 0 { // The write of the status may fail, or be conflicted with.
			r.Assigned(got.Assign, now)
			m.assigned(got.Assign, now)
		}
	}
}

// check checks what must hold for any decision.
func (m *model) check(t *testing.T, assign []string, s release.Settings) {
	t.Helper()
	slotted := 0
	for _, name := range assign {
		tenant := m.tenants[name]
		flight, flies := m.flights[name]
		if tenant.Skipped || !flies && tenant.Revision == m.current || flies && flight.revision == m.current {
			t.Fatalf("%s is assigned, which is %+v", name, tenant)
		}
		if !flies && (tenant.Ready || tenant.Revision != m.proven && !m.exempt[name]) {
			slotted++
		}
	}
	if slotted > 0 && len(m.flights)+slotted > m.slots(s) {
		t.Fatalf("%d are on their way and %d more are to be, of %d", len(m.flights), slotted, m.slots(s))
	}
}

func (m *model) changed(name string, random *rand.Rand, now time.Time) release.Tenant {
	tenant, known := m.tenants[name]
	if !known {
		tenant = release.Tenant{Name: name, Canary: random.IntN(5) == 0, Revision: fmt.Sprintf("r%d", random.IntN(2))}
	}
	if _, flies := m.flights[name]; (flies || m.told[name]) && random.IntN(2) == 0 {
		tenant.Revision = m.current
	}
	tenant.Skipped, tenant.Stalled = random.IntN(10) == 0, false
	if ready := random.IntN(4) > 0; ready != tenant.Ready {
		tenant.Ready, tenant.ReadyAt = ready, now
	}
	tenant.Stalled = !tenant.Ready && random.IntN(3) == 0
	return tenant
}

func (m *model) update(tenant release.Tenant) {
	m.tenants[tenant.Name] = tenant
	if tenant.Skipped {
		delete(m.flights, tenant.Name)
	}
	if tenant.Skipped || tenant.Ready {
		delete(m.exempt, tenant.Name)
	}
	arrived := tenant.Revision == m.current && tenant.Ready
	if arrived {
		m.late[tenant.Name] = false
	}
	m.note(tenant.Name, arrived)
	if tenant.Skipped || tenant.Revision == m.current {
		delete(m.told, tenant.Name)
	}
}

// note notes whether a tenant on its way is Ready at the current revision.
func (m *model) note(name string, arrived bool) {
	if flight, flies := m.flights[name]; flies && flight.revision == m.current {
		flight.lost = flight.lost || flight.arrived && !arrived
		flight.arrived = arrived
		m.flights[name] = flight
	}
}

func (m *model) remove(name string) {
	delete(m.tenants, name)
	delete(m.flights, name)
	delete(m.told, name)
	delete(m.exempt, name)
}

func (m *model) assigned(names []string, now time.Time) {
	for _, name := range names {
		tenant := m.tenants[name]
		if _, flies := m.flights[name]; !flies && !tenant.Ready && (tenant.Revision == m.proven || m.exempt[name]) {
			m.told[name], m.exempt[name] = true, true
		} else {
			m.flights[name], m.late[name] = flown{revision: m.current, at: now}, false
			m.note(name, tenant.Revision == m.current && tenant.Ready)
		}
	}
}

// BenchmarkDecide decides over 100,000 tenants after one has changed.
func BenchmarkDecide(b *testing.B) {
	const tenants = 100_000
	for _, unavailable := range []string{"1%", "10%"} {
		b.Run(unavailable, func(b *testing.B) {
			r := release.New("new", "old")
			for i := range tenants {
				r.Update(at(fmt.Sprintf("tenant-%06d", i), "old"))
			}
			s := settings
			s.MaxUnavailable = intstr.FromString(unavailable)
			r.Assigned(r.Decide(s, noon).Assign, noon)
			now := noon
			for i := 0; b.Loop(); i = (i + 1) % tenants {
				now = now.Add(time.Second)
				tenant := at(fmt.Sprintf("tenant-%06d", i), "new")
				tenant.ReadyAt = now.Add(-time.Hour)
				r.Update(tenant)
				r.Assigned(r.Decide(s, now).Assign, now)
			}
		})
	}
	b.Run("all are to be decided on", func(b *testing.B) {
		r := release.New("new", "old")
		for i := range tenants {
			r.Update(at(fmt.Sprintf("tenant-%06d", i), "old"))
		}
		s := settings
		s.MaxUnavailable = intstr.FromString("10%")
		for b.Loop() {
			r.Decide(s, noon)
		}
	})
}
