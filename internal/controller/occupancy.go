package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/database"
)

// Occupancy counts the tenants of each server, with those that this process has placed since the
// server was asked last. Without them, tenants that are placed at the same time would all go to the
// server that was the emptiest. The zero value is ready to use.
type Occupancy struct {
	mutex   sync.Mutex
	servers map[string]*occupants
}

// occupants are the tenants of one server.
type occupants struct {
	// counted is what the server said last; it counts only once asked is true.
	counted int
	asked   bool
	// placed are the tenants that the server may not have counted, and since when they are registered
	// there; the zero time while they are not.
	placed map[types.UID]time.Time
	// refused are tenants that the server had no room for.
	refused map[types.UID]bool
}

func (o *Occupancy) of(server string) *occupants {
	if o.servers == nil {
		o.servers = map[string]*occupants{}
	}
	if o.servers[server] == nil {
		o.servers[server] = &occupants{placed: map[types.UID]time.Time{}, refused: map[types.UID]bool{}}
	}
	return o.servers[server]
}

// choose picks the server for a new tenant and counts it there. The candidates come with the number
// of tenants in their status, which may be out of date.
func (o *Occupancy) choose(tenant types.UID, candidates []database.Candidate, wanted database.Placement) (string, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for i := range candidates {
		there := o.of(candidates[i].Name)
		if there.asked {
			candidates[i].Tenants = there.counted
		}
		candidates[i].Tenants += len(there.placed)
		if _, itself := there.placed[tenant]; itself {
			candidates[i].Tenants--
		}
	}
	chosen, err := database.Choose(candidates, wanted)
	if err == nil {
		o.place(chosen, tenant)
	}
	return chosen, err
}

// place counts a tenant on a server, and nowhere else.
func (o *Occupancy) place(server string, tenant types.UID) {
	for name, there := range o.servers {
		if name != server {
			delete(there.placed, tenant)
		}
	}
	there := o.of(server)
	delete(there.refused, tenant)
	if _, found := there.placed[tenant]; !found {
		there.placed[tenant] = time.Time{}
	}
}

// expect counts a tenant on the server that it is to have its database on.
func (o *Occupancy) expect(server string, tenant types.UID) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if there := o.of(server); !there.refused[tenant] {
		o.place(server, tenant)
	}
}

// registered notes that the server has the tenant.
func (o *Occupancy) registered(server string, tenant types.UID, now time.Time) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if at, found := o.of(server).placed[tenant]; found && at.IsZero() {
		o.of(server).placed[tenant] = now
	}
}

// refuse notes that the server had no room for the tenant, and how many it has.
func (o *Occupancy) refuse(server string, tenant types.UID, tenants int) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	there := o.of(server)
	delete(there.placed, tenant)
	there.refused[tenant] = true
	there.counted, there.asked = tenants, true
}

// refuses says whether the server had no room for the tenant.
func (o *Occupancy) refuses(server string, tenant types.UID) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.of(server).refused[tenant]
}

// counted notes what a server says that was asked at that time, and returns whether tenants that were
// counted twice until now, by the server and here, no longer are.
func (o *Occupancy) counted(server string, tenants int, asked time.Time) (corrected bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	there := o.of(server)
	there.counted, there.asked = tenants, true
	for tenant, at := range there.placed {
		if !at.IsZero() && at.Before(asked) {
			delete(there.placed, tenant)
			corrected = true
		}
	}
	return corrected
}

// leave forgets a tenant.
func (o *Occupancy) leave(tenant types.UID) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, there := range o.servers {
		delete(there.placed, tenant)
		delete(there.refused, tenant)
	}
}

// drop forgets a server.
func (o *Occupancy) drop(server string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	delete(o.servers, server)
}
