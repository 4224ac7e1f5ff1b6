package metrics

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fleet"
)

const (
	// maxQuotaResources is how many resources of a tenant's quota have metrics. With these, and with as many conditions
	// as a Tenant can have, a tenant has fewer than 40 series.
	maxQuotaResources = 6
	// readTimeout is how long a scrape waits for the cache, which answers at once when it is filled.
	readTimeout = 5 * time.Second
)

// The series of tenants.
var (
	tenantInfo = describe("tenantry_tenant_info",
		"1 for each tenant, with its class, the revision of that, and where its database is.", "tenant", "class", "revision", "server", "isolation")
	tenantCondition = describe("tenantry_tenant_condition",
		"1 for each condition of a tenant, with its status (True, False or Unknown) and reason.", "tenant", "type", "status", "reason")
	quotaHard = describe("tenantry_tenant_quota_hard",
		"The quota of a tenant, in cores, bytes or objects, for up to six resources.", "tenant", "resource")
	quotaUsed = describe("tenantry_tenant_quota_used",
		"How much of its quota a tenant uses, in cores, bytes or objects.", "tenant", "resource")
	appReplicas = describe("tenantry_tenant_app_replicas",
		"The desired number of pods of a tenant's app.", "tenant")
	appReady = describe("tenantry_tenant_app_ready_replicas",
		"The number of ready pods of a tenant's app.", "tenant")
	rotated = describe("tenantry_tenant_credentials_rotated_timestamp_seconds",
		"When the current password of a tenant's database login was generated, in Unix time.", "tenant")
	databaseBytes = describe("tenantry_tenant_database_bytes",
		"The size of a tenant's database on disk. Tenants of the isolation Row have none.", "tenant")
	databaseConnections = describe("tenantry_tenant_database_connections",
		"The number of open connections of a tenant to its database.", "tenant")
	databaseConnectionLimit = describe("tenantry_tenant_database_connection_limit",
		"The maximum number of connections of a tenant to its database.", "tenant")
)

// usageSums are the counters that a provider bills by. Each is how much there was times the seconds that it was there.
var usageSums = [fleet.Meterings]*prometheus.Desc{
	fleet.RequestedCores: describe("tenantry_usage_requested_core_seconds_total",
		"The cores that a tenant's pods requested, times seconds. Tenants without a quota for requests.cpu have none.", "tenant", "class"),
	fleet.RequestedMemory: describe("tenantry_usage_requested_memory_byte_seconds_total",
		"The memory that a tenant's pods requested, in bytes times seconds. Tenants without a quota for requests.memory have none.", "tenant", "class"),
	fleet.Storage: describe("tenantry_usage_storage_byte_seconds_total",
		"The storage that a tenant's PersistentVolumeClaims requested, in bytes times seconds. Tenants without a quota for requests.storage have none.", "tenant", "class"),
	fleet.DatabaseSize: describe("tenantry_usage_database_byte_seconds_total",
		"The size of a tenant's database on disk, in bytes times seconds. Tenants of the isolation Row have none.", "tenant", "class"),
}

// The series of database servers.
var (
	serverInfo = describe("tenantry_database_server_info",
		"1 for each database server, with the version of PostgreSQL and what runs it, if the operator does.", "server", "version", "provisioner")
	serverCondition = describe("tenantry_database_server_condition",
		"1 for each condition of a database server, with its status (True, False or Unknown) and reason.", "server", "type", "status", "reason")
	serverTenants = describe("tenantry_database_server_tenants",
		"The number of tenants with a database on the server.", "server")
	serverCapacity = describe("tenantry_database_server_capacity",
		"How many tenants may have a database on the server. Servers without a limit have none.", "server")
	serverUnprotected = describe("tenantry_database_server_unprotected_tables",
		"The number of tables of the isolation Row whose rows aren't kept apart by tenant. Servers that don't offer it have none.", "server")
	serverRetained = describe("tenantry_database_server_retained_databases",
		"The number of databases that were kept when their tenant was deleted.", "server")
)

var working = prometheus.NewDesc("tenantry_operator_working", "1 for the replica of the operator that works, and 0 for those that stand by.", nil, nil)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Register has the state of all tenants and database servers served with the manager's metrics.
func Register(manager ctrl.Manager, known *fleet.Fleet) error {
	return metrics.Registry.Register(&Collector{Cache: manager.GetCache(), Elected: manager.Elected(), Fleet: known})
}

// Collector serves the state of all tenants and database servers as it is in the cache when Prometheus asks. So it
// costs nothing in between, and what is deleted has no series any more.
type Collector struct {
	// Cache has the tenants and servers.
	Cache client.Reader
	// Elected is closed once this replica works. Until then it has no series of tenants and servers: those of the
	// replica that works would be there twice.
	Elected <-chan struct{}
	// Fleet has what database servers have reported of tenants.
	Fleet *fleet.Fleet
}

