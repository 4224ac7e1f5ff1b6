package fleet

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// ClassInterval is the shortest time between two writes of the status of a class.
const ClassInterval = time.Second

// ClassMember is a tenant as its class counts it.
type ClassMember struct {
	// Class is the name of the tenant's class; empty if it has none.
	Class string
	// Revisions are the TenantClassRevisions that the tenant is at or pinned to.
	Revisions []string
	// Ready says that the tenant is Ready, Pinned that it has a classRevision, and HeldBack that it keeps something
	// that the class would change.
	Ready, Pinned, HeldBack bool
	// ReleaseMember is what a release of the class needs to know.
	ReleaseMember
}

// ClassCount is how many tenants a class has, and how many of them are Ready, pinned and held back.
type ClassCount struct{ Tenants, Ready, Pinned, HeldBack int32 }

func (c *ClassCount) add(member ClassMember, n int32) {
	c.Tenants += n
	if member.Ready {
		c.Ready += n
	}
	if member.Pinned {
		c.Pinned += n
	}
	if member.HeldBack {
		c.HeldBack += n
	}
}

// Classes counts the tenants of each class, so that nobody has to list them. It is told of them by a watch, which
// also tells of those that are gone. The zero value is ready to use.
type Classes struct {
	mutex   sync.Mutex
	tenants map[types.UID]ClassMember
	counts  map[string]ClassCount
	uses    map[string]int
	written map[string]time.Time
	courses map[string]*course
}

// Note notes a tenant as it is now, and returns the class that it had before.
func (c *Classes) Note(tenant types.UID, member ClassMember) (before string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	before = c.uncount(tenant)
	if before != "" && before != member.Class {
		c.courses[before].drop(tenant)
	}
	if member.Class == "" {
		return before
	}
	if c.tenants == nil {
		c.tenants, c.counts, c.uses = map[types.UID]ClassMember{}, map[string]ClassCount{}, map[string]int{}
	}
	c.tenants[tenant] = member
	c.count(member, 1)
	c.courses[member.Class].put(tenant, member)
	return before
}

// Forget forgets a tenant, and returns the class that it had.
func (c *Classes) Forget(tenant types.UID) (before string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	before = c.uncount(tenant)
	c.courses[before].drop(tenant)
	return before
}

func (c *Classes) uncount(tenant types.UID) string {
	member, known := c.tenants[tenant]
	if known {
		delete(c.tenants, tenant)
		c.count(member, -1)
	}
	return member.Class
}

func (c *Classes) count(member ClassMember, n int32) {
	count := c.counts[member.Class]
	count.add(member, n)
	c.counts[member.Class] = count
	if count.Tenants == 0 {
		delete(c.counts, member.Class)
	}
	for _, revision := range member.Revisions {
		if c.uses[revision] += int(n); c.uses[revision] == 0 {
			delete(c.uses, revision)
		}
	}
}

// Of returns how many tenants a class has.
func (c *Classes) Of(class string) ClassCount {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.counts[class]
}

// InUse reports whether a tenant is at, or pinned to, a TenantClassRevision.
func (c *Classes) InUse(revision string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.uses[revision] > 0
}

// Wait returns how long the next write of the status of a class has to wait.
func (c *Classes) Wait(class string, now time.Time) time.Duration {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return max(0, ClassInterval-now.Sub(c.written[class]))
}

// Written notes that the status of a class was written.
func (c *Classes) Written(class string, now time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.written == nil {
		c.written = map[string]time.Time{}
	}
	c.written[class] = now
}

// ForgetClass forgets a class that no longer exists. Its tenants still count, should there be another one of the name.
func (c *Classes) ForgetClass(class string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.written, class)
	delete(c.courses, class)
}

func (c *Classes) forgetTenant(uid types.UID) { c.Forget(uid) }

func (*Classes) forgetServer(string) {}
