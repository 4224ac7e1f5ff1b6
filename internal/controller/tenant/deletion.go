package tenant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/report"
	"github.com/tenantry/tenantry/internal/status"
)

// reconcileDeletion removes a tenant's access, then its namespaces, then its data. The status says what can't be
// removed now, and the finalizers stay until it can.
func (r *Reconciler) reconcileDeletion(ctx context.Context, tenant *effective.Tenant) (ctrl.Result, error) {
	servers := naming.DatabaseServers(tenant.Finalizers)
	if !slices.Contains(tenant.Finalizers, naming.FinalizerTenant) && len(servers) == 0 {
		return ctrl.Result{}, nil
	}
	members, err := r.members(ctx, tenant)
	if err != nil {
		return r.reportDeletion(ctx, tenant, ending{}, err)
	}
	rights, logins := r.endAccess(ctx, tenant, members, servers)
	left, err := r.removeNamespaces(ctx, tenant, members)
	if err = errors.Join(rights, err); err != nil || len(left) > 0 {
		return r.reportDeletion(ctx, tenant, ending{notGone: members.NotGone(), namespaces: left}, errors.Join(err, logins))
	}
	// From here on, removeDatabases reports what is wrong with a server.
	err = r.servers().removeDatabases(ctx, tenant, servers)
	if err == nil {
		err = r.removeFinalizers(ctx, tenant, servers)
	}
	if err != nil {
		return r.reportDeletion(ctx, tenant, ending{notGone: []v1alpha1.TenantNamespace{}}, err)
	}
	r.retries.Forget(tenant.Name)
	return ctrl.Result{}, nil
}

// removeNamespaces deletes or releases the tenant's namespaces, and returns those that still exist.
func (r *Reconciler) removeNamespaces(ctx context.Context, tenant *effective.Tenant, members membership.Members) (left []membership.Member, err error) {
	var failures []error
	for _, namespace := range members.Leaving {
		failures = append(failures, r.releaseNamespace(ctx, tenant, membership.Member{Namespace: namespace}))
	}
	for _, member := range members.All {
		namespace := member.Namespace
		if namespace == nil || !membership.Mine(tenant, namespace) {
			continue
		}
		if namespace.DeletionTimestamp.IsZero() && member.ReclaimPolicy == v1alpha1.NamespaceRelease {
			failures = append(failures, r.releaseNamespace(ctx, tenant, member))
			continue
		}
		left = append(left, member)
		if !namespace.DeletionTimestamp.IsZero() {
			continue
		}
		if err := r.Engine.Delete(ctx, namespace.DeepCopy()); err != nil {
			failures = append(failures, fmt.Errorf("delete namespace %s: %w", namespace.Name, err))
		}
	}
	return left, errors.Join(failures...)
}

// releaseNamespace releases a namespace and records an Event about it.
func (r *Reconciler) releaseNamespace(ctx context.Context, tenant *effective.Tenant, member membership.Member) error {
	if err := r.objects().release(ctx, parts.Inputs{Tenant: tenant, Audit: r.Audit}, member); err != nil {
		return err
	}
	r.Recorder.Eventf(objectOf(tenant), member.Namespace, corev1.EventTypeNormal, "NamespaceReleased", "Delete",
		"Namespace %s stays with what is in it, without the tenant's quota, policies and rights.", member.Namespace.Name)
	return nil
}

// removeDatabases removes what the tenant has on the servers, and then its own server.
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

// removeDatabase drops or retains exactly what was created for this tenant according to the server's registry.
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

// retained returns the database that stays on a server; empty if none does.
func retained(observed database.Observed, policy database.ReclaimPolicy) string {
	if observed.Registration == nil || policy != database.ReclaimRetain {
		return ""
	}
	return observed.Registration.Name
}

// ending is the progress of a tenant's deletion.
type ending struct {
	// namespaces are the namespaces that are being deleted.
	namespaces []membership.Member
	// notGone is what the status says of the namespaces that still exist; nil to leave it unchanged.
	notGone []v1alpha1.TenantNamespace
}

// reportDeletion writes to the status what the deletion waits for, and the error, if there is one.
func (r *Reconciler) reportDeletion(ctx context.Context, tenant *effective.Tenant, at ending, err error) (ctrl.Result, error) {
	waiting := status.NamespaceDeletions(at.namespaces)
	if err != nil {
		return r.reportProblem(ctx, tenant, err, func(o status.Observation, found problem.Problem) v1alpha1.TenantStatus {
			o.NotGone = at.notGone
			return status.Terminating(o, strings.TrimSpace(found.Message+" "+waiting), found.Stalled)
		})
	}
	r.retries.Forget(tenant.Name)
	ctx, cancel := report.Context(ctx)
	defer cancel()
	observation := observationAt(tenant, time.Now())
	observation.NotGone = at.notGone
	wait, err := r.writeStatus(ctx, tenant, status.Terminating(observation, waiting, false), observation.Now, nil)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: sooner(wait, podsInterval)}, nil
}
