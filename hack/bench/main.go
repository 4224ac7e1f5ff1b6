// Command bench measures the operator against a floor: the same objects and the same SQL written
// by a bare client, at the same concurrency, on an equally fresh control plane and PostgreSQL. It
// prints a table and writes .local/bench.json.
//
// With -admission it measures what the admission policies cost those who create objects, and writes
// .local/bench-admission.json.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
)

// result is what .local/bench.json holds. Times are in seconds.
type result struct {
	Tenants int `json:"tenants"`
	// Seconds is the time from the creation of the first Tenant until all are Ready.
	Seconds float64 `json:"seconds"`
	// FloorSeconds is the time that the bare client takes until all apps are available, the mean of one
	// run before the operator's and one after it.
	FloorSeconds float64 `json:"floorSeconds"`
	Ratio        float64 `json:"ratio"`
	// APIWritesPerTenant counts the operator's writes, FloorWritesPerTenant the bare client's.
	APIWritesPerTenant   float64 `json:"apiWritesPerTenant"`
	FloorWritesPerTenant float64 `json:"floorWritesPerTenant"`
	// IdleAPIRequests and IdleSQLStatements are sent while all tenants are looked at again with
	// nothing changed; open watches, the leader's Lease and the servers' probes aside.
	IdleAPIRequests   int `json:"idleApiRequests"`
	IdleSQLStatements int `json:"idleSqlStatements"`
	// RSSBytesPerTenant is by how much a tenant lets the operator's resident memory grow.
	RSSBytesPerTenant int64 `json:"rssBytesPerTenant"`
	// RestartSeconds is the time from the operator's start until all tenants are checked.
	RestartSeconds float64 `json:"restartSeconds"`
	RestartWrites  int     `json:"restartWrites"`
	// LatencyP50Seconds and LatencyP99Seconds are from the creation of one Tenant, with nothing else
	// under way, until it is Ready, over LatencySamples tenants.
	LatencySamples    int     `json:"latencySamples"`
	LatencyP50Seconds float64 `json:"latencyP50Seconds"`
	LatencyP99Seconds float64 `json:"latencyP99Seconds"`
}

func main() {
	tenants := flag.Int("tenants", 200, "the number of tenants")
	samples := flag.Int("latency-samples", 50, "the number of tenants that are applied one by one to measure latency")
	admission := flag.Bool("admission", false, "measure the admission policies, with 10 tenants and then with as many as -tenants says")
	creates := flag.Int("creates", 800, "with -admission, the number of objects of each kind on either side")
	flag.Parse()
	log.SetLogger(logr.Discard())
	if err := run(*tenants, *samples, *admission, *creates); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(tenants, samples int, admission bool, creates int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root, err := operator.Root(ctx)
	if err != nil {
		return err
	}
	bin, err := cluster.Build(ctx, os.Stdout)
	if err != nil {
		return err
	}
	program, err := operator.Build(ctx)
	if err != nil {
		return err
	}
	bench := &bench{
		tenants: tenants, samples: samples, bin: bin, program: program,
		dir: filepath.Join(root, ".local", "bench"),
	}
	if admission {
		return bench.runAdmission(ctx, root, slices.Compact([]int{pairs, max(pairs, tenants)}), creates)
	}
	if err := bench.measure(ctx); err != nil {
		return err
	}
	bench.result.print()
	text, err := json.MarshalIndent(bench.result, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, ".local", "bench.json"), append(text, '\n'), 0o644)
}

// bench is one run of the benchmark.
type bench struct {
	tenants, samples  int
	bin, program, dir string
	result            result
	// floors are the seconds that the bare client took, each time.
	floors []float64
}

// measure takes the operator between two floors, each on a fresh site, since a machine gets slower or
// faster while they run. The mean of the floors counts.
func (b *bench) measure(ctx context.Context) error {
	b.result.Tenants = b.tenants
	for _, round := range []struct {
		name string
		run  func(context.Context, *site) error
	}{
		{"floor", b.measureFloor},
		{"operator", b.measureOperator},
		{"floor", b.measureFloor},
	} {
		say("%s: starting a fresh control plane and PostgreSQL", round.name)
		site, err := newSite(ctx, b.bin, filepath.Join(b.dir, round.name), b.tenants+b.samples)
		if err != nil {
			return err
		}
		if err := errors.Join(round.run(ctx, site), site.close()); err != nil {
			return fmt.Errorf("%s: %w", round.name, err)
		}
	}
	b.result.FloorSeconds = (b.floors[0] + b.floors[1]) / 2
	b.result.Ratio = b.result.Seconds / b.result.FloorSeconds
	return nil
}

func (r result) print() {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		what, value, limit string
	}{
		{"tenants", fmt.Sprint(r.Tenants), ""},
		{"operator: seconds until all are Ready", fmt.Sprintf("%.2f", r.Seconds), ""},
		{"floor: seconds until all apps are available", fmt.Sprintf("%.2f", r.FloorSeconds), ""},
		{"ratio", fmt.Sprintf("%.2f", r.Ratio), "at most 1.25"},
		{"operator: API writes per tenant", fmt.Sprintf("%.2f", r.APIWritesPerTenant), ""},
		{"floor: API writes per tenant", fmt.Sprintf("%.2f", r.FloorWritesPerTenant), ""},
		{"API writes beyond the objects", fmt.Sprintf("%.2f", r.APIWritesPerTenant-r.FloorWritesPerTenant), "at most 3"},
		{"API requests over a resync of all", fmt.Sprint(r.IdleAPIRequests), "0"},
		{"SQL statements over a resync of all", fmt.Sprint(r.IdleSQLStatements), "0"},
		{"resident memory per tenant, KiB", fmt.Sprintf("%.0f", float64(r.RSSBytesPerTenant)/1024), ""},
		{"restart: seconds until all are checked", fmt.Sprintf("%.2f", r.RestartSeconds), ""},
		{"restart: API writes", fmt.Sprint(r.RestartWrites), "0"},
		{fmt.Sprintf("one tenant to Ready, p50 of %d, seconds", r.LatencySamples), fmt.Sprintf("%.3f", r.LatencyP50Seconds), ""},
		{fmt.Sprintf("one tenant to Ready, p99 of %d, seconds", r.LatencySamples), fmt.Sprintf("%.3f", r.LatencyP99Seconds), ""},
	} {
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", row.what, row.value, row.limit)
	}
	table.Flush()
}
