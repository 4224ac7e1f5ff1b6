// Command suites runs the unit tests and then each suite that starts Kubernetes or PostgreSQL: two at a time, each
// in two processes with servers of their own, since most of them mostly wait. It prints the output of a suite as
// soon as that has ended, and says at the end how long each took and what failed. A suite that fails doesn't keep
// the others from running. What failed is tried again at the end, alone, and named if it passes then.
//
//	go run ./hack/suites                                      every suite, once
//	go run ./hack/suites ./test/isolation                     one of them
//	go run ./hack/suites -processes 4 ./test/integration      in less time, where there are more cores
//	go run ./hack/suites -unit                                those that start nothing
//	go run ./hack/suites -repeat 5 -busy ./test/isolation     five times, beside a process that keeps one core busy
//
// Run more than once, a suite begins with another random seed each time, and the end says which of
// its tests failed how often.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	repeat := flag.Int("repeat", 1, "how often each suite is run")
	lanes := flag.Int("lanes", 2, "how many suites run at a time")
	processes := flag.Int("processes", 2, "how many processes share the specs of a suite, each with servers of its own")
	unit := flag.Bool("unit", false, "leave out the suites that start Kubernetes or PostgreSQL")
	busy := flag.Bool("busy", false, "keep one core busy meanwhile")
	timeout := flag.Duration("timeout", time.Hour, "how long one run of one suite may take")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	all, err := find(ctx, flag.Args())
	if err != nil {
		return err
	}
	if *unit {
		all = slices.DeleteFunc(all, func(s suite) bool { return s.starts })
	}
	if *busy {
		go spin(ctx)
	}
	began := time.Now()
	scratch, err := os.MkdirTemp("", "tenantry-suites-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	runner := runner{scratch: scratch, processes: *processes, timeout: *timeout}
	results := runner.all(ctx, slices.Repeat(all, *repeat), *lanes)
	if *repeat == 1 {
		results = runner.again(ctx, results)
	}
	return report(os.Stdout, results, time.Since(began))
}

// runner runs suites.
type runner struct {
	// scratch is a temporary folder.
	scratch string
	// processes is how many processes share the specs of a suite.
	processes int
	// timeout is how long one run of one suite may take.
	timeout time.Duration
}

// all runs suites in their order, as many concurrently as there are lanes.
func (r runner) all(ctx context.Context, suites []suite, lanes int) []result {
	ready := sync.OnceValue(func() error { return r.build(ctx) })
	results := make([]result, len(suites))
	next := make(chan int)
	var group sync.WaitGroup
	for lane := range lanes {
		group.Go(func() {
			for i := range next {
				results[i] = r.one(ctx, suites[i], lane, ready)
			}
		})
	}
	for i := range suites {
		next <- i
	}
	close(next)
	group.Wait()
	return results
}

// one runs a suite. It skips the suite if ready fails, or if the run was canceled.
func (r runner) one(ctx context.Context, suite suite, lane int, ready func() error) result {
	skipped := ctx.Err()
	if skipped == nil && suite.starts {
		skipped = ready()
	}
	if skipped != nil {
		return result{suite: suite, skipped: skipped}
	}
	fmt.Printf("== %s begins ==\n", suite)
	return r.run(ctx, suite, lane)
}

// build builds what the suites need: Kubernetes, where its progress can be seen, and Ginkgo's program.
func (r runner) build(ctx context.Context) error {
	for _, args := range [][]string{
		{"run", "./hack/cluster/build"},
		{"build", "-o", r.ginkgo(), ginkgo + "/ginkgo"},
	} {
		command := exec.CommandContext(ctx, "go", args...)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
	}
	return nil
}

// spin keeps a core busy.
func spin(ctx context.Context) {
	for ctx.Err() == nil { //nolint:revive // To do nothing, without a pause, is the purpose.
	}
}
