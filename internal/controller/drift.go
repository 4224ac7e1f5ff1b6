package controller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

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
	digest string
	sound  bool
}

// sort parts the tenants that have changed into those to accept as they are, since they were looked at
// and have not changed again, and those to look at.
func (d *Drift) sort(drifts []database.Drift) (accepted, suspicious []database.Drift) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.tenants == nil {
		d.tenants = map[types.UID]drift{}
	}
	for _, found := range drifts {
		uid := types.UID(found.UID)
		if d.tenants[uid] == (drift{found.Digest, true}) {
			delete(d.tenants, uid)
			accepted = append(accepted, found)
			continue
		}
		d.tenants[uid] = drift{digest: found.Digest}
		suspicious = append(suspicious, found)
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
	found, ok := d.tenants[tenant]
	switch {
	case ok && sound:
		d.tenants[tenant] = drift{found.digest, true}
	case ok:
		delete(d.tenants, tenant)
	}
}

// drop forgets a tenant.
func (d *Drift) drop(tenant types.UID) { d.looked(tenant, false) }
