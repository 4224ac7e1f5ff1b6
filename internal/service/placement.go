package service

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Candidate is a server that a new tenant may be placed on.
type Candidate struct {
	// Name is the name of the server's object.
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
	// Tenants is the number of tenants that it has, including those that are being placed there.
	Tenants int
	// Capacity is the maximum number of tenants; nil means no limit.
	Capacity *int32
}

// Placement says how a new tenant chooses its server.
type Placement struct {
	// Engine is the engine of the server.
	Engine Engine
	// Selector is the selector that has found the candidates, for messages.
	Selector string
}

// NoServerError means that no server can take a new tenant.
type NoServerError struct {
	// Engine is the engine that the tenant asks for.
	Engine Engine
	// Selector is how the tenant chooses its server.
	Selector string
	// Matched is how many servers the selector matches.
	Matched int
	// Lacks says why each of them can't take the tenant.
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

// maxLacks is the maximum number of servers in an error.
const maxLacks = 10

// Choose returns the name of the server for a new tenant: the least filled one of those that can take it. Servers
// without a capacity count as empty; of equally filled ones it is the one with the fewest tenants, then the first
// by name. If there is none, it returns a [NoServerError].
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

// lack returns why a server can't take a new tenant, and whether that may pass by itself; empty if it can.
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
