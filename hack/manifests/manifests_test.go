package manifests_test

import (
	"reflect"
	"testing"

	"github.com/tenantry/tenantry/hack/manifests"
)

func TestRead(t *testing.T) {
	objects, err := manifests.Read([]byte("kind: A\nspec: {replicas: 2}\n---\n# nothing\n---\nkind: B\n"))
	if err != nil {
		t.Fatal(err)
	}
	var contents []map[string]any
	for _, object := range objects {
		contents = append(contents, object.Object)
	}
	want := []map[string]any{{"kind": "A", "spec": map[string]any{"replicas": int64(2)}}, nil, {"kind": "B"}}
	if !reflect.DeepEqual(contents, want) {
		t.Errorf("the objects are %v, want %v", contents, want)
	}
}

func TestAFieldThatIsThereTwiceIsRefused(t *testing.T) {
	if objects, err := manifests.Read([]byte("kind: A\nkind: B\n")); err == nil {
		t.Errorf("the objects are %v, want an error", objects)
	}
}
