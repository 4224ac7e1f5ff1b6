// Package fleet is the operator's memory of all tenants and database servers: what its controllers
// learn in one reconcile and need in another one, and what they tell each other. A restart loses all of it,
// and it is learned again.
//
// Each ledger has a lock of its own, is ready to use as its zero value, and forgets a tenant or server that is
// gone, however it went. It has no client and no clock: times are arguments.
package fleet

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// Fleet is all that the operator remembers of tenants and database servers. The controllers share one.
// The zero value is ready to use.
//
// Reconciles of one tenant never overlap, nor do those of one server. Each begins with SawTenant or
// SawServer, or, if there is no such object, with TenantVanished or ForgetServer. What is noted in between
// is therefore forgotten at the latest by the reconcile that the deletion leads to. What is noted at other
// times, such as in a watch, goes through a method of Fleet, which leaves out tenants that are gone.
type Fleet struct {
	tenants roster
	servers roster

	// Logins are how the admin logs in to each server, by its spec and the Secrets that this names.
	Logins Logins[database.Server]
	// Connections are the logins that have worked since the operator was started, as long as the connection
	// has not broken.
	Connections Logins[database.Server]
	// Authorities are the certificate authorities of the servers that CloudNativePG runs.
	Authorities Authorities
	// Occupancy counts the tenants of each server.
	Occupancy Occupancy
	// Inspections are the tenants whose databases have changed on a server.
	Inspections Inspections
	// Placements are the databases that this process has provisioned.
	Placements Placements
	// Admissions remember when quotas last admitted something.
	Admissions Admissions
	// Departures are the Tenants that have gone without the operator.
	Departures Departures
	// Endings are what is closed to tenants that are being deleted.
	Endings Endings
	// Pace delays statuses that would be written too often.
	Pace Pace
	// Provisioning is which new tenants are being put in place.
	Provisioning Provisioning
	// Served are the requests that a quota had refused, and that have got in since.
	Served Served
	// Troubles are since when pods are in trouble.
	Troubles Troubles

	// AvailableServers are servers that tenants may have been waiting for: the operator has logged in, or they
	// have more room than was known.
	AvailableServers Notices
	// DriftedTenants are tenants whose databases are to be inspected.
	DriftedTenants Notices
}

// ledger remembers something of tenants, of servers, or of both.
type ledger interface {
	forgetTenant(uid types.UID)
	forgetServer(name string)
}

func (f *Fleet) ledgers() []ledger {
	return []ledger{
		&f.Logins, &f.Connections, &f.Authorities, &f.Occupancy,
		&f.Inspections, &f.Placements, &f.Admissions, &f.Departures, &f.Endings, &f.Pace, &f.Provisioning, &f.Served, &f.Troubles,
	}
}

// SawTenant notes that there is this Tenant, and forgets a former one of the same name.
func (f *Fleet) SawTenant(name string, uid types.UID) {
	if former, replaced := f.tenants.enter(name, uid); replaced {
		f.forgetTenant(former)
		f.Departures.gone()
	}
}

// TenantVanished forgets a Tenant that has gone without the operator, if it is one.
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

// StatusWritten notes that a tenant's status says all that was observed at that time.
func (f *Fleet) StatusWritten(tenant types.UID, observed time.Time) {
	f.Pace.written(tenant, observed)
	f.Provisioning.End(tenant)
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

// SortDrifts divides the tenants that have changed on a server: those to accept as they are, because they were
// inspected and have not changed since, and those to inspect. The drifts are all that the server
// reports, up to [service.MaxDrifted].
func (f *Fleet) SortDrifts(server string, drifts []service.Drift) (accepted, suspicious []service.Drift) {
	f.tenants.whileListed(func(listed func(string, types.UID) bool) {
		accepted, suspicious = f.Inspections.sort(server, drifts, listed)
	})
	return accepted, suspicious
}
