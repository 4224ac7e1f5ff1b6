package tenant

import (
	"context"
	"errors"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/service"
)

// find finds the DatabaseServer that has, or will have, the tenant's database.
func (s servers) find(ctx context.Context, tenant *effective.Tenant, recorded *v1alpha1.TenantDatabaseStatus) (prospect, error) {
	p := prospect{tenant: tenant, recorded: recorded, name: tenant.Spec.Database.ServerRef.Name}
	var err error
	switch {
	case isDedicated(tenant):
		p.name = naming.DedicatedServer(tenant.Name)
		p.server, err = s.dedicatedServer(ctx, tenant, recorded)
		return p, err
	case p.name != "":
	case recorded != nil:
		p.name = recorded.Server
	default:
		p.server, err = s.placedServer(ctx, tenant)
		if p.server != nil || err != nil {
			return p, err
		}
		if p.name, p.unchosen = s.choose(ctx, tenant); p.name == "" {
			return p, nil
		}
	}
	p.server, err = s.serverNamed(ctx, p.name)
	return p, err
}

// dedicatedServer reads the tenant's own server; nil if it doesn't exist yet, or doesn't have the name of the
// tenant's database yet.
func (s servers) dedicatedServer(ctx context.Context, tenant *effective.Tenant, recorded *v1alpha1.TenantDatabaseStatus) (*v1alpha1.DatabaseServer, error) {
	server, err := s.ownServer(ctx, tenant)
	if err != nil || server == nil || server.Spec.Dedicated == nil || server.Spec.Dedicated.Database != databaseName(tenant, recorded) {
		return nil, err
	}
	return server, nil
}

// placedServer returns the server that was chosen for the tenant before. It returns nil if none was, or if the
// server is full or being deleted, so that another one has to be chosen.
func (s servers) placedServer(ctx context.Context, tenant *effective.Tenant) (*v1alpha1.DatabaseServer, error) {
	for _, name := range naming.DatabaseServers(tenant.Finalizers) {
		server, err := s.serverNamed(ctx, name)
		if err != nil {
			return nil, err
		}
		if server != nil && server.DeletionTimestamp.IsZero() && !s.fleet.Occupancy.Refuses(name, tenant.UID) {
			return server, nil
		}
	}
	return nil, nil
}

// choose picks a server for a new tenant.
func (s servers) choose(ctx context.Context, tenant *effective.Tenant) (string, error) {
	spec := tenant.Spec.Database
	selector, err := metav1.LabelSelectorAsSelector(spec.ServerSelector)
	if err != nil {
		return "", problem.InvalidSelector(err)
	}
	list := &v1alpha1.DatabaseServerList{}
	if err := s.List(ctx, list, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return "", err
	}
	candidates := make([]service.Candidate, 0, len(list.Items))
	for i := range list.Items {
		if list.Items[i].Spec.Dedicated == nil {
			candidates = append(candidates, candidate(&list.Items[i], spec))
		}
	}
	return s.fleet.Occupancy.Choose(tenant.UID, candidates, service.Placement{Engine: database.Engine, Selector: selector.String()})
}

// candidate returns what choosing a server for such a database depends on.
func candidate(server *v1alpha1.DatabaseServer, wanted *v1alpha1.TenantDatabase) service.Candidate {
	offer := database.Offer{Extensions: server.Spec.Extensions}
	for _, isolation := range server.Spec.Isolations {
		offer.Isolations = append(offer.Isolations, database.Isolation(isolation))
	}
	result := service.Candidate{
		Name:          server.Name,
		Ready:         apimeta.IsStatusConditionTrue(server.Status.Conditions, v1alpha1.ConditionReady),
		Unschedulable: server.Spec.Unschedulable,
		Terminating:   !server.DeletionTimestamp.IsZero(),
		Lacks:         offer.Lacks(database.Isolation(wanted.Isolation), wanted.Extensions),
		Tenants:       int(ptr.Deref(server.Status.Tenants, 0)),
	}
	if capacity := server.Spec.Capacity; capacity != nil {
		result.Capacity = capacity.Tenants
	}
	return result
}

// others asks the servers that the tenant has finalizers for, except the one that it uses, what they have for it.
// It stops at the first that can't be left.
func (s servers) others(ctx context.Context, tenant *effective.Tenant, used string) []otherServer {
	var result []otherServer
	for _, name := range naming.DatabaseServers(tenant.Finalizers) {
		if name == used {
			continue
		}
		other := s.other(ctx, tenant, name)
		result = append(result, other)
		if other.obstacle(tenant.Name) != nil {
			break
		}
	}
	return result
}

func (s servers) other(ctx context.Context, tenant *effective.Tenant, name string) otherServer {
	result := otherServer{name: name}
	server, err := s.serverNamed(ctx, name)
	if err != nil {
		result.err = err
		return result
	}
	if server == nil {
		return result
	}
	access, connected := s.fleet.Connections.To(server)
	if result.connected = connected; !connected {
		return result
	}
	uid := string(tenant.UID)
	observed, err := s.databases.Observe(ctx, access, uid, database.Name(uid))
	result.err, result.registered = err, observed.Registration != nil
	return result
}

// placeElsewhere makes the next pass choose another server if the chosen one is full. It returns any other error
// unchanged.
func (d *databasePhase) placeElsewhere(err error) error {
	full, ok := errors.AsType[*service.FullError](err)
	if !ok || d.recorded != nil || d.tenant().Spec.Database.ServerSelector == nil {
		return err
	}
	d.fleet.Occupancy.Refuse(d.in.Server.Name, d.tenant().UID, full.Tenants)
	return &service.ChangedError{Engine: database.Engine, Err: err}
}
