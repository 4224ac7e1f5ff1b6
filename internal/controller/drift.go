package controller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/internal/database"
)

// Drift keeps track of which tenants' databases want a closer look, because what the servers have for
// them has changed. The zero value is ready to use.
type Drift struct {
	mutex   sync.Mutex
	tenants map[types.UID]drift
}

// drift is what a server has for a tenant, and whether that was found to be as it should be.
type drift struct {
	server, tenant string
	digest         string
	sound          bool
	// back says that the server has again what was accepted before. What was found out about the
	// tenant in between is no longer true.
	back bool
}

// sort takes what a server says and parts the tenants into those to accept as they are, since they
// were looked at and have not changed again, and those to look at.
func (d *Drift) sort(server string, drifts []database.Drift) (accepted, suspicious []database.Drift) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.tenants == nil {
		d.tenants = map[types.UID]drift{}
	}
	changed := sets.New[types.UID]()
	for _, found := range drifts {
		uid := types.UID(found.UID)
		changed.Insert(uid)
		if known := d.tenants[uid]; known.sound && known.digest == found.Digest {
			delete(d.tenants, uid)
			accepted = append(accepted, found)
			continue
		}
		d.tenants[uid] = drift{server: server, tenant: found.Tenant, digest: found.Digest}
		suspicious = append(suspicious, found)
	}
	for uid, known := range d.tenants {
		if known.server == server && !changed.Has(uid) {
			known.back, known.sound = true, false
			d.tenants[uid] = known
			suspicious = append(suspicious, database.Drift{UID: string(uid), Tenant: known.tenant})
		}
	}
	return accepted, suspicious
}

// wants says whether a tenant wants a closer look.
func (d *Drift) wants(tenant types.UID) bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	found, ok := d.tenants[tenant]
	return ok && !found.sound
}

// looked notes how a tenant was found: as it should be, or not until something was done about it,
// which the server will tell of in its turn.
func (d *Drift) looked(tenant types.UID, sound bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	known, ok := d.tenants[tenant]
	switch {
	case !ok:
	case sound && !known.back:
		known.sound = true
		d.tenants[tenant] = known
	default:
		delete(d.tenants, tenant)
	}
}

// drop forgets a tenant.
func (d *Drift) drop(tenant types.UID) { d.looked(tenant, false) }
