package fleet

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Logins has what is needed to connect to the servers of an engine, each for one generation of its spec. Access is
// the engine's type for that. The zero value is ready to use.
type Logins[Access any] struct {
	mutex   sync.RWMutex
	servers map[string]login[Access]
}

type login[Access any] struct {
	uid        types.UID
	generation int64
	access     Access
}

// To returns how to connect to a server with its current spec.
func (l *Logins[Access]) To(server metav1.Object) (access Access, known bool) {
	l.mutex.RLock()
	defer l.mutex.RUnlock()
	return l.to(server)
}

func (l *Logins[Access]) to(server metav1.Object) (access Access, known bool) {
	found, ok := l.servers[server.GetName()]
	if !ok || found.uid != server.GetUID() || found.generation != server.GetGeneration() {
		return access, false
	}
	return found.access, true
}

// Put stores how to connect to a server with its current spec, and reports whether that was unknown.
func (l *Logins[Access]) Put(server metav1.Object, access Access) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.servers == nil {
		l.servers = map[string]login[Access]{}
	}
	_, known := l.to(server)
	l.servers[server.GetName()] = login[Access]{uid: server.GetUID(), generation: server.GetGeneration(), access: access}
	return !known
}

// Drop forgets how to connect to a server.
func (l *Logins[Access]) Drop(server string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.servers, server)
}

func (l *Logins[Access]) forgetServer(name string) { l.Drop(name) }

func (*Logins[Access]) forgetTenant(types.UID) {}
