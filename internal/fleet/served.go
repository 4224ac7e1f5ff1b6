package fleet

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// servedFor is how long an admitted request is remembered: as long as Kubernetes keeps the Event about its
// refusal.
const servedFor = time.Hour

// Served has the requests of each tenant that a quota has refused first and admitted since. When such an object is
// deleted later, its old refusal must not count again. The zero value is ready to use.
type Served struct {
	mutex   sync.Mutex
	tenants map[types.UID]map[string]time.Time
}

// Has reports whether a request that was refused at that time has been admitted since. of identifies the request,
// as in budget.Refusal, and in says that what is used now includes it.
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
