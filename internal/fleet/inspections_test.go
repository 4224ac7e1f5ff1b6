package fleet

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/service"
)

func listed(string, types.UID) bool { return true }

func wanted(inspections *Inspections) bool {
	_, wanted := inspections.Wanted("acme")
	return wanted
}

// inspect begins and ends an inspection of the tenant's database.
func inspect(inspections *Inspections, sound bool) {
	report, _ := inspections.Wanted("acme")
	inspections.Inspected("acme", report, sound)
}

func TestALookIsNotAboutWhatChangesWhileItLasts(t *testing.T) {
	for _, sound := range []bool{true, false} {
		for _, before := range [][]service.Drift{nil, {{UID: "acme", Digest: "1"}}} {
			var inspections Inspections
			inspections.sort("shared", before, listed)
			report, _ := inspections.Wanted("acme")
			changed := []service.Drift{{UID: "acme", Digest: "2"}}
			inspections.sort("shared", changed, listed)
			inspections.Inspected("acme", report, sound)
			if !wanted(&inspections) {
				t.Errorf("sound %t, before %v: it wants no look", sound, before)
			}
			if accepted, _ := inspections.sort("shared", changed, listed); len(accepted) > 0 {
				t.Errorf("sound %t, before %v: what nobody has looked at is accepted", sound, before)
			}
		}
	}
}

func TestALookThatTakesLongerThanAProbeCounts(t *testing.T) {
	var inspections Inspections
	changed := []service.Drift{{UID: "acme", Digest: "1"}}
	inspections.sort("shared", changed, listed)
	report, _ := inspections.Wanted("acme")
	inspections.sort("shared", changed, listed)
	inspections.Inspected("acme", report, true)
	if accepted, _ := inspections.sort("shared", changed, listed); len(accepted) != 1 {
		t.Error("what was looked at is not accepted")
	}
}

func TestOnlyWhatWasLookedAtAndHasNotChangedSinceIsAccepted(t *testing.T) {
	var inspections Inspections
	says := func(digest string) (accepted, suspicious int) {
		yes, no := inspections.sort("shared", []service.Drift{{UID: "acme", Digest: digest}}, listed)
		return len(yes), len(no)
	}
	if wanted(&inspections) {
		t.Error("a tenant that the server says nothing of wants a look")
	}
	for _, step := range []struct {
		name     string
		digest   string
		accepted int
		look     func()
	}{
		{"first seen", "1", 0, func() {}},
		{"not looked at yet", "1", 0, func() { inspect(&inspections, false) }},
		{"set right, so the server has something else", "2", 0, func() { inspect(&inspections, true) }},
		{"changed again behind the look", "3", 0, func() { inspect(&inspections, true) }},
		{"as it was when it was looked at", "3", 1, func() {}},
		{"changed again", "4", 0, func() {}},
	} {
		if accepted, suspicious := says(step.digest); accepted != step.accepted || accepted+suspicious != 1 {
			t.Errorf("%s: %d accepted, %d suspicious", step.name, accepted, suspicious)
		}
		if got, want := wanted(&inspections), step.accepted == 0; got != want {
			t.Errorf("%s: it wants a look: %t", step.name, got)
		}
		step.look()
	}
	inspections.forgetTenant("acme")
	if wanted(&inspections) {
		t.Error("a tenant that is gone wants a look")
	}
}

func TestWhatWasLookedAtIsAcceptedByWhicheverDatabaseServerTellsOfIt(t *testing.T) {
	var inspections Inspections
	changed := []service.Drift{{UID: "acme", Digest: "1"}}
	inspections.sort("shared", changed, listed)
	inspect(&inspections, true)
	if accepted, suspicious := inspections.sort("shared-by-another-name", changed, listed); len(accepted) != 1 || len(suspicious) != 0 {
		t.Errorf("%v are accepted and %v suspicious", accepted, suspicious)
	}
}

func TestWhatIsAsItWasBeforeTheLookIsLookedAtOnceMore(t *testing.T) {
	var inspections Inspections
	changed := []service.Drift{{UID: "acme", Digest: "1"}}
	says := func(server string, drifts ...service.Drift) {
		t.Helper()
		if accepted, _ := inspections.sort(server, drifts, listed); len(accepted) > 0 {
			t.Errorf("%v is accepted", accepted)
		}
	}
	says("shared", changed...)
	inspect(&inspections, true)
	says("other")
	if wanted(&inspections) {
		t.Error("another server that tells of nothing makes the tenant want a look")
	}
	says("shared", make([]service.Drift, service.MaxDrifted)...)
	if wanted(&inspections) {
		t.Error("a server that tells of others first makes the tenant want a look")
	}
	says("shared")
	if !wanted(&inspections) {
		t.Error("a tenant that is as it was before wants no look, and its status says what was seen")
	}
	inspect(&inspections, true)
	says("shared")
	says("shared")
	if wanted(&inspections) {
		t.Error("a tenant that has been looked at wants a look again")
	}
}

func TestWhatAServerToldGoesWithIt(t *testing.T) {
	var inspections Inspections
	changed := []service.Drift{{UID: "acme", Digest: "1"}}
	inspections.sort("shared", changed, listed)
	inspections.forgetServer("other")
	if !wanted(&inspections) {
		t.Error("no inspection is wanted since another server is gone")
	}
	inspections.forgetServer("shared")
	if wanted(&inspections) {
		t.Error("an inspection is wanted on a server that is gone")
	}
}
