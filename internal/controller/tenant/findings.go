package tenant

import (
	"errors"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/retry"
)

// findings are what one pass over a tenant has met with so far.
type findings struct {
	// problems say, by condition type, what keeps a part from being in place.
	problems map[string]problem.Problem
	// failure is what kept the pass itself from its end, whatever part that is about.
	failure *problem.Problem
	// retry is the most eager of what the problems ask for; err explains problem.WithBackoff.
	retry problem.Retry
	err   error
	// withheld are the namespaces that stay closed, since they have no walls yet.
	withheld sets.Set[string]
	// noNamespace says that the primary namespace isn't there to put anything into.
	noNamespace bool
	// outdated says that something was decided on old data, so that the pass proves nothing. rounds is how
	// often in a row that was so before; too often, and it is a problem like any other.
	outdated bool
	rounds   int
}

// record notes how the phase of a part ended.
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

// isOutdated notes that something was decided on old data, if an error says no more than that.
func (f *findings) isOutdated(err error) bool {
	if !problem.Outdated(err) || f.rounds >= retry.TooOften {
		return false
	}
	f.outdated = true
	f.retry = max(f.retry, problem.Again)
	return true
}

// note notes what keeps a part from being in place, beside what has been noted already.
func (f *findings) note(part *parts.Part, err error) {
	found := f.weigh(err)
	if other, noted := f.problems[part.Condition]; noted {
		found = problem.Together(other, found)
	}
	f.problems[part.Condition] = found
}

// fail notes what keeps the pass from its end.
func (f *findings) fail(err error) {
	if err != nil && !f.isOutdated(err) {
		f.failure = new(f.weigh(err))
	}
}

// weigh is what an error means, with its consequences for when the tenant is looked at again.
func (f *findings) weigh(err error) problem.Problem {
	found := problem.Of(err)
	f.retry = max(f.retry, found.Retry)
	if found.Retry == problem.WithBackoff {
		f.err = errors.Join(f.err, err)
	}
	return found
}

// withhold notes that a namespace other than the primary one must stay closed, and why.
func (f *findings) withhold(part *parts.Part, namespace string, err error) {
	f.withheld.Insert(namespace)
	if !f.isOutdated(err) {
		f.note(part, err)
	}
}

// blocked says that there is no use in going on.
func (f *findings) blocked() bool {
	return f.noNamespace || f.outdated
}
