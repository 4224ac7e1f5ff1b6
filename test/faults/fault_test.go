package faults

import (
	"slices"
	"strings"
	"sync"
)

// moment says when a step is interrupted.
type moment string

const (
	// during the server's work on the step.
	during moment = "during"
	// after the server has done the step, and before anybody gets its answer.
	after moment = "after"
	// meanwhile something else happens: after the server has done the step, and before the operator gets its answer.
	meanwhile moment = "meanwhile"
)

// rounds is in statements that the operator sends from time to time for all tenants together. They are not steps
// of any tenant.
const rounds = "SET digest ="

// fault kills a process, or does something else, at one of the steps that the operator takes for one tenant: the
// first that is not known. Steps are identified by what they do and not by their order, since the operator's
// controllers run concurrently.
type fault struct {
	when moment
	// kill ends the process, or does something else; nil lets all steps pass.
	kill func() error
	// known are the steps, in neutral words, that pass, each as often as it is in the list.
	known []string

	mutex sync.Mutex
	// marks are texts that identify the tenant's steps, each followed by its neutral word.
	marks []string
	taken []string
	over  bool
	hit   bool
	// struck is closed once the process is dead; err says why it isn't.
	struck chan struct{}
	err    error
}

// newFault returns a fault that sees the steps that contain the tenant's name.
func newFault(known []string, when moment, tenant string, kill func() error) *fault {
	return &fault{known: known, when: when, kill: kill, marks: []string{tenant, "TENANT"}, struck: make(chan struct{})}
}

// mark makes the fault also see the steps that contain one of the texts, each of which is followed by its neutral
// word.
func (f *fault) mark(textsAndWords ...string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.marks = append(f.marks, textsAndWords...)
}

// disarm lets all further steps pass, and reports whether the fault has struck.
func (f *fault) disarm() bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.over = true
	return f.hit
}

// steps returns the steps that were seen, in neutral words. If the fault has struck, it was at the last one.
func (f *fault) steps() []string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return slices.Clone(f.taken)
}

// pass takes a step to the server and its answer back, unless the fault strikes. Then it returns true, and the
// answer must not be passed on. name is the step for people, content the text that is searched for marks.
func (f *fault) pass(name, content string, send, receive func()) (struck bool) {
	if !f.strikes(name, content) {
		send()
		receive()
		return false
	}
	send()
	if f.when != during {
		receive()
	}
	f.err = f.kill()
	close(f.struck)
	return f.when != meanwhile
}

func (f *fault) strikes(name, content string) bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.over || strings.Contains(content, rounds) || !f.marked(content) {
		return false
	}
	name = strings.NewReplacer(f.marks...).Replace(name)
	f.taken = append(f.taken, name)
	f.hit = f.kill != nil && times(name, f.taken) > times(name, f.known)
	f.over = f.hit
	return f.hit
}

func (f *fault) marked(content string) bool {
	for pair := range slices.Chunk(f.marks, 2) {
		if strings.Contains(content, pair[0]) {
			return true
		}
	}
	return false
}

// times returns how often a step is in a list.
func times(step string, among []string) (count int) {
	for _, other := range among {
		if other == step {
			count++
		}
	}
	return count
}
