package fleet

import (
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/release"
)

// ReleaseMember is a tenant as the release of its class knows it.
type ReleaseMember struct {
	// Name is the name of the Tenant, and Generation that of its spec.
	Name       string
	Generation int64
	// Labels are its labels.
	Labels map[string]string
	// At is the TenantClassRevision in its status; empty if it has none of its class yet.
	At string
	// Current says that it is Ready for its present generation, and ReadyAt since when it is Ready at its revision.
	Current bool
	ReadyAt time.Time
	// Skipped says that it takes no part, Asleep that it takes none until it is awake, and Stalled that somebody has to
	// change something.
	Skipped, Asleep, Stalled bool
	// State says how it is, in a sentence.
	State string
}

// course is the release of a class, of which each tenant is told. A nil course takes no notice.
type course struct {
	release  *release.Release
	canaries labels.Selector
	current  string
	seats    map[types.UID]*seat
	names    map[string]types.UID
	// unknown are the tenants of which it isn't known whether the current revision changes something for them.
	unknown map[types.UID]bool
	updated int32
}

// seat is a tenant in a course.
type seat struct {
	ReleaseMember
	uid   types.UID
	ready bool
	// compared is what the tenant was like when it was found out whether the current revision changes something for
	// it, and affected what was found.
	compared comparison
	affected bool
	updated  bool
}

type comparison struct {
	generation int64
	from, to   string
}

// at returns the revision that a tenant counts as being at: the current one, too, if that changes nothing for it.
func (c *course) at(s *seat) string {
	if s.compared == c.comparing(s) && !s.affected {
		return c.current
	}
	return s.At
}

func (c *course) comparing(s *seat) comparison {
	return comparison{generation: s.Generation, from: s.At, to: c.current}
}

func (c *course) put(uid types.UID, member ClassMember) {
	if c == nil {
		return
	}
	if former := c.names[member.Name]; former != uid {
		c.drop(former)
	}
	known := c.seats[uid]
	if known == nil {
		known = &seat{uid: uid}
		c.seats[uid] = known
		c.names[member.Name] = uid
	}
	known.ReleaseMember, known.ready = member.ReleaseMember, member.Ready
	c.tell(known)
}

// tell tells the release of a tenant.
func (c *course) tell(s *seat) {
	at := c.at(s)
	if updated := at == c.current; updated != s.updated {
		s.updated = updated
		c.updated += map[bool]int32{true: 1, false: -1}[updated]
	}
	if !s.Skipped && !s.Asleep && s.At != "" && s.At != c.current && s.compared != c.comparing(s) {
		c.unknown[s.uid] = true
	} else {
		delete(c.unknown, s.uid)
	}
	c.release.Update(release.Tenant{
		Name: s.Name, Canary: c.canaries.Matches(labels.Set(s.Labels)), Revision: at,
		Skipped: s.Skipped || s.Asleep || s.At == "", Asleep: s.Asleep && !s.Skipped, Ready: s.ready && (at != c.current || s.Current), ReadyAt: s.ReadyAt, Stalled: s.Stalled,
	})
}

func (c *course) drop(uid types.UID) {
	if c == nil || c.seats[uid] == nil {
		return
	}
	known := c.seats[uid]
	c.release.Remove(known.Name)
	if known.updated {
		c.updated--
	}
	delete(c.names, known.Name)
	delete(c.seats, uid)
	delete(c.unknown, uid)
}

// Target is where a release goes.
type Target struct {
	// Canaries selects the tenants that go first.
	Canaries labels.Selector
	// Current is the current revision, and Stable the one that all have reached.
	Current, Stable string
	// InFlight are the tenants that the status of the class says are on their way. It counts for a class that has not
	// been released by this process.
	InFlight []release.Flight
}

// Steer has the release of a class go to a target.
func (c *Classes) Steer(class string, target Target) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known := c.courses[class]
	switch {
	case known == nil:
		c.begin(class, target)
		return
	case known.current != target.Current:
		known.current = target.Current
		known.release.Begin(target.Current, target.Stable)
	case known.canaries.String() == target.Canaries.String():
		return
	}
	known.canaries = target.Canaries
	for _, seat := range known.seats {
		known.tell(seat)
	}
}

func (c *Classes) begin(class string, target Target) {
	if c.courses == nil {
		c.courses = map[string]*course{}
	}
	begun := &course{
		release: release.New(target.Current, target.Stable), canaries: target.Canaries, current: target.Current,
		seats: map[types.UID]*seat{}, names: map[string]types.UID{}, unknown: map[types.UID]bool{},
	}
	c.courses[class] = begun
	for uid, member := range c.tenants {
		if member.Class == class {
			begun.put(uid, member)
		}
	}
	for _, flight := range target.InFlight {
		begun.release.Resume(flight)
	}
}

// Progress is how far a release is.
type Progress struct {
	release.Decision
	// Unknown are the tenants of which it isn't known whether the revision changes something for them. With any, the
	// decision must not be carried out.
	Unknown []string
	// InFlight are the tenants that are on their way once Decision.Assign is carried out.
	InFlight []release.Flight
	// Updated is how many tenants the revision has reached or changes nothing for.
	Updated int32
	// States say how the failing tenants are, in their order.
	States []string
}

// Decide decides how the release of a class goes on. Nothing takes effect until Assigned.
func (c *Classes) Decide(class string, settings release.Settings, now time.Time) Progress {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known := c.courses[class]
	if known == nil {
		return Progress{}
	}
	result := Progress{Decision: known.release.Decide(settings, now), Updated: known.updated}
	for uid := range known.unknown {
		if name := known.seats[uid].Name; !known.release.Flies(name) {
			result.Unknown = append(result.Unknown, name)
		}
	}
	for _, name := range result.Failing {
		result.States = append(result.States, known.seats[known.names[name]].State)
	}
	result.InFlight = known.release.InFlight(result.Assign, now)
	return result
}

// Compared notes whether the current revision of a class changes something for a tenant of a generation and a revision.
func (c *Classes) Compared(class string, tenant types.UID, generation int64, at string, affected bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known := c.courses[class]
	if known == nil || known.seats[tenant] == nil {
		return
	}
	seat := known.seats[tenant]
	seat.compared = comparison{generation: generation, from: at, to: known.current}
	seat.affected = affected
	known.tell(seat)
}

// Assigned notes that what was decided has been written to the status of the class.
func (c *Classes) Assigned(class string, progress Progress, now time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if known := c.courses[class]; known != nil {
		known.release.Assigned(progress.Assign, now)
		if progress.Complete {
			known.release.Prove()
		}
	}
}

// Lose forgets how far the release of a class is, since somebody else has changed its status.
func (c *Classes) Lose(class string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.courses, class)
}
