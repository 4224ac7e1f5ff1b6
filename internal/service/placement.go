package service

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Candidate is a server that a new tenant may be placed on.
type Candidate struct {
	// Name is the name of the object that stands for the server.
	Name string
	// Ready reports whether it answers.
	Ready bool
	// Unschedulable reports whether its admin keeps new tenants off it.
	Unschedulable bool
	// Terminating reports whether it is being deleted.
	Terminating bool
	// Lacks says what the tenant asks for and the server doesn't offer, as in "offers no isolation Row"; empty
	// if it offers all of it.
	Lacks string
	// Tenants is the number of tenants that it has, those on their way there included.
	Tenants int
	// Capacity is how many it takes; nil means any number.
	Capacity *int32
}

// Placement says how a new tenant chooses its server.
type Placement struct {
	// Engine is what the server is to give it.
	Engine Engine
	// Selector stands for how the candidates were found.
	Selector string
}

// NoServerError says that no server takes a new tenant.
type NoServerError struct {
	// Engine is what the tenant asks for.
	Engine Engine
	// Selector is how the tenant chooses its server.
	Selector string
	// Matched is how many servers it chooses from.
	Matched int
	// Lacks says of each of them why it doesn't take the tenant.
	Lacks []string
	// Passes reports whether that may pass by itself.
	Passes bool
}

func (e *NoServerError) Error() string {
	if e.Matched == 0 {
		return fmt.Sprintf("No %s matches %s.serverSelector (%s); label one so, or change the selector.",
			e.Engine.ServerKind, e.Engine.Field, e.Selector)
	}
	return fmt.Sprintf("Of the %ss that match %s.serverSelector (%s), %d in number, none takes a new tenant: %s.",
		e.Engine.ServerKind, e.Engine.Field, e.Selector, e.Matched, strings.Join(e.Lacks, ", "))
}

// maxLacks is how many servers an error tells of.
const maxLacks = 10

// Choose returns the name of the server on which to place a new tenant: among those that take it, the
// one that is least filled. Those without a capacity count as empty; of equally filled ones it is the
// one with the fewest tenants, then the first by name. It fails with a [NoServerError].
func Choose(candidates []Candidate, wanted Placement) (string, error) {
	failure := &NoServerError{Engine: wanted.Engine, Selector: wanted.Selector, Matched: len(candidates)}
	var suitable []Candidate
	for _, candidate := range slices.SortedFunc(slices.Values(candidates), byName) {
		lack, passes := candidate.lack()
		if lack == "" {
			suitable = append(suitable, candidate)
			continue
		}
		failure.Passes = failure.Passes || passes
		if len(failure.Lacks) < maxLacks {
			failure.Lacks = append(failure.Lacks, candidate.Name+" "+lack)
		}
	}
	if len(suitable) == 0 {
		return "", failure
	}
	return slices.MinFunc(suitable, byFill).Name, nil
}

// lack says why a server doesn't take a new tenant, and whether that may pass by itself; empty if it
// takes it.
func (c Candidate) lack() (reason string, passes bool) {
	switch {
	case c.Terminating:
		return "is being deleted", false
	case c.Unschedulable:
		return "is unschedulable", false
	case c.Lacks != "":
		return c.Lacks, false
	case c.Capacity != nil && c.Tenants >= int(*c.Capacity):
		return fmt.Sprintf("is full (capacity %d)", *c.Capacity), false
	case !c.Ready:
		return "is not ready", true
	}
	return "", false
}

func byName(a, b Candidate) int { return strings.Compare(a.Name, b.Name) }

func byFill(a, b Candidate) int {
	return cmp.Or(cmp.Compare(a.fill(), b.fill()), cmp.Compare(a.Tenants, b.Tenants), strings.Compare(a.Name, b.Name))
}

// fill returns how much of the capacity is taken, from 0 to 1.
func (c Candidate) fill() float64 {
	if c.Capacity == nil || *c.Capacity == 0 {
		return 0
	}
	return float64(c.Tenants) / float64(*c.Capacity)
}
