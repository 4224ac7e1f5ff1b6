package budget_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/internal/budget"
)

func pods(number int64) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(number, resource.DecimalSI)}
}

func count(list corev1.ResourceList) int64 {
	quantity := list[corev1.ResourcePods]
	return quantity.Value()
}

// world has the history of a tenant's ResourceQuotas.
type world struct {
	random *rand.Rand
	total  int64
	// refusing says that requests are refused, different ones each time.
	refusing bool
	// miscounting says that the cluster may overlook a pod when it counts, if one was admitted since the quota was
	// changed, as in those namespaces that are in admitted.
	miscounting bool
	admitted    map[string]bool
	// now is the present; before has all moments of the past.
	now    moment
	before []moment
}

// moment has all ResourceQuotas at one time, with their versions.
type moment struct {
	slices   map[string]budget.Slice
	versions map[string]int
}

// operator decides on a moment that may be long past, but not before its own last write.
type operator struct {
	name    string
	sees    int
	pending []write
}

type write struct {
	namespace string
	version   int
	grant     budget.Grant
}

// change changes a slice in the present, and its version.
func (w *world) change(namespace string, slice budget.Slice) {
	w.before = append(w.before, w.now)
	w.now = moment{slices: maps.Clone(w.now.slices), versions: maps.Clone(w.now.versions)}
	w.now.slices[namespace] = slice
	w.now.versions[namespace]++
}

// at returns a moment of the past, or the present.
func (w *world) at(index int) moment {
	if index < len(w.before) {
		return w.before[index]
	}
	return w.now
}

// plan lets an operator read and decide.
func (w *world) plan(o *operator, known []string) {
	o.sees += w.random.IntN(len(w.before) - o.sees + 1)
	seen := w.at(o.sees)
	var list []budget.Slice
	for _, namespace := range known {
		slice := seen.slices[namespace]
		slice.Usable = true
		list = append(list, slice)
	}
	if w.refusing {
		w.refuse(list)
	}
	for i, grant := range budget.Plan(pods(w.total), list, o.name) {
		if grant.Changed {
			o.pending = append(o.pending, write{known[i], seen.versions[known[i]], grant})
		}
	}
}

// send lets an operator's next write arrive, if the object still has the same version.
func (w *world) send(o *operator) {
	next := o.pending[0]
	o.pending = o.pending[1:]
	if w.now.versions[next.namespace] != next.version {
		o.pending = nil
		return
	}
	slice := w.now.slices[next.namespace]
	w.admitted[next.namespace] = w.admitted[next.namespace] && count(slice.Granted) == count(next.grant.Hard)
	slice.Exists, slice.Granted, slice.Note = true, next.grant.Hard, next.grant.Note
	w.change(next.namespace, slice)
	o.sees = len(w.before)
}

// act lets the cluster do something in a namespace: enforce the quota, admit a pod, or delete one.
func (w *world) act(namespace string) {
	slice := w.now.slices[namespace]
	if !slice.Exists {
		return
	}
	switch w.random.IntN(4) {
	case 0:
		slice = w.enforced(namespace)
	case 1, 2:
		if slice.Enforced == nil || count(slice.Used) >= count(slice.Enforced) {
			return
		}
		slice.Used = pods(count(slice.Used) + 1)
		w.admitted[namespace] = true
	case 3:
		if count(slice.Used) == 0 {
			return
		}
		slice.Used = pods(count(slice.Used) - 1)
	}
	w.change(namespace, slice)
}

// enforced returns a slice after the cluster has enforced what is granted, and counted anew if that has changed.
func (w *world) enforced(namespace string) budget.Slice {
	slice := w.now.slices[namespace]
	if slice.Enforced != nil && count(slice.Enforced) == count(slice.Granted) {
		return slice
	}
	used, missing := count(slice.Used)+count(slice.Uncounted), int64(0)
	if w.miscounting && w.admitted[namespace] && used > 0 {
		missing = w.random.Int64N(2)
	}
	slice.Enforced, slice.Used, slice.Uncounted = slice.Granted, pods(used-missing), pods(missing)
	return slice
}

func (w *world) check(t *testing.T) {
	t.Helper()
	var granted, enforced, used int64
	for _, slice := range w.now.slices {
		granted += count(slice.Granted)
		enforced += count(slice.Enforced)
		used += count(slice.Used) + count(slice.Uncounted)
	}
	if granted > w.total || enforced > w.total || used > w.total {
		t.Fatalf("of %d, %d are granted, %d enforced and %d used: %+v", w.total, granted, enforced, used, w.now.slices)
	}
}

