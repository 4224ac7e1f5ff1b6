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
	news    int
}

// drift is what a server has for a tenant.
type drift struct {
	// number tells the news of a server about a tenant from earlier and later ones.
	number int
	server string
	found  database.Drift
	// sound says that it was found to be as it should be.
	sound bool
	// back says that it is what it was accepted as before.
	back bool
}

// sort parts the tenants that have changed into those to accept as they are, since they were looked at
// and have not changed again, and those to look at. The drifts are all that the server tells of, up to
// [database.MaxDrifted].
func (d *Drift) sort(server string, drifts []database.Drift) (accepted, suspicious []database.Drift) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.tenants == nil {
		d.tenants = map[types.UID]drift{}
	}
	told := sets.New[types.UID]()
	for _, found := range drifts {
		uid := types.UID(found.UID)
		told.Insert(uid)
		// Where two DatabaseServers are one server, either may tell.
		known := d.tenants[uid]
		if known.sound && !known.back && known.found == found {
			delete(d.tenants, uid)
			accepted = append(accepted, found)
			continue
		}
		if known.sound || known.found != found {
			d.note(uid, drift{server: server, found: found})
		}
		suspicious = append(suspicious, found)
	}
	if len(drifts) < database.MaxDrifted {
		suspicious = append(suspicious, d.returned(server, told)...)
	}
	return accepted, suspicious
}

// returned are the tenants that were looked at, and have become what they were accepted as before since
// then, of which the server doesn't tell. Their status may still say what was seen.
func (d *Drift) returned(server string, told sets.Set[types.UID]) (suspicious []database.Drift) {
	for uid, known := range d.tenants {
		switch {
		case known.server != server || !known.sound || told.Has(uid):
		case known.back:
			delete(d.tenants, uid)
		default:
			d.note(uid, drift{server: server, found: known.found, back: true})
			suspicious = append(suspicious, known.found)
		}
	}
	return suspicious
}

func (d *Drift) note(tenant types.UID, news drift) {
	d.news++
	news.number = d.news
	d.tenants[tenant] = news
}

// wants says whether a tenant wants a closer look, and which news of it such a look is about.
func (d *Drift) wants(tenant types.UID) (news int, look bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	found, ok := d.tenants[tenant]
	return found.number, ok && !found.sound
}

// looked notes how a tenant was found: as it should be, or not until something was done about it,
// which the server will tell of in its turn. What the server has told since the look began, it wasn't
// about.
func (d *Drift) looked(tenant types.UID, news int, sound bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	found, ok := d.tenants[tenant]
	switch {
	case !ok || found.number != news:
	case sound:
		found.sound = true
		d.tenants[tenant] = found
	default:
		delete(d.tenants, tenant)
	}
}

// drop forgets a tenant.
func (d *Drift) drop(tenant types.UID) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	delete(d.tenants, tenant)
}
