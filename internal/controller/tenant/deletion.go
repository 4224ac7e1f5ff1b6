package tenant

import (
	"cmp"
	"context"
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
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/report"
	"github.com/tenantry/tenantry/internal/status"
)

// reconcileDeletion takes a tenant down, its app before its data. What can't be taken down now is
// said in the status, and the finalizers stay.
func (r *Reconciler) reconcileDeletion(ctx context.Context, tenant *effective.Tenant) (ctrl.Result, error) {
	servers := naming.DatabaseServers(tenant.Finalizers)
	if !slices.Contains(tenant.Finalizers, naming.FinalizerTenant) && len(servers) == 0 {
		return ctrl.Result{}, nil
	}
	waiting, err := r.removeNamespaces(ctx, tenant)
	if err == nil && waiting != "" {
		return r.reportWaiting(ctx, tenant, waiting)
	}
	if err == nil {
		err = r.servers().removeDatabases(ctx, tenant, servers)
	}
	if err == nil {
		err = r.removeFinalizers(ctx, tenant, servers)
	}
	if err != nil {
		return r.reportDeletion(ctx, tenant, err)
	}
	r.retries.Forget(tenant.Name)
	return ctrl.Result{}, nil
}

// removeNamespaces deletes the tenant's namespaces and says what that waits for, if they aren't all
// gone yet.
func (r *Reconciler) removeNamespaces(ctx context.Context, tenant *effective.Tenant) (waiting string, err error) {
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
func (s servers) removeDatabases(ctx context.Context, tenant *effective.Tenant, servers []string) error {
	if err := s.updateServer(ctx, tenant); err != nil {
		return err
	}
	for _, server := range servers {
		covered, err := s.isDeletedWithServer(ctx, tenant, server)
		if err == nil && !covered {
			err = s.removeDatabase(ctx, tenant, server)
		}
		if err != nil {
			return err
		}
	}
	return s.removeServer(ctx, tenant)
}

// removeDatabase drops or retains what the server's registry says was made for this tenant, and no
// more.
func (s servers) removeDatabase(ctx context.Context, tenant *effective.Tenant, name string) error {
	server := &v1alpha1.DatabaseServer{}
	err := s.Get(ctx, types.NamespacedName{Name: name}, server)
	if apierrors.IsNotFound(err) {
		return problem.ServerGone(name)
	}
	if err != nil {
		return err
	}
	access, err := s.reachable(server)
	if err != nil {
		return err
	}
	uid := string(tenant.UID)
	kept := ""
	err = s.change(access, func() (changed bool, err error) {
		observed, err := s.databases.Observe(ctx, access, uid, database.Name(uid))
		if err != nil {
			return false, err
		}
		kept = cmp.Or(retained(observed, reclaimPolicy(tenant)), kept)
		actions, err := database.PlanRemoval(observed, reclaimPolicy(tenant))
		if err != nil {
			return false, err
		}
		return s.execute(ctx, access, actions)
	})
	if err == nil && kept != "" {
		s.recorder.Eventf(objectOf(tenant), server, corev1.EventTypeNormal, "DatabaseRetained", "Delete",
			"Database %s stays on server %s with its logins disabled; a Tenant takes it over with spec.database.adopt.", kept, name)
	}
	return err
}

// retained is the database that stays on a server; empty if none does.
func retained(observed database.Observed, policy database.ReclaimPolicy) string {
	if observed.Registration == nil || policy != database.ReclaimRetain {
		return ""
	}
	return observed.Registration.Name
}

// reportWaiting says in the status what the deletion waits for.
func (r *Reconciler) reportWaiting(ctx context.Context, tenant *effective.Tenant, waiting string) (ctrl.Result, error) {
	r.retries.Forget(tenant.Name)
	ctx, cancel := report.Context(ctx)
	defer cancel()
	now := time.Now()
	wait, err := r.writeStatus(ctx, tenant, status.Terminating(observationAt(tenant, now), waiting, false), now, nil)
	return ctrl.Result{RequeueAfter: wait}, err
}

// reportDeletion says in the status why the deletion can't go on.
func (r *Reconciler) reportDeletion(ctx context.Context, tenant *effective.Tenant, err error) (ctrl.Result, error) {
	return r.reportProblem(ctx, tenant, err, func(o status.Observation, found problem.Problem) v1alpha1.TenantStatus {
		return status.Terminating(o, found.Message, found.Stalled)
	})
}
