package fleet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// quotaOf returns a ResourceQuota that the tenant with this UID controls and that counts this many pods.
func quotaOf(tenant, uid types.UID, pods string) *corev1.ResourceQuota {
	quota := &corev1.ResourceQuota{Status: corev1.ResourceQuotaStatus{
		Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)},
	}}
	quota.UID = uid
	if tenant != "" {
		quota.OwnerReferences = []metav1.OwnerReference{{UID: tenant, Controller: new(true)}}
	}
	return quota
}

func TestAQuotaIsBusyForAWhileAfterSomethingWasLetIn(t *testing.T) {
	var a Admissions
	now := time.Now()
	a.Note(quotaOf("acme", "quota", "2"), quotaOf("acme", "quota", "1"), now)
	busy := func(quota *corev1.ResourceQuota, at time.Time) bool {
		is, _ := a.Of("acme", quota, at)
		return is
	}
	if busy(quotaOf("acme", "quota", "0"), now) {
		t.Error("it is busy after something has ended")
	}
	a.Note(quotaOf("acme", "quota", "1"), quotaOf("acme", "quota", "2"), now)
	quiet := a.QuietTime()
	full := quotaOf("acme", "quota", "2")
	if !busy(full, now.Add(quiet-1)) || busy(full, now.Add(quiet)) || busy(quotaOf("acme", "other", "0"), now) {
		t.Error("it is not busy for just that while")
	}
	a.ForgetQuota(full)
	if busy(quotaOf("acme", "quota", "0"), now) {
		t.Error("it is busy although it is gone")
	}
}

func TestAQuotaIsBusyWhoseLastEventIsYetToBeNoted(t *testing.T) {
	var a Admissions
	now := time.Now()
	version := func(version, pods string) *corev1.ResourceQuota {
		quota := quotaOf("acme", "quota", pods)
		quota.ResourceVersion = version
		return quota
	}
	if busy, _ := a.Of("acme", version("1", "1"), now); !busy {
		t.Error("it is not busy before its first admission is noted")
	}
	a.Note(&corev1.ResourceQuota{}, version("1", "1"), now)
	now = now.Add(maxQuietTime)
	if busy, _ := a.Of("acme", version("2", "2"), now); !busy {
		t.Error("it is not busy before its latest admission is noted")
	}
	if busy, _ := a.Of("acme", version("1", "1"), now); busy {
		t.Error("it is busy for ever")
	}
}

func TestWhatWasLetInDuringACountMayBeUncounted(t *testing.T) {
	quota := func(written, enforced, used string) *corev1.ResourceQuota {
		quota := quotaOf("acme", "quota", used)
		quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse(written)}
		quota.Status.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse(enforced)}
		return quota
	}
	var a Admissions
	now := time.Now()
	steps := func(all ...*corev1.ResourceQuota) {
		for i := range all[1:] {
			now = now.Add(10 * time.Millisecond)
			a.Note(all[i], all[i+1], now)
		}
	}
	expect := func(when, pods string) {
		t.Helper()
		_, uncounted := a.Of("acme", quota("4", "4", "3"), now)
		if got := uncounted.Pods().String(); got != pods {
			t.Errorf("%s, %s pods may be uncounted, want %s", when, got, pods)
		}
	}
	steps(&corev1.ResourceQuota{}, quota("20", "20", "2"))
	now = now.Add(maxQuietTime)
	steps(quota("20", "20", "2"), quota("4", "20", "2"), quota("4", "4", "2"))
	expect("after a quiet change", "0")
	steps(quota("20", "20", "2"), quota("4", "20", "2"), quota("4", "20", "3"), quota("4", "20", "4"), quota("4", "4", "3"))
	expect("after pods during the change", "1")
	steps(quota("4", "4", "3"), quota("5", "4", "3"), quota("5", "5", "3"))
	expect("after a change soon after that", "1")
	now = now.Add(maxQuietTime)
	steps(quota("5", "5", "3"), quota("4", "5", "3"), quota("4", "4", "4"))
	expect("after another quiet change", "0")
}

