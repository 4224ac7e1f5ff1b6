package fleet

import (
	"testing"
	"time"
)

func TestWhatHasGotInIsServedUntilItIsRefusedAgain(t *testing.T) {
	served := &Served{}
	later, muchLater := noon.Add(time.Minute), noon.Add(2*time.Hour)
	for _, step := range []struct {
		name     string
		of       string
		refused  time.Time
		in, want bool
	}{
		{"it was refused", "a", noon, false, false},
		{"it has got in", "a", noon, true, true},
		{"it has ended", "a", noon, false, true},
		{"another one is out still", "b", noon, false, false},
		{"it is refused again", "a", later, false, false},
		{"another one has got in long after", "b", muchLater, true, true},
		{"it was forgotten", "a", noon, false, false},
	} {
		if got := served.Has("acme", step.of, step.refused, step.in); got != step.want {
			t.Errorf("%s: %t, want %t", step.name, got, step.want)
		}
	}
	if served.Has("globex", "b", muchLater, false) {
		t.Error("another tenant's are served")
	}
}
