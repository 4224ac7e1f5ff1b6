package tenant

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

func eventSaying(message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "acme-dev", Name: "large.1", UID: "1", ResourceVersion: "1", Labels: map[string]string{"a": "b"}},
		InvolvedObject: corev1.ObjectReference{Kind: "ReplicaSet", Name: "large", UID: "2"}, Reason: ReasonRefused, Message: message,
	}
}

const (
	beyondSlice = `Error creating: pods "large-x2v4k" is forbidden: exceeded quota: tenant, requested: requests.cpu=5, used: requests.cpu=0, limited: requests.cpu=4`
	beyondOther = `Error creating: pods "large-x2v4k" is forbidden: exceeded quota: extra, requested: pods=1, used: pods=1, limited: pods=1`
)

func TestOnlyRefusalsByATenantsQuotaAreLookedAt(t *testing.T) {
	again := func(version string) event.UpdateEvent {
		is := eventSaying(beyondSlice)
		is.ResourceVersion = version
		return event.UpdateEvent{ObjectOld: eventSaying(beyondSlice), ObjectNew: is}
	}
	for _, test := range []struct {
		name      string
		got, want bool
	}{
		{"a slice has no room", refusalReported.Create(event.CreateEvent{Object: eventSaying(beyondSlice)}), true},
		{"a quota of somebody else has none", refusalReported.Create(event.CreateEvent{Object: eventSaying(beyondOther)}), false},
		{"it is refused again", refusalReported.Update(again("2")), true},
		{"a resync", refusalReported.Update(again("1")), false},
		{"the Event expires", refusalReported.Delete(event.DeleteEvent{Object: eventSaying(beyondSlice)}), false},
	} {
		if test.got != test.want {
			t.Errorf("%s: it is looked at: %t, want %t", test.name, test.got, test.want)
		}
	}
}

func TestTheCacheKeepsOfAnEventWhatIsRead(t *testing.T) {
	kept, err := TrimEvent(eventSaying(beyondSlice))
	if err != nil {
		t.Fatal(err)
	}
	trimmed := kept.(*corev1.Event)
	if trimmed.Message != beyondSlice || trimmed.Namespace != "acme-dev" || trimmed.InvolvedObject.UID != types.UID("2") || trimmed.InvolvedObject.Name != "" || len(trimmed.Labels) > 0 {
		t.Errorf("it keeps %+v", trimmed)
	}
	if kept, _ := TrimEvent(eventSaying(beyondOther)); kept.(*corev1.Event).Message != "" {
		t.Errorf("of what is about no slice it keeps %+v", kept)
	}
	if object, err := TrimEvent("something else"); err != nil || object != "something else" {
		t.Errorf("of something else it makes %v, %v", object, err)
	}
}

func TestWhenAnEventHasLastToldOfTheSame(t *testing.T) {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for name, told := range map[string]*corev1.Event{
		"one that counts": {LastTimestamp: metav1.NewTime(noon), EventTime: metav1.NewMicroTime(noon.Add(-time.Hour))},
		"one that is new": {EventTime: metav1.NewMicroTime(noon)},
		"a series":        {EventTime: metav1.NewMicroTime(noon.Add(-time.Hour)), Series: &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(noon)}},
	} {
		if got := lastSeen(told); !got.Equal(noon) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
