package fleet

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

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
	// counted is what the server said last, and asked that it has said something.
	counted int
	asked   bool
	// placed are the tenants that the server may not have counted, and since when they are registered
	// there; the zero time while they are not.
	placed map[types.UID]time.Time
	// refused are tenants that the server had no room for.
	refused sets.Set[types.UID]
}

// at is for writing; to look an entry up must not make one, as the server may be gone.
func (o *Occupancy) at(server string) *occupants {
	if o.servers == nil {
		o.servers = map[string]*occupants{}
	}
	if o.servers[server] == nil {
		o.servers[server] = &occupants{placed: map[types.UID]time.Time{}, refused: sets.New[types.UID]()}
	}
	return o.servers[server]
}

// Choose picks the server for a new tenant and counts it there. The candidates come with the number
// of tenants in their status, which may be out of date.
func (o *Occupancy) Choose(tenant types.UID, candidates []database.Candidate, wanted database.Placement) (string, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for i := range candidates {
		there := o.servers[candidates[i].Name]
		if there == nil {
			continue
		}
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
			o.dropEmpty(name)
		}
	}
	there := o.at(server)
	delete(there.refused, tenant)
	if _, found := there.placed[tenant]; !found {
		there.placed[tenant] = time.Time{}
	}
}

// Expect counts a tenant on the server that it is to have its database on.
func (o *Occupancy) Expect(server string, tenant types.UID) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if !o.refuses(server, tenant) {
		o.place(server, tenant)
	}
}

// Registered notes that the server has the tenant.
func (o *Occupancy) Registered(server string, tenant types.UID, now time.Time) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	there := o.servers[server]
	if there == nil {
		return
	}
	if at, found := there.placed[tenant]; found && at.IsZero() {
		there.placed[tenant] = now
	}
}

// Refuse notes that the server had no room for the tenant, and how many it has.
func (o *Occupancy) Refuse(server string, tenant types.UID, tenants int) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	there := o.at(server)
	delete(there.placed, tenant)
	there.refused.Insert(tenant)
	if there.asked { // Otherwise the server has been deleted meanwhile.
		there.counted = tenants
	}
}

// Refuses says whether the server had no room for the tenant.
func (o *Occupancy) Refuses(server string, tenant types.UID) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.refuses(server, tenant)
}

func (o *Occupancy) refuses(server string, tenant types.UID) bool {
	there := o.servers[server]
	return there != nil && there.refused.Has(tenant)
}

// Counted notes what a server says that was asked at that time, and returns whether tenants that were
// counted twice until now, by the server and here, no longer are.
func (o *Occupancy) Counted(server string, tenants int, asked time.Time) (corrected bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	there := o.at(server)
	there.counted, there.asked = tenants, true
	for tenant, at := range there.placed {
		if !at.IsZero() && at.Before(asked) {
			delete(there.placed, tenant)
			corrected = true
		}
	}
	return corrected
}

func (o *Occupancy) forgetTenant(uid types.UID) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for name, there := range o.servers {
		delete(there.placed, uid)
		there.refused.Delete(uid)
		o.dropEmpty(name)
	}
}

func (o *Occupancy) forgetServer(name string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	delete(o.servers, name)
}

// dropEmpty drops what a tenant has left behind of a server that was gone before it.
func (o *Occupancy) dropEmpty(server string) {
	if there := o.servers[server]; !there.asked && len(there.placed) == 0 && len(there.refused) == 0 {
		delete(o.servers, server)
	}
}
