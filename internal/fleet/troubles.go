package fleet

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Troubles has the times since when pods are in trouble: those of each tenant's app, and of each server that the
// operator runs. The zero value is ready to use.
type Troubles struct {
	mutex   sync.Mutex
	tenants map[types.UID]time.Time
	servers map[string]time.Time
}

// Tenant notes whether a tenant's app is in trouble, and returns since when. If that isn't known, it is begun.
func (t *Troubles) Tenant(uid types.UID, troubled bool, begun time.Time) time.Time {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.tenants == nil {
		t.tenants = map[types.UID]time.Time{}
	}
	return noteTrouble(t.tenants, uid, troubled, begun)
}

// Server does the same for a server.
func (t *Troubles) Server(name string, troubled bool, begun time.Time) time.Time {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.servers == nil {
		t.servers = map[string]time.Time{}
	}
	return noteTrouble(t.servers, name, troubled, begun)
}

func noteTrouble[K comparable](known map[K]time.Time, key K, troubled bool, begun time.Time) time.Time {
	if !troubled {
		delete(known, key)
		return begun
	}
	if since, found := known[key]; found {
		return since
	}
	known[key] = begun
	return begun
}

func (t *Troubles) forgetTenant(uid types.UID) { t.Tenant(uid, false, time.Time{}) }

func (t *Troubles) forgetServer(name string) { t.Server(name, false, time.Time{}) }
