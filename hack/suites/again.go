package main

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

// mostAgain is how many specs may fail in all. If more do, none is tried again.
const mostAgain = 6

// again tries the specs that failed once more, after all other suites, and returns the results with those of that. Two
// suites share a machine, so that a spec can run out of time although nothing is wrong. What passes alone is still
// listed as failed once of two times, and deserves a look: it may be a race.
func (r runner) again(ctx context.Context, results []result) []result {
	failed := 0
	for i := range results {
		failed += len(results[i].failures)
	}
	if failed > mostAgain {
		return results
	}
	for i := range results {
		if results[i].focus == "" || ctx.Err() != nil {
			continue
		}
		alone := results[i].suite
		alone.focus = results[i].focus
		once := r.run(ctx, alone, 0)
		results[i].passedAlone = once.err == nil
		results = append(results, once)
	}
	return results
}

// focusOnFailed returns a pattern for the specs that failed; empty if none did, or if anything else did, such as the
// start of the suite. Of an ordered container, it matches all.
func focusOnFailed(specs types.SpecReports) string {
	var patterns []string
	for i := range specs {
		spec := &specs[i]
		switch {
		case !spec.Failed():
		case !spec.LeafNodeType.Is(types.NodeTypeIt):
			return ""
		case spec.IsInOrderedContainer:
			patterns = append(patterns, " "+regexp.QuoteMeta(spec.ContainerHierarchyTexts[0])+" ")
		default:
			patterns = append(patterns, " "+regexp.QuoteMeta(spec.FullText())+"$")
		}
	}
	slices.Sort(patterns)
	return strings.Join(slices.Compact(patterns), "|")
}
