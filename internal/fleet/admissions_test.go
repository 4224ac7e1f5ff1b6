package fleet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// quotaOf is a ResourceQuota that the tenant with this UID controls and that counts this many pods.
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
	if a.Recent("acme", "quota", now) {
		t.Error("it is busy after something has ended")
	}
	a.Note(quotaOf("acme", "quota", "1"), quotaOf("acme", "quota", "2"), now)
	if !a.Recent("acme", "quota", now.Add(QuietTime-1)) || a.Recent("acme", "quota", now.Add(QuietTime)) || a.Recent("acme", "other", now) {
		t.Error("it is not busy for just that while")
	}
	a.ForgetQuota(quotaOf("acme", "quota", "2"))
	if a.Recent("acme", "quota", now) {
		t.Error("it is busy although it is gone")
	}
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
