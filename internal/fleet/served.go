package fleet

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// servedFor is how long it is remembered that something got in: as long as Kubernetes keeps the Event that
// tells of its refusal.
const servedFor = time.Hour

// Served are the requests of each tenant that a quota had refused, and that have got in since: what they use
// may end again, and is then not wanted any more. The zero value is ready to use.
type Served struct {
	mutex   sync.Mutex
	tenants map[types.UID]map[string]time.Time
}

// Has reports whether what was refused at that time has got in, now or before. of is whose object it is, and in
// says that it shows in what is used now.
func (s *Served) Has(tenant types.UID, of string, refused time.Time, in bool) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	known, found := s.tenants[tenant][of]
	if in && (!found || refused.After(known)) {
		s.put(tenant, of, refused)
	}
	return in || (found && !refused.After(known))
}

func (s *Served) put(tenant types.UID, of string, refused time.Time) {
	if s.tenants == nil {
		s.tenants = map[types.UID]map[string]time.Time{}
	}
	if s.tenants[tenant] == nil {
		s.tenants[tenant] = map[string]time.Time{}
	}
	s.tenants[tenant][of] = refused
	maps.DeleteFunc(s.tenants[tenant], func(_ string, other time.Time) bool { return refused.Sub(other) > servedFor })
}

func (s *Served) forgetTenant(uid types.UID) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.tenants, uid)
}

func (*Served) forgetServer(string) {}