func newWorld(seed uint64, total int64) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), total: total, admitted: map[string]bool{}}
	w.now = moment{slices: map[string]budget.Slice{}, versions: map[string]int{}}
	// The primary namespace begins alone.
	w.change("a", budget.Slice{Exists: true, Granted: pods(total), Enforced: pods(total), Used: pods(0)})
	return w
}

// Operators start, crash with a request under way, and continue although another one is the leader.
func TestTheSumNeverExceedsTheBudgetWhoeverCrashes(t *testing.T) {
	for seed := range uint64(400) {
		w := newWorld(seed, 1+int64(seed%23))
		w.refusing, w.miscounting = seed%2 == 1, seed%4 > 1
		names := []string{"a", "b", "c", "d"}
		operators := []*operator{{name: "one"}, {name: "two"}}
		generation := 0
		for range 400 {
			o := operators[w.random.IntN(len(operators))]
			switch w.random.IntN(8) {
			case 0, 1:
				if len(o.pending) == 0 {
					// The cache of namespaces may be older or newer than that of quotas, which has every quota.
					known := names[:1+w.random.IntN(len(names))]
					seen := w.at(o.sees)
					for namespace := range seen.slices {
						if !slices.Contains(known, namespace) {
							known = names
						}
					}
					w.plan(o, known)
				}
			case 2, 3, 4:
				if len(o.pending) > 0 {
					w.send(o)
				}
			case 5:
				if w.random.IntN(10) == 0 {
					generation++
					operators[w.random.IntN(2)] = &operator{name: fmt.Sprint("restarted ", generation), sees: len(w.before)}
					// The request that was under way still arrives.
					if len(o.pending) > 0 && w.random.IntN(2) == 0 {
						w.send(o)
					}
				}
			default:
				w.act(names[w.random.IntN(len(names))])
			}
			w.check(t)
		}
	}
}

// settle lets an operator and the cluster work until nothing changes, and returns how many writes
// that took.
func (w *world) settle(t *testing.T, names []string) int {
	t.Helper()
	for writes := range 100 {
		o := &operator{name: "one", sees: len(w.before)}
		w.plan(o, names)
		if len(o.pending) == 0 {
			return writes
		}
		for len(o.pending) > 0 {
			w.send(o)
			w.check(t)
		}
		for namespace := range w.now.slices {
			w.change(namespace, w.enforced(namespace))
			w.check(t)
		}
	}
	t.Fatalf("it never settles: %+v", w.now.slices)
	return 0
}

func TestASettledSplitCostsNoWrite(t *testing.T) {
	w := newWorld(1, 20)
	names := []string{"a", "b", "c", "d", "e"}
	w.settle(t, names)
	if writes := w.settle(t, names); writes > 0 {
		t.Errorf("it is written %d times more", writes)
	}
	for _, name := range names {
		if got := count(w.now.slices[name].Granted); got != 4 {
			t.Errorf("%s has %d of 20", name, got)
		}
	}
}

func TestAllDemandInOneNamespaceGetsTheWholeBudget(t *testing.T) {
	for _, test := range []struct {
		total int64
		n     int
		turns int
	}{{20, 5, 4}, {500, 50, 9}, {7, 10, 3}} {
		w := newWorld(1, test.total)
		var names []string
		for i := range test.n {
			names = append(names, string(rune('a'+i)))
		}
		w.settle(t, names)
		turns := 0
		for ; count(w.now.slices["b"].Used) < test.total; turns++ {
			slice := w.now.slices["b"]
			if count(slice.Used) == count(slice.Enforced) {
				if test.n > int(test.total) && turns == 0 {
					// Less than one for each: it stays where it was, in the first namespace.
					return
				}
				t.Fatalf("it ends at %d of %d", count(slice.Used), test.total)
			}
			slice.Used = slice.Enforced
			w.change("b", slice)
			w.settle(t, names)
		}
		if turns > test.turns {
			t.Errorf("%d of %d namespaces take %d turns", test.n, test.total, turns)
		}
	}
}

