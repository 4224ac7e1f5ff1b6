package fleet

import (
	"cmp"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	minQuietTime, maxQuietTime = 300 * time.Millisecond, 5 * time.Second
	// quietLags is the QuietTime in multiples of the quota controller's lag. The controller counts from one cache for
	// each kind of object, and one of them may be further behind than the measured lag.
	quietLags = 4
	// assumedLag is the lag of the quota controller before it was measured. When the operator starts, the cluster may
	// be busy, and its quotas may be admitting objects all the time.
	assumedLag = 500 * time.Millisecond
)

// Admissions has the times at which the quotas of each tenant last admitted something, and the lag of the quota
// controller. The zero value is ready to use.
type Admissions struct {
	mutex   sync.RWMutex
	tenants map[types.UID]map[types.UID]quotaTimes // by the UID of the tenant, then of the quota
	// lag is how long the quota controller has lately taken to enforce a changed quota; zero if that was not measured
	// yet.
	lag time.Duration
}

// quotaTimes has the times of events of a quota; zero means never.
type quotaTimes struct {
	// admitted is when the quota last admitted something. changed is when it was changed, as long as the quota
	// controller doesn't enforce the change.
	admitted, changed time.Time
	// uncounted is what the quota admitted and the quota controller may have overlooked.
	uncounted corev1.ResourceList
	// version is the resourceVersion that was noted last.
	version string
}

// counted returns the times after the quota controller has enforced a change and counted anew: so much was in use
// before, and so much it has counted.
func (t quotaTimes) counted(before, count corev1.ResourceList) quotaTimes {
	if t.changed.Sub(t.admitted) < maxQuietTime {
		t.uncounted = overlooked(before, t.uncounted, count)
	} else {
		t.uncounted = nil
	}
	t.changed = time.Time{}
	return t
}

func (t quotaTimes) isZero() bool {
	return t.admitted.IsZero() && t.changed.IsZero() && len(t.uncounted) == 0
}

// Note notes a change of a quota or its usage.
func (a *Admissions) Note(was, is *corev1.ResourceQuota, now time.Time) {
	tenant, former := metav1.GetControllerOfNoCopy(is), metav1.GetControllerOfNoCopy(was)
	if was.UID != is.UID || (former != nil && (tenant == nil || former.UID != tenant.UID)) {
		a.ForgetQuota(was)
	}
	if tenant == nil {
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	times := a.tenants[tenant.UID][is.UID]
	times.version = is.ResourceVersion
	if isMoreUsed(was, is) {
		times.admitted = now
	}
	enforced := equality.Semantic.DeepEqual(is.Spec.Hard, is.Status.Hard)
	switch {
	case !enforced && (times.changed.IsZero() || !equality.Semantic.DeepEqual(was.Spec.Hard, is.Spec.Hard)):
		times.changed = now
	case enforced && !times.changed.IsZero():
		a.lag = max(now.Sub(times.changed), a.lag*3/4)
		times = times.counted(was.Status.Used, is.Status.Used)
	}
	a.put(tenant.UID, is.UID, times)
}

func (a *Admissions) put(tenant, quota types.UID, times quotaTimes) {
	if times.isZero() {
		a.remove(tenant, quota)
		return
	}
	if a.tenants == nil {
		a.tenants = map[types.UID]map[types.UID]quotaTimes{}
	}
	if a.tenants[tenant] == nil {
		a.tenants[tenant] = map[types.UID]quotaTimes{}
	}
	a.tenants[tenant][quota] = times
}

// QuietTime returns how long a quota must have admitted nothing before it may be changed. After each change the
// quota controller counts anew, from caches that may lack what was admitted last, and would then allow that much
// beyond the quota. The slower the controller, the longer this time must be.
func (a *Admissions) QuietTime() time.Duration {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	return a.quietTime()
}

func (a *Admissions) quietTime() time.Duration {
	return min(maxQuietTime, max(minQuietTime, quietLags*cmp.Or(a.lag, assumedLag)))
}

// overlooked returns by how much a count is below what was used and uncounted before it.
func overlooked(used, uncounted, counted corev1.ResourceList) corev1.ResourceList {
	missing := corev1.ResourceList{}
	for name, count := range counted {
		before := used[name].DeepCopy()
		before.Add(uncounted[name])
		before.Sub(count)
		if before.Sign() > 0 {
			missing[name] = before
		}
	}
	return missing
}

func isMoreUsed(was, is *corev1.ResourceQuota) bool {
	for name, used := range is.Status.Used {
		if before := was.Status.Used[name]; used.Cmp(before) > 0 {
			return true
		}
	}
	return false
}

// Of reports whether a quota of the tenant has admitted something lately, or may have, so that it must not be changed.
// It returns what may be in use beyond what the quota controller has counted: if that counts less than before, soon
// after something was admitted, it may have overlooked just that. A change after that has it count anew; it must wait
// for the longest QuietTime, so that this count is right.
func (a *Admissions) Of(tenant types.UID, quota *corev1.ResourceQuota, now time.Time) (busy bool, uncounted corev1.ResourceList) {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	times, known := a.tenants[tenant][quota.UID]
	if !known {
		return isMoreUsed(&corev1.ResourceQuota{}, quota), nil
	}
	quiet := a.quietTime()
	if len(times.uncounted) > 0 {
		quiet = maxQuietTime
	}
	// The caller may have seen an event that is yet to be noted.
	return times.version != quota.ResourceVersion || now.Sub(times.admitted) < quiet, times.uncounted
}

// ForgetQuota forgets a quota that no longer exists.
func (a *Admissions) ForgetQuota(quota *corev1.ResourceQuota) {
	tenant := metav1.GetControllerOfNoCopy(quota)
	if tenant == nil {
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.remove(tenant.UID, quota.UID)
}

func (a *Admissions) remove(tenant, quota types.UID) {
	delete(a.tenants[tenant], quota)
	if len(a.tenants[tenant]) == 0 {
		delete(a.tenants, tenant)
	}
}

func (a *Admissions) forgetTenant(uid types.UID) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	delete(a.tenants, uid)
}

func (*Admissions) forgetServer(string) {}
