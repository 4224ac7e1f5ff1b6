// Package fleet is the operator's memory of all tenants and database servers: what its controllers
// learn in one reconcile and need in another one, and what they tell each other. All of it is lost with
// the process, and found out again.
//
// Each ledger has a lock of its own, is ready to use as its zero value, and holds nothing of a tenant or
// server that is gone, however it went. It has no client and no clock: times are arguments.
package fleet

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/database"
)

// Fleet is all that the operator remembers of tenants and database servers. The controllers share one.
// The zero value is ready to use.
//
// Reconciles of one tenant never overlap, nor do those of one server. Each begins with SawTenant or
// SawServer, or, if there is no such object, with ForgetTenant or ForgetServer. What is noted in between
// is therefore forgotten at the latest by the reconcile that the deletion leads to. What is noted at other
// times, such as in a watch, goes through a method of Fleet, which leaves out tenants that are gone.
type Fleet struct {
	tenants roster
	servers roster

	// Logins are how the admin logs in to each server, by its spec and the Secrets that this names.
	Logins Logins
	// Connections are those logins by which a server has let the operator in since it was started, and has
	// not broken off.
	Connections Logins
	// Authorities are the certificate authorities of the servers that CloudNativePG runs.
	Authorities Authorities
	// Occupancy is how many tenants each server has.
	Occupancy Occupancy
	// Inspections are the tenants whose databases have changed on a server.
	Inspections Inspections
	// Placements are the databases that were provisioned.
	Placements Placements
	// Admissions are the quotas that have admitted something.
	Admissions Admissions
	// Pace is since when statuses wait to be written.
	Pace Pace

	// AvailableServers are servers that tenants may have waited for: the operator has logged in, or there
	// is more room than was thought.
	AvailableServers Notices
	// DriftedTenants are the tenants whose databases are to be inspected.
	DriftedTenants Notices
}

// ledger is what is known of tenants or servers. One that knows nothing of either has nothing to do.
type ledger interface {
	forgetTenant(uid types.UID)
	forgetServer(name string)
}

func (f *Fleet) ledgers() []ledger {
	return []ledger{
		&f.Logins, &f.Connections, &f.Authorities, &f.Occupancy,
		&f.Inspections, &f.Placements, &f.Admissions, &f.Pace,
	}
}

// SawTenant notes that there is this Tenant, and forgets a former one of the same name.
func (f *Fleet) SawTenant(name string, uid types.UID) {
	if former, replaced := f.tenants.enter(name, uid); replaced {
		f.forgetTenant(former)
	}
}

// ForgetTenant forgets a Tenant that no longer exists.
func (f *Fleet) ForgetTenant(name string) {
	if uid, known := f.tenants.remove(name); known {
		f.forgetTenant(uid)
	}
}

func (f *Fleet) forgetTenant(uid types.UID) {
	for _, ledger := range f.ledgers() {
		ledger.forgetTenant(uid)
	}
}

// SawServer notes that there is this DatabaseServer, and forgets a former one of the same name.
func (f *Fleet) SawServer(name string, uid types.UID) {
	if _, replaced := f.servers.enter(name, uid); replaced {
		f.forgetServer(name)
	}
}

// ForgetServer forgets a DatabaseServer that no longer exists.
func (f *Fleet) ForgetServer(name string) {
	f.servers.remove(name)
	f.forgetServer(name)
}

func (f *Fleet) forgetServer(name string) {
	for _, ledger := range f.ledgers() {
		ledger.forgetServer(name)
	}
}

// UsageChanged notes that a tenant uses its quota differently from now on, which its status has yet to
// say.
func (f *Fleet) UsageChanged(tenant string, uid types.UID, now time.Time) {
	f.tenants.whileListed(func(listed func(string, types.UID) bool) {
		if listed(tenant, uid) {
			f.Pace.usageChanged(uid, now)
		}
	})
}

// SortDrifts parts the tenants that have changed on a server into those to accept as they are, since
// they were inspected and have not changed again, and those to inspect. The drifts are all that the server
// tells of, up to [database.MaxDrifted].
func (f *Fleet) SortDrifts(server string, drifts []database.Drift) (accepted, suspicious []database.Drift) {
	f.tenants.whileListed(func(listed func(string, types.UID) bool) {
		accepted, suspicious = f.Inspections.sort(server, drifts, listed)
	})
	return accepted, suspicious
}
