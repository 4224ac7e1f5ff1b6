package fleet

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/internal/release"
)

var oneByOne = release.Settings{MaxUnavailable: intstr.FromInt32(1), Deadline: time.Minute}

func goldMember(name, at string) ClassMember {
	return ClassMember{Class: "gold", Ready: true, ReleaseMember: ReleaseMember{Name: name, Generation: 1, At: at, Current: true, ReadyAt: noon}}
}

// compareAll notes that the current revision changes something for these tenants, and nothing for the others.
func compareAll(c *Classes, affected ...string) Progress {
	for {
		progress := c.Decide("gold", oneByOne, noon)
		if len(progress.Unknown) == 0 {
			return progress
		}
		for _, name := range progress.Unknown {
			c.Compared("gold", types.UID(name), 1, "old", slices.Contains(affected, name))
		}
	}
}

func TestAReleaseIsToldOfEachTenant(t *testing.T) {
	c := &Classes{}
	note := func(member ClassMember) { c.Note(types.UID(member.Name), member) }
	for _, name := range []string{"acme", "globex", "initech"} {
		note(goldMember(name, "old"))
	}
	target := Target{Canaries: labels.SelectorFromSet(labels.Set{"ring": "canary"}), Current: "new", Stable: "old"}
	c.Steer("gold", target)
	if unknown := c.Decide("gold", oneByOne, noon).Unknown; len(unknown) != 3 {
		t.Errorf("unknown are %v, want all", unknown)
	}
	progress := compareAll(c, "acme", "initech")
	if !slices.Equal(progress.Assign, []string{"acme"}) || progress.Updated != 1 {
		t.Fatalf("it is decided %+v", progress)
	}

	// The labels of a tenant count as they are, and so does the selector.
	canary := goldMember("initech", "old")
	canary.Labels = map[string]string{"ring": "canary"}
	note(canary)
	progress = compareAll(c, "acme", "initech")
	if !slices.Equal(progress.Assign, []string{"initech"}) || len(progress.InFlight) != 1 {
		t.Fatalf("it is decided %+v", progress)
	}
	c.Assigned("gold", progress, noon)
	target.Canaries = labels.Nothing()
	c.Steer("gold", target)

	// One that has changed its spec is compared anew.
	changed := goldMember("globex", "old")
	changed.Generation = 2
	note(changed)
	progress = c.Decide("gold", oneByOne, noon)
	if !slices.Equal(progress.Unknown, []string{"globex"}) || progress.Updated != 0 {
		t.Errorf("it is decided %+v", progress)
	}
	c.Compared("gold", "globex", 2, "old", false)

	// A tenant that fails says how it is, and one that is gone counts no more.
	failing := goldMember("initech", "new")
	failing.Ready, failing.Stalled, failing.State = false, true, "It has no image."
	note(failing)
	progress = c.Decide("gold", oneByOne, noon)
	if !progress.Stopped || !slices.Equal(progress.Failing, []string{"initech"}) || !slices.Equal(progress.States, []string{"It has no image."}) {
		t.Errorf("it is decided %+v", progress)
	}
	c.Forget("initech")
	note(goldMember("acme", "new"))
	if progress = c.Decide("gold", oneByOne, noon); !progress.Complete || progress.Updated != 2 {
		t.Errorf("it is decided %+v", progress)
	}

	c.Forget("acme")
	c.Note("globex", ClassMember{})
	if course := c.courses["gold"]; len(course.seats)+len(course.names)+len(course.unknown) != 0 || course.updated != 0 {
		t.Errorf("left is %+v", course)
	}
	c.ForgetClass("gold")
	if len(c.courses) != 0 {
		t.Error("a class is left that is gone")
	}
}

func TestATenantOfTheSameNameIsAnother(t *testing.T) {
	c := &Classes{}
	c.Note("1", goldMember("acme", "old"))
	c.Steer("gold", Target{Canaries: labels.Nothing(), Current: "new", Stable: "old", InFlight: []release.Flight{{Name: "acme", Revision: "new", AssignedAt: noon}}})
	if got := c.Decide("gold", oneByOne, noon); len(got.InFlight) != 1 {
		t.Fatalf("on their way are %+v", got.InFlight)
	}
	c.Note("2", goldMember("acme", ""))
	c.Forget("1") // It is learned of later.
	got := c.Decide("gold", oneByOne, noon)
	if len(got.InFlight) != 0 || !got.Complete {
		t.Errorf("it is decided %+v", got)
	}
	c.Note("2", goldMember("acme", "new"))
	if got = c.Decide("gold", oneByOne, noon); got.Updated != 1 {
		t.Errorf("it is decided %+v", got)
	}
}
