package answer_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/plugin/answer"
)

// today is the time at which the commands are run.
var today = time.Date(2026, time.November, 28, 10, 30, 0, 500, time.UTC)

func TestAnIntervalIsReadFromItsFlags(t *testing.T) {
	for _, test := range []struct{ name, from, to, want, refused string }{
		{name: "days back from now", from: "30d", want: "from 2026-10-29T10:30:00Z to 2026-11-28T10:30:00Z"},
		{name: "both back from now", from: "2h", to: "30m", want: "from 2026-11-28T08:30:00Z to 2026-11-28T10:00:00Z"},
		{name: "a month", from: "2026-10-01", to: "2026-11-01", want: "from 2026-10-01T00:00:00Z to 2026-11-01T00:00:00Z"},
		{name: "times of RFC 3339 in another zone", from: "2026-11-01T01:00:00+01:00", to: "2026-11-01T00:00:01Z", want: "from 2026-11-01T00:00:00Z to 2026-11-01T00:00:01Z"},
		{name: "no time", from: "yesterday", refused: `--from "yesterday" is no time; write how far back from now, such as 30d or 12h, a date such as 2026-11-01, which begins at midnight UTC, or a time such as 2026-11-01T08:00:00Z`},
		{name: "no time at the end", from: "30d", to: "1.11.2026", refused: `--to "1.11.2026" is no time`},
		{name: "the end before the beginning", from: "2026-11-02", to: "2026-11-01", refused: "--from is 2026-11-02T00:00:00Z, which isn't before --to, 2026-11-01T00:00:00Z"},
		{name: "no time at all between them", from: "1h", to: "1h", refused: "isn't before --to"},
		{name: "a beginning in the future", from: "2026-12-01", refused: "--from is 2026-12-01T00:00:00Z, which is in the future; it is 2026-11-28T10:30:00Z"},
		{name: "an end in the future", from: "2026-11-01", to: "2026-12-01", refused: "--to is 2026-12-01T00:00:00Z, which is in the future"},
		{name: "a leap year", from: "366d", want: "from 2025-11-27T10:30:00Z to 2026-11-28T10:30:00Z"},
		{name: "longer than a year", from: "1970-01-01", refused: "the interval is longer than a year"},
	} {
		t.Run(test.name, func(t *testing.T) {
			interval, err := answer.IntervalOf(test.from, test.to, today)
			switch {
			case test.refused != "":
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("says %v, want %q", err, test.refused)
				}
			case err != nil || interval.String() != test.want:
				t.Errorf("got %q and %v, want %q", interval, err, test.want)
			}
		})
	}
}

func TestTheDaysOfAnIntervalHaveAllOfIt(t *testing.T) {
	for from, count := range map[string]int{"1s": 1, "1d": 1, "25h": 2, "30d": 30} {
		interval, err := answer.IntervalOf(from, "", today)
		if err != nil {
			t.Fatal(err)
		}
		days := interval.Days()
		next := interval.From
		for _, day := range days {
			if !day.From.Equal(next) || day.Length() > 24*time.Hour || day.Length() <= 0 {
				t.Errorf("%s has %s after %s", from, day, next)
			}
			next = day.To
		}
		if len(days) != count || !next.Equal(interval.To) {
			t.Errorf("%s has %d days and ends at %s", from, len(days), next)
		}
	}
}

func TestPricesAreChecked(t *testing.T) {
	for content, refused := range map[string]string{
		"currency: EUR\nprices: {cpu: 0.02, memory: 1, storage: 0, database: 0.1}\nclasses: {gold: {cpu: 0.03}}\n": "",
		"currency: EUR\n":                                  "",
		"prices: {cpu: 1}\n":                               `currency is ""; write its code of three letters, such as EUR`,
		"currency: euros\nprices: {cpu: 1}\n":              `currency is "euros"`,
		"currency: EUR\nprices: {gpu: 1}\n":                "prices.gpu is the price of nothing; there are cpu, memory, storage, database",
		"currency: EUR\nprices: {cpu: -1}\n":               "prices.cpu is -1; write 0 or more",
		"currency: EUR\nprices: {cpu: cheap}\n":            "it isn't a list of prices",
		"currency: EUR\nprices: {cpu: .nan}\n":             "it isn't a list of prices",
		"currency: EUR\nprice: {cpu: 1}\n":                 `unknown field "price"`,
		"currency: EUR\nprices: {cpu: 1, cpu: 2}\n":        "already set",
		"currency: EUR\nclasses: {gold: {network: 0.1}}\n": "classes.gold.network is the price of nothing",
	} {
		_, err := answer.ParsePrices([]byte(content))
		switch {
		case refused == "" && err != nil:
			t.Errorf("%q is refused: %v", content, err)
		case refused != "" && (err == nil || !strings.Contains(err.Error(), refused)):
			t.Errorf("%q says %v, want %q", content, err, refused)
		}
	}
}

func TestTheSampleOfPricesIsOne(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "prometheus", "prices.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if prices, err := answer.ParsePrices(content); err != nil || len(prices.Prices) != len(answer.Services) {
		t.Errorf("it has %v: %v", prices, err)
	}
}

const (
	coreHour = 3600.0
	gibHour  = 3600.0 * (1 << 30)
)

