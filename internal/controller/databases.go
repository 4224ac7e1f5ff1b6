package controller

import (
	"context"
	"sync"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
)

// Databases talks to database servers. Package database/postgres has the real one.
type Databases interface {
	// Probe says how a server is, and prepares it for tenants if that was not done yet.
	Probe(ctx context.Context, server database.Server) (database.ServerStatus, error)
	// Share says how the databases are that tenants share, and prepares them if that was not done yet.
	Share(ctx context.Context, server database.Server, sharing database.Sharing) (database.SharingStatus, error)
	// Accept notes that tenants are as they should be, by what Probe said about them.
	Accept(ctx context.Context, server database.Server, drifts []database.Drift) error
	// Reload makes a server reload its configuration and certificate.
	Reload(ctx context.Context, server database.Server) error
	// Observe says what a server has for the tenant with this UID. name is the name to look for
	// where the server's registry has none for the UID.
	Observe(ctx context.Context, server database.Server, uid, name string) (database.Observed, error)
	// Execute carries the actions out, in their order.
	Execute(ctx context.Context, server database.Server, actions []database.Action) error
	// Forget closes all connections to a server.
	Forget(server string)
}

// Connections are the servers whose admin has logged in since the operator started, and how to
// reach them. The DatabaseServer controller enters them; the Tenant controller reads them, and drops
// those that don't answer. The zero value is ready to use.
type Connections struct {
	servers sync.Map // string -> connection
}

// connection is how a server is reached, by a spec of this generation.
type connection struct {
	generation int64
	server     database.Server
}

// to is how to reach a server by its present spec.
func (c *Connections) to(server *v1alpha1.DatabaseServer) (database.Server, bool) {
	found, ok := c.servers.Load(server.Name)
	if !ok || found.(connection).generation != server.Generation {
		return database.Server{}, false
	}
	return found.(connection).server, true
}

// put returns whether nobody could be told so far how to reach the server by this spec.
func (c *Connections) put(server *v1alpha1.DatabaseServer, access database.Server) bool {
	_, known := c.to(server)
	c.servers.Store(server.Name, connection{server.Generation, access})
	return !known
}

func (c *Connections) drop(name string) {
	c.servers.Delete(name)
}

// placements are the databases that this process has provisioned. The status of their tenants may
// not have them yet, because a status may wait. The zero value is ready to use.
type placements struct {
	byTenant sync.Map // types.UID -> *v1alpha1.TenantDatabaseStatus
}

// of is where a tenant's database is, as far as it is known; nil if it has none.
func (p *placements) of(tenant *v1alpha1.Tenant) *v1alpha1.TenantDatabaseStatus {
	if found, ok := p.byTenant.Load(tenant.UID); ok {
		return found.(*v1alpha1.TenantDatabaseStatus)
	}
	return tenant.Status.Database
}

func (p *placements) put(tenant *v1alpha1.Tenant, placement *v1alpha1.TenantDatabaseStatus) {
	p.byTenant.Store(tenant.UID, placement)
}

func (p *placements) drop(tenant *v1alpha1.Tenant) {
	p.byTenant.Delete(tenant.UID)
}
