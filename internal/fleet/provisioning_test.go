package fleet

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// beginAll lets that many tenants ask for their turn, and returns those that got it.
func beginAll(f *Fleet, tenants int) []string {
	var begun []string
	for n := range tenants {
		name := fmt.Sprintf("tenant-%03d", n)
		f.SawTenant(name, types.UID(name))
		if f.Provisioning.Begin(name, types.UID(name)) {
			begun = append(begun, name)
		}
	}
	return begun
}

func TestOfManyNewTenantsAFewAreBegun(t *testing.T) {
	f := &Fleet{}
	begun := beginAll(f, 200)
	if len(begun) != maxProvisioning {
		t.Fatalf("%d of 200 are begun at once, want %d", len(begun), maxProvisioning)
	}
	if again := beginAll(f, 200); !slices.Equal(again, begun) {
		t.Errorf("when all are looked at again, %v go on, want those that were begun: %v", again, begun)
	}
}

func TestATenantThatWaitsGetsItsTurn(t *testing.T) {
	const next, last = "tenant-016", "tenant-017"
	for _, test := range []struct {
		name string
		act  func(*Fleet)
		want []string
	}{
		{"when the status of another one was written", func(f *Fleet) { f.StatusWritten("tenant-003", noon) }, []string{next}},
		{"when another one is gone", func(f *Fleet) { f.ForgetTenant("tenant-003") }, []string{next}},
		{"before those that came later", func(f *Fleet) {
			f.StatusWritten("tenant-003", noon)
			f.StatusWritten("tenant-004", noon)
		}, []string{next, last}},
		{"unless it is gone", func(f *Fleet) {
			f.ForgetTenant(next)
			f.StatusWritten("tenant-003", noon)
		}, []string{last}},
		{"once", func(f *Fleet) {
			f.StatusWritten("tenant-003", noon)
			f.StatusWritten("tenant-003", noon)
		}, []string{next}},
		{"also after one that is gone before it began", func(f *Fleet) {
			f.StatusWritten("tenant-003", noon)
			f.Provisioning.Turns.Take()
			f.ForgetTenant(next)
		}, []string{last}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &Fleet{}
			beginAll(f, maxProvisioning+2)
			test.act(f)
			turns := f.Provisioning.Turns.Take()
			if !slices.Equal(turns, test.want) {
				t.Fatalf("it is the turn of %v, want %v", turns, test.want)
			}
			for _, name := range turns {
				if !f.Provisioning.Begin(name, types.UID(name)) {
					t.Errorf("%s doesn't begin", name)
				}
			}
		})
	}
}

func TestATenantIsBegunWhenThereIsRoom(t *testing.T) {
	f := &Fleet{}
	for _, name := range beginAll(f, maxProvisioning) {
		f.StatusWritten(types.UID(name), noon)
	}
	if !f.Provisioning.Begin("late", "late") {
		t.Error("a tenant waits though no other one is being put in place")
	}
}
