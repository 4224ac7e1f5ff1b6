package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

const (
	// progressInterval is how long a status may wait that only tells how far along a tenant is. Most
	// tenants are Ready before, and then it was never needed.
	progressInterval = 5 * time.Second
	// usageInterval is how long a status may wait that only tells of another usage of the quota.
	usageInterval = 10 * time.Second
)

// pace keeps statuses from being written more often than anybody reads them. The zero value is
// ready to use.
type pace struct {
	mutex sync.Mutex
	since map[types.UID]time.Time
}

// wait is how much longer a new status may wait for a better one; zero if it is to be written now.
func (p *pace) wait(uid types.UID, was, is v1alpha1.TenantStatus, now time.Time) time.Duration {
	interval := patience(was, is)
	if interval == 0 {
		return 0
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.since == nil {
		p.since = map[types.UID]time.Time{}
	}
	since, waiting := p.since[uid]
	if !waiting {
		p.since[uid], since = now, now
	}
	return max(0, interval-now.Sub(since))
}

func (p *pace) forget(uid types.UID) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.since, uid)
}

func patience(was, is v1alpha1.TenantStatus) time.Duration {
	ready := apimeta.FindStatusCondition(is.Conditions, v1alpha1.ConditionReady)
	if ready.Reason == v1alpha1.ReasonProgressing {
		return progressInterval
	}
	was.Usage = is.Usage
	if equality.Semantic.DeepEqual(was, is) {
		return usageInterval
	}
	return 0
}
