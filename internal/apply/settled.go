package apply

import (
	"hash/maphash"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// settledSize is the number of objects that the engine remembers as settled. It compares all others field by field
// each time.
const settledSize = 1 << 18

// settled remembers which versions of objects are the result of which desired state. It keeps only hashes, since
// there are many; two are equal by chance once in 2^64. The zero value is ready to use.
type settled struct {
	mutex  sync.Mutex
	states map[uint64]uint64 // by a hash of the object's UID
}

var seed = maphash.MakeSeed()

// stateOf returns hashes of the object's UID, and of its version together with the desired state.
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

func (s *settled) forgetAny() {
	for object := range s.states {
		delete(s.states, object)
		return
	}
}
