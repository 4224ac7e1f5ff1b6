package process

import (
	"runtime"
	"sync"
)

// The kernel sends a parent death signal when the thread that forked ends, not when the process
// does, and the Go runtime is free to end threads. So all processes are started by one thread
// that a goroutine holds until this program ends.
var lastingThread = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return calls
})

func onLastingThread(start func() error) error {
	result := make(chan error)
	lastingThread() <- func() { result <- start() }
	return <-result
}
