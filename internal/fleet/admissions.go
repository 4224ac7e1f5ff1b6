package fleet

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// QuietTime is how long a quota must have admitted nothing before it is changed. The quota controller
// counts anew after each change, from a cache that may not have what was admitted last.
const QuietTime = 300 * time.Millisecond

// Admissions are when the quotas of each tenant have last admitted something. The zero value is ready
// to use.
type Admissions struct {
	mutex   sync.RWMutex
	tenants map[types.UID]map[types.UID]time.Time // by the UID of the tenant, then of the quota
}

// Note notes how the usage of a quota has changed.
func (a *Admissions) Note(was, is *corev1.ResourceQuota, now time.Time) {
	tenant, former := metav1.GetControllerOfNoCopy(is), metav1.GetControllerOfNoCopy(was)
	if was.UID != is.UID || (former != nil && (tenant == nil || former.UID != tenant.UID)) {
		a.ForgetQuota(was)
	}
	if tenant == nil || !isMoreUsed(was, is) {
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.tenants == nil {
		a.tenants = map[types.UID]map[types.UID]time.Time{}
	}
	if a.tenants[tenant.UID] == nil {
		a.tenants[tenant.UID] = map[types.UID]time.Time{}
	}
	a.tenants[tenant.UID][is.UID] = now
}

func isMoreUsed(was, is *corev1.ResourceQuota) bool {
	for name, used := range is.Status.Used {
		if before := was.Status.Used[name]; used.Cmp(before) > 0 {
			return true
		}
	}
	return false
}

// Recent says whether a quota of the tenant has admitted something within QuietTime.
func (a *Admissions) Recent(tenant, quota types.UID, now time.Time) bool {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	at, found := a.tenants[tenant][quota]
	return found && now.Sub(at) < QuietTime
}

// ForgetQuota forgets a quota that no longer exists.
func (a *Admissions) ForgetQuota(quota *corev1.ResourceQuota) {
	tenant := metav1.GetControllerOfNoCopy(quota)
	if tenant == nil {
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	delete(a.tenants[tenant.UID], quota.UID)
	if len(a.tenants[tenant.UID]) == 0 {
		delete(a.tenants, tenant.UID)
	}
}

func (a *Admissions) forgetTenant(uid types.UID) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	delete(a.tenants, uid)
}

func (*Admissions) forgetServer(string) {}
