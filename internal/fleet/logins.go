package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
)

// Logins are how to reach servers, each by one generation of its spec. The zero value is ready to use.
type Logins struct {
	mutex   sync.RWMutex
	servers map[string]login
}

type login struct {
	uid        types.UID
	generation int64
	access     database.Server
}

// To is how to reach a server by its present spec.
func (l *Logins) To(server *v1alpha1.DatabaseServer) (database.Server, bool) {
	l.mutex.RLock()
	defer l.mutex.RUnlock()
	return l.to(server)
}

func (l *Logins) to(server *v1alpha1.DatabaseServer) (database.Server, bool) {
	found, ok := l.servers[server.Name]
	if !ok || found.uid != server.UID || found.generation != server.Generation {
		return database.Server{}, false
	}
	return found.access, true
}

// Put returns whether nothing was known of how to reach the server by its present spec.
func (l *Logins) Put(server *v1alpha1.DatabaseServer, access database.Server) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.servers == nil {
		l.servers = map[string]login{}
	}
	_, known := l.to(server)
	l.servers[server.Name] = login{uid: server.UID, generation: server.Generation, access: access}
	return !known
}

// Drop forgets how to reach a server.
func (l *Logins) Drop(server string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.servers, server)
}

func (l *Logins) forgetServer(name string) { l.Drop(name) }

func (*Logins) forgetTenant(types.UID) {}
