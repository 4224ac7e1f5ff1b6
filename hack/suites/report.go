package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report says how long each run and all of them took, which specs took longest, what failed, which tests failed how
// often, and what this machine can't run. It returns an error if anything failed or was not run for another reason.
func report(to io.Writer, results []result, total time.Duration) error {
	fmt.Fprintln(to, "== How long the suites took ==")
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	var bad []string
	var cpu time.Duration
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%s\tCPU %s\t%s\n", r.title(), r.took.Round(time.Second), r.cpu.Round(time.Second), r.verdict())
		cpu += r.cpu
		if r.skipped != nil || (r.err != nil && !r.passedAlone) {
			bad = append(bad, r.String())
		}
	}
	fmt.Fprintf(table, "in all\t%s\tCPU %s\n", total.Round(time.Second), cpu.Round(time.Second))
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(to, "== What took longest in each ==")
	for _, r := range results {
		for _, spec := range r.slow {
			fmt.Fprintf(to, "%6.1f s  %s: %s\n", spec.took.Seconds(), r.suite, spec.name)
		}
	}
	for _, line := range failures(results) {
		fmt.Fprintln(to, line)
	}
	for _, r := range results {
		if r.leftOut != "" {
			fmt.Fprintf(to, "NOT RUN: %s. %s\n", r.suite, r.leftOut)
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("failed or not run: %s", strings.Join(slices.Compact(slices.Sorted(slices.Values(bad))), ", "))
	}
	return nil
}

// title returns the name of a run.
func (r result) title() string {
	if r.suite.focus != "" {
		return r.String() + ", what failed"
	}
	return r.String()
}

func (r result) verdict() string {
	switch {
	case r.skipped != nil:
		return fmt.Sprintf("not run (%v)", r.skipped)
	case r.err == nil && r.leftOut != "":
		return "not run"
	case r.err == nil:
		return "passed"
	case r.passedAlone:
		return fmt.Sprintf("passed but for what passed alone, seed %d", r.seed)
	case r.specs:
		return fmt.Sprintf("FAILED (%v), seed %d", r.err, r.seed)
	default:
		return fmt.Sprintf("FAILED (%v)", r.err)
	}
}

// failures says which tests failed how often, the most frequent ones first.
func failures(results []result) []string {
	runs := map[string]int{}
	times := map[[2]string]int{}
	for _, r := range results {
		if r.skipped != nil {
			continue
		}
		runs[r.String()]++
		for _, name := range slices.Compact(slices.Sorted(slices.Values(r.failures))) {
			times[[2]string{r.String(), name}]++
		}
	}
	failed := slices.SortedFunc(maps.Keys(times), func(a, b [2]string) int {
		return cmp.Or(times[b]-times[a], cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	var lines []string
	for _, test := range failed {
		lines = append(lines, fmt.Sprintf("FAILED %d of %d times in %s: %s", times[test], runs[test[0]], test[0], test[1]))
	}
	return lines
}
