package fleet

import (
	"testing"
	"time"
)

func TestTroubleGoesOnFromWhenItHasBegun(t *testing.T) {
	troubles := &Troubles{}
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	for _, step := range []struct {
		name     string
		troubled bool
		now      time.Time
		want     time.Time
	}{
		{"none", false, minute(0), minute(0)},
		{"it begins", true, minute(1), minute(1)},
		{"it goes on", true, minute(2), minute(1)},
		{"it is over", false, minute(3), minute(3)},
		{"it begins again", true, minute(4), minute(4)},
	} {
		if got := troubles.Tenant("acme", step.troubled, step.now); !got.Equal(step.want) {
			t.Errorf("%s: the tenant's since %s, want %s", step.name, got, step.want)
		}
		if got := troubles.Server("acme", step.troubled, step.now); !got.Equal(step.want) {
			t.Errorf("%s: the server's since %s, want %s", step.name, got, step.want)
		}
	}
}
