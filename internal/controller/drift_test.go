package controller

import (
	"testing"

	"github.com/tenantry/tenantry/internal/database"
)

func TestOnlyWhatWasLookedAtAndHasNotChangedSinceIsAccepted(t *testing.T) {
	var drift Drift
	says := func(digest string) (accepted, suspicious int) {
		yes, no := drift.sort("shared", []database.Drift{{UID: "acme", Digest: digest}})
		return len(yes), len(no)
	}
	if drift.wants("acme") {
		t.Error("a tenant that the server says nothing of wants a look")
	}
	for _, step := range []struct {
		name     string
		digest   string
		accepted int
		look     func()
	}{
		{"first seen", "1", 0, func() {}},
		{"not looked at yet", "1", 0, func() { drift.looked("acme", false) }},
		{"set right, so the server has something else", "2", 0, func() { drift.looked("acme", true) }},
		{"changed again behind the look", "3", 0, func() { drift.looked("acme", true) }},
		{"as it was when it was looked at", "3", 1, func() {}},
		{"changed again", "4", 0, func() {}},
	} {
		if accepted, suspicious := says(step.digest); accepted != step.accepted || accepted+suspicious != 1 {
			t.Errorf("%s: %d accepted, %d suspicious", step.name, accepted, suspicious)
		}
		if got, want := drift.wants("acme"), step.accepted == 0; got != want {
			t.Errorf("%s: it wants a look: %t", step.name, got)
		}
		step.look()
	}
	drift.drop("acme")
	if drift.wants("acme") {
		t.Error("a tenant that is gone wants a look")
	}
}

func TestWhatWasLookedAtIsAcceptedByWhicheverDatabaseServerTellsOfIt(t *testing.T) {
	var drift Drift
	changed := []database.Drift{{UID: "acme", Digest: "1"}}
	drift.sort("shared", changed)
	drift.looked("acme", true)
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
	drift.looked("acme", true)
	says("other")
	if drift.wants("acme") {
		t.Error("another server that tells of nothing makes the tenant want a look")
	}
	says("shared", make([]database.Drift, database.MaxDrifted)...)
	if drift.wants("acme") {
		t.Error("a server that tells of others first makes the tenant want a look")
	}
	says("shared")
	if !drift.wants("acme") {
		t.Error("a tenant that is as it was before wants no look, and its status says what was seen")
	}
	drift.looked("acme", true)
	says("shared")
	says("shared")
	if drift.wants("acme") {
		t.Error("a tenant that has been looked at wants a look again")
	}
}
