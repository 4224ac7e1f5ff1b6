package tenant

import (
	"errors"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/retry"
)

// findings are the problems of one pass over a tenant.
type findings struct {
	// problems has, by condition type, what keeps a part from being in place.
	problems map[string]problem.Problem
	// failure is what kept the pass as a whole from finishing.
	failure *problem.Problem
	// retry is the earliest retry that the problems ask for; err has the errors behind problem.WithBackoff.
	retry problem.Retry
	err   error
	// withheld are the namespaces that stay closed because a wall is missing there.
	withheld sets.Set[string]
	// noNamespace says that the primary namespace doesn't exist or can't be used.
	noNamespace bool
	// outdated says that a decision was made on old data, so the results of the pass don't count. rounds is how many
	// passes in a row before this one ended so. After too many, that is a problem like any other.
	outdated bool
	rounds   int
}

// record notes the result of a part's phase.
func (f *findings) record(part *parts.Part, err error) {
	if err == nil {
		return
	}
	if f.isOutdated(err) {
		return
	}
	f.note(part, err)
	if part == parts.Namespace {
		f.noNamespace = true
		for _, other := range parts.All {
			if other != parts.Namespace {
				f.problems[other.Condition] = problem.WaitsForNamespace()
			}
		}
	}
}

// isOutdated reports whether an error only means that a decision was made on old data, and notes that.
func (f *findings) isOutdated(err error) bool {
	if !problem.Outdated(err) || f.rounds >= retry.TooOften {
		return false
	}
	f.outdated = true
	f.retry = max(f.retry, problem.Again)
	return true
}

// note adds to the problems of a part.
func (f *findings) note(part *parts.Part, err error) {
	found := f.classify(err)
	if other, noted := f.problems[part.Condition]; noted {
		found = problem.Together(other, found)
	}
	f.problems[part.Condition] = found
}

// fail notes what keeps the pass as a whole from finishing.
func (f *findings) fail(err error) {
	if err != nil && !f.isOutdated(err) {
		f.failure = new(f.classify(err))
	}
}

// classify returns what an error means, and notes when to retry.
func (f *findings) classify(err error) problem.Problem {
	found := problem.Of(err)
	f.retry = max(f.retry, found.Retry)
	if found.Retry == problem.WithBackoff {
		f.err = errors.Join(f.err, err)
	}
	return found
}

// withhold notes that a namespace must stay closed, and the reason.
func (f *findings) withhold(part *parts.Part, namespace string, err error) {
	f.withheld.Insert(namespace)
	if !f.isOutdated(err) {
		f.note(part, err)
	}
}

// blocked reports whether continuing the pass would be useless.
func (f *findings) blocked() bool {
	return f.noNamespace || f.outdated
}
