package tenant

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func TestWhichRevisionATenantGets(t *testing.T) {
	type told = []v1alpha1.TenantClassAssignment
	acme := told{{Name: "aaa", Revision: "new"}, {Name: "acme", Revision: "new"}, {Name: "zzz", Revision: "new"}}
	for _, test := range []struct {
		name            string
		spec            v1alpha1.TenantSpec
		at              *v1alpha1.TenantStatusClass
		stable, current string
		inFlight        told
		want            string
		told            bool
	}{
		{"a new one none before there is any", v1alpha1.TenantSpec{}, nil, "", "", nil, "", false},
		{"a new one the stable one", v1alpha1.TenantSpec{}, nil, "old", "new", nil, "old", false},
		{"a new one the current one where none is stable", v1alpha1.TenantSpec{}, nil, "", "new", nil, "new", false},
		{"one that only has the class as its default the stable one", v1alpha1.TenantSpec{}, &v1alpha1.TenantStatusClass{Name: "gold"}, "old", "new", nil, "old", false},
		{"one from another class the stable one", v1alpha1.TenantSpec{}, &v1alpha1.TenantStatusClass{Name: "silver", Revision: "silver-1"}, "old", "new", nil, "old", false},
		{"one that was not told the one that it has", v1alpha1.TenantSpec{}, &v1alpha1.TenantStatusClass{Name: "gold", Revision: "older"}, "old", "new", told{acme[0], acme[2]}, "older", false},
		{"one that was told what it was told", v1alpha1.TenantSpec{}, &v1alpha1.TenantStatusClass{Name: "gold", Revision: "old"}, "old", "newer", acme, "new", true},
		{"one that was told, and is there, the same", v1alpha1.TenantSpec{}, &v1alpha1.TenantStatusClass{Name: "gold", Revision: "new"}, "old", "new", acme, "new", true},
		{"one that comes back the one that all others have", v1alpha1.TenantSpec{}, &v1alpha1.TenantStatusClass{Name: "gold", Revision: "old"}, "new", "new", nil, "new", false},
		{"a cordoned one the one that it has", v1alpha1.TenantSpec{Cordoned: true}, &v1alpha1.TenantStatusClass{Name: "gold", Revision: "old"}, "new", "new", acme, "old", false},
		{"a pinned one its pin", v1alpha1.TenantSpec{ClassRevision: "oldest"}, &v1alpha1.TenantStatusClass{Name: "gold", Revision: "old"}, "new", "new", acme, "oldest", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: test.spec, Status: v1alpha1.TenantStatus{Class: test.at}}
			class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
			class.Status.CurrentRevision, class.Status.StableRevision, class.Status.InFlight = test.current, test.stable, test.inFlight
			if got, told := revisionOf(tenant, class); got != test.want || told != test.told {
				t.Errorf("it gets %q, told is %t, want %q, %t", got, told, test.want, test.told)
			}
		})
	}
}

func TestANewTenantGetsADefaultClassThatTheCacheDoesNotHaveYet(t *testing.T) {
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}
	class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{
		Name: "gold", Annotations: map[string]string{v1alpha1.AnnotationDefaultClass: "true"},
	}}
	r := tenantsOn(on(t, interceptor.Funcs{}, tenant))
	r.Live = on(t, interceptor.Funcs{}, class)
	if err := r.Get(t.Context(), client.ObjectKeyFromObject(tenant), tenant); err != nil {
		t.Fatal(err)
	}
	if err := r.assignDefault(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	if tenant.Status.Class == nil || tenant.Status.Class.Name != "gold" {
		t.Errorf("its class is %+v, want gold", tenant.Status.Class)
	}
}

func TestWhoIsNewlyTold(t *testing.T) {
	list := func(namesAndRevisions ...string) (entries []v1alpha1.TenantClassAssignment) {
		for pair := range slices.Chunk(namesAndRevisions, 2) {
			entries = append(entries, v1alpha1.TenantClassAssignment{Name: pair[0], Revision: pair[1]})
		}
		return entries
	}
	was := list("b", "1", "d", "1", "e", "1")
	is := list("a", "2", "b", "1", "c", "2", "d", "2", "f", "2")
	if got, want := newlyTold(was, is), []string{"a", "c", "d", "f"}; !slices.Equal(got, want) {
		t.Errorf("told are %v, want %v", got, want)
	}
	if got := newlyTold(is, nil); got != nil {
		t.Errorf("told are %v, want nobody", got)
	}
}

func TestATenantThatSleepsGetsWhatIsProven(t *testing.T) {
	for _, test := range []struct {
		name  string
		state v1alpha1.HibernationState
		at    string
		told  bool
		want  string
	}{
		{"it is awake, and was not told", v1alpha1.HibernationAwake, "older", false, "older"},
		{"it is awake, and was told", v1alpha1.HibernationAwake, "older", true, "new"},
		{"it sleeps", v1alpha1.HibernationAsleep, "older", false, "old"},
		{"it falls asleep on its way", v1alpha1.HibernationFallingAsleep, "older", true, "old"},
		{"it wakes", v1alpha1.HibernationWaking, "older", false, "old"},
		{"it has fallen asleep at the current one", v1alpha1.HibernationAsleep, "new", false, "new"},
	} {
		tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Status: v1alpha1.TenantStatus{
			Class: &v1alpha1.TenantStatusClass{Name: "gold", Revision: test.at}, Hibernation: &v1alpha1.TenantHibernationStatus{State: test.state},
		}}
		class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
		class.Status.CurrentRevision, class.Status.StableRevision = "new", "old"
		if test.told {
			class.Status.InFlight = []v1alpha1.TenantClassAssignment{{Name: "acme", Revision: "new"}}
		}
		if got, _ := revisionOf(tenant, class); got != test.want {
			t.Errorf("%s: it gets %q, want %q", test.name, got, test.want)
		}
	}
}
