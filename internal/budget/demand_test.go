package budget_test

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/internal/budget"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func listOf(name corev1.ResourceName, amount string) corev1.ResourceList {
	return corev1.ResourceList{name: resource.MustParse(amount)}
}

func same(a, b corev1.ResourceList) bool {
	return maps.EqualFunc(a, b, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })
}

func TestWhatTheAPIServerSaysOfARefusalIsRead(t *testing.T) {
	for _, test := range []struct {
		name, message   string
		requested, used corev1.ResourceList
	}{
		{
			"of a ReplicaSet or Job", `Error creating: pods "large-x2v4k" is forbidden: exceeded quota: tenant, requested: requests.cpu=5, used: requests.cpu=500m, limited: requests.cpu=4`,
			listOf(corev1.ResourceRequestsCPU, "5"), listOf(corev1.ResourceRequestsCPU, "500m"),
		},
		{
			"of a StatefulSet, of its claim", `create Claim data-bulky-0 Pod bulky-0 in StatefulSet bulky failed error: failed to create PVC data-bulky-0: persistentvolumeclaims "data-bulky-0" is forbidden: exceeded quota: tenant, requested: requests.storage=60Gi, used: requests.storage=0, limited: requests.storage=34Gi`,
			listOf(corev1.ResourceRequestsStorage, "60Gi"), listOf(corev1.ResourceRequestsStorage, "0"),
		},
		{
			"of two things", `(combined from similar events): Error creating: pods "a" is forbidden: exceeded quota: tenant, requested: pods=1,requests.cpu=5, used: pods=3,requests.cpu=0, limited: pods=3,requests.cpu=4`,
			corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1"), corev1.ResourceRequestsCPU: resource.MustParse("5")},
			corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3"), corev1.ResourceRequestsCPU: resource.MustParse("0")},
		},
		{"of another quota", `exceeded quota: extra, requested: pods=1, used: pods=3, limited: pods=3`, nil, nil},
		{"of something else", `Error creating: pods "a" is forbidden: maximum cpu usage per Container is 4, but limit is 8`, nil, nil},
		{"of nothing that is a number", `exceeded quota: tenant, requested: pods=many, used: pods=few, limited: pods=3`, nil, nil},
		{"of less than nothing", `exceeded quota: tenant, requested: pods=-1, used: pods=3, limited: pods=3`, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			requested, used, ok := budget.ParseRefusal(test.message, "tenant")
			if ok != (test.requested != nil) || ok && (!same(requested, test.requested) || !same(used, test.used)) {
				t.Errorf("it reads %v of %v, %t", requested, used, ok)
			}
		})
	}
}

func TestWhatIsWantedAfterRefusals(t *testing.T) {
	refusal := func(of string, requested int64, ago time.Duration) budget.Refusal {
		return budget.Refusal{Of: of, Requested: pods(requested), Used: pods(0), At: noon.Add(-ago)}
	}
	for _, test := range []struct {
		name     string
		refusals []budget.Refusal
		want     int64
		at       time.Time
	}{
		{"nothing was refused", nil, 0, time.Time{}},
		{"one request", []budget.Refusal{refusal("a", 5, time.Second)}, 5, noon.Add(-time.Second)},
		{"one request again and again, and less the last time", []budget.Refusal{refusal("a", 5, time.Minute), refusal("a", 4, time.Second)}, 4, noon.Add(-time.Second)},
		{"two requests", []budget.Refusal{refusal("a", 5, time.Second), refusal("b", 3, time.Minute)}, 8, noon.Add(-time.Second)},
		{"it is long ago", []budget.Refusal{refusal("a", 5, 20*time.Minute)}, 0, time.Time{}},
		{"it may be tried again", []budget.Refusal{refusal("a", 5, 19*time.Minute)}, 5, noon.Add(-19 * time.Minute)},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, at := budget.Demand(test.refusals, noon)
			if count(got) != test.want || !at.Equal(test.at) {
				t.Errorf("it is %d of %s, want %d of %s", count(got), at, test.want, test.at)
			}
		})
	}
}

