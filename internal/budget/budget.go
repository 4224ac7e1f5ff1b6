package budget

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Slice is the part of a tenant's budget that one namespace has.
type Slice struct {
	// Exists says that the namespace has its ResourceQuota. If not, the other fields from the ResourceQuota are
	// empty.
	Exists bool
	// Granted is spec.hard, Enforced is status.hard and Used is status.used of the ResourceQuota.
	Granted, Enforced, Used corev1.ResourceList
	// Uncounted is what may be in use beyond Used, and beyond Enforced, since the quota controller counted while it
	// was being admitted. It is counted anew when the slice is changed.
	Uncounted corev1.ResourceList
	// Needs is what must always fit: the operator's own objects. It counts as used.
	Needs corev1.ResourceList
	// Wanted is what was refused lately because the slice was too small: what it needs beyond Used. RefusedAt is when
	// the last request was refused.
	Wanted    corev1.ResourceList
	RefusedAt time.Time
	// Note was stored when the slice was last written.
	Note Note
	// Usable says that the namespace gets a share. Others get only their Needs.
	Usable bool
	// Busy says that pods or other objects were admitted just now, and that the quota controller may not have seen
	// them yet. It counts anew whenever the quota changes, and would count too few now, so the quota must not change.
	Busy bool
	// Leaving says that the namespace is leaving the tenant: its slice isn't written any more, and others can't have
	// what it has.
	Leaving bool
}

// marks returns a copy of what was in use of each resource when that was last granted, or what is in use now if
// that was never noted.
func (s Slice) marks() corev1.ResourceList {
	marks := corev1.ResourceList{}
	maps.Copy(marks, s.Note.Used)
	if s.Note.Holder == "" {
		maps.Copy(marks, s.Used)
	}
	return marks
}

// Note is stored in an annotation of the ResourceQuota, for the next Plan.
type Note struct {
	// Holder is the operator that last wrote the slice.
	Holder string `json:"holder,omitempty"`
	// Used is what was in use when the grant last changed.
	Used corev1.ResourceList `json:"used,omitempty"`
}

// Grant is what a namespace is to get.
type Grant struct {
	// Hard is the ResourceQuota's new spec.hard.
	Hard corev1.ResourceList
	// Note is the Note to store with it. It is empty for the only namespace of a tenant.
	Note Note
	// Changed says that this differs from what the namespace has. It must then be written to exactly the version of
	// the ResourceQuota that the Plan was made from.
	Changed bool
}

// Plan returns the grants for all slices, in their order. It must see all ResourceQuotas of the tenant as they
// were at one moment. If a slice must wait for others to shrink before it can grow, the next Plan, made from the
// ResourceQuotas after that, continues. operator is the identity of the running operator.
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

// planAlone grants the whole budget to the only namespace of a tenant. It first takes over the slice from another
// operator, which may be about to grant something to a second namespace.
func planAlone(total corev1.ResourceList, s Slice, operator string) Grant {
	if s.Note.Holder != "" && s.Note.Holder != operator {
		return Grant{Hard: s.Granted, Note: Note{Holder: operator, Used: s.Note.Used}, Changed: true}
	}
	return Grant{Hard: total, Changed: !s.Exists || s.Note.Holder != "" || !equal(total, s.Granted)}
}

func equal(a, b corev1.ResourceList) bool {
	return maps.EqualFunc(a, b, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })
}

