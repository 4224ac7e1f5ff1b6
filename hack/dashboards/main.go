// Command dashboards writes the Grafana dashboards of config/prometheus: one for the fleet, and one for a tenant.
//
//	go run ./hack/dashboards config/prometheus/dashboards
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards FOLDER")
		os.Exit(2)
	}
	for name, builder := range map[string]*board{"fleet.json": fleet(), "tenant.json": tenant()} {
		if err := write(filepath.Join(os.Args[1], name), builder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func write(path string, builder *board) error {
	built, err := builder.Build()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	content, err := json.MarshalIndent(built, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o644)
}

// datasource is the variable with the Prometheus to ask.
var datasource = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// board is a dashboard in the format that the sidecars of Grafana's charts load from ConfigMaps.
type board = dashboard.DashboardBuilder //nolint:staticcheck // They don't take its successor yet.

// begin begins a dashboard.
func begin(title, uid string) *board {
	return dashboard.NewDashboardBuilder(title). //nolint:staticcheck // As board is.
							Uid(uid).Tags([]string{"tenantry"}).
							Refresh("1m").Time("now-6h", "now").Timezone(common.TimeZoneBrowser).Readonly().
							WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"))
}

// fleet shows which tenant or server is in trouble, and how the operator is.
func fleet() *board {
	return begin("Tenantry / Fleet", "tenantry-fleet").
		WithRow(dashboard.NewRowBuilder("Tenants")).
		WithPanel(number("Tenants", "", `sum(tenantry:tenants:count)`)).
		WithPanel(number("Ready", "", `sum(tenantry:tenants_ready:count)`)).
		WithPanel(number("Stalled", "", `count(tenantry_tenant_condition{type="Stalled", status="True"}) or vector(0)`)).
		WithPanel(number("Alerts", "", `count(ALERTS{alertname=~"Tenantry.+", alertstate="firing"}) or vector(0)`)).
		WithPanel(list("Tenants that aren't Ready", `max by (tenant, reason) (tenantry_tenant_condition{type="Ready", status!="True"})`)).
		WithPanel(lines("Tenants by class", "short", query(`sum by (class) (tenantry:tenants:count)`, "{{class}}"))).
		WithPanel(lines("Nearest to their quota", "percentunit", query(`topk(10, tenantry:tenant_quota:ratio)`, "{{tenant}} {{resource}}"))).
		WithPanel(lines("Time until a new tenant is Ready (90th percentile)", "s", query(`tenantry:tenant_provisioning_seconds:p90`, "p90"))).
		WithRow(dashboard.NewRowBuilder("Database servers")).
		WithPanel(list("Servers", `max by (server, version) (tenantry_database_server_info)`)).
		WithPanel(lines("Up", "short", query(`max by (server) (tenantry_database_server_up)`, "{{server}}"))).
		WithPanel(lines("Time to answer a probe", "s", query(`max by (server) (tenantry_database_server_probe_seconds)`, "{{server}}"))).
		WithPanel(lines("Tenants of their capacity", "percentunit", query(`tenantry:database_server_tenants:ratio`, "{{server}}"))).
		WithPanel(lines("Tenants that somebody has changed", "short", query(`max by (server) (tenantry_database_server_drifted_tenants)`, "{{server}}"))).
		WithPanel(lines("Largest databases", "bytes", query(`topk(10, max by (tenant) (tenantry_tenant_database_bytes))`, "{{tenant}}"))).
		WithPanel(lines("Most connections", "short", query(`topk(10, max by (tenant) (tenantry_tenant_database_connections))`, "{{tenant}}"))).
		WithPanel(lines("Rotations per hour", "short", query(`sum by (server) (rate(tenantry_credential_rotations_total[1h])) * 3600`, "{{server}}"))).
		WithRow(dashboard.NewRowBuilder("Operator")).
		WithPanel(number("Replicas that work", "", `sum(tenantry_operator_working)`)).
		WithPanel(lines("Objects that wait", "short", query(`tenantry:workqueue_depth:max`, "{{name}}"))).
		WithPanel(lines("Time of a reconcile (99th percentile)", "s", query(`tenantry:reconcile_seconds:p99`, "{{controller}}"))).
		WithPanel(lines("Reconciles that fail", "percentunit", query(`tenantry:reconcile_errors:ratio`, "{{controller}}"))).
		WithPanel(lines("Objects written per second", "short", query(`sum by (outcome) (rate(tenantry_object_changes_total[5m]))`, "{{outcome}}"))).
		WithPanel(lines("Memory", "bytes", query(`process_resident_memory_bytes and on (job, instance) tenantry_operator_working`, "{{instance}}")))
}

// tenant shows one tenant.
func tenant() *board {
	return begin("Tenantry / Tenant", "tenantry-tenant").
		WithVariable(dashboard.NewQueryVariableBuilder("tenant").Label("Tenant").Datasource(datasource).
			Query(dashboard.StringOrMap{String: new("label_values(tenantry_tenant_info, tenant)")}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)).
		WithPanel(number("Ready", "", `max(tenantry_tenant_condition{tenant="$tenant", type="Ready", status="True"}) or vector(0)`)).
		WithPanel(list("Class and database", `max by (class, revision, server, isolation) (tenantry_tenant_info{tenant="$tenant"})`)).
		WithPanel(list("Conditions", `max by (type, status, reason) (tenantry_tenant_condition{tenant="$tenant"})`)).
		WithRow(dashboard.NewRowBuilder("Quota")).
		WithPanel(lines("Used of the quota", "percentunit", query(`tenantry:tenant_quota:ratio{tenant="$tenant"}`, "{{resource}}"))).
		WithPanel(list("Quota", `max by (resource) (tenantry_tenant_quota_hard{tenant="$tenant"})`)).
		WithPanel(list("Used", `max by (resource) (tenantry_tenant_quota_used{tenant="$tenant"})`)).
		WithRow(dashboard.NewRowBuilder("App")).
		WithPanel(lines("Pods", "short",
			query(`max(tenantry_tenant_app_replicas{tenant="$tenant"})`, "wanted"),
			query(`max(tenantry_tenant_app_ready_replicas{tenant="$tenant"})`, "ready"))).
		WithRow(dashboard.NewRowBuilder("Database")).
		WithPanel(lines("Size", "bytes", query(`max(tenantry_tenant_database_bytes{tenant="$tenant"})`, "size"))).
		WithPanel(lines("Connections", "short",
			query(`max(tenantry_tenant_database_connections{tenant="$tenant"})`, "open"),
			query(`max(tenantry_tenant_database_connection_limit{tenant="$tenant"})`, "limit"))).
		WithPanel(number("Age of the password", "s", `time() - max(tenantry_tenant_credentials_rotated_timestamp_seconds{tenant="$tenant"})`)).
		WithPanel(lines("Server answers a probe in", "s", query(
			`max by (server) (tenantry_database_server_probe_seconds) and on (server) tenantry_tenant_info{tenant="$tenant"}`, "{{server}}")))
}

func query(expr, legend string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Datasource(datasource).Expr(expr).LegendFormat(legend)
}

// number shows the present value of a query.
func number(title, unit, expr string) *stat.PanelBuilder {
	return stat.NewPanelBuilder().Title(title).Datasource(datasource).Unit(unit).Span(6).Height(4).
		WithTarget(query(expr, "").Instant())
}

// list shows the series that a query has at present.
func list(title, expr string) *table.PanelBuilder {
	return table.NewPanelBuilder().Title(title).Datasource(datasource).Span(12).Height(8).
		WithTarget(query(expr, "").Instant().Format(prometheus.PromQueryFormatTable))
}

// lines shows queries over time.
func lines(title, unit string, queries ...*prometheus.DataqueryBuilder) *timeseries.PanelBuilder {
	panel := timeseries.NewPanelBuilder().Title(title).Datasource(datasource).Unit(unit).Min(0).Span(12).Height(8)
	for _, each := range queries {
		panel.WithTarget(each)
	}
	return panel
}
