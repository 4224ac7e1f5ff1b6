package tenantclass

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func TestWhichRevisionsAreDeleted(t *testing.T) {
	revision := func(name string, minute int) v1alpha1.TenantClassRevision {
		return v1alpha1.TenantClassRevision{ObjectMeta: metav1.ObjectMeta{
			Name: name, CreationTimestamp: metav1.NewTime(time.Date(2026, time.March, 1, 12, minute, 0, 0, time.UTC)),
		}}
	}
	all := []v1alpha1.TenantClassRevision{revision("a", 1), revision("b", 2), revision("c", 3), revision("d", 3), revision("e", 5)}
	for _, test := range []struct {
		name    string
		current string
		used    []string
		limit   int
		deleted []string
	}{
		{"none while there are few", "e", nil, 4, nil},
		{"the oldest first", "e", nil, 2, []string{"b", "a"}},
		{"of the same age, the last by name first", "e", nil, 1, []string{"d", "b", "a"}},
		{"never one in use, however old", "e", []string{"a", "c"}, 0, []string{"d", "b"}},
		{"never the current one, however old", "a", nil, 0, []string{"e", "c", "d", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, revision := range superfluous(all, test.current, func(name string) bool { return slices.Contains(test.used, name) }, test.limit) {
				got = append(got, revision.Name)
			}
			if !slices.Equal(got, test.deleted) {
				t.Errorf("deleted are %v, want %v", got, test.deleted)
			}
		})
	}
}
