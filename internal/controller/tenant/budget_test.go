package tenant

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
)

// slice returns the ResourceQuota of a namespace acme-dev of the tenant acme.
func slice(annotation, hard, used string) *corev1.ResourceQuota {
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme-dev", Name: naming.Quota, UID: "quota", Labels: naming.ManagedLabels("acme")},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(hard)}},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(hard)},
			Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(used)},
		},
	}
	if annotation != "" {
		quota.Annotations = map[string]string{naming.AnnotationSlice: annotation}
	}
	return quota
}

func TestHowLongAnotherUsageMayWait(t *testing.T) {
	const noted = `{"holder":"x","used":{"pods":"2"}}`
	for _, test := range []struct {
		name  string
		quota *corev1.ResourceQuota
		want  time.Duration
	}{
		{"the whole quota, used up", slice("", "4", "4"), fleet.UsageInterval},
		{"a slice with room", slice(noted, "10", "3"), fleet.UsageInterval},
		{"a slice that is used up", slice(noted, "4", "4"), 0},
		{"a slice of which less is used", slice(noted, "4", "1"), fleet.UsageInterval},
		{"a slice whose note can't be read", slice("{", "4", "4"), fleet.UsageInterval},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := usagePatience(test.quota); got != test.want {
				t.Errorf("it waits %s, want %s", got, test.want)
			}
		})
	}
}

func TestObjectsInAllNamespacesBelongToTheirTenant(t *testing.T) {
	got := enqueued(t, func(q queue) {
		(&Reconciler{Fleet: &fleet.Fleet{}}).objectUpdated(t.Context(), updated(slice("", "4", "1"), func(is *corev1.ResourceQuota) {
			is.Labels = nil
		}), q)
	})
	if _, found := got["acme"]; !found || len(got) != 1 {
		t.Errorf("the tenants that are looked at are %v", got)
	}
}
