package release

import (
	"slices"
	"time"
)

// spare is how many void tickets an order may have beside as many as are valid.
const spare = 64

// compact takes void tickets out of a heap once most of them are, so that it doesn't grow with each change.
func compact[T any](items []T, valid int, isValid func(T) bool, order func([]T)) []T {
	if len(items) <= 2*valid+spare {
		return items
	}
	items = slices.DeleteFunc(items, func(item T) bool { return !isValid(item) })
	order(items)
	return items
}

// ticket is a tenant in an order. It is void once the tenant's version is another one.
type ticket struct {
	name    string
	version int
}

// ordered is a heap of tickets by name.
type ordered []ticket

func (o ordered) Len() int           { return len(o) }
func (o ordered) Less(a, b int) bool { return o[a].name < o[b].name }
func (o ordered) Swap(a, b int)      { o[a], o[b] = o[b], o[a] }
func (o *ordered) Push(item any)     { *o = append(*o, item.(ticket)) }

// Pop removes the last one, for package heap.
func (o *ordered) Pop() any {
	last := len(*o) - 1
	item := (*o)[last]
	*o = (*o)[:last]
	return item
}

// deadline is when a tenant has to be looked at.
type deadline struct {
	at time.Time
	ticket
}

// deadlines is a heap of deadlines, the next one first.
type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(a, b int) bool { return d[a].at.Before(d[b].at) }
func (d deadlines) Swap(a, b int)      { d[a], d[b] = d[b], d[a] }
func (d *deadlines) Push(item any)     { *d = append(*d, item.(deadline)) }

// Pop removes the last one, for package heap.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	item := (*d)[last]
	*d = (*d)[:last]
	return item
}
