package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Placements are the databases that this process has provisioned. The statuses of their tenants may not
// have them yet, because a status may wait. The zero value is ready to use.
type Placements struct {
	mutex   sync.RWMutex
	tenants map[types.UID]*v1alpha1.TenantDatabaseStatus
}

// Of is where a tenant's database is: where it was provisioned, or else where its status records it; nil
// if it has none.
func (p *Placements) Of(tenant types.UID, recorded *v1alpha1.TenantDatabaseStatus) *v1alpha1.TenantDatabaseStatus {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	if found, ok := p.tenants[tenant]; ok {
		return found
	}
	return recorded
}

// Put notes where a tenant's database was provisioned.
func (p *Placements) Put(tenant types.UID, placement *v1alpha1.TenantDatabaseStatus) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.tenants == nil {
		p.tenants = map[types.UID]*v1alpha1.TenantDatabaseStatus{}
	}
	p.tenants[tenant] = placement
}

func (p *Placements) forgetTenant(uid types.UID) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.tenants, uid)
}

// forgetServer leaves the databases, as the statuses of their tenants do.
func (*Placements) forgetServer(string) {}
