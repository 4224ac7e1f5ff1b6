// Package fleet is the operator's memory of all tenants and database servers: what its controllers learn in one
// reconcile and need in another one, and what they tell each other. A restart loses all of it, and the operator
// learns it again.
//
// Each ledger has its own lock, is ready to use as its zero value, and forgets a tenant or server that no longer
// exists, however it was removed. It has no client and no clock: times are arguments.
package fleet

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// Fleet is all that the operator remembers about tenants and database servers. The controllers share one. The zero
// value is ready to use.
//
// Reconciles of one tenant never overlap, nor do those of one server. Each begins with SawTenant or SawServer, or,
// if there is no such object, with TenantVanished or ForgetServer. So what a reconcile notes is forgotten, at the
// latest, by the reconcile that the deletion leads to. What is noted at other times, for example in a watch, goes
// through a method of Fleet, which ignores tenants that no longer exist.
type Fleet struct {
	tenants roster
	servers roster

	// Logins has the admin's login to each server, from its spec and the Secrets that the spec refers to.
	Logins Logins[database.Server]
	// Connections has the logins that have worked since the operator was started, as long as the connection has not
	// broken.
	Connections Logins[database.Server]
	// Authorities has the certificate authorities of the servers that CloudNativePG runs.
	Authorities Authorities
	// Occupancy counts the tenants of each server.
	Occupancy Occupancy
	// Inspections has the tenants whose databases others have changed.
	Inspections Inspections
	// Placements has the databases that this process has provisioned.
	Placements Placements
	// Admissions has the times at which quotas last admitted something.
	Admissions Admissions
	// Classes counts the tenants of each class.
	Classes Classes
	// Departures has the servers to check after Tenants were removed without the operator.
	Departures Departures
	// Endings has what is closed to tenants that are being deleted.
	Endings Endings
	// Meters sums up what each tenant uses over time.
	Meters Meters
	// Pace delays status writes that would come too often.
	Pace Pace
	// Provisioning limits how many new tenants are provisioned concurrently.
	Provisioning Provisioning
	// Served has the requests that a quota has refused first and admitted since.
	Served Served
	// Troubles has the times since when pods are in trouble.
	Troubles Troubles
	// Uses has how much each tenant uses of its database server.
	Uses Uses

	// AvailableServers are servers that tenants may have been waiting for: the operator has logged in to them, or
	// they have more room than was known.
	AvailableServers Notices
	// DriftedTenants are tenants whose databases must be inspected.
	DriftedTenants Notices
}

// ledger remembers something about tenants, servers, or both.
type ledger interface {
	forgetTenant(uid types.UID)
	forgetServer(name string)
}

func (f *Fleet) ledgers() []ledger {
	return []ledger{
		&f.Logins, &f.Connections, &f.Authorities, &f.Occupancy,
		&f.Inspections, &f.Placements, &f.Admissions, &f.Departures, &f.Endings, &f.Pace, &f.Provisioning, &f.Served, &f.Troubles,
		&f.Classes, &f.Uses, &f.Meters,
	}
}

// SawTenant notes that this Tenant exists, and forgets a former one with the same name.
func (f *Fleet) SawTenant(name string, uid types.UID) {
	if former, replaced := f.tenants.enter(name, uid); replaced {
		f.forgetTenant(former)
		f.Departures.gone()
	}
}

// TenantVanished forgets a Tenant that no longer exists. If it is still known, it was removed without the
// operator.
func (f *Fleet) TenantVanished(name string) {
	if uid, known := f.tenants.remove(name); known {
		f.forgetTenant(uid)
		f.Departures.gone()
	}
}

// ForgetTenant forgets a Tenant that the operator has removed.
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

// SawServer notes that this DatabaseServer exists, and forgets a former one with the same name.
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

// StatusWritten notes that a tenant's status has all that was observed at that time.
func (f *Fleet) StatusWritten(tenant types.UID, observed time.Time) {
	f.Pace.written(tenant, observed)
	f.Provisioning.End(tenant)
}

// SawPlace notes the class of a tenant, and the server that its database is on.
func (f *Fleet) SawPlace(tenant string, uid types.UID, place Place, now time.Time) {
	f.tenants.whileListed(func(listed func(string, types.UID) bool) {
		if listed(tenant, uid) {
			f.Meters.put(uid, place, now)
		}
	})
}

// UsageChanged notes that a tenant's use of its quota has changed, and that its status doesn't show that yet.
func (f *Fleet) UsageChanged(tenant string, uid types.UID, now time.Time) {
	f.tenants.whileListed(func(listed func(string, types.UID) bool) {
		if listed(tenant, uid) {
			f.Pace.usageChanged(uid, now)
		}
	})
}

// Measured notes how much the tenants of a server use, or why that can't be found out. Then their databases are taken
// to be as large as before.
func (f *Fleet) Measured(server string, uses []database.Use, err error, now time.Time) {
	f.tenants.whileListed(func(listed func(string, types.UID) bool) {
		found := measurement{at: now, err: err, tenants: map[types.UID]database.Use{}}
		for _, use := range uses {
			if uid := types.UID(use.UID); listed(use.Tenant, uid) {
				found.tenants[uid] = use
			}
		}
		f.Uses.note(server, found)
		if err == nil {
			f.Meters.measured(server, found.tenants, now)
		}
	})
}

// SortDrifts divides the tenants whose databases have changed on a server into those to accept, because they were
// inspected and have not changed since, and those to inspect. The drifts are all that the server reports, up to
// [service.MaxDrifted].
func (f *Fleet) SortDrifts(server string, drifts []service.Drift) (accepted, suspicious []service.Drift) {
	f.tenants.whileListed(func(listed func(string, types.UID) bool) {
		accepted, suspicious = f.Inspections.sort(server, drifts, listed)
	})
	return accepted, suspicious
}
