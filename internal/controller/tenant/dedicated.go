package tenant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/dedicated"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// isDedicated reports whether a tenant's spec asks for a dedicated server.
func isDedicated(tenant *effective.Tenant) bool {
	spec := tenant.Spec.Database
	return spec != nil && spec.Isolation == v1alpha1.DatabaseIsolationDedicated
}

// ownServer reads the server that was created for the tenant; nil if there is none.
func (s servers) ownServer(ctx context.Context, tenant *effective.Tenant) (*v1alpha1.DatabaseServer, error) {
	server, err := s.serverNamed(ctx, naming.DedicatedServer(tenant.Name))
	if server == nil || server.Annotations[naming.AnnotationTenantUID] != string(tenant.UID) {
		return nil, err
	}
	return server, err
}

// applyServer creates or updates the tenant's own server, if its spec asks for one. It stops it if it is suspended.
func (s servers) applyServer(ctx context.Context, tenant *effective.Tenant, recorded *v1alpha1.TenantDatabaseStatus, suspended bool) error {
	if !isDedicated(tenant) {
		return s.leaveServer(ctx, tenant)
	}
	server := dedicated.DatabaseServer(tenant, databaseName(tenant, recorded))
	server.Spec.Dedicated.Suspended = suspended
	outcome, err := s.engine.Keep(ctx, naming.AnnotationTenantUID, server, server, tenant.Spec.AdoptObjects)
	if err == nil {
		s.noteChange(ctx, server, outcome)
		return nil
	}
	if former, _ := s.serverNamed(ctx, server.Name); former != nil && !former.DeletionTimestamp.IsZero() {
		return &apply.TerminatingError{Object: fmt.Sprintf("DatabaseServer %q", server.Name)}
	}
	return s.retries.KeepsChanging(ctx, tenant.Name, server, err)
}

// ownServerProblem returns what keeps the tenant's own server from being as the spec asks. The server may be
// usable nevertheless.
func (s servers) ownServerProblem(ctx context.Context, tenant *effective.Tenant) error {
	if !isDedicated(tenant) {
		return nil
	}
	server, err := s.ownServer(ctx, tenant)
	if err != nil || server == nil {
		return err
	}
	if server.Status.ObservedGeneration != server.Generation {
		return problem.OwnServerBehind()
	}
	if stalled := apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil {
		return problem.OwnServerStalled(stalled.Reason, stalled.Message)
	}
	return nil
}

// ownServerStops returns a problem while the tenant's own server, if it has one, has not stopped.
func (s servers) ownServerStops(ctx context.Context, tenant *effective.Tenant) error {
	if !isDedicated(tenant) {
		return nil
	}
	server, err := s.ownServer(ctx, tenant)
	if err != nil || server == nil {
		return err
	}
	ready := apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionReady)
	if server.Status.ObservedGeneration == server.Generation && ready != nil && ready.Reason == v1alpha1.ReasonHibernated {
		return nil
	}
	return problem.Stopping()
}

// leaveServer deletes the tenant's own server if the spec now asks for another isolation, unless the tenant may
// have something on it.
func (s servers) leaveServer(ctx context.Context, tenant *effective.Tenant) error {
	server, err := s.ownServer(ctx, tenant)
	if err != nil || server == nil || s.used(tenant, server) {
		return err
	}
	if err := s.updateServer(ctx, tenant); err != nil {
		return err
	}
	return s.removeServer(ctx, tenant)
}

// databaseOf returns the status of the tenant's database; nil if it has none.
func (s servers) databaseOf(tenant *effective.Tenant) *v1alpha1.TenantDatabaseStatus {
	return s.fleet.Placements.Of(tenant.UID, tenant.Status.Database)
}

// used reports whether the tenant has, or may have, something on its own server.
func (s servers) used(tenant *effective.Tenant, server *v1alpha1.DatabaseServer) bool {
	return slices.Contains(tenant.Finalizers, naming.DatabaseFinalizer(server.Name)) || s.databaseOf(tenant) != nil
}

// isDeletedWithServer reports whether the tenant's database needs no removal, since its own server is deleted with
// everything on it, or is gone.
func (s servers) isDeletedWithServer(ctx context.Context, tenant *effective.Tenant, name string) (bool, error) {
	if !isDedicated(tenant) || name != naming.DedicatedServer(tenant.Name) {
		return false, nil
	}
	if reclaimPolicy(tenant) == database.ReclaimDelete {
		return true, nil
	}
	server, err := s.serverNamed(ctx, name)
	return server == nil && err == nil, err
}

// removeServer deletes the tenant's own server, if it has one. The server's spec says what happens to the data.
func (s servers) removeServer(ctx context.Context, tenant *effective.Tenant) error {
	server, err := s.ownServer(ctx, tenant)
	if err != nil || server == nil || !server.DeletionTimestamp.IsZero() {
		return err
	}
	return s.engine.Delete(ctx, server.DeepCopy())
}

// updateServer updates the tenant's own server from the tenant's spec, even if the server is being deleted. It
// keeps data that the tenant should have adopted and has not, and has the data of any other unused server deleted.
func (s servers) updateServer(ctx context.Context, tenant *effective.Tenant) error {
	server, err := s.ownServer(ctx, tenant)
	if err != nil || server == nil || server.Spec.Dedicated == nil {
		return err
	}
	wanted := dedicated.DatabaseServer(tenant, server.Spec.Dedicated.Database)
	if wanted == nil {
		wanted = &v1alpha1.DatabaseServer{
			ObjectMeta: metav1.ObjectMeta{Name: server.Name, Labels: naming.ManagedLabels(tenant.Name),
				Annotations: map[string]string{naming.AnnotationTenantUID: string(tenant.UID)}},
			Spec: *server.Spec.DeepCopy(),
		}
	}
	switch {
	case dedicated.Adopts(server) && s.databaseOf(tenant) == nil:
		wanted.Spec.Dedicated.ReclaimPolicy = v1alpha1.ReclaimPolicyRetain
	case !s.used(tenant, server):
		wanted.Spec.Dedicated.ReclaimPolicy = v1alpha1.ReclaimPolicyDelete
	}
	_, err = s.engine.Keep(ctx, naming.AnnotationTenantUID, wanted, wanted, false)
	if _, terminating := errors.AsType[*apply.TerminatingError](err); terminating {
		return nil
	}
	return s.retries.KeepsChanging(ctx, tenant.Name, wanted, err)
}

// reclaimPolicy says what happens to the tenant's database when the tenant is deleted.
func reclaimPolicy(tenant *effective.Tenant) database.ReclaimPolicy {
	if spec := tenant.Spec.Database; spec != nil && spec.ReclaimPolicy == v1alpha1.ReclaimPolicyDelete {
		return database.ReclaimDelete
	}
	return database.ReclaimRetain
}