func TestTheOnlyNamespaceHasTheBudgetAsItIsWritten(t *testing.T) {
	total := corev1.ResourceList{corev1.ResourceRequestsCPU: resource.MustParse("1500m"), corev1.ResourcePods: resource.MustParse("1k")}
	grants := budget.Plan(total, []budget.Slice{{Usable: true}}, "one")
	if len(grants) != 1 || !grants[0].Changed || !maps.Equal(grants[0].Hard, total) || grants[0].Note.Holder != "" {
		t.Errorf("it gets %+v", grants)
	}
	again := budget.Plan(total, []budget.Slice{{Exists: true, Granted: total, Enforced: total, Used: pods(3), Usable: true}}, "two")
	if again[0].Changed {
		t.Errorf("it is written again: %+v", again)
	}
}

func TestWhoMayNotHaveAnything(t *testing.T) {
	full := budget.Slice{Exists: true, Granted: pods(20), Enforced: pods(20), Used: pods(0), Usable: true}
	nothing := budget.Slice{Exists: true, Granted: pods(5), Enforced: pods(5), Used: pods(3)}
	grants := budget.Plan(pods(20), []budget.Slice{full, nothing}, "one")
	if got := count(grants[1].Hard); got != 0 {
		t.Errorf("a namespace over the limit gets %d", got)
	}
	if got := count(grants[0].Hard); got != 17 {
		t.Errorf("while 3 of 20 are used there, the other one gets %d", got)
	}
}

func TestWhatMayBeUncountedIsCountedAnew(t *testing.T) {
	for _, test := range []struct {
		name               string
		granted, used, new int64
	}{
		{"in a slice with room, which shrinks", 10, 4, 8},
		{"in a full slice, which grows", 6, 6, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			note := budget.Note{Holder: "one", Used: pods(0)}
			doubtful := budget.Slice{
				Exists: true, Granted: pods(test.granted), Enforced: pods(test.granted), Used: pods(test.used), Uncounted: pods(1), Usable: true, Note: note,
			}
			rest := 20 - test.granted
			other := budget.Slice{Exists: true, Granted: pods(rest - 1), Enforced: pods(rest - 1), Used: pods(rest - 1), Usable: true, Note: note}
			grants := budget.Plan(pods(20), []budget.Slice{doubtful, other}, "one")
			if got := count(grants[0].Hard); got != test.new {
				t.Errorf("it gets %d, want %d", got, test.new)
			}
			if grants[1].Changed {
				t.Errorf("the other one, for which there may be no room, gets %d", count(grants[1].Hard))
			}
		})
	}
}

func TestOthersGetNothingOfWhatMayBeUncounted(t *testing.T) {
	doubtful := budget.Slice{
		Exists: true, Granted: pods(10), Enforced: pods(10), Used: pods(4), Uncounted: pods(1), Usable: true, Busy: true,
		Note: budget.Note{Holder: "one", Used: pods(4)},
	}
	growing := budget.Slice{Exists: true, Granted: pods(5), Enforced: pods(5), Used: pods(5), Usable: true, Note: budget.Note{Holder: "one", Used: pods(0)}}
	grants := budget.Plan(pods(20), []budget.Slice{doubtful, growing}, "one")
	if got := count(grants[1].Hard); got != 9 {
		t.Errorf("the other one gets %d: %d pods fit into this one before it is counted anew", got, 11)
	}
}

func TestWhatIsBusyStays(t *testing.T) {
	busy := budget.Slice{Exists: true, Granted: pods(10), Enforced: pods(10), Used: pods(2), Usable: true, Busy: true}
	tight := budget.Slice{
		Exists: true, Granted: pods(10), Enforced: pods(10), Used: pods(10), Usable: true, Note: budget.Note{Holder: "one", Used: pods(1)},
	}
	grants := budget.Plan(pods(20), []budget.Slice{busy, tight}, "one")
	if grants[0].Changed || count(grants[1].Hard) != 10 {
		t.Errorf("they get %+v", grants)
	}
}

