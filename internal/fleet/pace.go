package fleet

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

const (
	// ProgressInterval is how long a status that only reports progress may wait. Most tenants are Ready before that,
	// and it need not be written.
	ProgressInterval = 5 * time.Second
	// UsageInterval is how long a status may wait if only the use of the quota has changed.
	UsageInterval = 10 * time.Second
)

// Pace keeps statuses from being written more often than anybody needs. The zero value is ready to use.
type Pace struct {
	mutex   sync.Mutex
	tenants map[types.UID]waiting
}

// waiting is a status that waits to be written.
type waiting struct {
	// since is when the status began to wait.
	since time.Time
	// usageChanged is when the use of the quota last changed; zero if it has not.
	usageChanged time.Time
}

// Wait returns how much longer a new status may wait; zero if it must be written now.
func (p *Pace) Wait(tenant types.UID, was, is v1alpha1.TenantStatus, now time.Time) time.Duration {
	interval := patience(was, is)
	if interval == 0 {
		return 0
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	known, found := p.tenants[tenant]
	if !found {
		known = waiting{since: now}
		p.put(tenant, known)
	}
	return max(0, interval-now.Sub(known.since))
}

// usageChanged notes that the status must report a change of the quota's use.
func (p *Pace) usageChanged(tenant types.UID, now time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	known, found := p.tenants[tenant]
	if !found {
		known.since = now
	}
	known.usageChanged = now
	p.put(tenant, known)
}

// written notes that the status has all that was observed at that time. A change of use after that keeps waiting.
func (p *Pace) written(tenant types.UID, observed time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	known, found := p.tenants[tenant]
	switch {
	case !found:
	case known.usageChanged.After(observed):
		known.since = known.usageChanged
		p.put(tenant, known)
	default:
		delete(p.tenants, tenant)
	}
}

func (p *Pace) put(tenant types.UID, w waiting) {
	if p.tenants == nil {
		p.tenants = map[types.UID]waiting{}
	}
	p.tenants[tenant] = w
}

func (p *Pace) forgetTenant(uid types.UID) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.tenants, uid)
}

func (*Pace) forgetServer(string) {}

func patience(was, is v1alpha1.TenantStatus) time.Duration {
	ready := apimeta.FindStatusCondition(is.Conditions, v1alpha1.ConditionReady)
	if ready.Reason == v1alpha1.ReasonProgressing {
		return ProgressInterval
	}
	was.Usage = is.Usage
	if equality.Semantic.DeepEqual(was, is) {
		return UsageInterval
	}
	return 0
}
