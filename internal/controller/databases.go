package controller

import (
	"context"

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
