package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// roster lists the existing objects of a kind by name.
type roster struct {
	mutex sync.RWMutex
	uids  map[string]types.UID
}

// enter adds an object. It returns the UID of a former object with the same name, if this one has replaced it.
func (r *roster) enter(name string, uid types.UID) (former types.UID, replaced bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.uids == nil {
		r.uids = map[string]types.UID{}
	}
	former, known := r.uids[name]
	r.uids[name] = uid
	return former, known && former != uid
}

func (r *roster) remove(name string) (uid types.UID, known bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	uid, known = r.uids[name]
	delete(r.uids, name)
	return uid, known
}

// whileListed runs act, which may note something about listed objects. No object is removed while act runs, so
// what it notes is forgotten with the object.
func (r *roster) whileListed(act func(listed func(name string, uid types.UID) bool)) {
	r.mutex.RLock()
	defer r.mutex.RUnlock()
	act(func(name string, uid types.UID) bool {
		found, known := r.uids[name]
		return known && found == uid
	})
}
