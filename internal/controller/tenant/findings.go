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
	// problems say, by condition type, what keeps a part from being in place.
	problems map[string]problem.Problem
	// failure is what kept the pass as a whole from its end.
	failure *problem.Problem
	// retry is the earliest retry that the problems ask for; err explains problem.WithBackoff.
	retry problem.Retry
	err   error
	// withheld are the namespaces that stay closed because they have no walls yet.
	withheld sets.Set[string]
	// noNamespace says that there is no primary namespace to put anything into.
	noNamespace bool
	// outdated says that something was decided on old data, so that the pass proves nothing. rounds is how many
	// passes in a row before this one have ended so; after too many, it is a problem like any other.
	outdated bool
	rounds   int
}

// record notes how the phase of a part has ended.
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

// isOutdated reports whether an error only says that something was decided on old data, and notes that.
func (f *findings) isOutdated(err error) bool {
	if !problem.Outdated(err) || f.rounds >= retry.TooOften {
		return false
	}
	f.outdated = true
	f.retry = max(f.retry, problem.Again)
	return true
}

// note adds a problem to those that keep a part from being in place.
func (f *findings) note(part *parts.Part, err error) {
	found := f.weigh(err)
	if other, noted := f.problems[part.Condition]; noted {
		found = problem.Together(other, found)
	}
	f.problems[part.Condition] = found
}

// fail notes what keeps the pass as a whole from its end.
func (f *findings) fail(err error) {
	if err != nil && !f.isOutdated(err) {
		f.failure = new(f.weigh(err))
	}
}

// weigh returns what an error means, and notes when the tenant is to be reconciled again.
func (f *findings) weigh(err error) problem.Problem {
	found := problem.Of(err)
	f.retry = max(f.retry, found.Retry)
	if found.Retry == problem.WithBackoff {
		f.err = errors.Join(f.err, err)
	}
	return found
}

// withhold notes that a namespace must stay closed, and why.
func (f *findings) withhold(part *parts.Part, namespace string, err error) {
	f.withheld.Insert(namespace)
	if !f.isOutdated(err) {
		f.note(part, err)
	}
}

// blocked reports whether it is no use to go on.
func (f *findings) blocked() bool {
	return f.noNamespace || f.outdated
}
