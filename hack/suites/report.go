package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
)

// report says how long each run and all of them took, which specs took longest, what failed, which tests failed how
// often and why, and what this machine can't run. It returns an error if anything failed or was not run for another reason.
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

const (
	// mostFailures is how many of the tests that failed are named at the end, since a server that has gone makes
	// hundreds fail.
	mostFailures = 20
	// mostOfMessage is how many characters of the message of a failure are told.
	mostOfMessage = 400
)

// failures says which tests failed how often, and why the first time: the most frequent ones first.
func failures(results []result) []string {
	type test struct{ suite, name string }
	runs := map[string]int{}
	times, messages := map[test]int{}, map[test]string{}
	var failed []test
	for _, r := range results {
		if r.skipped != nil {
			continue
		}
		runs[r.String()]++
		seen := sets.New[test]()
		for _, failure := range r.failures {
			key := test{r.String(), failure.name}
			if seen.Has(key) {
				continue
			}
			seen.Insert(key)
			times[key]++
			if times[key] == 1 {
				failed = append(failed, key)
				messages[key] = failure.message
			}
		}
	}
	slices.SortStableFunc(failed, func(a, b test) int { return times[b] - times[a] })
	var lines []string
	for i, key := range failed {
		if i == mostFailures {
			return append(lines, fmt.Sprintf("FAILED: %d further tests", len(failed)-mostFailures))
		}
		lines = append(lines, fmt.Sprintf("FAILED %d of %d times in %s: %s", times[key], runs[key.suite], key.suite, key.name))
		if message := strings.Join(strings.Fields(messages[key]), " "); message != "" {
			lines = append(lines, fmt.Sprintf("  %.*s", mostOfMessage, message))
		}
	}
	return lines
}
