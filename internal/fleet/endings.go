package fleet

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Endings has what is closed to tenants that are being deleted, so that it is closed once and not in each pass.
// The zero value is ready to use.
type Endings struct {
	mutex   sync.Mutex
	tenants map[types.UID]*ending
}

// ending is what is closed to one tenant.
type ending struct {
	// namespaces are the UIDs of namespaces that are being deleted and have no RoleBindings.
	namespaces sets.Set[types.UID]
	// servers are the servers on which the tenant can't log in.
	servers sets.Set[string]
}

// NamespaceClosed notes that a namespace has no RoleBindings, and that nobody can create one.
func (e *Endings) NamespaceClosed(tenant, namespace types.UID) {
	e.change(tenant, func(of *ending) { of.namespaces.Insert(namespace) })
}

// IsNamespaceClosed reports whether that was noted.
func (e *Endings) IsNamespaceClosed(tenant, namespace types.UID) bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	of, found := e.tenants[tenant]
	return found && of.namespaces.Has(namespace)
}

// LockedOut notes that a tenant has neither enabled logins nor sessions on a server.
func (e *Endings) LockedOut(tenant types.UID, server string) {
	e.change(tenant, func(of *ending) { of.servers.Insert(server) })
}

// IsLockedOut reports whether that was noted.
func (e *Endings) IsLockedOut(tenant types.UID, server string) bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	of, found := e.tenants[tenant]
	return found && of.servers.Has(server)
}

func (e *Endings) change(tenant types.UID, change func(*ending)) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	of, found := e.tenants[tenant]
	if !found {
		of = &ending{namespaces: sets.New[types.UID](), servers: sets.New[string]()}
		if e.tenants == nil {
			e.tenants = map[types.UID]*ending{}
		}
		e.tenants[tenant] = of
	}
	change(of)
}

func (e *Endings) forgetTenant(uid types.UID) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	delete(e.tenants, uid)
}

func (e *Endings) forgetServer(name string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for _, of := range e.tenants {
		of.servers.Delete(name)
	}
}
