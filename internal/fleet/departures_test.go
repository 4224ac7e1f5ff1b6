package fleet

import "testing"

func TestServersAreLookedAtAgainWhenATenantHasGoneWithoutTheOperator(t *testing.T) {
	f := &Fleet{}
	look := func() bool {
		count, pending := f.Departures.Pending("shared")
		f.Departures.Looked("shared", count)
		return pending
	}
	f.SawTenant("removed", "1")
	f.SawTenant("vanished", "2")
	f.SawTenant("replaced", "3")
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"at first", func() {}, true},
		{"again", func() {}, false},
		{"after the operator has removed a tenant", func() { f.ForgetTenant("removed"); f.TenantVanished("removed") }, false},
		{"after one has vanished", func() { f.TenantVanished("vanished") }, true},
		{"after one has taken the name of another", func() { f.SawTenant("replaced", "4") }, true},
		{"after the server was replaced", func() { f.SawServer("shared", "5"); f.SawServer("shared", "6") }, true},
		{"once more", func() {}, false},
	} {
		step.do()
		if got := look(); got != step.want {
			t.Errorf("%s: it is looked at: %t", step.name, got)
		}
	}
}
