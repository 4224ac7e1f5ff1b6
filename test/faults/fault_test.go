package faults

import (
	"slices"
	"strings"
	"sync"
)

// moment says when a step is interrupted.
type moment string

const (
	// before : the step doesn't reach the server.
	before moment = "before"
	// during : the server has the step, and may still be at work on it.
	during moment = "during"
	// after : the server has done the step, and nobody hears of it.
	after moment = "after"
)

// rounds is part of what the operator sends about all tenants together, now and then: no step of any.
const rounds = "SET digest ="

// fault kills a process at one of the steps that the operator takes for one tenant.
type fault struct {
	// step is the number of the step, from 1; 0 lets all steps pass.
	step int
	when moment
	kill func() error

	mutex sync.Mutex
	marks []string
	taken []string
	over  bool
	// struck is closed once the process is dead; err says why it isn't.
	struck chan struct{}
	err    error
}

// newFault makes a fault that counts the steps in which the tenant's name stands.
func newFault(step int, when moment, tenant string, kill func() error) *fault {
	return &fault{step: step, when: when, kill: kill, marks: []string{tenant}, struck: make(chan struct{})}
}

// mark makes the fault also count the steps in which one of the texts stands.
func (f *fault) mark(texts ...string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.marks = append(f.marks, texts...)
}

// disarm lets all further steps pass, and says whether the fault has struck.
func (f *fault) disarm() bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	struck := f.step > 0 && len(f.taken) >= f.step
	f.over = true
	return struck
}

// steps are those that were counted.
func (f *fault) steps() []string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return slices.Clone(f.taken)
}

// pass takes a step to the server and its answer back, unless the fault strikes. Then it returns
// true, and the answer must not be handed on. name is for people, content what marks are looked for
// in.
func (f *fault) pass(name, content string, send, receive func()) (struck bool) {
	if !f.strikes(name, content) {
		send()
		receive()
		return false
	}
	if f.when != before {
		send()
	}
	if f.when == after {
		receive()
	}
	f.err = f.kill()
	close(f.struck)
	return true
}

func (f *fault) strikes(name, content string) bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.over || strings.Contains(content, rounds) || !slices.ContainsFunc(f.marks, func(mark string) bool { return strings.Contains(content, mark) }) {
		return false
	}
	f.taken = append(f.taken, name)
	f.over = len(f.taken) == f.step
	return f.over
}