// Pods don't request Services: five Services and one pod don't mean that the next request is for five.
func TestObjectsAreGivenAwayOneByOne(t *testing.T) {
	list := func(services, pods int64) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceServices: *resource.NewQuantity(services, resource.DecimalSI),
			corev1.ResourcePods:     *resource.NewQuantity(pods, resource.DecimalSI),
		}
	}
	growing := budget.Slice{
		Exists: true, Granted: list(5, 10), Enforced: list(5, 10), Used: list(5, 1), Usable: true,
		Note: budget.Note{Holder: "one", Used: list(1, 1)},
	}
	empty := budget.Slice{
		Exists: true, Granted: list(5, 10), Enforced: list(5, 10), Used: list(0, 0), Usable: true,
		Note: budget.Note{Holder: "one", Used: list(0, 0)},
	}
	grants := budget.Plan(list(10, 20), []budget.Slice{growing, empty}, "one")
	left := grants[1].Hard[corev1.ResourceServices]
	if left.Value() < 1 || left.Value() >= 5 {
		t.Errorf("the other namespace is left %s of 5 Services that are free", left.String())
	}
}

func TestStorageIsGivenAwayByTheClaim(t *testing.T) {
	list := func(storage string, claims, pods int64) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceRequestsStorage:        resource.MustParse(storage),
			corev1.ResourcePersistentVolumeClaims: *resource.NewQuantity(claims, resource.DecimalSI),
			corev1.ResourcePods:                   *resource.NewQuantity(pods, resource.DecimalSI),
		}
	}
	growing := budget.Slice{
		Exists: true, Granted: list("50Gi", 10, 10), Enforced: list("50Gi", 10, 10), Used: list("50Gi", 10, 1), Usable: true,
		Note: budget.Note{Holder: "one", Used: list("10Gi", 2, 1)},
	}
	empty := budget.Slice{
		Exists: true, Granted: list("50Gi", 10, 10), Enforced: list("50Gi", 10, 10), Used: list("0", 0, 0), Usable: true,
		Note: budget.Note{Holder: "one", Used: list("0", 0, 0)},
	}
	grants := budget.Plan(list("100Gi", 20, 20), []budget.Slice{growing, empty}, "one")
	left := grants[1].Hard[corev1.ResourceRequestsStorage]
	if left.Cmp(resource.MustParse("5Gi")) < 0 {
		t.Errorf("the other namespace is left %s, less than one claim of 5Gi", left.String())
	}
}

func TestWhatIsOverused(t *testing.T) {
	total := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3"), corev1.ResourceRequestsCPU: resource.MustParse("2")}
	use := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("4"), corev1.ResourceRequestsCPU: resource.MustParse("2")}
	if got := budget.Overused(total, use); !slices.Equal(got, []corev1.ResourceName{corev1.ResourcePods}) {
		t.Errorf("it is %v", got)
	}
}

// The operator's own needs in a namespace come before everything else.
func TestWhatIsNeededHasRoom(t *testing.T) {
	usable := func(granted, used, needed int64) budget.Slice {
		return budget.Slice{
			Exists: true, Usable: true, Granted: pods(granted), Enforced: pods(granted), Used: pods(used), Needs: pods(needed),
			Note: budget.Note{Holder: "operator", Used: pods(used)},
		}
	}
	over := usable(0, 0, 1)
	over.Usable = false
	for _, test := range []struct {
		name   string
		total  int64
		slices []budget.Slice
		least  []int64
	}{
		{"a namespace that has just come", 12, []budget.Slice{usable(12, 3, 3), usable(0, 0, 4)}, []int64{3, 4}},
		{"one that nobody can use", 12, []budget.Slice{usable(12, 3, 3), over}, []int64{3, 1}},
		{"just enough for all of them", 8, []budget.Slice{usable(8, 3, 3), usable(0, 0, 4), over}, []int64{3, 4, 1}},
		{"a namespace that grows beside it", 12, []budget.Slice{usable(9, 8, 3), usable(3, 0, 4)}, []int64{8, 4}},
		{"too little, where what is there stays", 4, []budget.Slice{usable(4, 3, 3), usable(0, 0, 4)}, []int64{3, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := slices.Clone(test.slices)
			for range 10 {
				for i, grant := range budget.Plan(pods(test.total), all, "operator") {
					all[i].Granted, all[i].Enforced, all[i].Note = grant.Hard, grant.Hard, grant.Note
				}
			}
			sum := int64(0)
			for i, slice := range all {
				sum += count(slice.Granted)
				if count(slice.Granted) < test.least[i] {
					t.Errorf("namespace %d has %d of %d, want at least %d", i, count(slice.Granted), test.total, test.least[i])
				}
			}
			if sum > test.total {
				t.Errorf("%d are given of %d", sum, test.total)
			}
		})
	}
}
