package fleet

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Authorities has the Secrets with the certificate authorities of servers. Each has the resourceVersion of the
// Cluster, which changes when the authority does. The zero value is ready to use.
type Authorities struct {
	mutex   sync.RWMutex
	servers map[string]authority
}

type authority struct {
	version string
	secret  *corev1.Secret
}

// Of returns the authority of a server if it was read at this version.
func (a *Authorities) Of(server, version string) (*corev1.Secret, bool) {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	found, ok := a.servers[server]
	if !ok || found.version != version {
		return nil, false
	}
	return found.secret, true
}

// Put stores the authority of a server that was read at this version.
func (a *Authorities) Put(server, version string, secret *corev1.Secret) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.servers == nil {
		a.servers = map[string]authority{}
	}
	a.servers[server] = authority{version, secret}
}

func (a *Authorities) forgetServer(name string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	delete(a.servers, name)
}

func (*Authorities) forgetTenant(types.UID) {}
