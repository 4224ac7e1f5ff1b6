package tenant

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// endAccess removes everybody's rights in the tenant's namespaces, and disables its logins and ends its sessions.
// It comes before everything that may have to wait. A failure in one namespace or server doesn't affect the
// others.
func (r *Reconciler) endAccess(ctx context.Context, tenant *effective.Tenant, members membership.Members, servers []string) (rights, logins error) {
	var namespaces []*corev1.Namespace
	stays := map[types.UID]bool{}
	for _, member := range members.All {
		if member.Namespace != nil && membership.Mine(tenant, member.Namespace) {
			namespaces = append(namespaces, member.Namespace)
			stays[member.Namespace.UID] = member.ReclaimPolicy == v1alpha1.NamespaceRelease
		}
	}
	outcomes := make([]error, len(namespaces))
	workqueue.ParallelizeUntil(ctx, parallel, len(namespaces), func(i int) {
		outcomes[i] = r.endRights(ctx, tenant, namespaces[i], stays[namespaces[i].UID])
	})
	failures := make([]error, 0, len(servers))
	for _, server := range servers {
		failures = append(failures, r.servers().lockOut(ctx, tenant, server))
	}
	return errors.Join(errors.Join(outcomes...), ctx.Err()), errors.Join(failures...)
}

// endRights deletes the RoleBindings in a namespace, whatever finalizers they have. In a namespace that is kept,
// it deletes only those of the operator.
func (r *Reconciler) endRights(ctx context.Context, tenant *effective.Tenant, namespace *corev1.Namespace, stays bool) error {
	if r.Fleet.Endings.IsNamespaceClosed(tenant.UID, namespace.UID) {
		return nil
	}
	bindings := &rbacv1.RoleBindingList{}
	// The cache has only the operator's own RoleBindings.
	if err := r.Live.List(ctx, bindings, client.InNamespace(namespace.Name)); err != nil {
		return fmt.Errorf("list the RoleBindings in namespace %s: %w", namespace.Name, err)
	}
	var failures []error
	for i := range bindings.Items {
		binding := &bindings.Items[i]
		if stays && !metav1.IsControlledBy(binding, tenant) {
			continue
		}
		if err := r.endRight(ctx, binding); err != nil {
			failures = append(failures, fmt.Errorf("delete RoleBinding %s in namespace %s: %w", binding.Name, namespace.Name, err))
		}
	}
	// Until the namespace is being deleted, a request that is under way may still create another RoleBinding.
	if len(failures) == 0 && !namespace.DeletionTimestamp.IsZero() {
		r.Fleet.Endings.NamespaceClosed(tenant.UID, namespace.UID)
	}
	return errors.Join(failures...)
}

// endRight deletes a RoleBinding and removes its finalizers, since a RoleBinding grants its rights as long as it
// exists. Nobody can add a finalizer to an object that is being deleted. The cache may not have the RoleBinding,
// since it has only the operator's own.
func (r *Reconciler) endRight(ctx context.Context, binding *rbacv1.RoleBinding) error {
	if err := r.Engine.Delete(ctx, binding, client.DisableReadYourWritesConsistency); err != nil || len(binding.Finalizers) == 0 {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"uid":%q,"finalizers":null}}`, binding.UID)
	return client.IgnoreNotFound(r.Patch(ctx, binding, client.RawPatch(types.MergePatchType, []byte(patch)),
		client.FieldOwner(naming.FieldOwner), client.DisableReadYourWritesConsistency))
}

// lockOut disables the tenant's logins on a server, and ends their sessions.
func (s servers) lockOut(ctx context.Context, tenant *effective.Tenant, name string) error {
	if s.fleet.Endings.IsLockedOut(tenant.UID, name) {
		return nil
	}
	server, err := s.serverNamed(ctx, name)
	if err != nil {
		return err
	}
	if server == nil {
		return problem.ServerGone(name)
	}
	access, err := s.reachable(server)
	if err != nil {
		return err
	}
	uid := string(tenant.UID)
	err = s.change(access, func() (changed bool, err error) {
		observed, err := s.databases.Observe(ctx, access, uid, database.Name(uid))
		if err != nil {
			return false, err
		}
		return s.execute(ctx, access, database.PlanLockout(observed))
	})
	if err == nil {
		s.fleet.Endings.LockedOut(tenant.UID, name)
	}
	return err
}