// month is what two tenants have used, one of which has changed its class.
func month(t *testing.T, prices string) *answer.Consumption {
	t.Helper()
	interval, err := answer.IntervalOf("2026-10-01", "2026-11-01", today)
	if err != nil {
		t.Fatal(err)
	}
	made := &answer.Consumption{Interval: interval, Seen: 1, Tenants: []answer.Consumed{
		{Consumer: answer.Consumer{Tenant: "acme", Class: "gold"}, Counted: map[string]float64{"cpu": 1500 * coreHour, "memory": 3000 * gibHour, "database": 7.4 * gibHour}},
		{Consumer: answer.Consumer{Tenant: "acme", Class: "silver"}, Counted: map[string]float64{"cpu": 10.5 * coreHour, "memory": 0}},
		{Consumer: answer.Consumer{Tenant: "globex"}, Counted: map[string]float64{"storage": 744 * gibHour}},
	}}
	if prices != "" {
		if made.Prices, err = answer.ParsePrices([]byte(prices)); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

const listed = "currency: EUR\nprices: {cpu: 0.02, memory: 0.005, database: 0}\nclasses: {gold: {cpu: 0.03}}\n"

func TestTheTableOfAnInterval(t *testing.T) {
	for _, test := range []struct{ name, prices, want string }{
		{"without prices", "", strings.Join([]string{
			"NAME     CLASS    CPU (core h)   MEMORY (GiB h)   STORAGE (GiB h)   DATABASE (GiB h)",
			"acme     gold     1500.000       3000.000                           7.400",
			"acme     silver   10.500         0.000",
			"globex                                            744.000", "",
		}, "\n")},
		{"with prices", listed, strings.Join([]string{
			"NAME     CLASS    CPU (core h)   MEMORY (GiB h)   STORAGE (GiB h)   DATABASE (GiB h)   COST (EUR)",
			"acme     gold     1500.000       3000.000                           7.400              60.00",
			"acme     silver   10.500         0.000                                                 0.21",
			"globex                                            744.000                              0.00", "",
		}, "\n")},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := tabled(t, month(t, test.prices).Table()); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestWhoBillsIsToldWhatIsMissing(t *testing.T) {
	whole, gap, unpriced := month(t, ""), month(t, ""), month(t, listed)
	gap.Seen = 0.99999
	for want, consumption := range map[string]*answer.Consumption{
		"": whole,
		"Prometheus has seen the operator at work in 99.9% of the time from 2026-10-01T00:00:00Z to 2026-11-01T00:00:00Z. What tenants used in the rest isn't counted.": gap,
		"For some tenants there is no price of storage, and no cost; write 0 for what is free.":                                                                         unpriced,
	} {
		if got := strings.Join(consumption.Sentences(), " "); got != want {
			t.Errorf("says %q, want %q", got, want)
		}
	}
}

func TestAnExportHasTheColumnsOfFOCUS(t *testing.T) {
	const (
		header  = "BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,ChargeFrequency,ChargeDescription,ServiceCategory,ServiceName,SkuId,SubAccountId,SubAccountName,ResourceId,ResourceName,ResourceType,ConsumedQuantity,ConsumedUnit,x_TenantClass"
		october = "2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,Usage,Usage-Based,"
		acme    = ",acme,acme,acme,acme,Tenant,"
		globex  = ",globex,globex,globex,globex,Tenant,"
	)
	var without, with bytes.Buffer
	if err := month(t, "").WriteCSV(&without); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		header,
		october + "Requested CPU of the tenant acme,Compute,Requested CPU,cpu" + acme + "1500,Core-Hours,gold",
		october + "Requested memory of the tenant acme,Compute,Requested memory,memory" + acme + "3000,GiB-Hours,gold",
		october + "Database size of the tenant acme,Databases,Database size,database" + acme + "7.4,GiB-Hours,gold",
		october + "Requested CPU of the tenant acme,Compute,Requested CPU,cpu" + acme + "10.5,Core-Hours,silver",
		october + "Requested storage of the tenant globex,Storage,Requested storage,storage" + globex + "744,GiB-Hours,", "",
	}, "\n")
	if without.String() != want {
		t.Errorf("got\n%s\nwant\n%s", without.String(), want)
	}

	if err := month(t, listed).WriteCSV(&with); err != nil {
		t.Fatal(err)
	}
	ends := []string{
		",BillingCurrency,PricingCategory,PricingQuantity,PricingUnit,ListUnitPrice,ListCost,ContractedUnitPrice,ContractedCost,BilledCost,EffectiveCost",
		",EUR,Standard,1500,Core-Hours,0.03,45,0.03,45,45,45", ",EUR,Standard,3000,GiB-Hours,0.005,15,0.005,15,15,15", ",EUR,Standard,7.4,GiB-Hours,0,0,0,0,0,0",
		",EUR,Standard,10.5,Core-Hours,0.02,0.21,0.02,0.21,0.21,0.21", ",EUR,Standard,744,GiB-Hours,,,,,,",
	}
	plain := strings.Split(strings.TrimSpace(want), "\n")
	for i, got := range strings.Split(strings.TrimSpace(with.String()), "\n") {
		if i >= len(ends) || got != plain[i]+ends[i] {
			t.Errorf("line %d is\n%s", i, got)
		}
	}
}

func TestAnExportInJSONHasNumbersAndNoInventedCosts(t *testing.T) {
	text, err := json.Marshal(month(t, listed).Charges())
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 5 || rows[0]["BilledCost"] != 45.0 || rows[0]["ConsumedQuantity"] != 1500.0 || rows[0]["x_TenantClass"] != "gold" {
		t.Errorf("got %s", text)
	}
	if cost, has := rows[4]["BilledCost"]; cost != nil || !has {
		t.Errorf("what has no price costs %v", cost)
	}
	if _, has := month(t, "").Charges()[0]["BilledCost"]; has {
		t.Error("without prices, there is a cost")
	}
	if text, _ := json.Marshal((&answer.Consumption{}).Charges()); string(text) != "[]" {
		t.Errorf("nothing is %s", text)
	}
}