// plan is the state of Plan.
type plan struct {
	total    corev1.ResourceList
	names    []corev1.ResourceName
	slices   []Slice
	operator string
	grants   []Grant
	// counted says that all slices exist and that the cluster has counted what is used, held that the operator holds
	// them all. Nothing grows before both are true.
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
				// Nothing is granted before it is known what is used.
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

// withNeeds returns the slices with their Needs counted as used.
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

// counted reports whether the quota controller has seen all resources in the grant.
func counted(s Slice) bool {
	for name := range s.Granted {
		if _, found := s.Enforced[name]; !found {
			return false
		}
	}
	return true
}

// change marks a grant as changed, and the operator as its holder.
func (p *plan) change(i int) {
	p.grants[i].Changed = true
	p.grants[i].Note.Holder = p.operator
}

// takeOver makes the operator the holder of all slices without changing what they have.
func (p *plan) takeOver() {
	for i, s := range p.slices {
		if !s.Leaving && s.Exists && s.Note.Holder != p.operator && !p.grants[i].Changed {
			p.grants[i].Changed = true
			p.grants[i].Note.Holder = p.operator
		}
	}
}

// shrink reduces the slices that have more of a resource than their targets. It returns true if there were none,
// and the cluster enforces all that is granted.
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

// grow raises the slices that have less of a resource than their targets, as far as the claims of all leave room.
func (p *plan) grow(name corev1.ResourceName, targets []int64, settled bool) {
	claims, left := p.claims(name)
	for i, target := range targets {
		granted := amount(name, p.slices[i].Granted)
		possible := min(target, left+claims[i])
		if possible <= granted || !p.writable(i) || !p.counted {
			continue
		}
		// What others give back is available in a moment, unless they are busy.
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

// grant sets what a slice has of a resource, and notes what is used now.
func (p *plan) grant(i int, name corev1.ResourceName, amount int64) {
	grant := &p.grants[i]
	grant.Hard[name] = quantity(name, amount, p.total[name])
	grant.Note.Used[name] = p.slices[i].Used[name]
	p.change(i)
}

// claims returns the most that each slice may use before the next Plan, and what that leaves of the budget, which
// may be negative.
func (p *plan) claims(name corev1.ResourceName) (claims []int64, left int64) {
	left = amount(name, p.total)
	for _, s := range p.slices {
		claim := max(amount(name, s.Granted), amount(name, s.Enforced), amount(name, s.Used)) + amount(name, s.Uncounted)
		claims = append(claims, claim)
		left -= claim
	}
	return claims, left
}

// targets returns what all slices should have of a resource in the end.
func (p *plan) targets(name corev1.ResourceName) []int64 {
	total := amount(name, p.total)
	targets := make([]int64, len(p.slices))
	var shares []share
	var usable []int
	for i, s := range p.slices {
		used, granted, uncounted := amount(name, s.Used), amount(name, s.Granted), amount(name, s.Uncounted)
		switch {
		case s.Leaving:
			targets[i] = granted
			total -= max(granted, used) + uncounted
		case !s.Usable:
			targets[i] = min(max(0, total), amount(name, s.Needs))
			total -= used + uncounted
		default:
			usable = append(usable, i)
			shares = append(shares, share{used: used + uncounted, granted: granted, growing: s.Note.Holder != "" && used > amount(name, s.Note.Used)})
		}
	}
	if len(usable) == 0 {
		return targets
	}
	p.reserve(name, total, usable, shares)
	for at, target := range split(max(0, total), shares, p.measure(name, total, usable)) {
		targets[usable[at]] = recounted(name, p.slices[usable[at]], target)
	}
	return targets
}

// recounted returns a target with which the slice is changed, and so counted anew, if anything may be uncounted. A
// slice with room is reduced, since it may admit something before that. A full one admits nothing, and can grow.
func recounted(name corev1.ResourceName, s Slice, target int64) int64 {
	granted, used := amount(name, s.Granted), amount(name, s.Used)
	if amount(name, s.Uncounted) > 0 && granted > used {
		return max(used, min(target, granted-grain(name)))
	}
	return target
}

// reserve counts what was refused as used if it fits into what is free of the total, so that the share gets room
// for it before the rest is split. The slice with the most recent refusal comes first, since that request will be
// retried soonest. What doesn't fit is left out until more is free.
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

// portions is the number of typical requests that fit into an equal part of the budget, if nothing is known of the
// requests.
const portions = 8

// measure takes the average of the requests in use as the typical request, if that is known.
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

// Strained reports whether the use of a slice has grown so much since it was last written that it may be short.
func Strained(s Slice) bool {
	for name := range s.Granted {
		granted, used, before := amount(name, s.Granted), amount(name, s.Used), amount(name, s.Note.Used)
		if used > before && granted-used < (granted-before+1)/2 {
			return true
		}
	}
	return false
}

// Overused returns the resources of which more is in use than the total allows, sorted by name.
func Overused(total, used corev1.ResourceList) []corev1.ResourceName {
	var names []corev1.ResourceName
	for _, name := range slices.Sorted(maps.Keys(total)) {
		if in, limit := used[name], total[name]; in.Cmp(limit) > 0 {
			names = append(names, name)
		}
	}
	return names
}
