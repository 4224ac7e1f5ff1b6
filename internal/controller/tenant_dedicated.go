package controller

import (
	"context"
	"fmt"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/status"
)

// isDedicated says whether a tenant has, or is to have, a server of its own.
func isDedicated(tenant *v1alpha1.Tenant) bool {
	spec := tenant.Spec.Database
	return spec != nil && spec.Isolation == v1alpha1.DatabaseIsolationDedicated
}

// errServerMissing is why a server of the tenant's own can't be used that is about to be made.
var errServerMissing = &problemError{Problem: status.Problem{
	Reason: v1alpha1.ReasonProgressing, Message: "The tenant's own database server is being made.",
}}

// dedicatedServer reads the tenant's own server; nil if it is still to be made, or another one has its
// name.
func (r *TenantReconciler) dedicatedServer(ctx context.Context, run *reconciliation) (*v1alpha1.DatabaseServer, error) {
	server, err := r.serverNamed(ctx, naming.DedicatedServer(run.tenant().Name))
	if err != nil || server == nil || server.Annotations[naming.AnnotationDatabase] != databaseName(run.tenant(), run.database) {
		run.unusable = errServerMissing
		return nil, err
	}
	return server, nil
}

// applyServer makes the tenant's own server, if it is to have one, or brings it in line with the spec.
func (r *TenantReconciler) applyServer(ctx context.Context, tenant *v1alpha1.Tenant, recorded *v1alpha1.TenantDatabaseStatus) error {
	if !isDedicated(tenant) {
		return nil
	}
	server := desired.DatabaseServer(tenant, databaseName(tenant, recorded))
	outcome, err := r.Engine.Keep(ctx, naming.AnnotationDatabase, server)
	if err == nil {
		r.noteChange(ctx, server, outcome)
		return nil
	}
	if former, _ := r.serverNamed(ctx, server.Name); former != nil && !former.DeletionTimestamp.IsZero() {
		return &apply.TerminatingError{Object: fmt.Sprintf("DatabaseServer %q", server.Name)}
	}
	return err
}

// goesWithServer says whether nothing needs to be done about the tenant's database on a server, since
// that is its own, and goes with all that is on it, or is gone.
func (r *TenantReconciler) goesWithServer(ctx context.Context, tenant *v1alpha1.Tenant, name string) (bool, error) {
	if !isDedicated(tenant) || name != naming.DedicatedServer(tenant.Name) {
		return false, nil
	}
	if reclaimPolicy(tenant) == database.ReclaimDelete {
		return true, nil
	}
	server, err := r.serverNamed(ctx, name)
	return server == nil && err == nil, err
}

// removeServer has the tenant's own server deleted, if it has one. Its data stays or goes with it, as
// the spec of the server says, which follows the tenant's to the end.
func (r *TenantReconciler) removeServer(ctx context.Context, tenant *v1alpha1.Tenant) error {
	if !isDedicated(tenant) {
		return nil
	}
	recorded := r.placements.of(tenant)
	server, err := r.serverNamed(ctx, naming.DedicatedServer(tenant.Name))
	if err != nil || server == nil || !server.DeletionTimestamp.IsZero() ||
		server.Annotations[naming.AnnotationDatabase] != databaseName(tenant, recorded) {
		return err
	}
	if err := r.applyServer(ctx, tenant, recorded); err != nil {
		return err
	}
	return r.Engine.Delete(ctx, server.DeepCopy())
}

// reclaimPolicy is what becomes of the tenant's database when the tenant is deleted.
func reclaimPolicy(tenant *v1alpha1.Tenant) database.ReclaimPolicy {
	if spec := tenant.Spec.Database; spec != nil && spec.ReclaimPolicy == v1alpha1.ReclaimPolicyDelete {
		return database.ReclaimDelete
	}
	return database.ReclaimRetain
}
