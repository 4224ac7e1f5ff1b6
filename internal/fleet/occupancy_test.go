package fleet

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/service"
)

func TestTenantsThatArePlacedAtTheSameTimeAreCounted(t *testing.T) {
	var occupancy Occupancy
	server := func(name string) service.Candidate {
		return service.Candidate{Name: name, Ready: true, Capacity: new(int32(4))}
	}
	place := func(tenant string) string {
		t.Helper()
		chosen, err := occupancy.Choose(types.UID(tenant), []service.Candidate{server("a"), server("b")}, service.Placement{})
		if err != nil {
			return err.Error()
		}
		return chosen
	}
	began := time.Now()
	for n, want := range []string{"a", "b", "a", "b", "a", "b"} {
		if got := place(fmt.Sprint(n)); got != want {
			t.Errorf("tenant %d goes to %s, want %s", n, got, want)
		}
	}
	for _, n := range []string{"0", "2", "4"} {
		occupancy.Registered("a", types.UID(n), began)
	}
	// The server has counted them all after they were registered, and one of them has left since.
	occupancy.Counted("a", 2, began.Add(time.Second))
	if got := place("7"); got != "a" {
		t.Errorf("the next goes to %s", got)
	}
	// A server that turned out to be full is not tried again for the same tenant.
	occupancy.Refuse("a", "7", 4)
	if !occupancy.Refuses("a", "7") || occupancy.Refuses("b", "7") {
		t.Error("it isn't known which server had no room")
	}
	occupancy.Expect("a", "7")
	if got := place("7"); got != "b" || occupancy.Refuses("b", "7") {
		t.Errorf("refused by a, it goes to %s", got)
	}
	if got := place("8"); got == "a" || got == "b" {
		t.Errorf("with both full, the next goes to %s", got)
	}
	occupancy.forgetTenant("7")
	for range 2 { // Until it stands in the cluster where it goes, it is asked again.
		if got := place("8"); got != "b" {
			t.Errorf("with one gone from b, the next goes to %s", got)
		}
	}
}

func TestTheNumberOfTenantsIsNewsWhenItHasSettled(t *testing.T) {
	var occupancy Occupancy
	now := noon
	for _, step := range []struct {
		after    time.Duration
		tenants  int
		changing bool
	}{
		{0, 3, false}, // Nobody knew before.
		{5 * time.Second, 3, false},
		{5 * time.Second, 8, true},
		{5 * time.Second, 12, true},
		{5 * time.Second, 12, false},
		{5 * time.Second, 11, true},
		{CountInterval - time.Second, 10, true},
		{time.Second, 9, false}, // That is long enough to wait.
		{5 * time.Second, 8, true},
		{5 * time.Second, 8, false},
	} {
		now = now.Add(step.after)
		occupancy.Counted("shared", step.tenants, now)
		if got := occupancy.Changing("shared"); got != step.changing {
			t.Errorf("at %v, with %d tenants: changing %t, want %t", now.Sub(noon), step.tenants, got, step.changing)
		}
	}
	if occupancy.Changing("unknown") {
		t.Error("what nobody has asked changes")
	}
}
