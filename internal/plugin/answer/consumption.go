package answer

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Service is something that tenants are charged for.
type Service struct {
	// ID names it in a list of prices.
	ID string
	// Metric is the operator's counter of it.
	Metric string
	// Category and Name say what it is, in the terms of FOCUS.
	Category, Name string
	// Unit is the unit of its quantities and prices, as FOCUS writes it, and perUnit how much of it the metric counts
	// for one.
	Unit    string
	perUnit float64
	// column is the header of its column.
	column string
}

const (
	hour     = 3600
	gibibyte = 1 << 30
)

// Services are all that tenants are charged for.
var Services = []Service{
	{"cpu", "tenantry_usage_requested_core_seconds_total", "Compute", "Requested CPU", "Core-Hours", hour, "CPU (core h)"},
	{"memory", "tenantry_usage_requested_memory_byte_seconds_total", "Compute", "Requested memory", "GiB-Hours", hour * gibibyte, "MEMORY (GiB h)"},
	{"storage", "tenantry_usage_storage_byte_seconds_total", "Storage", "Requested storage", "GiB-Hours", hour * gibibyte, "STORAGE (GiB h)"},
	{"database", "tenantry_usage_database_byte_seconds_total", "Databases", "Database size", "GiB-Hours", hour * gibibyte, "DATABASE (GiB h)"},
}

// Consumer is a tenant while it has a class; the class is empty if it has none.
type Consumer struct{ Tenant, Class string }

// Consumed is what a tenant has used while it had a class.
type Consumed struct {
	Consumer
	// Counted is by how much the metric of each service has grown. It has no services that nobody has counted.
	Counted map[string]float64
}

// Consumption is what tenants have used in an interval.
type Consumption struct {
	Interval Interval
	// Tenants are sorted by name and class.
	Tenants []Consumed
	// Seen is the share of the interval in which Prometheus has seen the operator at work.
	Seen float64
	// Prices are nil if nobody has said them.
	Prices *Prices
}

// quantity returns how many units were used, rounded to what makes no difference.
func (s *Service) quantity(counted float64) float64 { return rounded(counted/s.perUnit, 1e6) }

func rounded(number, parts float64) float64 { return math.Round(number*parts) / parts }

