package release

import (
	"container/heap"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// choose returns who is next. First are those that hold a slot since an earlier revision: they are on their way to it,
// or it has made them unavailable. Then come canaries, then others, and at last those that were not Ready beforehand.
func (r *Release) choose() []string {
	free, unproven := r.slots()-len(r.flights), r.unproven()
	chosen := slices.Sorted(maps.Keys(r.stranded))
	limit, canaries := len(chosen)+free, r.canariesInFlight
	for _, canary := range []bool{true, false} {
		for _, revision := range unproven {
			broken := r.queues[revision][sort{canary, unready}]
			chosen = r.take(chosen, broken, limit)
			free -= broken.size()
			if canary {
				canaries += broken.size()
			}
		}
	}
	if r.settings.Closed {
		return chosen
	}
	for _, canary := range []bool{true, false} {
		before := len(chosen)
		chosen = r.draw(chosen, canary, unproven, before+free)
		if free <= 0 || canaries > 0 || len(chosen) > before {
			return chosen
		}
	}
	if len(chosen) == 0 {
		chosen = r.drawExempt(unproven)
	}
	return chosen
}

// draw adds canaries, or others, that need a slot: first those at revisions that are not proven.
func (r *Release) draw(chosen []string, canary bool, unproven []string, limit int) []string {
	for _, revision := range unproven {
		chosen = r.take(chosen, r.queues[revision][sort{canary, ready}], limit)
	}
	if r.proven != r.current {
		chosen = r.take(chosen, r.queues[r.proven][sort{canary, ready}], limit)
	}
	return chosen
}

// drawExempt returns tenants that were not Ready beforehand, as many at a time as may be on their way.
func (r *Release) drawExempt(unproven []string) (chosen []string) {
	limit := r.slots()
	if r.settings.Most > 0 {
		limit = min(limit, r.settings.Most-len(r.told))
	}
	for _, canary := range []bool{true, false} {
		for _, revision := range unproven {
			chosen = r.take(chosen, r.queues[revision][sort{canary, exempt}], limit)
		}
		if r.proven != r.current {
			chosen = r.take(chosen, r.queues[r.proven][sort{canary, exempt}], limit)
			chosen = r.take(chosen, r.queues[r.proven][sort{canary, unready}], limit)
		}
	}
	return chosen
}

// unproven returns the revisions that tenants are at and that are neither current nor proven.
func (r *Release) unproven() (revisions []string) {
	for revision := range r.queues {
		if revision != r.current && revision != r.proven {
			revisions = append(revisions, revision)
		}
	}
	slices.Sort(revisions)
	return revisions
}

// take adds the first of a queue to those that are chosen, up to a number of all. They stay in the queue.
func (r *Release) take(chosen []string, queue *draft, limit int) []string {
	if queue == nil || queue.count == 0 {
		return chosen
	}
	var drawn []ticket
	for len(chosen) < limit && len(queue.waiting) > 0 {
		next := heap.Pop(&queue.waiting).(ticket)
		if !r.waits(next, queue) {
			continue
		}
		drawn = append(drawn, next)
		chosen = append(chosen, next.name)
	}
	for _, ticket := range drawn {
		heap.Push(&queue.waiting, ticket)
	}
	return chosen
}

// slots returns how many tenants may be on their way.
func (r *Release) slots() int {
	limit, err := intstr.GetScaledValueFromIntOrPercent(&r.settings.MaxUnavailable, r.taking, false)
	if err != nil {
		limit = 1
	}
	if limit = max(1, limit); r.settings.Most > 0 {
		limit = min(limit, r.settings.Most)
	}
	return limit
}
