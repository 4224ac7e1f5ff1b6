package answer

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Usage is how much of one resource of its quota a tenant uses.
type Usage struct {
	// Tenant and Class are the names of the tenant and its class; the class is empty if it has none.
	Tenant string `json:"tenant"`
	Class  string `json:"class,omitempty"`
	// Resource is an entry of the quota, or database.connections.
	Resource string `json:"resource"`
	// Used is how much is in use; empty where nobody knows.
	Used string `json:"used,omitempty"`
	// Hard is the limit.
	Hard string `json:"hard"`
}

// connections is the resource that isn't an entry of the quota.
const connections = "database.connections"

// UsageOf returns what tenants use.
func UsageOf(tenants []v1alpha1.Tenant) []Usage {
	usage := []Usage{}
	for i := range tenants {
		tenant := &tenants[i]
		row := Usage{Tenant: tenant.Name}
		if tenant.Status.Class != nil {
			row.Class = tenant.Status.Class.Name
		}
		if tenant.Status.Usage != nil {
			for _, name := range slices.Sorted(maps.Keys(tenant.Status.Usage.Hard)) {
				hard, used := tenant.Status.Usage.Hard[name], tenant.Status.Usage.Used[name]
				row.Resource, row.Used, row.Hard = string(name), used.String(), hard.String()
				usage = append(usage, row)
			}
		}
		if database := tenant.Status.Database; database != nil && database.ConnectionLimit > 0 {
			row.Resource, row.Used, row.Hard = connections, "", strconv.Itoa(int(database.ConnectionLimit))
			usage = append(usage, row)
		}
	}
	return usage
}

// columns are the columns of the table of usage, each with the entries of a quota that it shows, the first one first.
var columns = []struct {
	name    string
	entries []corev1.ResourceName
}{
	{"CPU", []corev1.ResourceName{corev1.ResourceRequestsCPU, corev1.ResourceCPU, corev1.ResourceLimitsCPU}},
	{"MEMORY", []corev1.ResourceName{corev1.ResourceRequestsMemory, corev1.ResourceMemory, corev1.ResourceLimitsMemory}},
	{"PODS", []corev1.ResourceName{corev1.ResourcePods, "count/pods"}},
	{"STORAGE", []corev1.ResourceName{corev1.ResourceRequestsStorage}},
}

// UsageTable returns a table of what tenants use of their quota, with bars.
func UsageTable(tenants []v1alpha1.Tenant) view.Table {
	table := view.Table{Header: []string{"NAME", "CLASS"}}
	for _, column := range columns {
		table.Header = append(table.Header, column.name)
	}
	table.Header = append(table.Header, "DATABASE", "CONNECTIONS")
	for i := range tenants {
		tenant := &tenants[i]
		class, database, limit := "", "", ""
		if tenant.Status.Class != nil {
			class = tenant.Status.Class.Name
		}
		if placed := tenant.Status.Database; placed != nil {
			database = placed.Server
			if placed.ConnectionLimit > 0 {
				limit = fmt.Sprintf("up to %d", placed.ConnectionLimit)
			}
		}
		row := []view.Cell{view.Text(tenant.Name), view.Text(class)}
		for _, column := range columns {
			row = append(row, share(tenant.Status.Usage, column.entries))
		}
		table.Rows = append(table.Rows, append(row, view.Text(database), view.Text(limit)))
	}
	return table
}

// share returns the cell for the first of these entries that a quota has.
func share(usage *v1alpha1.TenantUsage, entries []corev1.ResourceName) view.Cell {
	if usage == nil {
		return view.Text("no limit")
	}
	for _, entry := range entries {
		hard, limited := usage.Hard[entry]
		if !limited {
			continue
		}
		used := usage.Used[entry]
		bar, mark := view.Bar(ratio(used, hard))
		return view.Cell{Text: fmt.Sprintf("%s %s of %s", bar, used.String(), hard.String()), Mark: mark}
	}
	return view.Text("no limit")
}

// ratio returns how much of a limit is used. A limit of zero, of which nothing is used, has nothing left, and nothing
// is wrong with it.
func ratio(used, hard resource.Quantity) float64 {
	if hard.IsZero() {
		if used.IsZero() {
			return 0
		}
		return 1
	}
	return used.AsApproximateFloat64() / hard.AsApproximateFloat64()
}

// WriteCSV writes usage as CSV with a header.
func WriteCSV(to io.Writer, usage []Usage) error {
	writer := csv.NewWriter(to)
	rows := [][]string{{"tenant", "class", "resource", "used", "hard"}}
	for _, u := range usage {
		rows = append(rows, []string{u.Tenant, u.Class, u.Resource, u.Used, u.Hard})
	}
	return writer.WriteAll(rows)
}