// Table returns a table with a row for each tenant and class. With prices, it has the cost.
func (c *Consumption) Table() view.Table {
	table := view.Table{Header: []string{"NAME", "CLASS"}}
	for i := range Services {
		table.Header = append(table.Header, Services[i].column)
	}
	if c.Prices != nil {
		table.Header = append(table.Header, "COST ("+c.Prices.Currency+")")
	}
	for _, tenant := range c.Tenants {
		row, total := []view.Cell{view.Text(tenant.Tenant), view.Text(tenant.Class)}, 0.0
		for i := range Services {
			service, cell := &Services[i], ""
			if counted, known := tenant.Counted[service.ID]; known {
				cell = strconv.FormatFloat(service.quantity(counted), 'f', 3, 64)
				price, _ := c.Prices.of(service, tenant.Class)
				total += service.quantity(counted) * price
			}
			row = append(row, view.Text(cell))
		}
		if c.Prices != nil {
			row = append(row, view.Text(strconv.FormatFloat(total, 'f', 2, 64)))
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

// Sentences returns what somebody who bills by this should know.
func (c *Consumption) Sentences() (sentences []string) {
	if c.Seen < 1 {
		sentences = append(sentences, fmt.Sprintf("Prometheus has seen the operator at work in %.1f%% of the time %s. What tenants used in the rest isn't counted.",
			math.Floor(c.Seen*1000)/10, c.Interval))
	}
	if c.Prices == nil {
		return sentences
	}
	var free []string
	for i := range Services {
		for _, tenant := range c.Tenants {
			_, priced := c.Prices.of(&Services[i], tenant.Class)
			if tenant.Counted[Services[i].ID] > 0 && !priced {
				free = append(free, Services[i].ID)
				break
			}
		}
	}
	if len(free) > 0 {
		sentences = append(sentences, fmt.Sprintf("For some tenants there is no price of %s, and no cost; write 0 for what is free.", strings.Join(free, " and ")))
	}
	return sentences
}

// charge is what one tenant has used of one service.
type charge struct {
	Consumer
	service  *Service
	interval Interval
	quantity float64
	prices   *Prices
}

// price returns the price of a unit; nil if there is none.
func (c *charge) price() any {
	if price, known := c.prices.of(c.service, c.Class); known {
		return price
	}
	return nil
}

// cost returns what is charged; nil if nobody has said a price.
func (c *charge) cost() any {
	if price, known := c.prices.of(c.service, c.Class); known {
		return rounded(price*c.quantity, 1e10)
	}
	return nil
}

// field is a column of FOCUS, the FinOps Open Cost and Usage Specification, with what a charge has in it.
type field struct {
	name string
	of   func(*charge) any
}

func always(value any) func(*charge) any { return func(*charge) any { return value } }

// charged are the columns that every export has.
var charged = []field{
	{"BillingPeriodStart", func(c *charge) any { return c.interval.From.Format(time.RFC3339) }},
	{"BillingPeriodEnd", func(c *charge) any { return c.interval.To.Format(time.RFC3339) }},
	{"ChargePeriodStart", func(c *charge) any { return c.interval.From.Format(time.RFC3339) }},
	{"ChargePeriodEnd", func(c *charge) any { return c.interval.To.Format(time.RFC3339) }},
	{"ChargeCategory", always("Usage")},
	{"ChargeFrequency", always("Usage-Based")},
	{"ChargeDescription", func(c *charge) any { return c.service.Name + " of the tenant " + c.Tenant }},
	{"ServiceCategory", func(c *charge) any { return c.service.Category }},
	{"ServiceName", func(c *charge) any { return c.service.Name }},
	{"SkuId", func(c *charge) any { return c.service.ID }},
	{"SubAccountId", func(c *charge) any { return c.Tenant }},
	{"SubAccountName", func(c *charge) any { return c.Tenant }},
	{"ResourceId", func(c *charge) any { return c.Tenant }},
	{"ResourceName", func(c *charge) any { return c.Tenant }},
	{"ResourceType", always("Tenant")},
	{"ConsumedQuantity", func(c *charge) any { return c.quantity }},
	{"ConsumedUnit", func(c *charge) any { return c.service.Unit }},
	{"x_TenantClass", func(c *charge) any { return c.Class }},
}

// priced are those that an export with prices has besides.
var priced = []field{
	{"BillingCurrency", func(c *charge) any { return c.prices.Currency }},
	{"PricingCategory", always("Standard")},
	{"PricingQuantity", func(c *charge) any { return c.quantity }},
	{"PricingUnit", func(c *charge) any { return c.service.Unit }},
	{"ListUnitPrice", (*charge).price},
	{"ListCost", (*charge).cost},
	{"ContractedUnitPrice", (*charge).price},
	{"ContractedCost", (*charge).cost},
	{"BilledCost", (*charge).cost},
	{"EffectiveCost", (*charge).cost},
}

// rows returns the charges, and the columns that they have. What isn't used is no charge.
func (c *Consumption) rows() (charges []charge, fields []field) {
	for _, tenant := range c.Tenants {
		for i := range Services {
			if quantity := Services[i].quantity(tenant.Counted[Services[i].ID]); quantity > 0 {
				charges = append(charges, charge{tenant.Consumer, &Services[i], c.Interval, quantity, c.Prices})
			}
		}
	}
	fields = append(fields, charged...)
	if c.Prices != nil {
		fields = append(fields, priced...)
	}
	return charges, fields
}

// Charges returns a row for each tenant, class and service, with its values by the names of FOCUS's columns.
func (c *Consumption) Charges() []map[string]any {
	charges, fields := c.rows()
	rows := []map[string]any{}
	for i := range charges {
		row := map[string]any{}
		for _, field := range fields {
			row[field.name] = field.of(&charges[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// WriteCSV writes the charges as CSV with a header. A value that nobody knows is empty.
func (c *Consumption) WriteCSV(to io.Writer) error {
	charges, fields := c.rows()
	var header []string
	for _, field := range fields {
		header = append(header, field.name)
	}
	lines := [][]string{header}
	for i := range charges {
		var line []string
		for _, field := range fields {
			line = append(line, cellOf(field.of(&charges[i])))
		}
		lines = append(lines, line)
	}
	return csv.NewWriter(to).WriteAll(lines)
}

func cellOf(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	default:
		return fmt.Sprint(value)
	}
}
