package metrics_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/test/builders"
)

// stored has the objects that a cache holds, and lists them as it does without copies.
type stored struct {
	client.Reader
	tenants []v1alpha1.Tenant
	servers []v1alpha1.DatabaseServer
	err     error
}

func (s *stored) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch list := list.(type) {
	case *v1alpha1.TenantList:
		list.Items = slices.Clone(s.tenants)
	case *v1alpha1.DatabaseServerList:
		list.Items = slices.Clone(s.servers)
	}
	return s.err
}

func closed() <-chan struct{} {
	elected := make(chan struct{})
	close(elected)
	return elected
}

// handler returns what serves the metrics of a collector.
func handler(tb testing.TB, collector *metrics.Collector) http.Handler {
	tb.Helper()
	return handlerOf(tb, prometheus.NewPedanticRegistry(), collector)
}

func handlerOf(tb testing.TB, registry *prometheus.Registry, collector *metrics.Collector) http.Handler {
	tb.Helper()
	if err := registry.Register(collector); err != nil {
		tb.Fatal(err)
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// scrape returns the answer to Prometheus, and the lines in it that have a value.
func scrape(tb testing.TB, served http.Handler) (code int, lines []string) {
	tb.Helper()
	recorder := httptest.NewRecorder()
	served.ServeHTTP(recorder, httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/metrics", http.NoBody))
	body, err := io.ReadAll(recorder.Body)
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return recorder.Code, lines
}

// working is what each replica says that works.
const working = "tenantry_operator_working 1"

var rotated = metav1.NewTime(time.Unix(1700000000, 0))

// full returns a tenant with all that has metrics.
func full(name string) v1alpha1.Tenant {
	tenant := builders.Tenant(name).Build()
	tenant.UID = types.UID("uid-of-" + name)
	tenant.Status = v1alpha1.TenantStatus{
		Class: &v1alpha1.TenantStatusClass{Name: "gold", Revision: "gold-3"},
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "ErrImagePull"},
			{Type: v1alpha1.ConditionDatabaseReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady},
		},
		Database: &v1alpha1.TenantDatabaseStatus{
			Server: "shared", Isolation: v1alpha1.DatabaseIsolationDatabase, ConnectionLimit: 20, RotatedAt: &rotated,
		},
		App: &v1alpha1.TenantAppStatus{Replicas: new(int32(3)), ReadyReplicas: new(int32(2))},
		Usage: &v1alpha1.TenantUsage{
			Hard: corev1.ResourceList{corev1.ResourceRequestsCPU: resource.MustParse("1500m"), corev1.ResourcePods: resource.MustParse("10")},
			Used: corev1.ResourceList{corev1.ResourceRequestsCPU: resource.MustParse("250m")},
		},
	}
	return *tenant
}

// measured returns a fleet that knows what a tenant uses of the server shared.
func measured(tenant *v1alpha1.Tenant, use database.Use) *fleet.Fleet {
	known := &fleet.Fleet{}
	known.SawTenant(tenant.Name, tenant.UID)
	use.Tenant, use.UID = tenant.Name, string(tenant.UID)
	known.Measured("shared", []database.Use{use}, nil, rotated.Time)
	return known
}

func TestTheSeriesOfATenant(t *testing.T) {
	acme := full("acme")
	bare := *builders.Tenant("bare").Build()
	row := full("row")
	row.Status = v1alpha1.TenantStatus{Database: &v1alpha1.TenantDatabaseStatus{Server: "shared", Isolation: v1alpha1.DatabaseIsolationRow}}
	for _, test := range []struct {
		name   string
		tenant v1alpha1.Tenant
		use    database.Use
		want   []string
	}{
		{"a tenant with everything", acme, database.Use{Bytes: new(int64(8000000)), Connections: 7}, []string{
			`tenantry_tenant_app_ready_replicas{tenant="acme"} 2`,
			`tenantry_tenant_app_replicas{tenant="acme"} 3`,
			`tenantry_tenant_condition{reason="ErrImagePull",status="False",tenant="acme",type="Ready"} 1`,
			`tenantry_tenant_condition{reason="Ready",status="True",tenant="acme",type="DatabaseReady"} 1`,
			`tenantry_tenant_credentials_rotated_timestamp_seconds{tenant="acme"} 1.7e+09`,
			`tenantry_tenant_database_bytes{tenant="acme"} 8e+06`,
			`tenantry_tenant_database_connection_limit{tenant="acme"} 20`,
			`tenantry_tenant_database_connections{tenant="acme"} 7`,
			`tenantry_tenant_info{class="gold",isolation="Database",revision="gold-3",server="shared",tenant="acme"} 1`,
			`tenantry_tenant_quota_hard{resource="pods",tenant="acme"} 10`,
			`tenantry_tenant_quota_hard{resource="requests.cpu",tenant="acme"} 1.5`,
			`tenantry_tenant_quota_used{resource="requests.cpu",tenant="acme"} 0.25`,
		}},
		{"a tenant that the operator hasn't seen yet", bare, database.Use{}, []string{
			`tenantry_tenant_info{class="",isolation="",revision="",server="",tenant="bare"} 1`,
		}},
		{"a tenant whose rows are among those of others", row, database.Use{Connections: 1}, []string{
			`tenantry_tenant_database_connections{tenant="row"} 1`,
			`tenantry_tenant_info{class="",isolation="Row",revision="",server="shared",tenant="row"} 1`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cache := &stored{tenants: []v1alpha1.Tenant{test.tenant}}
			_, lines := scrape(t, handler(t, &metrics.Collector{Cache: cache, Elected: closed(), Fleet: measured(&test.tenant, test.use)}))
			test.want = append(test.want, working)
			slices.Sort(test.want)
			if !slices.Equal(lines, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// metered has a quota count for a tenant, which it notes in its meter.
func metered(known *fleet.Fleet, tenant *v1alpha1.Tenant, used corev1.ResourceList) {
	quota := &corev1.ResourceQuota{Status: corev1.ResourceQuotaStatus{Used: used}}
	quota.UID = "quota-of-" + tenant.UID
	quota.OwnerReferences = []metav1.OwnerReference{{UID: tenant.UID, Controller: new(true)}}
	known.Meters.Note(&corev1.ResourceQuota{}, quota, time.Now())
}

// TestTheCountersOfATenantGrowByTheTimeThatHasPassed scrapes two minutes after the operator has seen a tenant.
func TestTheCountersOfATenantGrowByTheTimeThatHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, known := full("acme"), &fleet.Fleet{}
		known.SawTenant(tenant.Name, tenant.UID)
		known.SawPlace(tenant.Name, tenant.UID, fleet.Place{Class: "gold", Server: "shared"}, time.Now())
		metered(known, &tenant, corev1.ResourceList{
			corev1.ResourceRequestsCPU: resource.MustParse("250m"), corev1.ResourceRequestsMemory: resource.MustParse("1k"), corev1.ResourceRequestsStorage: resource.MustParse("1M"),
		})
		known.Measured("shared", []database.Use{{Tenant: tenant.Name, UID: string(tenant.UID), Bytes: new(int64(8000))}}, nil, time.Now())
		served := handler(t, &metrics.Collector{Cache: &stored{tenants: []v1alpha1.Tenant{tenant}}, Elected: closed(), Fleet: known})
		<-time.After(2 * time.Minute)
		_, lines := scrape(t, served)
		for _, want := range []string{
			`tenantry_usage_requested_core_seconds_total{class="gold",tenant="acme"} 30`,
			`tenantry_usage_requested_memory_byte_seconds_total{class="gold",tenant="acme"} 120000`,
			`tenantry_usage_storage_byte_seconds_total{class="gold",tenant="acme"} 1.2e+08`,
			`tenantry_usage_database_byte_seconds_total{class="gold",tenant="acme"} 960000`,
		} {
			if !slices.Contains(lines, want) {
				t.Errorf("%s is missing in\n%s", want, strings.Join(lines, "\n"))
			}
		}
	})
}

func TestTheSeriesOfAServer(t *testing.T) {
	server := builders.DatabaseServer("shared", "pg.example").Build()
	server.Spec.Capacity = &v1alpha1.DatabaseServerCapacity{Tenants: new(int32(100))}
	server.Status = v1alpha1.DatabaseServerStatus{
		Version: "17.4", Tenants: new(int32(3)), RetainedDatabases: new(int32(1)), UnprotectedTables: new(int32(2)),
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}},
	}
	cache := &stored{servers: []v1alpha1.DatabaseServer{*server}}
	_, lines := scrape(t, handler(t, &metrics.Collector{Cache: cache, Elected: closed(), Fleet: &fleet.Fleet{}}))
	want := []string{
		`tenantry_database_server_capacity{server="shared"} 100`,
		`tenantry_database_server_condition{reason="Ready",server="shared",status="True",type="Ready"} 1`,
		`tenantry_database_server_info{provisioner="",server="shared",version="17.4"} 1`,
		`tenantry_database_server_retained_databases{server="shared"} 1`,
		`tenantry_database_server_tenants{server="shared"} 3`,
		`tenantry_database_server_unprotected_tables{server="shared"} 2`,
		working,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestATenantHasFewSeries has a tenant with as many conditions and resources as its type allows.
func TestATenantHasFewSeries(t *testing.T) {
	tenant := full("acme")
	for n := len(tenant.Status.Conditions); n < 16; n++ {
		tenant.Status.Conditions = append(tenant.Status.Conditions, metav1.Condition{Type: fmt.Sprintf("Type%d", n), Status: metav1.ConditionTrue, Reason: "Reason"})
	}
	tenant.Status.Usage = &v1alpha1.TenantUsage{Hard: corev1.ResourceList{}, Used: corev1.ResourceList{}}
	names := []corev1.ResourceName{corev1.ResourceLimitsMemory, corev1.ResourceRequestsCPU}
	for n := range 22 {
		names = append(names, corev1.ResourceName(fmt.Sprintf("count/kind%d.example", n)))
	}
	for _, name := range names {
		tenant.Status.Usage.Hard[name], tenant.Status.Usage.Used[name] = resource.MustParse("2"), resource.MustParse("1")
	}
	cache := &stored{tenants: []v1alpha1.Tenant{tenant}}
	known := measured(&tenant, database.Use{Bytes: new(int64(1))})
	known.SawPlace(tenant.Name, tenant.UID, fleet.Place{Class: "gold", Server: "shared"}, time.Now())
	metered(known, &tenant, corev1.ResourceList{
		corev1.ResourceRequestsCPU: resource.MustParse("1"), corev1.ResourceRequestsMemory: resource.MustParse("1"), corev1.ResourceRequestsStorage: resource.MustParse("1"),
	})
	_, lines := scrape(t, handler(t, &metrics.Collector{Cache: cache, Elected: closed(), Fleet: known}))
	if len(lines)-1 >= 40 {
		t.Errorf("the tenant has %d series", len(lines)-1)
	}
	if sums := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.HasPrefix(line, "tenantry_usage_") }); len(sums) != int(fleet.Meterings) {
		t.Errorf("it has the sums %v", sums)
	}
	for _, name := range []string{"limits.memory", "requests.cpu", "count/kind0.example"} {
		line := fmt.Sprintf(`tenantry_tenant_quota_used{resource=%q,tenant="acme"} 1`, name)
		if !slices.Contains(lines, line) {
			t.Errorf("%s is missing", line)
		}
	}
}

func TestAReplicaThatStandsByHasNoSeries(t *testing.T) {
	cache := &stored{tenants: []v1alpha1.Tenant{full("acme")}}
	_, lines := scrape(t, handler(t, &metrics.Collector{Cache: cache, Elected: make(chan struct{}), Fleet: &fleet.Fleet{}}))
	if !slices.Equal(lines, []string{"tenantry_operator_working 0"}) {
		t.Errorf("it has %v", lines)
	}
}

func TestACacheThatCannotBeReadIsAnErrorAndNotAnEmptyCluster(t *testing.T) {
	cache := &stored{err: context.DeadlineExceeded}
	code, _ := scrape(t, handler(t, &metrics.Collector{Cache: cache, Elected: closed(), Fleet: &fleet.Fleet{}}))
	if code != http.StatusInternalServerError {
		t.Errorf("the scrape answers %d", code)
	}
}

// BenchmarkScrape measures one scrape of 5,000 tenants, as Prometheus gets it.
func BenchmarkScrape(b *testing.B) {
	const count = 5000
	cache, known := &stored{}, &fleet.Fleet{}
	var uses []database.Use
	for n := range count {
		tenant := full(fmt.Sprintf("tenant-%d", n))
		for _, part := range []string{"NamespaceReady", "QuotaReady", "NetworkReady", "AccessReady", "AppReady"} {
			tenant.Status.Conditions = append(tenant.Status.Conditions, metav1.Condition{Type: part, Status: metav1.ConditionTrue, Reason: "Ready"})
		}
		known.SawTenant(tenant.Name, tenant.UID)
		known.SawPlace(tenant.Name, tenant.UID, fleet.Place{Class: "gold", Server: "shared"}, time.Now())
		metered(known, &tenant, corev1.ResourceList{corev1.ResourceRequestsCPU: resource.MustParse("1")})
		uses = append(uses, database.Use{Tenant: tenant.Name, UID: string(tenant.UID), Bytes: new(int64(8 << 20)), Connections: 3})
		cache.tenants = append(cache.tenants, tenant)
	}
	known.Measured("shared", uses, nil, rotated.Time)
	served := handlerOf(b, prometheus.NewRegistry(), &metrics.Collector{Cache: cache, Elected: closed(), Fleet: known})
	_, lines := scrape(b, served)
	began := processorTime(b)
	for b.Loop() {
		served.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", http.NoBody))
	}
	b.ReportMetric(float64((processorTime(b)-began).Milliseconds())/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(len(lines)-1)/count, "series/tenant")
}

// processorTime returns the time that this process has had on processors, which others on a busy machine don't change.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
