package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Departures tell for which servers it is known that whoever is registered on them is still there: not
// before the operator has looked, nor when a Tenant has gone since then without the operator. The zero value
// is ready to use.
type Departures struct {
	mutex sync.Mutex
	// count is how many Tenants have gone so.
	count int
	// looked is the count at the last look, by server.
	looked map[string]int
}

// Pending reports whether a server is to be looked at, and returns what Looked wants to know then.
func (d *Departures) Pending(server string) (count int, pending bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	looked, found := d.looked[server]
	return d.count, !found || looked != d.count
}

// Looked notes that a server was looked at.
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
