package budget

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Slice is what one namespace has of its tenant's budget.
type Slice struct {
	// Exists says that the namespace has its ResourceQuota. Without, all else is empty.
	Exists bool
	// Granted is spec.hard, Enforced is status.hard and Used is status.used of the ResourceQuota.
	Granted, Enforced, Used corev1.ResourceList
	// Needs is what has to have room in any case. It counts as used.
	Needs corev1.ResourceList
	// Wanted is what was refused of late for want of room here: the room that is needed beyond Used. RefusedAt
	// is when the last of it was.
	Wanted    corev1.ResourceList
	RefusedAt time.Time
	// Note is what was noted when the slice was last written.
	Note Note
	// Usable says that the namespace gets a share; others get what they need.
	Usable bool
	// Busy says that pods and other objects were let in just now, and that the quota controller may
	// not have seen them yet. It counts anew whenever the quota changes, so that now it might count
	// too few: what is granted stays.
	Busy bool
	// Leaving says that the namespace is on its way out of the tenant: it is not written any more,
	// and what it has is not for others.
	Leaving bool
}

// marks returns a copy of what was in use of each resource when that was last given; where that was
// never noted, it is what is in use now.
func (s Slice) marks() corev1.ResourceList {
	marks := corev1.ResourceList{}
	maps.Copy(marks, s.Note.Used)
	if s.Note.Holder == "" {
		maps.Copy(marks, s.Used)
	}
	return marks
}

// Note is what stands beside a slice, for the next look at it.
type Note struct {
	// Holder is the operator that has written the slice last.
	Holder string `json:"holder,omitempty"`
	// Used is what was in use when the slice was last given something else.
	Used corev1.ResourceList `json:"used,omitempty"`
}

// Grant is what a namespace is to get.
type Grant struct {
	// Hard is the quota.
	Hard corev1.ResourceList
	// Note goes with it; empty for the only namespace of a tenant.
	Note Note
	// Changed says that this differs from what the namespace has. It must then be written to just the
	// version of the ResourceQuota that was looked at.
	Changed bool
}

// Plan says what each of the slices is to become now, in their order, by an operator of that name.
// It must see all ResourceQuotas of the tenant as they were at one moment. Where growing has to wait
// for others to shrink, the next look at the slices goes on.
func Plan(total corev1.ResourceList, all []Slice, operator string) []Grant {
	if len(all) == 1 && all[0].Usable {
		return []Grant{planAlone(total, all[0], operator)}
	}
	p := newPlan(total, all, operator)
	for _, name := range p.names {
		targets := p.targets(name)
		settled := p.shrink(name, targets)
		p.grow(name, targets, settled)
	}
	if p.wantsHold {
		p.takeOver()
	}
	return p.grants
}

// planAlone: a namespace that is the only one has the whole budget. Another operator may be about to
// give something to a further one, if it holds this slice.
func planAlone(total corev1.ResourceList, s Slice, operator string) Grant {
	if s.Note.Holder != "" && s.Note.Holder != operator {
		return Grant{Hard: s.Granted, Note: Note{Holder: operator, Used: s.Note.Used}, Changed: true}
	}
	return Grant{Hard: total, Changed: !s.Exists || s.Note.Holder != "" || !equal(total, s.Granted)}
}

func equal(a, b corev1.ResourceList) bool {
	return maps.EqualFunc(a, b, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })
}

// plan is a Plan in the making.
type plan struct {
	total    corev1.ResourceList
	names    []corev1.ResourceName
	slices   []Slice
	operator string
	grants   []Grant
	// counted says that all slices exist and the cluster has counted what is used; held, that all are
	// held by the operator. Nothing grows before.
	counted, held bool
	// wantsHold says that something could grow if all slices were held.
	wantsHold bool
}

