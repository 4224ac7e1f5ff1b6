// Package metrics has the operator's metrics, beyond those of controller-runtime.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	// ObjectChanges counts the writes of tenants' objects.
	ObjectChanges = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tenantry_object_changes_total",
		Help: "Objects of tenants that were created, configured or deleted, by kind and outcome.",
	}, []string{"kind", "outcome"})

	// DatabaseChanges counts how often the database of a tenant was changed.
	DatabaseChanges = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tenantry_database_changes_total",
		Help: "Changes of a tenant's database and roles, by server and result.",
	}, []string{"server", "result"})

	// Rotations counts how often the password of a tenant was replaced.
	Rotations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tenantry_credential_rotations_total",
		Help: "Rotations of a tenant's login, by server.",
	}, []string{"server"})

	// ProvisioningSeconds is the time from a Tenant's creation to the first time that it is Ready.
	ProvisioningSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "tenantry_tenant_provisioning_seconds",
		Help:    "Time from the creation of a Tenant to the first time that it was Ready.",
		Buckets: prometheus.ExponentialBuckets(0.25, 2, 12),
	})

	// ClassTenants has the number of tenants of each class, by what they are.
	ClassTenants = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenantry_tenantclass_tenants",
		Help: "Tenants of a TenantClass: all, and those that are updated, ready, failed, pinned, held_back or in_flight.",
	}, []string{"class", "state"})

	// ClassStopped is 1 for classes whose release has stopped, and 0 for others.
	ClassStopped = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenantry_tenantclass_release_stopped",
		Help: "1 while the release of the TenantClass has stopped because too many tenants have failed, else 0.",
	}, []string{"class"})

	// ServerUp is 1 for database servers that answer, and 0 for others.
	ServerUp = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenantry_database_server_up",
		Help: "1 while the database server answers and is prepared for tenants, else 0.",
	}, []string{"server"})

	serverProbeSeconds = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenantry_database_server_probe_seconds",
		Help: "How long the database server took to answer the last probe.",
	}, []string{"server"})

	serverDrifted = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tenantry_database_server_drifted_tenants",
		Help: "Tenants whose roles, rights or database have changed on the server and are being looked at, as of the last probe.",
	}, []string{"server"})
)

func init() {
	metrics.Registry.MustRegister(ObjectChanges, DatabaseChanges, Rotations, ProvisioningSeconds, ClassTenants, ClassStopped, ServerUp, serverProbeSeconds, serverDrifted)
}

// ServerAnswered notes that a database server has answered a probe.
func ServerAnswered(name string, took time.Duration, drifted int) {
	serverProbeSeconds.WithLabelValues(name).Set(took.Seconds())
	serverDrifted.WithLabelValues(name).Set(float64(drifted))
}

// ServerFailed notes that a database server can't be used.
func ServerFailed(name string) {
	ServerUp.WithLabelValues(name).Set(0)
	serverProbeSeconds.DeleteLabelValues(name)
	serverDrifted.DeleteLabelValues(name)
}

// ForgetServer forgets a database server that no longer exists.
func ForgetServer(name string) {
	ServerUp.DeleteLabelValues(name)
	serverProbeSeconds.DeleteLabelValues(name)
	serverDrifted.DeleteLabelValues(name)
}

// Result returns the value of the label for the result of an operation.
func Result(err error) string {
	if err != nil {
		return "error"
	}
	return "success"
}
