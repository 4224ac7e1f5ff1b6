package apply

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func at(uid, version string) *corev1.ConfigMap {
	object := &corev1.ConfigMap{}
	object.UID, object.ResourceVersion = types.UID(uid), version
	return object
}

func TestWhatIsSettledIsJustThatVersionOfADesiredState(t *testing.T) {
	var s settled
	s.note(at("a", "1"), "x")
	s.note(at("b", "1"), "x")
	s.note(at("b", "2"), "y")
	for _, test := range []struct {
		uid, version, hash string
		want               bool
	}{
		{"a", "1", "x", true},
		{"a", "2", "x", false},
		{"a", "1", "y", false},
		{"b", "2", "y", true},
		{"b", "1", "x", false},
		{"c", "1", "x", false},
	} {
		if got := s.has(at(test.uid, test.version), test.hash); got != test.want {
			t.Errorf("%s at version %s, desired as %s: settled %t, want %t", test.uid, test.version, test.hash, got, test.want)
		}
	}
}

func TestThereIsABoundToWhatIsSettled(t *testing.T) {
	var s settled
	for n := range settledSize + 100 {
		s.note(at(fmt.Sprint(n), "1"), "x")
	}
	if len(s.states) != settledSize {
		t.Errorf("it remembers %d objects, want %d", len(s.states), settledSize)
	}
	if last := at(fmt.Sprint(settledSize+99), "1"); !s.has(last, "x") {
		t.Error("it has forgotten the last one")
	}
}
