package apply

import (
	"hash/maphash"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// settledSize is the number of objects of which the engine remembers that they need no look. Past
// it any others are compared again, field by field.
const settledSize = 1 << 18

// settled remembers states of the cluster that are known to come out of a desired state. It keeps a hash
// of each, since there are many: two that have the same by chance are one in 2^64. The zero value is ready
// to use.
type settled struct {
	mutex  sync.Mutex
	states map[uint64]uint64 // by a hash of the object's UID
}

var seed = maphash.MakeSeed()

// stateOf returns a version of an object, and the hash of a desired state.
func stateOf(live client.Object, hash string) (object, state uint64) {
	type version struct{ uid, resourceVersion, hash string }
	uid := string(live.GetUID())
	return maphash.String(seed, uid), maphash.Comparable(seed, version{uid, live.GetResourceVersion(), hash})
}

func (s *settled) has(live client.Object, hash string) bool {
	object, state := stateOf(live, hash)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	known, found := s.states[object]
	return found && known == state
}

func (s *settled) note(live client.Object, hash string) {
	object, state := stateOf(live, hash)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.states == nil {
		s.states = map[uint64]uint64{}
	}
	if _, known := s.states[object]; !known && len(s.states) >= settledSize {
		s.forgetAny()
	}
	s.states[object] = state
}

// forgetAny forgets an object, whichever it is.
func (s *settled) forgetAny() {
	for object := range s.states {
		delete(s.states, object)
		return
	}
}
