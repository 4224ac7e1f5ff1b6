package fleet

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestAClassCountsItsTenants(t *testing.T) {
	c := &Classes{}
	note := func(tenant string, member ClassMember) string { return c.Note(types.UID(tenant), member) }
	expect := func(class string, want ClassCount) {
		t.Helper()
		if got := c.Of(class); got != want {
			t.Errorf("%s has %+v, want %+v", class, got, want)
		}
	}
	note("acme", ClassMember{Class: "gold", Revisions: []string{"gold-1"}})
	note("globex", ClassMember{Class: "gold", Revisions: []string{"gold-1", "gold-2"}, Ready: true, Pinned: true})
	note("none", ClassMember{})
	expect("gold", ClassCount{Tenants: 2, Ready: 1, Pinned: 1})

	if before := note("acme", ClassMember{Class: "silver", Ready: true, HeldBack: true}); before != "gold" {
		t.Errorf("its class was %q", before)
	}
	expect("gold", ClassCount{Tenants: 1, Ready: 1, Pinned: 1})
	expect("silver", ClassCount{Tenants: 1, Ready: 1, HeldBack: 1})
	if !c.InUse("gold-1") || !c.InUse("gold-2") {
		t.Error("a revision isn't in use")
	}

	note("globex", ClassMember{Class: "gold", Revisions: []string{"gold-2"}})
	if c.InUse("gold-1") {
		t.Error("a revision that no tenant is at is in use")
	}
	c.Forget("globex")
	c.Forget("globex")
	expect("gold", ClassCount{})
	if len(c.counts)+len(c.uses) != 1 {
		t.Errorf("left are %v and %v", c.counts, c.uses)
	}
}