func newPlan(total corev1.ResourceList, all []Slice, operator string) *plan {
	all = withNeeds(all)
	p := &plan{
		total: total, names: slices.Sorted(maps.Keys(total)), slices: all, operator: operator,
		grants: make([]Grant, len(all)), counted: true, held: true,
	}
	for i, s := range all {
		p.counted = p.counted && s.Exists && counted(s)
		p.held = p.held && (s.Leaving || s.Note.Holder == operator)
		p.grants[i] = Grant{Hard: corev1.ResourceList{}, Note: Note{Holder: s.Note.Holder, Used: s.marks()}}
		if s.Leaving {
			p.grants[i].Hard = s.Granted
			continue
		}
		for name, example := range total {
			granted, found := s.Granted[name]
			if !found {
				// Nothing is given away before it is known what is used.
				granted = quantity(name, 0, example)
				p.change(i)
			}
			p.grants[i].Hard[name] = granted
		}
		if (s.Usable && len(s.Granted) > len(total)) || !s.Exists {
			p.change(i)
		}
	}
	return p
}

// withNeeds returns slices in which what is needed is used.
func withNeeds(all []Slice) []Slice {
	all = slices.Clone(all)
	for i, s := range all {
		if len(s.Needs) == 0 {
			continue
		}
		used := maps.Clone(s.Used)
		if used == nil {
			used = corev1.ResourceList{}
		}
		for name, need := range s.Needs {
			if in := used[name]; in.Cmp(need) < 0 {
				used[name] = need
			}
		}
		all[i].Used = used
	}
	return all
}

// counted reports whether the quota controller has seen all that is granted.
func counted(s Slice) bool {
	for name := range s.Granted {
		if _, found := s.Enforced[name]; !found {
			return false
		}
	}
	return true
}

// change notes that a slice is written, and by whom.
func (p *plan) change(i int) {
	p.grants[i].Changed = true
	p.grants[i].Note.Holder = p.operator
}

// takeOver makes all slices the operator's, as they are.
func (p *plan) takeOver() {
	for i, s := range p.slices {
		if !s.Leaving && s.Exists && s.Note.Holder != p.operator && !p.grants[i].Changed {
			p.grants[i].Changed = true
			p.grants[i].Note.Holder = p.operator
		}
	}
}

// shrink takes of one resource what slices have above their targets. It says whether there was
// nothing to take, and the cluster enforces what is granted.
func (p *plan) shrink(name corev1.ResourceName, targets []int64) (settled bool) {
	settled = true
	for i, target := range targets {
		granted := amount(name, p.slices[i].Granted)
		settled = settled && granted == amount(name, p.slices[i].Enforced)
		if target < granted && p.writable(i) {
			p.grant(i, name, target)
			settled = false
		}
	}
	return settled
}

// grow gives slices of one resource what they lack of their targets, as far as nobody may use it.
func (p *plan) grow(name corev1.ResourceName, targets []int64, settled bool) {
	claims, left := p.claims(name)
	for i, target := range targets {
		granted := amount(name, p.slices[i].Granted)
		possible := min(target, left+claims[i])
		if possible <= granted || !p.writable(i) || !p.counted {
			continue
		}
		// What others give back will be there in a moment, except where they are busy.
		if !settled && possible < target {
			continue
		}
		if !p.held {
			p.wantsHold = true
			continue
		}
		left -= max(0, possible-claims[i])
		p.grant(i, name, possible)
		if possible < target {
			p.grants[i].Note.Used[name] = p.slices[i].Note.Used[name] // It still is growing.
		}
	}
}

func (p *plan) writable(i int) bool {
	return p.slices[i].Exists && !p.slices[i].Busy && !p.slices[i].Leaving
}

// grant gives a slice that much, and notes what is used at this time.
func (p *plan) grant(i int, name corev1.ResourceName, amount int64) {
	grant := &p.grants[i]
	grant.Hard[name] = quantity(name, amount, p.total[name])
	grant.Note.Used[name] = p.slices[i].Used[name]
	p.change(i)
}

