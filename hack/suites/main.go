// Command suites runs the unit tests and then each suite that starts Kubernetes or PostgreSQL, two at
// a time, since most of them mostly wait. It prints the output of each as soon as that has ended, and says
// at the end how long each took and what failed. A suite that fails doesn't keep the others from running.
//
//	go run ./hack/suites                                      every suite, once
//	go run ./hack/suites ./test/isolation                     one of them
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
	results := runAll(ctx, slices.Repeat(all, *repeat), *lanes, *timeout)
	return report(os.Stdout, results, time.Since(began))
}

// runAll runs suites, beginning them in their order.
func runAll(ctx context.Context, all []suite, lanes int, timeout time.Duration) []result {
	ready := sync.OnceValue(func() error { return buildKubernetes(ctx) })
	results := make([]result, len(all))
	next := make(chan int)
	var group sync.WaitGroup
	for lane := range lanes {
		group.Go(func() {
			for i := range next {
				results[i] = runOne(ctx, all[i], lane, ready, timeout)
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	group.Wait()
	return results
}

// runOne runs a suite, unless there is no use in it.
func runOne(ctx context.Context, one suite, lane int, ready func() error, timeout time.Duration) result {
	skipped := ctx.Err()
	if skipped == nil && one.starts {
		skipped = ready()
	}
	if skipped != nil {
		return result{suite: one, skipped: skipped}
	}
	fmt.Printf("== %s begins ==\n", one)
	return one.run(ctx, lane, timeout)
}

// buildKubernetes builds what the suites start, where its progress can be seen.
func buildKubernetes(ctx context.Context) error {
	command := exec.CommandContext(ctx, "go", "run", "./hack/cluster/build")
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("can't build Kubernetes: %w", err)
	}
	return nil
}

// spin keeps a core busy.
func spin(ctx context.Context) {
	for ctx.Err() == nil { //nolint:revive // To do nothing, without a pause, is the purpose.
	}
}