func TestWhatWasRefusedHasGotInOnceItShowsInTheUse(t *testing.T) {
	refusal := budget.Refusal{Requested: pods(5), Used: pods(1)}
	for used, want := range map[int64]bool{0: false, 1: false, 5: false, 6: true, 7: true} {
		if got := refusal.In(pods(used)); got != want {
			t.Errorf("beside %d it is in: %t", used, got)
		}
	}
}

func TestARequestThatFitsTheTenantGetsItsRoom(t *testing.T) {
	cpu := func(amount string) corev1.ResourceList { return listOf(corev1.ResourceRequestsCPU, amount) }
	slice := func(granted, used, wanted string) budget.Slice {
		return budget.Slice{
			Exists: true, Granted: cpu(granted), Enforced: cpu(granted), Used: cpu(used), Wanted: cpu(wanted), Usable: true,
			Note: budget.Note{Holder: "one", Used: cpu(used)},
		}
	}
	refused := func(s budget.Slice, at time.Time) budget.Slice {
		s.RefusedAt = at
		return s
	}
	for _, test := range []struct {
		name   string
		slices []budget.Slice
		want   []string // the least that each gets, once it has settled
	}{
		{"nothing is used", []budget.Slice{slice("4", "0", "0"), slice("4", "0", "5")}, []string{"0", "5"}},
		{"an old, uneven split", []budget.Slice{slice("7", "3", "0"), slice("1", "1", "4")}, []string{"3", "5"}},
		{"all that is free", []budget.Slice{slice("4", "1", "0"), slice("4", "1", "6")}, []string{"1", "7"}},
		{"more than is free", []budget.Slice{slice("4", "1", "0"), slice("4", "1", "6500m")}, []string{"4", "4"}},
		{"two, which fit", []budget.Slice{slice("2", "0", "4"), slice("6", "2", "0"), slice("0", "0", "2")}, []string{"4", "2", "2"}},
		{"two, of which one fits, and was refused last", []budget.Slice{refused(slice("4", "0", "6"), noon), slice("4", "0", "5")}, []string{"6", "0"}},
		{"two, of which one fits", []budget.Slice{slice("4", "0", "6"), slice("4", "0", "5")}, []string{"0", "5"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := test.slices
			for range 5 {
				var sum resource.Quantity
				for i, grant := range budget.Plan(cpu("8"), all, "one") {
					all[i].Granted, all[i].Enforced, all[i].Note = grant.Hard, grant.Hard, grant.Note
					sum.Add(grant.Hard[corev1.ResourceRequestsCPU])
				}
				if sum.Cmp(resource.MustParse("8")) > 0 {
					t.Fatalf("they get %s of 8", sum.String())
				}
			}
			for i, least := range test.want {
				got := all[i].Granted[corev1.ResourceRequestsCPU]
				if got.Cmp(resource.MustParse(least)) < 0 {
					t.Errorf("the one at %d has %s, want %s or more", i, got.String(), least)
				}
			}
			for _, grant := range budget.Plan(cpu("8"), all, "one") {
				if grant.Changed {
					t.Errorf("it never settles: %+v", grant)
				}
			}
		})
	}
}

// refuse lets requests in some namespaces be refused, whether they fit or not.
func (w *world) refuse(list []budget.Slice) {
	for i := range list {
		if w.random.IntN(3) == 0 {
			list[i].Wanted = pods(w.random.Int64N(w.total + 2))
		}
	}
}

func TestFits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		requested, quota, used := random.Int64N(10), random.Int64N(10), random.Int64N(10)
		if got := budget.Fits(pods(requested), pods(quota), pods(used)); got != (requested+used <= quota) {
			t.Fatalf("%d beside %d of %d: %t", requested, used, quota, got)
		}
	}
	if !budget.Fits(pods(5), nil, nil) {
		t.Error("what has no limit doesn't fit")
	}
}
