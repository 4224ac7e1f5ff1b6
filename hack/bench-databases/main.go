// Command bench-databases measures what it takes to provision tenants on one PostgreSQL server, in
// each isolation, through package database and its executor, against a floor: the same SQL sent by a
// bare client at the same concurrency to the same server. It prints a table and writes
// .local/bench-databases.json.
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
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/tenantry/tenantry/hack/operator"
	launcher "github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/internal/database"
)

const (
	// workers is how many tenants are provisioned concurrently, as many as the operator does.
	workers = 8
	// rounds is how often the operator is measured between two floors, so that other load on the machine slows both.
	rounds = 10
)

// result is the content of .local/bench-databases.json. Times are in seconds.
type result struct {
	Version string      `json:"version"`
	Schema  measurement `json:"schema"`
	Row     measurement `json:"row"`
	Own     measurement `json:"database"`
	Drift   drift       `json:"drift"`
}

// drift measures the search for drift among all tenants of the server.
type drift struct {
	Tenants int     `json:"tenants"`
	Seconds float64 `json:"seconds"`
}

// measurement has the times for the tenants of one isolation.
type measurement struct {
	Tenants int `json:"tenants"`
	// Seconds is the time that the operator's code takes, including observing first.
	Seconds float64 `json:"seconds"`
	// FloorSeconds is the time that the bare client takes for the same SQL without observing: the mean of one run
	// before the operator's and one after it.
	FloorSeconds float64 `json:"floorSeconds"`
	Ratio        float64 `json:"ratio"`
	// UnchangedSeconds is the time to observe all of them again, one by one.
	UnchangedSeconds float64 `json:"unchangedSeconds"`
}

func main() {
	schema := flag.Int("schema", 1000, "the number of tenants with a schema of their own")
	row := flag.Int("row", 1000, "the number of tenants with rows of their own")
	own := flag.Int("database", 200, "the number of tenants with a database of their own")
	flag.Parse()
	counts := map[database.Isolation]int{database.IsolationSchema: *schema, database.IsolationRow: *row, database.IsolationDatabase: *own}
	if err := run(counts); err != nil {
		fmt.Fprintf(os.Stderr, "bench-databases: %v\n", err)
		os.Exit(1)
	}
}

func run(counts map[database.Isolation]int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root, err := operator.Root(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tenantry-bench-databases-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// PostgreSQL runs as another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	server, err := launcher.Start(ctx, launcher.Options{Dir: filepath.Join(dir, "postgres"), EndWithStarter: true, Progress: os.Stdout})
	if err != nil {
		return err
	}
	measured, err := measure(ctx, server, counts)
	if err := errors.Join(err, server.Remove()); err != nil {
		return err
	}
	measured.print()
	text, err := json.MarshalIndent(measured, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, ".local", "bench-databases.json"), append(text, '\n'), 0o644)
}

func measure(ctx context.Context, server *launcher.Server, counts map[database.Isolation]int) (result, error) {
	bench, err := newBench(ctx, server)
	if err != nil {
		return result{}, err
	}
	defer bench.close()
	measured := result{Version: bench.version}
	for _, part := range []struct {
		isolation database.Isolation
		into      *measurement
	}{
		{database.IsolationSchema, &measured.Schema}, {database.IsolationRow, &measured.Row}, {database.IsolationDatabase, &measured.Own},
	} {
		fmt.Printf("%s: provisioning %d tenants, and as many by a bare client\n", part.isolation, counts[part.isolation])
		if *part.into, err = bench.measure(ctx, part.isolation, counts[part.isolation]); err != nil {
			return result{}, fmt.Errorf("isolation %s: %w", part.isolation, err)
		}
	}
	measured.Drift, err = bench.searchDrift(ctx)
	return measured, err
}

// measure measures the operator between two floors, each with its own tenants.
func (b *bench) measure(ctx context.Context, isolation database.Isolation, count int) (measurement, error) {
	measured := measurement{Tenants: count}
	before, ours, after := b.tenants(isolation, count), b.tenants(isolation, count), b.tenants(isolation, count)
	var took, floor time.Duration
	for round := range rounds {
		from, to := round*count/rounds, (round+1)*count/rounds
		for _, turn := range []struct {
			tenants []database.Desired
			do      func(context.Context, database.Desired) error
			into    *time.Duration
		}{{before, b.provisionBare, &floor}, {ours, b.provision, &took}, {after, b.provisionBare, &floor}} {
			part, err := atOnce(ctx, turn.tenants[from:to], turn.do)
			if err != nil {
				return measured, err
			}
			*turn.into += part
		}
	}
	unchanged, err := atOnce(ctx, ours, b.verify)
	measured.Seconds, measured.FloorSeconds, measured.UnchangedSeconds = took.Seconds(), floor.Seconds()/2, unchanged.Seconds()
	measured.Ratio = measured.Seconds / measured.FloorSeconds
	return measured, err
}

func (r result) print() {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "PostgreSQL %s\ttenants\tseconds\tfloor\tratio (at most 1.25)\tlooking again\t\n", r.Version)
	for _, row := range []struct {
		name string
		measurement
	}{{"Schema", r.Schema}, {"Row", r.Row}, {"Database", r.Own}} {
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t\n", row.name, row.Tenants, row.Seconds, row.FloorSeconds, row.Ratio, row.UnchangedSeconds)
	}
	table.Flush()
	fmt.Printf("One search for drift among all %d tenants took %.3f s.\n", r.Drift.Tenants, r.Drift.Seconds)
}
