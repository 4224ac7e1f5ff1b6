package service_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/service"
)

var engine = service.Engine{Noun: "database", ServerKind: "DatabaseServer", Field: "spec.database"}

// wanted is how a tenant chooses its server.
var wanted = service.Placement{Engine: engine, Selector: "region=eu"}

// candidate returns a server that takes tenants.
func candidate(name string, tenants int, changes ...func(*service.Candidate)) service.Candidate {
	c := service.Candidate{
		Name: name, Ready: true, Tenants: tenants, Capacity: new(int32(100)),
	}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func capacity(tenants int32) func(*service.Candidate) {
	return func(c *service.Candidate) { c.Capacity = &tenants }
}

func unlimited(c *service.Candidate)     { c.Capacity = nil }
func notReady(c *service.Candidate)      { c.Ready = false }
func unschedulable(c *service.Candidate) { c.Unschedulable = true }
func terminating(c *service.Candidate)   { c.Terminating = true }
func otherwise(c *service.Candidate)     { c.Lacks = "offers no isolation Row" }
func plain(c *service.Candidate)         { c.Lacks = "offers no extension citext" }

func TestTheServerThatIsChosen(t *testing.T) {
	for _, test := range []struct {
		name       string
		candidates []service.Candidate
		want       string
	}{
		{"the only one", []service.Candidate{candidate("a", 0)}, "a"},
		{"the least filled, not the one with the fewest tenants", []service.Candidate{candidate("a", 5, capacity(10)), candidate("b", 40)}, "b"},
		{"of equally filled ones the smaller number of tenants", []service.Candidate{candidate("a", 50), candidate("b", 5, capacity(10))}, "b"},
		{"of equal ones the first by name", []service.Candidate{candidate("b", 1), candidate("a", 1)}, "a"},
		{"of those without a limit the one with the fewest tenants", []service.Candidate{candidate("a", 7, unlimited), candidate("b", 6, unlimited)}, "b"},
		{
			"none that doesn't take it",
			[]service.Candidate{
				candidate("a", 0, notReady), candidate("b", 0, unschedulable), candidate("c", 0, terminating),
				candidate("d", 0, otherwise), candidate("e", 3, capacity(3)), candidate("f", 0, capacity(0)), candidate("g", 0, plain),
				candidate("h", 99),
			},
			"h",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := service.Choose(test.candidates, wanted)
			if err != nil || got != test.want {
				t.Errorf("got %q (error %v), want %q", got, err, test.want)
			}
		})
	}
}

func TestWhyNoServerIsChosen(t *testing.T) {
	var many []service.Candidate
	for n := range 30 {
		many = append(many, candidate(fmt.Sprintf("s%02d", n), 0, unschedulable))
	}
	for _, test := range []struct {
		name       string
		candidates []service.Candidate
		want       string
		passes     bool
	}{
		{"none matches", nil, "No DatabaseServer matches spec.database.serverSelector (region=eu); label one so, or change the selector.", false},
		{
			"none takes it",
			[]service.Candidate{candidate("a", 3, capacity(3)), candidate("b", 0, unschedulable), candidate("c", 0, otherwise), candidate("d", 0, terminating), candidate("e", 0, plain)},
			"(region=eu), 5 in number, none takes a new tenant: a is full (capacity 3), b is unschedulable, c offers no isolation Row, d is being deleted, e offers no extension citext.", false,
		},
		{
			"one may come back", []service.Candidate{candidate("a", 0, notReady), candidate("b", 0, unschedulable)},
			"2 in number, none takes a new tenant: a is not ready, b is unschedulable.", true,
		},
		{"too many to name", many, "s08 is unschedulable, s09 is unschedulable.", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := service.Choose(test.candidates, wanted)
			var failure *service.NoServerError
			if got != "" || !errors.As(err, &failure) {
				t.Fatalf("got %q and %v", got, err)
			}
			if !strings.HasSuffix(err.Error(), test.want) || failure.Passes != test.passes {
				t.Errorf("got %q, passes: %t", err, failure.Passes)
			}
		})
	}
}

func TestManyTenantsAreSpreadByCapacity(t *testing.T) {
	servers := []service.Candidate{candidate("a", 0, capacity(10)), candidate("b", 0, capacity(20)), candidate("c", 0, capacity(30))}
	for n := range 60 {
		chosen, err := service.Choose(servers, wanted)
		if err != nil {
			t.Fatalf("tenant %d: %v", n, err)
		}
		for i := range servers {
			if servers[i].Name == chosen {
				servers[i].Tenants++
			}
		}
		if n == 29 && (servers[0].Tenants != 5 || servers[1].Tenants != 10 || servers[2].Tenants != 15) {
			t.Errorf("half full, they have %d, %d and %d tenants", servers[0].Tenants, servers[1].Tenants, servers[2].Tenants)
		}
	}
	if _, err := service.Choose(servers, wanted); err == nil {
		t.Error("full servers take one more")
	}
}
