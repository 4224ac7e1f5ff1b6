package tenant

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// ensureFinalizers adds the finalizers for everything that may be created for a tenant. For a new tenant that is
// one write.
func (r *Reconciler) ensureFinalizers(ctx context.Context, run *pass) error {
	needed, left := run.database.finalizers()
	before, after := objectOf(run.tenant()), objectOf(run.tenant())
	changed := controllerutil.AddFinalizer(after, naming.FinalizerTenant)
	for _, finalizer := range left {
		changed = controllerutil.RemoveFinalizer(after, finalizer) || changed
	}
	for _, finalizer := range needed {
		changed = controllerutil.AddFinalizer(after, finalizer) || changed
	}
	if !changed {
		return nil
	}
	return r.patchFinalizers(ctx, run.tenant(), before, after)
}

// removeFinalizers lets a tenant go once nothing of it is left.
func (r *Reconciler) removeFinalizers(ctx context.Context, tenant *effective.Tenant, servers []string) error {
	before, after := objectOf(tenant), objectOf(tenant)
	controllerutil.RemoveFinalizer(after, naming.FinalizerTenant)
	for _, server := range servers {
		controllerutil.RemoveFinalizer(after, naming.DatabaseFinalizer(server))
	}
	r.Fleet.ForgetTenant(tenant.Name)
	return client.IgnoreNotFound(r.patchFinalizers(ctx, tenant, before, after))
}

// patchFinalizers writes changed finalizers, and updates the tenant in memory.
func (r *Reconciler) patchFinalizers(ctx context.Context, tenant *effective.Tenant, before, after client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Patch(ctx, after, patch, client.FieldOwner(naming.FieldOwner)); err != nil {
		return r.retries.KeepsChanging(ctx, tenant.Name, after, fmt.Errorf("write the finalizers: %w", err))
	}
	tenant.Finalizers, tenant.ResourceVersion = after.GetFinalizers(), after.GetResourceVersion()
	return nil
}
