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

func TestATenantThatIsAgainAsItWasAcceptedIsLookedAtOnceMore(t *testing.T) {
	var drift Drift
	drift.sort("shared", []database.Drift{{UID: "acme", Tenant: "acme", Digest: "1"}})
	drift.looked("acme", true)
	if _, suspicious := drift.sort("another", nil); len(suspicious) > 0 {
		t.Errorf("what another server says leads to a look at %v", suspicious)
	}
	_, suspicious := drift.sort("shared", nil)
	if len(suspicious) != 1 || suspicious[0].Tenant != "acme" || !drift.wants("acme") {
		t.Fatalf("it leads to a look at %v", suspicious)
	}
	drift.looked("acme", true)
	if _, suspicious := drift.sort("shared", nil); len(suspicious) > 0 || drift.wants("acme") {
		t.Errorf("after that it leads to a look at %v", suspicious)
	}
}
