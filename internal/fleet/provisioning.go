package fleet

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// maxProvisioning is how many new tenants are provisioned concurrently. That is twice the number of concurrent
// reconciles, since some tenants wait for the cluster. More would make none Ready earlier, and most later.
const maxProvisioning = 16

// Provisioning has the new tenants that are being provisioned, and those that wait for their turn. A turn ends
// with the first status, which is written after [ProgressInterval] at the latest, so a slow app doesn't hold up
// the others for longer. The zero value is ready to use.
type Provisioning struct {
	// Turns are tenants that have waited and may begin now.
	Turns Notices

	mutex   sync.Mutex
	begun   sets.Set[types.UID]
	waiting []newTenant
}

// newTenant is a tenant for which nothing was created yet.
type newTenant struct {
	name string
	uid  types.UID
}

// Begin reports whether a new tenant may begin or continue. If not, it gets its turn after those that have asked
// before, and is then added to Turns.
func (p *Provisioning) Begin(name string, tenant types.UID) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.begun.Has(tenant) {
		return true
	}
	if p.begun.Len() < maxProvisioning {
		p.begin(tenant)
		return true
	}
	if !slices.Contains(p.waiting, newTenant{name, tenant}) {
		p.waiting = append(p.waiting, newTenant{name, tenant})
	}
	return false
}

func (p *Provisioning) begin(tenant types.UID) {
	if p.begun == nil {
		p.begun = sets.New[types.UID]()
	}
	p.begun.Insert(tenant)
}

// End ends a tenant's turn, or its wait for one.
func (p *Provisioning) End(tenant types.UID) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(waiting newTenant) bool { return waiting.uid == tenant })
	p.begun.Delete(tenant)
	for len(p.waiting) > 0 && p.begun.Len() < maxProvisioning {
		next := p.waiting[0]
		p.waiting = p.waiting[1:]
		p.begin(next.uid)
		p.Turns.Add(next.name)
	}
}

func (p *Provisioning) forgetTenant(uid types.UID) { p.End(uid) }

func (*Provisioning) forgetServer(string) {}