// claims returns the most that each slice may come to use before another look, and what they leave of
// the budget, which may be less than nothing.
func (p *plan) claims(name corev1.ResourceName) (claims []int64, left int64) {
	left = amount(name, p.total)
	for _, s := range p.slices {
		claim := max(amount(name, s.Granted), amount(name, s.Enforced), amount(name, s.Used))
		claims = append(claims, claim)
		left -= claim
	}
	return claims, left
}

// targets returns what all slices should have in the end.
func (p *plan) targets(name corev1.ResourceName) []int64 {
	total := amount(name, p.total)
	targets := make([]int64, len(p.slices))
	var shares []share
	var usable []int
	for i, s := range p.slices {
		used, granted := amount(name, s.Used), amount(name, s.Granted)
		switch {
		case s.Leaving:
			targets[i] = granted
			total -= max(granted, used)
		case !s.Usable:
			targets[i] = min(max(0, total), amount(name, s.Needs))
			total -= used
		default:
			usable = append(usable, i)
			shares = append(shares, share{used: used, granted: granted, growing: s.Note.Holder != "" && used > amount(name, s.Note.Used)})
		}
	}
	if len(usable) == 0 {
		return targets
	}
	p.reserve(name, total, usable, shares)
	for at, target := range split(max(0, total), shares, p.measure(name, total, usable)) {
		targets[usable[at]] = target
	}
	return targets
}

// reserve counts what was refused as used, as far as it fits what is free of the total, so that its share
// gets room for it and the rest is divided as ever. Who was refused last comes first: whoever asks for room
// is about to ask again. What doesn't fit is left out, and waits for more to be free.
func (p *plan) reserve(name corev1.ResourceName, total int64, usable []int, shares []share) {
	free := total
	order := make([]int, len(shares))
	for i, s := range shares {
		free -= s.used
		order[i] = i
	}
	wanted := func(at int) int64 { return amount(name, p.slices[usable[at]].Wanted) }
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(
			p.slices[usable[b]].RefusedAt.Compare(p.slices[usable[a]].RefusedAt),
			cmp.Compare(wanted(a), wanted(b)),
		)
	})
	for _, at := range order {
		if want := wanted(at); want > 0 && want <= free {
			shares[at].used += want
			free -= want
		}
	}
}

// portions is how many requests an equal part of the budget has room for, where nothing is known
// of the requests.
const portions = 8

// measure takes for a typical request what those in use have asked for on average, where that is known.
func (p *plan) measure(name corev1.ResourceName, total int64, usable []int) measure {
	step := grain(name)
	requests := requestedBy(name)
	if requests == "" {
		return measure{unit: step, grain: step}
	}
	most := total / int64(len(usable)) / step * step
	unit := step
	if isCPU(name) || isBytes(name) {
		unit = most / portions
	}
	for _, i := range usable {
		if number := amount(requests, p.slices[i].Used); number > 0 {
			unit = max(unit, amount(name, p.slices[i].Used)/number)
		}
	}
	unit = (unit + step - 1) / step * step
	return measure{unit: max(step, min(unit, most)), grain: step}
}

// Strained reports whether a slice is used so much more than when it was last written that it may be
// short.
func Strained(s Slice) bool {
	for name := range s.Granted {
		granted, used, before := amount(name, s.Granted), amount(name, s.Used), amount(name, s.Note.Used)
		if used > before && granted-used < (granted-before+1)/2 {
			return true
		}
	}
	return false
}

// Overused returns the resources of which more is in use than the total allows, in order.
func Overused(total, used corev1.ResourceList) []corev1.ResourceName {
	var names []corev1.ResourceName
	for _, name := range slices.Sorted(maps.Keys(total)) {
		if in, limit := used[name], total[name]; in.Cmp(limit) > 0 {
			names = append(names, name)
		}
	}
	return names
}
