package retry

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantry/tenantry/internal/problem"
)

func TestRetriesBackOff(t *testing.T) {
	const name = "acme"
	for _, test := range []struct {
		name   string
		retry  problem.Retry
		want   []time.Duration
		bounds time.Duration
	}{
		{"on old data", problem.Again, []time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond}, 2 * time.Minute},
		{"later", problem.Later, []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute}, 2 * time.Minute},
		{"on a change", problem.OnChange, []time.Duration{0, 0}, 0},
		{"what the controller sees to", problem.WithBackoff, []time.Duration{0, 0}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := New(nil, nil)
				for range 2 { // What is over is forgotten.
					var got []time.Duration
					for range test.want {
						got = append(got, afterDue(r, name, test.retry))
					}
					if !slices.Equal(got, test.want) {
						t.Errorf("it waits %v, want %v", got, test.want)
					}
					for range 100 {
						afterDue(r, name, test.retry)
					}
					if got := afterDue(r, name, test.retry); got != test.bounds {
						t.Errorf("it comes to wait %s, want %s", got, test.bounds)
					}
					r.Forget(name)
					if r.Rounds(name) != 0 || len(r.due) != 0 {
						t.Errorf("forgotten, it counts %d rounds, and has %v", r.Rounds(name), r.due)
					}
				}
			})
		})
	}
}

// afterDue does what After does, and waits until the retry is due.
func afterDue(r *Retries, name string, retry problem.Retry) time.Duration {
	wait := r.After(name, retry)
	<-time.After(wait)
	return wait
}

func TestRoundsOnOldDataCountInARowOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(nil, nil)
		for _, retry := range []problem.Retry{problem.Again, problem.Again, problem.Later, problem.Again} {
			afterDue(r, "acme", retry)
		}
		r.After("globex", problem.OnChange)
		if got := r.Rounds("acme"); got != 1 {
			t.Errorf("it counts %d, want 1", got)
		}
	})
}

func TestAPassThatAnEventHasLedToPutsNoRetryOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(nil, nil)
		r.After("acme", problem.Later)
		<-time.After(10 * time.Second)
		for range 3 {
			if got := r.After("acme", problem.Later); got != later-10*time.Second {
				t.Errorf("it waits %s", got)
			}
		}
	})
}
