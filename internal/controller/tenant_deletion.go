package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/status"
)

// reconcileDeletion takes a tenant down, its app before its data. What can't be taken down now is
// said in the status, and the finalizers stay.
func (r *TenantReconciler) reconcileDeletion(ctx context.Context, tenant *effective.Tenant) (ctrl.Result, error) {
	servers := naming.DatabaseServers(tenant.Finalizers)
	if !slices.Contains(tenant.Finalizers, naming.FinalizerTenant) && len(servers) == 0 {
		return ctrl.Result{}, nil
	}
	waiting, err := r.removeNamespaces(ctx, tenant)
	if err != nil || waiting != "" {
		return r.reportDeletion(ctx, tenant, waiting, err)
	}
	if err := r.removeDatabases(ctx, tenant, servers); err != nil {
		return r.reportDeletion(ctx, tenant, "", err)
	}
	return ctrl.Result{}, r.removeFinalizers(ctx, tenant, servers)
}

// removeNamespaces deletes the tenant's namespaces and says what that waits for, if they aren't all
// gone yet.
func (r *TenantReconciler) removeNamespaces(ctx context.Context, tenant *effective.Tenant) (waiting string, err error) {
	members, err := r.members(ctx, tenant)
	if err != nil {
		return "", err
	}
	for _, member := range members.All {
		namespace := member.Namespace
		if namespace == nil || !membership.Mine(tenant, namespace) {
			continue
		}
		if namespace.DeletionTimestamp.IsZero() {
			if err := r.Engine.Delete(ctx, namespace.DeepCopy()); err != nil {
				return "", fmt.Errorf("delete namespace %s: %w", namespace.Name, err)
			}
		}
		if waiting == "" {
			waiting = status.NamespaceDeletion(namespace)
		}
	}
	return waiting, nil
}

// removeDatabases takes away what the tenant has on the servers, and then the server of its own.
func (r *TenantReconciler) removeDatabases(ctx context.Context, tenant *effective.Tenant, servers []string) error {
	if err := r.updateServer(ctx, tenant); err != nil {
		return err
	}
	for _, server := range servers {
		goes, err := r.goesWithServer(ctx, tenant, server)
		if err == nil && !goes {
			err = r.removeDatabase(ctx, tenant, server)
		}
		if err != nil {
			return err
		}
	}
	return r.removeServer(ctx, tenant)
}

// removeDatabase drops or retains what the server's registry says was made for this tenant, and no
// more.
func (r *TenantReconciler) removeDatabase(ctx context.Context, tenant *effective.Tenant, name string) error {
	server := &v1alpha1.DatabaseServer{}
	err := r.Get(ctx, types.NamespacedName{Name: name}, server)
	if apierrors.IsNotFound(err) {
		return &problemError{Problem: status.Problem{Reason: v1alpha1.ReasonServerNotFound, Message: fmt.Sprintf(
			"The tenant's database is on the DatabaseServer %q, which no longer exists; create it again, or, if the data is gone or may stay as it is, remove the finalizer %s from the Tenant.",
			name, naming.DatabaseFinalizer(name))}}
	}
	if err != nil {
		return err
	}
	access, err := r.reachable(server)
	if err != nil {
		return err
	}
	policy, kept := reclaimPolicy(tenant), ""
	err = r.execute(ctx, access, string(tenant.UID), database.Name(string(tenant.UID)), func(observed database.Observed) ([]database.Action, error) {
		if observed.Registration != nil && policy == database.ReclaimRetain {
			kept = observed.Registration.Name
		}
		return database.PlanRemoval(observed, policy)
	})
	if err == nil && kept != "" {
		r.Recorder.Eventf(objectOf(tenant), server, corev1.EventTypeNormal, "DatabaseRetained", "Delete",
			"Database %s stays on server %s with its logins disabled; a Tenant takes it over with spec.database.adopt.", kept, name)
	}
	return err
}

// reportDeletion says in the status what the deletion waits for, or why it can't go on.
func (r *TenantReconciler) reportDeletion(ctx context.Context, tenant *effective.Tenant, waiting string, err error) (ctrl.Result, error) {
	if outdated(err) {
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	var problem status.Problem
	again := onChange
	if err != nil {
		problem, again = classify(err)
		waiting = problem.Message
	}
	now := time.Now()
	next := status.Terminating(status.Observation{Tenant: tenant, Now: now}, waiting, problem.Stalled)
	wait, writeErr := r.writeStatus(ctx, tenant, next, now)
	if writeErr != nil || again == withBackoff {
		return ctrl.Result{}, errors.Join(writeErr, err)
	}
	if again == later {
		wait = retryLater
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}
