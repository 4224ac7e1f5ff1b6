package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/internal/service"
)

// Inspections has the tenants whose databases others have changed on a server, with the state of their inspection.
// The zero value is ready to use.
type Inspections struct {
	mutex   sync.Mutex
	tenants map[types.UID]report
	reports int
}

// report is the last report of a server about a tenant.
type report struct {
	// number distinguishes the report from earlier and later ones.
	number int
	server string
	drift  service.Drift
	// sound says that an inspection found nothing wrong.
	sound bool
	// reverted says that the state on the server is again the one that was accepted before.
	reverted bool
}

// sort does what [Fleet.SortDrifts] does. It leaves out tenants that aren't listed: either they no longer exist,
// or the operator has not seen them yet and the server will report them again.
func (i *Inspections) sort(server string, drifts []service.Drift, listed func(string, types.UID) bool) (accepted, suspicious []service.Drift) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	told := sets.New[types.UID]()
	for _, drift := range drifts {
		uid := types.UID(drift.UID)
		if !listed(drift.Tenant, uid) {
			continue
		}
		told.Insert(uid)
		// Two DatabaseServers may be the same server. Then either of them may report a tenant.
		known := i.tenants[uid]
		if known.sound && !known.reverted && known.drift == drift {
			delete(i.tenants, uid)
			accepted = append(accepted, drift)
			continue
		}
		if known.sound || known.drift != drift {
			i.note(uid, report{server: server, drift: drift})
		}
		suspicious = append(suspicious, drift)
	}
	if len(drifts) < service.MaxDrifted {
		suspicious = append(suspicious, i.reverted(server, told)...)
	}
	return accepted, suspicious
}

// reverted returns the tenants that were inspected and that the server no longer reports, because their state is
// again the one that was accepted before. Their status may still say what the inspection found.
func (i *Inspections) reverted(server string, told sets.Set[types.UID]) (suspicious []service.Drift) {
	for uid, known := range i.tenants {
		switch {
		case known.server != server || !known.sound || told.Has(uid):
		case known.reverted:
			delete(i.tenants, uid)
		default:
			i.note(uid, report{server: server, drift: known.drift, reverted: true})
			suspicious = append(suspicious, known.drift)
		}
	}
	return suspicious
}

func (i *Inspections) note(tenant types.UID, r report) {
	if i.tenants == nil {
		i.tenants = map[types.UID]report{}
	}
	i.reports++
	r.number = i.reports
	i.tenants[tenant] = r
}

// Wanted reports whether a tenant's database must be inspected, and because of which report.
func (i *Inspections) Wanted(tenant types.UID) (report int, wanted bool) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	found, known := i.tenants[tenant]
	return found.number, known && !found.sound
}

// Inspected notes that a tenant's database was inspected because of a report, and whether it was sound. If not,
// the operator has changed it, and the server will report that change, too. If the server has reported anything
// since, another inspection is needed.
func (i *Inspections) Inspected(tenant types.UID, report int, sound bool) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	found, known := i.tenants[tenant]
	switch {
	case !known || found.number != report:
	case sound:
		found.sound = true
		i.tenants[tenant] = found
	default:
		delete(i.tenants, tenant)
	}
}

func (i *Inspections) forgetTenant(uid types.UID) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	delete(i.tenants, uid)
}

func (i *Inspections) forgetServer(name string) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	for uid, known := range i.tenants {
		if known.server == name {
			delete(i.tenants, uid)
		}
	}
}
