package controller

import (
	"testing"

	"github.com/tenantry/tenantry/internal/database"
)

func wants(drift *Drift) bool {
	_, look := drift.wants("acme")
	return look
}

// look begins a look at the tenant and ends it.
func look(drift *Drift, sound bool) {
	news, _ := drift.wants("acme")
	drift.looked("acme", news, sound)
}

func TestALookIsNotAboutWhatChangesWhileItLasts(t *testing.T) {
	for _, sound := range []bool{true, false} {
		for _, before := range [][]database.Drift{nil, {{UID: "acme", Digest: "1"}}} {
			var drift Drift
			drift.sort("shared", before)
			news, _ := drift.wants("acme")
			changed := []database.Drift{{UID: "acme", Digest: "2"}}
			drift.sort("shared", changed)
			drift.looked("acme", news, sound)
			if !wants(&drift) {
				t.Errorf("sound %t, before %v: it wants no look", sound, before)
			}
			if accepted, _ := drift.sort("shared", changed); len(accepted) > 0 {
				t.Errorf("sound %t, before %v: what nobody has looked at is accepted", sound, before)
			}
		}
	}
}

func TestALookThatTakesLongerThanAProbeCounts(t *testing.T) {
	var drift Drift
	changed := []database.Drift{{UID: "acme", Digest: "1"}}
	drift.sort("shared", changed)
	news, _ := drift.wants("acme")
	drift.sort("shared", changed)
	drift.looked("acme", news, true)
	if accepted, _ := drift.sort("shared", changed); len(accepted) != 1 {
		t.Error("what was looked at is not accepted")
	}
}

func TestOnlyWhatWasLookedAtAndHasNotChangedSinceIsAccepted(t *testing.T) {
	var drift Drift
	says := func(digest string) (accepted, suspicious int) {
		yes, no := drift.sort("shared", []database.Drift{{UID: "acme", Digest: digest}})
		return len(yes), len(no)
	}
	if wants(&drift) {
		t.Error("a tenant that the server says nothing of wants a look")
	}
	for _, step := range []struct {
		name     string
		digest   string
		accepted int
		look     func()
	}{
		{"first seen", "1", 0, func() {}},
		{"not looked at yet", "1", 0, func() { look(&drift, false) }},
		{"set right, so the server has something else", "2", 0, func() { look(&drift, true) }},
		{"changed again behind the look", "3", 0, func() { look(&drift, true) }},
		{"as it was when it was looked at", "3", 1, func() {}},
		{"changed again", "4", 0, func() {}},
	} {
		if accepted, suspicious := says(step.digest); accepted != step.accepted || accepted+suspicious != 1 {
			t.Errorf("%s: %d accepted, %d suspicious", step.name, accepted, suspicious)
		}
		if got, want := wants(&drift), step.accepted == 0; got != want {
			t.Errorf("%s: it wants a look: %t", step.name, got)
		}
		step.look()
	}
	drift.drop("acme")
	if wants(&drift) {
		t.Error("a tenant that is gone wants a look")
	}
}

func TestWhatWasLookedAtIsAcceptedByWhicheverDatabaseServerTellsOfIt(t *testing.T) {
	var drift Drift
	changed := []database.Drift{{UID: "acme", Digest: "1"}}
	drift.sort("shared", changed)
	look(&drift, true)
	if accepted, suspicious := drift.sort("shared-by-another-name", changed); len(accepted) != 1 || len(suspicious) != 0 {
		t.Errorf("%v are accepted and %v suspicious", accepted, suspicious)
	}
}

func TestWhatIsAsItWasBeforeTheLookIsLookedAtOnceMore(t *testing.T) {
	var drift Drift
	changed := []database.Drift{{UID: "acme", Digest: "1"}}
	says := func(server string, drifts ...database.Drift) {
		t.Helper()
		if accepted, _ := drift.sort(server, drifts); len(accepted) > 0 {
			t.Errorf("%v is accepted", accepted)
		}
	}
	says("shared", changed...)
	look(&drift, true)
	says("other")
	if wants(&drift) {
		t.Error("another server that tells of nothing makes the tenant want a look")
	}
	says("shared", make([]database.Drift, database.MaxDrifted)...)
	if wants(&drift) {
		t.Error("a server that tells of others first makes the tenant want a look")
	}
	says("shared")
	if !wants(&drift) {
		t.Error("a tenant that is as it was before wants no look, and its status says what was seen")
	}
	look(&drift, true)
	says("shared")
	says("shared")
	if wants(&drift) {
		t.Error("a tenant that has been looked at wants a look again")
	}
}
