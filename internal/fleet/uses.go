package fleet

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/database"
)

// UsesInterval is the time between two measurements of what the tenants of a server use.
const UsesInterval = time.Minute

// Uses has how much each tenant uses of its database server, for the metrics. The zero value is ready to use.
type Uses struct {
	mutex   sync.Mutex
	servers map[string]measurement
}

// measurement is the last measurement of a server.
type measurement struct {
	at      time.Time
	tenants map[types.UID]database.Use
	// err is why it failed; nil if it didn't.
	err error
}

// Due reports whether it is time to measure a server again. If not, it returns why the last measurement failed.
func (u *Uses) Due(server string, now time.Time) (due bool, err error) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	last, known := u.servers[server]
	return !known || now.Sub(last.at) >= UsesInterval, last.err
}

// Of returns how much a tenant uses of a server, and whether that is known.
func (u *Uses) Of(server string, tenant types.UID) (use database.Use, known bool) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	use, known = u.servers[server].tenants[tenant]
	return use, known
}

func (u *Uses) note(server string, m measurement) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.servers == nil {
		u.servers = map[string]measurement{}
	}
	u.servers[server] = m
}

func (u *Uses) forgetTenant(uid types.UID) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	for _, known := range u.servers {
		delete(known.tenants, uid)
	}
}

func (u *Uses) forgetServer(name string) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	delete(u.servers, name)
}