// Describe implements prometheus.Collector.
func (*Collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range append(usageSums[:],
		tenantInfo, tenantCondition, quotaHard, quotaUsed, appReplicas, appReady, rotated,
		databaseBytes, databaseConnections, databaseConnectionLimit,
		serverInfo, serverCondition, serverTenants, serverCapacity, serverUnprotected, serverRetained, working,
	) {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	select {
	case <-c.Elected:
		to <- prometheus.MustNewConstMetric(working, prometheus.GaugeValue, 1)
	default:
		to <- prometheus.MustNewConstMetric(working, prometheus.GaugeValue, 0)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	tenants, servers := &v1alpha1.TenantList{}, &v1alpha1.DatabaseServerList{}
	for _, list := range []client.ObjectList{tenants, servers} {
		if err := c.Cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			to <- prometheus.NewInvalidMetric(tenantInfo, err)
			return
		}
	}
	now := time.Now()
	for i := range tenants.Items {
		s := series{to, tenants.Items[i].Name}
		c.tenant(s, &tenants.Items[i])
		c.usage(s, tenants.Items[i].UID, now)
	}
	for i := range servers.Items {
		ofServer(series{to, servers.Items[i].Name}, &servers.Items[i])
	}
}

// series sends the series of one tenant or server.
type series struct {
	to   chan<- prometheus.Metric
	name string
}

// gauge sends a gauge whose first label is the name.
func (s series) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{s.name}, labels...)...)
}

// count sends a number that may be unknown.
func (s series) count(desc *prometheus.Desc, number *int32) {
	if number != nil {
		s.gauge(desc, float64(*number))
	}
}

func (s series) conditions(desc *prometheus.Desc, conditions []metav1.Condition) {
	for i := range conditions {
		s.gauge(desc, 1, conditions[i].Type, string(conditions[i].Status), conditions[i].Reason)
	}
}

func (c *Collector) tenant(s series, tenant *v1alpha1.Tenant) {
	status := &tenant.Status
	class, revision, server, isolation := "", "", "", ""
	if status.Class != nil {
		class, revision = status.Class.Name, status.Class.Revision
	}
	if status.Database != nil {
		server, isolation = status.Database.Server, string(status.Database.Isolation)
	}
	s.gauge(tenantInfo, 1, class, revision, server, isolation)
	s.conditions(tenantCondition, status.Conditions)
	if status.Usage != nil {
		s.quota(status.Usage)
	}
	if status.App != nil {
		s.count(appReplicas, status.App.Replicas)
		s.count(appReady, status.App.ReadyReplicas)
	}
	if status.Database != nil {
		c.database(s, tenant)
	}
}

func (c *Collector) database(s series, tenant *v1alpha1.Tenant) {
	database := tenant.Status.Database
	if database.RotatedAt != nil {
		s.gauge(rotated, float64(database.RotatedAt.Unix()))
	}
	if database.ConnectionLimit > 0 {
		s.gauge(databaseConnectionLimit, float64(database.ConnectionLimit))
	}
	use, known := c.Fleet.Uses.Of(database.Server, tenant.UID)
	if !known {
		return
	}
	s.count(databaseConnections, &use.Connections)
	if use.Bytes != nil {
		s.gauge(databaseBytes, float64(*use.Bytes))
	}
}

// usage sends what a tenant has used until now. The time at which a sum was zero tells Prometheus what was used before
// the first scrape, if it reads that.
func (c *Collector) usage(s series, tenant types.UID, now time.Time) {
	reading, known := c.Fleet.Meters.Read(tenant, now)
	if !known {
		return
	}
	for i, sum := range reading.Sums {
		if sum.Known {
			s.to <- prometheus.MustNewConstMetricWithCreatedTimestamp(usageSums[i], prometheus.CounterValue, sum.Value, reading.Since, s.name, reading.Class)
		}
	}
}

// quota sends what the quota says about the resources that matter most.
func (s series) quota(usage *v1alpha1.TenantUsage) {
	for _, name := range chosen(usage.Hard) {
		hard := usage.Hard[name]
		s.gauge(quotaHard, hard.AsApproximateFloat64(), string(name))
		if used, found := usage.Used[name]; found {
			s.gauge(quotaUsed, used.AsApproximateFloat64(), string(name))
		}
	}
}

func ofServer(s series, server *v1alpha1.DatabaseServer) {
	status := &server.Status
	s.gauge(serverInfo, 1, status.Version, string(status.Provisioner))
	s.conditions(serverCondition, status.Conditions)
	s.count(serverTenants, status.Tenants)
	if server.Spec.Capacity != nil {
		s.count(serverCapacity, server.Spec.Capacity.Tenants)
	}
	s.count(serverUnprotected, status.UnprotectedTables)
	s.count(serverRetained, status.RetainedDatabases)
}

// important are the resources that have metrics before others.
var important = []corev1.ResourceName{
	corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory,
	corev1.ResourcePods, corev1.ResourceRequestsStorage, corev1.ResourceCPU, corev1.ResourceMemory,
}

// chosen returns the resources of a quota that have metrics, the important ones first, and then by name.
func chosen(hard corev1.ResourceList) []corev1.ResourceName {
	names := make([]corev1.ResourceName, 0, len(hard))
	for _, name := range important {
		if _, found := hard[name]; found {
			names = append(names, name)
		}
	}
	known := len(names)
	for name := range hard {
		if !slices.Contains(important, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[known:])
	return names[:min(len(names), maxQuotaResources)]
}
