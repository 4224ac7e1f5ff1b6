package controller

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// ensureFinalizers sees to it that nothing is made for a tenant without a finalizer that says so.
// It is one write for a new tenant.
func (r *TenantReconciler) ensureFinalizers(ctx context.Context, run *reconciliation) error {
	tenant := run.tenant()
	before, after := objectOf(tenant), objectOf(tenant)
	changed := controllerutil.AddFinalizer(after, naming.FinalizerTenant)
	if leaves := tenant.Spec.Database == nil || run.inputs.Server != nil; leaves && run.unusable == nil {
		left, err := r.leaveOtherServers(ctx, run, after)
		if err == nil && run.inputs.Server != nil {
			changed = controllerutil.AddFinalizer(after, naming.DatabaseFinalizer(run.inputs.Server.Name)) || changed
		}
		changed, run.unusable = left || changed, err
	}
	if !changed {
		return nil
	}
	return r.patchFinalizers(ctx, tenant, before, after)
}

// leaveOtherServers takes those finalizers off the tenant's object that are for servers that the spec
// asked for before, and on which nothing was made for the tenant, as when the server was full. A server
// that has something for the tenant can't be left: that is a problem.
func (r *TenantReconciler) leaveOtherServers(ctx context.Context, run *reconciliation, object client.Object) (left bool, err error) {
	tenant := run.tenant()
	for _, name := range naming.DatabaseServers(tenant.Finalizers) {
		if run.inputs.Server != nil && name == run.inputs.Server.Name {
			continue
		}
		server := &v1alpha1.DatabaseServer{}
		err := r.Get(ctx, types.NamespacedName{Name: name}, server)
		if client.IgnoreNotFound(err) != nil {
			return left, err
		}
		access, found := r.Fleet.Connections.To(server)
		if !found {
			return left, problem.PlacedElsewhere(tenant.Name, name, problem.MayHaveDatabase)
		}
		uid := string(tenant.UID)
		observed, err := r.Databases.Observe(ctx, access, uid, database.Name(uid))
		if err != nil {
			return left, err
		}
		if observed.Registration != nil {
			return left, problem.PlacedElsewhere(tenant.Name, name, problem.HasDatabase)
		}
		left = controllerutil.RemoveFinalizer(object, naming.DatabaseFinalizer(name)) || left
	}
	return left, nil
}

// removeFinalizers lets a tenant go of which nothing is left.
func (r *TenantReconciler) removeFinalizers(ctx context.Context, tenant *effective.Tenant, servers []string) error {
	before, after := objectOf(tenant), objectOf(tenant)
	controllerutil.RemoveFinalizer(after, naming.FinalizerTenant)
	for _, server := range servers {
		controllerutil.RemoveFinalizer(after, naming.DatabaseFinalizer(server))
	}
	r.Fleet.ForgetTenant(tenant.Name)
	return client.IgnoreNotFound(r.patchFinalizers(ctx, tenant, before, after))
}

// patchFinalizers writes what has become of a tenant's finalizers. The tenant has them from then on.
func (r *TenantReconciler) patchFinalizers(ctx context.Context, tenant *effective.Tenant, before, after client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Patch(ctx, after, patch, client.FieldOwner(naming.FieldOwner)); err != nil {
		return r.retries.keepsChanging(ctx, tenant.Name, after, fmt.Errorf("write the finalizers: %w", err))
	}
	tenant.Finalizers, tenant.ResourceVersion = after.GetFinalizers(), after.GetResourceVersion()
	return nil
}
