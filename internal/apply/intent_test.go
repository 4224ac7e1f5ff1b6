package apply

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestAnObjectWithoutAGoTypeIsNotChangedByWhatIsAppliedOfIt(t *testing.T) {
	desired := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "w", "labels": map[string]any{"a": "b"}},
		"spec": map[string]any{"size": int64(1)}, "status": map[string]any{},
	}}
	before := desired.DeepCopy()
	intent, err := intentOf(desired)
	if err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(desired, before) {
		t.Errorf("it has become %v", desired.Object)
	}
	want := map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "b"}}, "spec": map[string]any{"size": int64(1)}}
	if !equality.Semantic.DeepEqual(intent, want) {
		t.Errorf("applied is %v, want %v", intent, want)
	}
}
