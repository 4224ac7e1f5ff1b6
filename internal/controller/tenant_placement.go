package controller

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// findServer reads the DatabaseServer that the tenant's database is, or is to be, on. Where there is
// none it says why in run.unusable.
func (r *TenantReconciler) findServer(ctx context.Context, run *reconciliation) (*v1alpha1.DatabaseServer, error) {
	name := run.tenant().Spec.Database.ServerRef.Name
	switch {
	case isDedicated(run.tenant()):
		return r.dedicatedServer(ctx, run)
	case name != "":
	case run.database != nil:
		name = run.database.Server
	default:
		placed, err := r.placedServer(ctx, run)
		if placed != nil || err != nil {
			return placed, err
		}
		if name, run.unusable = r.chooseServer(ctx, run); name == "" {
			return nil, nil
		}
	}
	server, err := r.serverNamed(ctx, name)
	if server == nil && err == nil {
		run.unusable = problem.ServerNotFound(name)
	}
	return server, err
}

// serverNamed reads a DatabaseServer; nil if there is none.
func (r *TenantReconciler) serverNamed(ctx context.Context, name string) (*v1alpha1.DatabaseServer, error) {
	server := &v1alpha1.DatabaseServer{}
	err := r.Get(ctx, types.NamespacedName{Name: name}, server)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return server, err
}

// placedServer is the server that was chosen for the tenant before; nil if it has to be chosen (again).
// That is so as long as nothing was made on it, and it has no room, or is on its way out.
func (r *TenantReconciler) placedServer(ctx context.Context, run *reconciliation) (*v1alpha1.DatabaseServer, error) {
	for _, name := range naming.DatabaseServers(run.tenant().Finalizers) {
		server, err := r.serverNamed(ctx, name)
		if err != nil {
			return nil, err
		}
		if server != nil && server.DeletionTimestamp.IsZero() && !r.Fleet.Occupancy.Refuses(name, run.tenant().UID) {
			return server, nil
		}
	}
	return nil, nil
}

// chooseServer picks a server for a new tenant.
func (r *TenantReconciler) chooseServer(ctx context.Context, run *reconciliation) (string, error) {
	spec := run.tenant().Spec.Database
	selector, err := metav1.LabelSelectorAsSelector(spec.ServerSelector)
	if err != nil {
		return "", problem.InvalidSelector(err)
	}
	servers := &v1alpha1.DatabaseServerList{}
	if err := r.List(ctx, servers, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return "", err
	}
	candidates := make([]database.Candidate, 0, len(servers.Items))
	for i := range servers.Items {
		if servers.Items[i].Spec.Dedicated == nil {
			candidates = append(candidates, candidate(&servers.Items[i]))
		}
	}
	return r.Fleet.Occupancy.Choose(run.tenant().UID, candidates, database.Placement{
		Isolation: database.Isolation(spec.Isolation), Extensions: spec.Extensions, Selector: selector.String(),
	})
}

func candidate(server *v1alpha1.DatabaseServer) database.Candidate {
	result := database.Candidate{
		Name:          server.Name,
		Ready:         apimeta.IsStatusConditionTrue(server.Status.Conditions, v1alpha1.ConditionReady),
		Unschedulable: server.Spec.Unschedulable,
		Terminating:   !server.DeletionTimestamp.IsZero(),
		Extensions:    server.Spec.Extensions,
		Tenants:       int(ptr.Deref(server.Status.Tenants, 0)),
	}
	for _, isolation := range server.Spec.Isolations {
		result.Isolations = append(result.Isolations, database.Isolation(isolation))
	}
	if capacity := server.Spec.Capacity; capacity != nil {
		result.Capacity = capacity.Tenants
	}
	return result
}

// closed says why a server takes no new tenant, if this is one.
func closed(run *reconciliation, server *v1alpha1.DatabaseServer) error {
	if run.database != nil || slices.Contains(naming.DatabaseServers(run.tenant().Finalizers), server.Name) {
		return nil
	}
	switch {
	case !server.DeletionTimestamp.IsZero():
		return problem.ServerTerminating(server.Name)
	case server.Spec.Unschedulable:
		return problem.ServerUnschedulable(server.Name)
	}
	return nil
}

// placeElsewhere makes the next pass choose another server for a tenant that the chosen one has no
// room for; any other error stays as it is.
func (r *TenantReconciler) placeElsewhere(run *reconciliation, err error) error {
	full, ok := errors.AsType[*database.FullError](err)
	if !ok || run.database != nil || run.tenant().Spec.Database.ServerSelector == nil {
		return err
	}
	r.Fleet.Occupancy.Refuse(run.inputs.Server.Name, run.tenant().UID, full.Tenants)
	return &database.ChangedError{Err: err}
}
