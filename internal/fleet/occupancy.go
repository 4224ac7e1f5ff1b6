package fleet

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/internal/service"
)

// CountInterval is how long a server's status may wait if only the number of tenants has changed and keeps
// changing.
const CountInterval = time.Minute

// Occupancy counts the tenants of each server, including those that this process has placed since it last asked
// the server. Otherwise tenants that are placed at the same time would all go to the server that was the emptiest.
// The zero value is ready to use.
type Occupancy struct {
	mutex   sync.Mutex
	servers map[string]*occupants
}

// occupants are the tenants of one server.
type occupants struct {
	// counted is the number that the server last reported. It is valid if asked is true.
	counted int
	asked   bool
	// changing is since when the server has reported another number each time; zero if the last two were equal.
	changing time.Time
	// placed are the tenants that the server may not have counted, with the time since when they are registered
	// there; zero while they are not.
	placed map[types.UID]time.Time
	// refused are the tenants that the server had no room for.
	refused sets.Set[types.UID]
}

// at returns the entry of a server, and creates it if there is none. Use it only for writing, since the server may
// no longer exist.
func (o *Occupancy) at(server string) *occupants {
	if o.servers == nil {
		o.servers = map[string]*occupants{}
	}
	if o.servers[server] == nil {
		o.servers[server] = &occupants{placed: map[types.UID]time.Time{}, refused: sets.New[types.UID]()}
	}
	return o.servers[server]
}

// Choose chooses the server for a new tenant and counts the tenant there. It corrects the candidates' numbers of
// tenants, which are from their status and may be old.
func (o *Occupancy) Choose(tenant types.UID, candidates []service.Candidate, wanted service.Placement) (string, error) {
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
	chosen, err := service.Choose(candidates, wanted)
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

// Expect counts a tenant on the server that will have its database.
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

// Refuse notes that the server had no room for the tenant, and how many tenants it has.
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

// Refuses reports whether the server had no room for the tenant.
func (o *Occupancy) Refuses(server string, tenant types.UID) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.refuses(server, tenant)
}

func (o *Occupancy) refuses(server string, tenant types.UID) bool {
	there := o.servers[server]
	return there != nil && there.refused.Has(tenant)
}

// Counted notes how many tenants a server had when it was asked. It reports whether that lowers the count, because
// tenants were counted twice until now, by the server and here.
func (o *Occupancy) Counted(server string, tenants int, asked time.Time) (corrected bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	there := o.at(server)
	there.noteChange(tenants, asked)
	there.counted, there.asked = tenants, true
	for tenant, at := range there.placed {
		if !at.IsZero() && at.Before(asked) {
			delete(there.placed, tenant)
			corrected = true
		}
	}
	return corrected
}

// noteChange notes whether the server reports another number than before. If the number has kept changing for
// CountInterval, it counts as unchanged once, so that the status is written.
func (o *occupants) noteChange(tenants int, asked time.Time) {
	switch {
	case !o.asked || o.counted == tenants || !o.changing.IsZero() && asked.Sub(o.changing) >= CountInterval:
		o.changing = time.Time{}
	case o.changing.IsZero():
		o.changing = asked
	}
}

// Changing reports whether the number of a server's tenants keeps changing.
func (o *Occupancy) Changing(server string) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	there := o.servers[server]
	return there != nil && !there.changing.IsZero()
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

// dropEmpty drops the entry of a server that was deleted before its last tenant.
func (o *Occupancy) dropEmpty(server string) {
	if there := o.servers[server]; !there.asked && len(there.placed) == 0 && len(there.refused) == 0 {
		delete(o.servers, server)
	}
}