func TestAQuotaIsForgottenHoweverItWent(t *testing.T) {
	for _, test := range []struct {
		name string
		is   *corev1.ResourceQuota
	}{
		{"another one has taken its place while the watch was broken off", quotaOf("acme", "new", "0")},
		{"it has changed hands", quotaOf("globex", "quota", "2")},
		{"nobody controls it any more", quotaOf("", "quota", "2")},
	} {
		t.Run(test.name, func(t *testing.T) {
			var a Admissions
			now := time.Now()
			was := quotaOf("acme", "quota", "2")
			a.Note(&corev1.ResourceQuota{}, was, now)
			a.Note(was, test.is, now)
			if len(a.tenants) > 0 {
				t.Errorf("it remembers %v", a.tenants)
			}
		})
	}
}

func TestTheSlowerTheQuotaControllerTheLongerAQuotaMustBeQuiet(t *testing.T) {
	hard := func(quota *corev1.ResourceQuota, written, enforced string) *corev1.ResourceQuota {
		changed := quota.DeepCopy()
		changed.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse(written)}
		changed.Status.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse(enforced)}
		return changed
	}
	var a Admissions
	now, quota := time.Now(), quotaOf("acme", "quota", "1")
	enforce := func(lag time.Duration) {
		a.Note(hard(quota, "4", "4"), hard(quota, "8", "4"), now)
		a.Note(hard(quota, "8", "4"), hard(quota, "8", "4"), now.Add(lag/2))
		now = now.Add(lag)
		a.Note(hard(quota, "8", "4"), hard(quota, "8", "8"), now)
	}
	for _, test := range []struct{ lag, quiet time.Duration }{
		{20 * time.Millisecond, minQuietTime},
		{400 * time.Millisecond, 1600 * time.Millisecond},
		{20 * time.Millisecond, 1200 * time.Millisecond}, // It comes down by and by.
		{10 * time.Minute, maxQuietTime},
	} {
		enforce(test.lag)
		if got := a.QuietTime(); got != test.quiet {
			t.Errorf("after %s it is %s, want %s", test.lag, got, test.quiet)
		}
	}
}

func TestAQuotaThatChangesAgainIsWaitedForFromThenOn(t *testing.T) {
	var a Admissions
	now := time.Now()
	version := func(written string) *corev1.ResourceQuota {
		quota := quotaOf("acme", "quota", "1")
		quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse(written)}
		return quota
	}
	a.Note(&corev1.ResourceQuota{}, version("4"), now)
	a.Note(version("4"), version("8"), now.Add(time.Minute))
	enforced := version("8")
	enforced.Status.Hard = enforced.Spec.Hard
	a.Note(version("8"), enforced, now.Add(time.Minute+500*time.Millisecond))
	if got := a.QuietTime(); got != 2*time.Second {
		t.Errorf("it is %s", got)
	}
	if _, known := a.tenants["acme"]["quota"]; !known {
		t.Error("what it has admitted is forgotten")
	}
	idle := func(written string) *corev1.ResourceQuota {
		quota := version(written)
		quota.UID, quota.Status.Used = "idle", nil
		return quota
	}
	a.Note(&corev1.ResourceQuota{}, idle("4"), now)
	settled := idle("4")
	settled.Status.Hard = settled.Spec.Hard
	a.Note(idle("4"), settled, now)
	if _, known := a.tenants["acme"]["idle"]; known {
		t.Error("a quota is remembered that has admitted nothing and is enforced")
	}
}

func TestAnOperatorThatStartsTakesTheQuotaControllerForSlow(t *testing.T) {
	var a Admissions
	now := time.Now()
	a.Note(&corev1.ResourceQuota{}, quotaOf("acme", "quota", "2"), now)
	if busy, _ := a.Of("acme", quotaOf("acme", "quota", "2"), now.Add(quietLags*assumedLag-1)); !busy {
		t.Error("it changes quotas of which it doesn't know how late they are counted")
	}
}
