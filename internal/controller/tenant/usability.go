package tenant

import (
	"slices"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// prospect is what is known about the server that has, or will have, a tenant's database.
type prospect struct {
	tenant *effective.Tenant
	// recorded is where the database is; nil while there is none.
	recorded *v1alpha1.TenantDatabaseStatus
	// name is the server's name; empty if none was chosen, for the reason in unchosen.
	name     string
	unchosen error
	// server is nil if there is none with the name.
	server *v1alpha1.DatabaseServer
	// connected says that the operator has logged in to it.
	connected bool
	// others are the servers that the tenant must leave first.
	others []otherServer
}

// otherServer is a server on which the tenant may have something although its spec asks for another one.
type otherServer struct {
	name string
	// connected says that the operator has logged in to it.
	connected bool
	// registered says that the server's registry has the tenant.
	registered bool
	// err is why the server could not be asked.
	err error
}

// unusable returns why a tenant can't use its server now; nil if it can, or if it has no database. No other
// function decides that.
func (p prospect) unusable() error {
	if p.tenant.Spec.Database != nil {
		if err := p.unsuitable(); err != nil {
			return err
		}
		if err := unreachable(p.server, p.connected); err != nil {
			return err
		}
	}
	_, err := leave(p.tenant.Name, p.others)
	return err
}

// unsuitable returns why the tenant can't have its database on the server, whether or not the server can be
// reached.
func (p prospect) unsuitable() error {
	missing := p.tenant.Spec.MissingForDatabase()
	switch {
	case missing != nil:
		return missing
	case p.unchosen != nil:
		return p.unchosen
	case p.server == nil && isDedicated(p.tenant):
		return problem.OwnServerMissing()
	case p.server == nil:
		return problem.ServerNotFound(p.name)
	case !p.isKnown():
		return problem.NotConnected()
	}
	if err := p.notOffered(); err != nil {
		return err
	}
	return p.closed()
}

// isKnown reports whether the server has been observed since it was created. Before that, its addresses and
// authorities are missing, and a tenant that has them must not lose them.
func (p prospect) isKnown() bool { return p.server != nil && p.server.Status.ObservedGeneration >= 0 }

// notOffered returns a problem if the tenant asks for something that the server doesn't offer. Extensions that the
// tenant has already need not be offered.
func (p prospect) notOffered() error {
	wanted, server := p.tenant.Spec.Database, p.server
	if !slices.Contains(server.Spec.Isolations, wanted.Isolation) {
		return problem.IsolationNotOffered(server.Name, server.Spec.Isolations, wanted.Isolation)
	}
	for _, extension := range wanted.Extensions {
		if wanted.Isolation != v1alpha1.DatabaseIsolationDedicated && !slices.Contains(server.Spec.Extensions, extension) &&
			(p.recorded == nil || !slices.Contains(p.recorded.Extensions, extension)) {
			return problem.ExtensionNotOffered(server.Name, server.Spec.Extensions, extension)
		}
	}
	return nil
}

// closed returns why the server takes no new tenants, if this is a new one.
func (p prospect) closed() error {
	if p.recorded != nil || slices.Contains(naming.DatabaseServers(p.tenant.Finalizers), p.server.Name) {
		return nil
	}
	switch {
	case !p.server.DeletionTimestamp.IsZero():
		return problem.ServerTerminating(p.server.Name)
	case p.server.Spec.Unschedulable:
		return problem.ServerUnschedulable(p.server.Name)
	}
	return nil
}

// unreachable returns why a server can't be reached now; nil if it can.
func unreachable(server *v1alpha1.DatabaseServer, connected bool) error {
	ready := apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || ready.Status == metav1.ConditionUnknown:
		return problem.NotConnected()
	case ready.Reason == v1alpha1.ReasonProgressing:
		return problem.ServerProgressing(ready.Message)
	case ready.Status != metav1.ConditionTrue && server.Spec.Dedicated != nil && isStalled(server):
		return problem.OwnServerStalled(ready.Reason, ready.Message)
	case ready.Status != metav1.ConditionTrue:
		return problem.ServerNotReady(server.Name, ready.Message)
	case !connected:
		return problem.NotConnected()
	}
	return nil
}

// leave returns the servers that the tenant can leave because they have nothing of it, for example since they were
// full. For the first that can't be left it returns a problem.
func leave(tenant string, others []otherServer) (left []string, err error) {
	for _, other := range others {
		if obstacle := other.obstacle(tenant); obstacle != nil {
			return left, obstacle
		}
		left = append(left, other.name)
	}
	return left, nil
}

func (o otherServer) obstacle(tenant string) error {
	switch {
	case o.err != nil:
		return o.err
	case !o.connected:
		return problem.PlacedElsewhere(tenant, o.name, problem.MayHaveDatabase)
	case o.registered:
		return problem.PlacedElsewhere(tenant, o.name, problem.HasDatabase)
	}
	return nil
}
