package tenantclass

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/metrics"
)

// measure sets the metrics of a class.
func measure(class string, status v1alpha1.TenantClassStatus, stopped bool) {
	for state, value := range map[string]int32{
		"all": ptr.Deref(status.Tenants, 0), "updated": ptr.Deref(status.Updated, 0), "ready": ptr.Deref(status.Ready, 0),
		"failed": ptr.Deref(status.Failed, 0), "pinned": ptr.Deref(status.Pinned, 0), "held_back": ptr.Deref(status.HeldBack, 0),
		"in_flight": int32(len(status.InFlight)),
	} {
		metrics.ClassTenants.WithLabelValues(class, state).Set(float64(value))
	}
	metrics.ClassStopped.WithLabelValues(class).Set(map[bool]float64{true: 1}[stopped])
}

func forgetMetrics(class string) {
	metrics.ClassTenants.DeletePartialMatch(prometheus.Labels{"class": class})
	metrics.ClassStopped.DeleteLabelValues(class)
}
