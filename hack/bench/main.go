// Command bench measures the operator against a floor: the same objects and the same SQL written
// by a bare client, at the same concurrency, on a control plane and a PostgreSQL like the operator's.
// Both provision their tenants in blocks, in turn. It prints tables and writes .local/bench.json.
//
// With -full the tenants' apps have all that an app can have: a migration, workers, schedules, autoscaling, a public URL,
// settings and volumes. It writes .local/bench-full.json then.
//
// With -admission it measures how much longer creating objects takes with the admission policies, and writes
// .local/bench-admission.json.
//
// With -fleet it measures what a change of one tenant and of a class costs in a small fleet and in a large one, and a
// release, and writes .local/bench-fleet.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/config/admission"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
)

type options struct {
	tenants, blocks, samples int
	full, admission, fleet   bool
	creates                  int
}

func main() {
	var o options
	flag.IntVar(&o.tenants, "tenants", 600, "the number of tenants that each side provisions, in all blocks together")
	flag.IntVar(&o.blocks, "blocks", 3, "the number of blocks in which it does so, in turn with the other side")
	flag.IntVar(&o.samples, "latency-samples", 50, "the number of tenants that are applied one by one to measure latency, after the first block and again after the last")
	flag.BoolVar(&o.full, "full", false, "provision tenants whose apps have all that an app can have")
	flag.BoolVar(&o.admission, "admission", false, "measure the admission policies, with 10 tenants and then with as many as -tenants says")
	flag.BoolVar(&o.fleet, "fleet", false, "measure classes, with 10 tenants and with as many as -tenants says")
	flag.IntVar(&o.creates, "creates", 800, "with -admission, the number of objects of each kind on either side")
	flag.Parse()
	log.SetLogger(logr.Discard())
	if err := run(o); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.blocks < 1 || o.tenants < o.blocks {
		return errors.New("-blocks must be at least 1, and -tenants at least as many")
	}
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
	policies, err := admission.Objects(v1alpha1.PolicyEnforce)
	if err != nil {
		return err
	}
	bench := &bench{options: o, policies: policies, bin: bin, program: program, dir: filepath.Join(root, ".local", "bench")}
	if o.admission {
		return bench.runAdmission(ctx, root, slices.Compact([]int{pairs, max(pairs, o.tenants)}), o.creates)
	}
	if o.fleet {
		return bench.runFleet(ctx, root, [2]int{fewTenants, max(fewTenants, o.tenants)})
	}
	bench.result.Full = o.full
	if err := bench.measure(ctx); err != nil {
		return err
	}
	bench.result.print()
	return bench.result.write(root)
}

// bench is one run of the benchmark.
type bench struct {
	options
	// policies are the admission policies that the operator installs.
	policies          []admission.Object
	bin, program, dir string
	result            result
}

// measure has the operator and the floor provision tenants block by block in turn, each on its own site, so that
// other load on the machine affects both.
func (b *bench) measure(ctx context.Context) (err error) {
	floorSite, err := b.startSite(ctx, "floor")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, floorSite.close()) }()
	operatedSite, err := b.startSite(ctx, "operator")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, operatedSite.close()) }()
	for _, s := range []*site{floorSite, operatedSite} {
		if err := s.awaitGarbageCollector(ctx); err != nil {
			return err
		}
	}
	floor, err := b.newFloor(ctx, floorSite)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	defer floor.pool.Close()
	operated, err := b.newOperated(ctx, operatedSite)
	if err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	if err := b.measureBlocks(ctx, floor, operated); err != nil {
		return err
	}
	return b.measureRest(ctx, operated)
}

// startSite starts one of the two sites.
func (b *bench) startSite(ctx context.Context, name string) (*site, error) {
	say("%s: starting a fresh control plane and PostgreSQL", name)
	s, err := newSite(ctx, b.bin, filepath.Join(b.dir, name), 2, b.tenants+2*b.samples)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.full = b.full
	if err := s.furnish(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), s.close())
	}
	return s, nil
}

// measureBlocks measures all blocks, and what grows with the number of tenants.
func (b *bench) measureBlocks(ctx context.Context, floor *floor, operated *operated) error {
	b.result.Tenants, b.result.Blocks = b.tenants, b.blocks
	measured := make([]pair, b.blocks)
	for i := range measured {
		var err error
		if measured[i], err = b.measurePair(ctx, floor, operated, i); err != nil {
			return err
		}
		if err := b.measureStanding(ctx, operated, i == 0 || i == b.blocks-1); err != nil {
			return err
		}
	}
	b.result.summarize(measured)
	var err error
	if b.result.APIWritesPerTenant, err = operated.writesPerTenant(); err != nil {
		return err
	}
	if b.result.FloorWritesPerTenant, err = floor.writesPerTenant(); err != nil {
		return err
	}
	b.result.ReconcilesPerTenant, err = operated.reconcilesPerTenant(ctx)
	return err
}

func (b *bench) measureStanding(ctx context.Context, operated *operated, withLatency bool) error {
	now := standing{Tenants: operated.tenants}
	var err error
	if now.RSSBytesPerTenant, err = operated.bytesPerTenant(); err != nil {
		return err
	}
	if withLatency && b.samples > 0 {
		measured, err := operated.measureLatency(ctx, b.samples)
		if err != nil {
			return err
		}
		now.Latency = &measured
	}
	b.result.noteStanding(now)
	return nil
}
