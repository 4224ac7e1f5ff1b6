package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"
)

// Notices has the names of objects that a controller should reconcile. Adding a name never waits for the
// controller, and no name is lost. A name that is added twice before it is taken is taken once. The zero value is
// ready to use.
type Notices struct {
	mutex sync.Mutex
	names sets.Set[string]
	added chan struct{}
}

// Add adds a name.
func (n *Notices) Add(name string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.names == nil {
		n.names = sets.New[string]()
	}
	n.names.Insert(name)
	select {
	case n.signal() <- struct{}{}:
	default: // It is there already.
	}
}

// Added returns a channel that is readable when there are names to take.
func (n *Notices) Added() <-chan struct{} {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.signal()
}

// signal returns a channel with room for one value, so that it stays readable until somebody has read it.
func (n *Notices) signal() chan struct{} {
	if n.added == nil {
		n.added = make(chan struct{}, 1)
	}
	return n.added
}

// Take takes all names, in alphabetical order.
func (n *Notices) Take() []string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	names := sets.List(n.names)
	n.names = nil
	return names
}
