package problem

import (
	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// ServerNotFound means that the DatabaseServer in the spec doesn't exist.
func ServerNotFound(server string) Problem {
	return temporary(v1alpha1.ReasonServerNotFound, OnChange,
		"There is no DatabaseServer %q; create it, or name another one in spec.database.serverRef.", server)
}

// ServerGone means that a tenant is being deleted whose database is on a DatabaseServer that no longer
// exists.
func ServerGone(server string) Problem {
	return temporary(v1alpha1.ReasonServerNotFound, OnChange,
		"The tenant's database is on the DatabaseServer %q, which no longer exists; create it again, or, if the data is gone or may stay as it is, remove the finalizer %s from the Tenant.",
		server, naming.DatabaseFinalizer(server))
}

// ServerNotReady means that the DatabaseServer can't be used now. why is what its Ready condition says.
func ServerNotReady(server, why string) Problem {
	return temporary(v1alpha1.ReasonServerNotReady, OnChange, "DatabaseServer %q is not ready: %s", server, why)
}

// ServerTerminating means that the DatabaseServer that a new tenant names is being deleted.
func ServerTerminating(server string) Problem {
	return temporary(v1alpha1.ReasonServerNotReady, OnChange,
		"DatabaseServer %q is being deleted; name another one in spec.database.serverRef.", server)
}

// ServerUnschedulable means that the DatabaseServer that a new tenant names takes no new tenants.
func ServerUnschedulable(server string) Problem {
	return stalled(v1alpha1.ReasonServerUnschedulable, OnChange,
		"DatabaseServer %q takes no new tenants; name another one in spec.database.serverRef, or take spec.unschedulable off the server.", server)
}

// NotConnected means that the operator has not logged in to the server since it was started, or since the
// connection broke. Once it has, it reconciles the waiting tenants.
func NotConnected() Problem {
	return progressing("The operator is connecting to the database server.")
}

// ServerProgressing means that the server isn't ready, and nothing is wrong with it. why is what its Ready
// condition says.
func ServerProgressing(why string) Problem { return progressing("%s", why) }

// OwnServerMissing means that the tenant's own server is about to be created.
func OwnServerMissing() Problem {
	return progressing("The tenant's own database server is being made.")
}

// OwnServerBehind means that the tenant's own server doesn't follow the latest spec yet.
func OwnServerBehind() Problem {
	return progressing("The tenant's own database server is being brought in line with the spec.")
}

// OwnServerStalled means that the tenant's own server can't be as the spec asks. reason and message are those of
// its Stalled condition.
func OwnServerStalled(reason, message string) Problem {
	return stalled(reason, OnChange, "%s", message)
}

// IsolationNotOffered means that the DatabaseServer doesn't offer the isolation that the spec asks for.
func IsolationNotOffered(server string, offered []v1alpha1.DatabaseIsolation, wanted v1alpha1.DatabaseIsolation) Problem {
	return stalled(v1alpha1.ReasonIsolationNotOffered, OnChange,
		"DatabaseServer %q offers the isolations %v and not %s; write one of them, or name another server.", server, offered, wanted)
}

// ExtensionNotOffered means that the DatabaseServer doesn't list an extension that the spec asks for.
func ExtensionNotOffered(server string, offered []string, wanted string) Problem {
	return stalled(v1alpha1.ReasonExtensionNotOffered, OnChange,
		"DatabaseServer %q has the extensions %v and not %s; write some of them in spec.database.extensions, or add it to the server's spec.extensions if it is safe there.",
		server, offered, wanted)
}

// InvalidSelector means that the spec's label selector for servers can't be parsed.
func InvalidSelector(err error) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange, "spec.database.serverSelector is no selector: %v.", err)
}

// PlacedElsewhere means that the tenant has, or may have, something on another server than the one in its spec.
// obstacle says what keeps it there.
func PlacedElsewhere(tenant, server string, obstacle Obstacle) Problem {
	advice := "write that name in spec.database.serverRef"
	if server == naming.DedicatedServer(tenant) {
		advice = "write Dedicated in spec.database.isolation"
	}
	return stalled(v1alpha1.ReasonConflict, Later, "The database is placed on the server %s, %s; %s.", server, obstacle, advice)
}

// Obstacle is why a tenant can't leave a server.
type Obstacle string

const (
	// HasDatabase means that something was created for the tenant there.
	HasDatabase Obstacle = "and can't move"
	// MayHaveDatabase means that the operator can't find out whether something was created for the tenant there.
	MayHaveDatabase Obstacle = "and the operator can't reach it now to see whether anything is on it"
)

// DatabaseLost means that the server no longer has the tenant's database. Creating a new, empty one would hide
// that the data is elsewhere.
func DatabaseLost(server, database string) Problem {
	return stalled(v1alpha1.ReasonConflict, Later,
		"The server %s no longer knows the tenant's database %s; point the DatabaseServer back at the server that has it, or restore it there together with the schema tenantry of the database postgres. To start with an empty one, delete the Tenant and create it again.",
		server, database)
}
