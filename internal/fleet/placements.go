package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Placements has the databases that this process has provisioned. The statuses of their tenants may not have them
// yet, because a status may wait. The zero value is ready to use.
type Placements struct {
	mutex   sync.RWMutex
	tenants map[types.UID]*v1alpha1.TenantDatabaseStatus
}

// Of returns the status of a tenant's database: the one that this process has provisioned, or else the recorded
// one; nil if there is neither.
func (p *Placements) Of(tenant types.UID, recorded *v1alpha1.TenantDatabaseStatus) *v1alpha1.TenantDatabaseStatus {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	if found, ok := p.tenants[tenant]; ok {
		return found
	}
	return recorded
}

// Put stores the status of a database that was provisioned.
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

// forgetServer keeps the placements: the statuses of the tenants keep them, too.
func (*Placements) forgetServer(string) {}
