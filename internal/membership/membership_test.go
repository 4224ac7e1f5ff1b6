package membership_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

type change func(*corev1.Namespace)

// namespace returns a namespace with the label of the tenant acme, created in that second.
func namespace(name string, second int, changes ...change) *corev1.Namespace {
	result := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID(name), Labels: map[string]string{naming.LabelTenant: "acme"},
		CreationTimestamp: metav1.NewTime(time.Unix(int64(second), 0)),
	}}
	for _, change := range changes {
		change(result)
	}
	return result
}

func inUse(namespace *corev1.Namespace) {
	namespace.Annotations = map[string]string{naming.AnnotationUsable: "true"}
}

func terminating(namespace *corev1.Namespace) { namespace.DeletionTimestamp = new(metav1.Now()) }

func labeled(tenant string) change {
	return func(namespace *corev1.Namespace) { namespace.Labels[naming.LabelTenant] = tenant }
}

func controlledBy(uid types.UID) change {
	return func(namespace *corev1.Namespace) {
		namespace.OwnerReferences = []metav1.OwnerReference{{Kind: "Tenant", Name: "owner", UID: uid, Controller: new(true)}}
	}
}

func TestWhichNamespacesATenantCanUse(t *testing.T) {
	acme := builders.Effective(t, builders.Tenant("acme").NamespaceLimit(3).Build())
	for _, test := range []struct {
		name       string
		namespaces []*corev1.Namespace
		want       []string
	}{
		{"none yet", nil, []string{"acme Usable"}},
		{
			"in the order of their creation", []*corev1.Namespace{namespace("c", 3), namespace("b", 2), namespace("a", 1), namespace("acme", 0)},
			[]string{"acme Usable", "a Usable", "b Usable", "c OverLimit"},
		},
		{
			"of one second, always the same", []*corev1.Namespace{namespace("c", 1), namespace("a", 1), namespace("b", 1)},
			[]string{"acme Usable", "a Usable", "b Usable", "c OverLimit"},
		},
		{
			"an older one that was moved in doesn't push out one in use",
			[]*corev1.Namespace{namespace("old", 1), namespace("x", 8, inUse), namespace("y", 9, inUse)},
			[]string{"acme Usable", "x Usable", "y Usable", "old OverLimit"},
		},
		{
			"of too many in use, since the limit was lowered, the youngest goes",
			[]*corev1.Namespace{namespace("z", 9, inUse), namespace("x", 7, inUse), namespace("y", 8, inUse)},
			[]string{"acme Usable", "x Usable", "y Usable", "z OverLimit"},
		},
		{
			"one that is being deleted makes room once it is gone",
			[]*corev1.Namespace{namespace("x", 1, inUse, terminating), namespace("y", 2, inUse), namespace("z", 3)},
			[]string{"acme Usable", "y Usable", "z OverLimit", "x Terminating"},
		},
		{
			"one that never was in use takes no room while it is deleted",
			[]*corev1.Namespace{namespace("x", 1, terminating), namespace("y", 2), namespace("z", 3)},
			[]string{"acme Usable", "y Usable", "z Usable", "x Terminating"},
		},
		{
			"one of somebody else takes no room",
			[]*corev1.Namespace{namespace("x", 1, controlledBy("somebody")), namespace("y", 2, controlledBy(acme.UID)), namespace("z", 3)},
			[]string{"acme Usable", "y Usable", "z Usable", "x Conflict"},
		},
		{
			"those without the label are none", []*corev1.Namespace{namespace("x", 1, labeled("globex")), namespace("y", 2, labeled(""))},
			[]string{"acme Usable"},
		},
		{
			"nor are those that leave", []*corev1.Namespace{namespace("x", 1, labeled("globex"), controlledBy(acme.UID))},
			[]string{"acme Usable", "x leaves"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			members := membership.Of(acme, test.namespaces)
			var got []string
			for _, member := range members.All {
				got = append(got, fmt.Sprint(member.Name, " ", member.State))
				if (member.Message == "") != (member.State == v1alpha1.NamespaceUsable) || member.Primary != (member.Name == "acme") {
					t.Errorf("%s is %+v", member.Name, member.TenantNamespace)
				}
			}
			for _, namespace := range members.Leaving {
				got = append(got, namespace.Name+" leaves")
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("they are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestWhatATenantMayWriteTo(t *testing.T) {
	acme := builders.Effective(t, builders.Tenant("acme").Build())
	for _, test := range []struct {
		name      string
		namespace *corev1.Namespace
		want      bool
	}{
		{"its own", namespace("a", 1, controlledBy(acme.UID)), true},
		{"its own, without the label", namespace("a", 1, controlledBy(acme.UID), labeled("")), true},
		{"one that the label says is its own", namespace("a", 1), true},
		{"one of another tenant", namespace("a", 1, labeled("globex")), false},
		{"one that another tenant still controls", namespace("a", 1, controlledBy("globex")), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := membership.Mine(acme, test.namespace); got != test.want {
				t.Errorf("it may: %t, want %t", got, test.want)
			}
		})
	}
}

func TestManyNamesAreCutShort(t *testing.T) {
	var list []v1alpha1.TenantNamespace
	for i := range 12 {
		list = append(list, v1alpha1.TenantNamespace{Name: fmt.Sprint("n", i), State: v1alpha1.NamespaceOverLimit})
	}
	if got := membership.Names(list, v1alpha1.NamespaceOverLimit); got != "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more" {
		t.Errorf("they are %q", got)
	}
	if got := membership.Names(list[:2], v1alpha1.NamespaceOverLimit); got != "n0, n1" {
		t.Errorf("they are %q", got)
	}
}

func TestTheNamespacesThatTheSpecNames(t *testing.T) {
	foreign := func(namespace *corev1.Namespace) { namespace.Labels = nil }
	for _, test := range []struct {
		name       string
		limit      int32
		namespaces []*corev1.Namespace
		want       []string
	}{
		{"are to be made", 0, nil, []string{"acme Usable", "dev to be made Usable", "test to be made Usable"}},
		{"are there", 0, []*corev1.Namespace{namespace("dev", 1, inUse), namespace("test", 2)}, []string{"acme Usable", "dev Usable", "test Usable"}},
		{"belong to nobody", 0, []*corev1.Namespace{namespace("dev", 1, foreign)}, []string{"acme Usable", "test to be made Usable", "dev Conflict"}},
		{"belong to another tenant", 0, []*corev1.Namespace{namespace("dev", 1, labeled("globex"))}, []string{"acme Usable", "test to be made Usable", "dev Conflict"}},
		{
			"come before those that wait, and after those in use", 3, []*corev1.Namespace{namespace("a", 1), namespace("b", 2, inUse)},
			[]string{"acme Usable", "b Usable", "dev to be made Usable", "test to be made OverLimit", "a OverLimit"},
		},
		{"have left", 0, []*corev1.Namespace{namespace("dev", 1, labeled("globex"), controlledBy("uid-acme"))}, []string{"acme Usable", "test to be made Usable"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tenant := builders.Effective(t, builders.Tenant("acme").Namespaces("dev", "test", "acme").NamespaceLimit(test.limit).Build())
			tenant.UID = "uid-acme"
			var got []string
			for _, member := range membership.Of(tenant, test.namespaces).All {
				what := " "
				if member.Namespace == nil && !member.Primary {
					what = " to be made "
				}
				got = append(got, member.Name+what+string(member.State))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
