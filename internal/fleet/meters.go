package fleet

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/database"
)

// Metering is something that is summed up over time for each tenant.
type Metering int

// What is summed up. Each sum is how much there was times the seconds that it was there.
const (
	// RequestedCores are the cores that pods request.
	RequestedCores Metering = iota
	// RequestedMemory is the memory that pods request, in bytes.
	RequestedMemory
	// Storage is what PersistentVolumeClaims request, in bytes.
	Storage
	// DatabaseSize is the size of the database, in bytes.
	DatabaseSize

	// Meterings is how many there are.
	Meterings
)

// counted are the entries of a quota in which the cluster counts what is summed up, the first one first.
var counted = [Meterings][]corev1.ResourceName{
	RequestedCores:  {corev1.ResourceRequestsCPU, corev1.ResourceCPU},
	RequestedMemory: {corev1.ResourceRequestsMemory, corev1.ResourceMemory},
	Storage:         {corev1.ResourceRequestsStorage},
}

// Amount is a number that may be unknown.
type Amount struct {
	Value float64
	Known bool
}

// Place is where a tenant is; both are empty for none.
type Place struct {
	// Class is the name of its class, and Server that of the server that its database is on.
	Class, Server string
}

// Reading is what the meter of a tenant shows.
type Reading struct {
	// Class is the class that the tenant has had since the sums began; empty if it has none.
	Class string
	// Since is when they began, all at zero.
	Since time.Time
	// Sums has those that are known.
	Sums [Meterings]Amount
}

// Meters sums up what each tenant uses over time: what its quotas count, and the size of its database. A sum grows
// between two changes of what is used by that times the time between them, which is computed when somebody reads it
// or something changes. The zero value is ready to use.
type Meters struct {
	mutex   sync.Mutex
	tenants map[types.UID]*meter
}

// meter has the sums of a tenant.
type meter struct {
	Reading
	// isClassed is whether the class is known.
	isClassed bool
	// at is the time up to which everything has been summed up. It never goes back, nor does a sum: Prometheus would
	// take that for a restart.
	at time.Time
	// quotas is what each quota of the tenant counts.
	quotas map[types.UID][Meterings]Amount
	// databases is the size of its database by the server that tells it, and server the one that it is on. Two
	// DatabaseServers may be the same server.
	databases map[string]float64
	server    string
}

// Note notes what a quota counts.
func (m *Meters) Note(was, is *corev1.ResourceQuota, now time.Time) {
	tenant, former := metav1.GetControllerOfNoCopy(is), metav1.GetControllerOfNoCopy(was)
	if was.UID != is.UID || (former != nil && (tenant == nil || former.UID != tenant.UID)) {
		m.ForgetQuota(was, now)
	}
	if tenant == nil {
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found := m.meterOf(tenant.UID, now)
	found.quotas[is.UID] = countedBy(is)
}

// ForgetQuota notes that a quota no longer exists, or no longer belongs to the tenant.
func (m *Meters) ForgetQuota(quota *corev1.ResourceQuota, now time.Time) {
	tenant := metav1.GetControllerOfNoCopy(quota)
	if tenant == nil {
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found, known := m.tenants[tenant.UID]
	if !known {
		return
	}
	found.add(now)
	delete(found.quotas, quota.UID)
	if !found.isClassed && len(found.quotas)+len(found.databases) == 0 {
		delete(m.tenants, tenant.UID) // The quota has outlived its tenant.
	}
}

// put notes where a tenant is. The sums of another class begin at zero. The caller makes sure that the tenant exists.
func (m *Meters) put(tenant types.UID, place Place, now time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found := m.meterOf(tenant, now)
	if found.isClassed && found.Class != place.Class {
		found.Since = found.at
		for i := range found.Sums {
			found.Sums[i].Value = 0
		}
	}
	found.Class, found.server, found.isClassed = place.Class, place.Server, true
}

// Read returns what the meter of a tenant shows, and whether there is one.
func (m *Meters) Read(tenant types.UID, now time.Time) (reading Reading, known bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found := m.tenants[tenant]
	if found == nil || !found.isClassed {
		return Reading{}, false
	}
	found.add(now)
	return found.Reading, true
}

// measured notes the sizes of all databases on a server. The caller makes sure that the tenants exist.
func (m *Meters) measured(server string, uses map[types.UID]database.Use, now time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for uid, found := range m.tenants {
		if _, had := found.databases[server]; had && uses[uid].Bytes == nil {
			found.add(now)
			delete(found.databases, server)
		}
	}
	for uid, use := range uses {
		if use.Bytes != nil {
			m.meterOf(uid, now).databases[server] = float64(*use.Bytes)
		}
	}
}

// meterOf returns the meter of a tenant after it was brought up to a time.
func (m *Meters) meterOf(tenant types.UID, now time.Time) *meter {
	found, known := m.tenants[tenant]
	if !known {
		found = &meter{at: now, quotas: map[types.UID][Meterings]Amount{}, databases: map[string]float64{}}
		found.Since = now
		if m.tenants == nil {
			m.tenants = map[types.UID]*meter{}
		}
		m.tenants[tenant] = found
	}
	found.add(now)
	return found
}

// add adds what was used since the sums were computed last.
func (m *meter) add(now time.Time) {
	elapsed := max(0, now.Sub(m.at)).Seconds()
	for _, quota := range m.quotas {
		for i, used := range quota {
			m.Sums[i].Known = m.Sums[i].Known || used.Known
			m.Sums[i].Value += used.Value * elapsed
		}
	}
	if size, known := m.databases[m.server]; known {
		m.Sums[DatabaseSize].Known = true
		m.Sums[DatabaseSize].Value += size * elapsed
	}
	if now.After(m.at) {
		m.at = now
	}
}

// countedBy returns what a quota counts.
func countedBy(quota *corev1.ResourceQuota) (amounts [Meterings]Amount) {
	for i, names := range counted {
		for _, name := range names {
			if used, found := quota.Status.Used[name]; found {
				amounts[i] = Amount{Value: max(0, used.AsApproximateFloat64()), Known: true}
				break
			}
		}
	}
	return amounts
}

func (m *Meters) forgetTenant(uid types.UID) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.tenants, uid)
}

// forgetServer ends the sums of databases at the time of the last measurement, or when they were last read.
func (m *Meters) forgetServer(name string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, found := range m.tenants {
		delete(found.databases, name)
	}
}
