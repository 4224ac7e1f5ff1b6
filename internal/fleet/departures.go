package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Departures has the servers on which all registered tenants are known to exist. A server must be checked once
// after the operator has started, and again after a Tenant was removed without the operator. The zero value is
// ready to use.
type Departures struct {
	mutex sync.Mutex
	// count is the number of Tenants that were removed without the operator.
	count int
	// looked is the count at the last check of each server.
	looked map[string]int
}

// Pending reports whether a server must be checked, and returns the count to pass to Looked.
func (d *Departures) Pending(server string) (count int, pending bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	looked, found := d.looked[server]
	return d.count, !found || looked != d.count
}

// Looked notes that a server was checked.
func (d *Departures) Looked(server string, count int) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.looked == nil {
		d.looked = map[string]int{}
	}
	d.looked[server] = count
}

func (d *Departures) gone() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.count++
}

func (*Departures) forgetTenant(types.UID) {}

func (d *Departures) forgetServer(name string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	delete(d.looked, name)
}
