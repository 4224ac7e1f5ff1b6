package tenant

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
)

// indexHeld finds the RoleBindings that are being deleted and still have FinalizerRights, by the tenant in their
// label.
const indexHeld = "heldForTenant"

func heldFor(object client.Object) []string {
	if object.GetDeletionTimestamp().IsZero() || !controllerutil.ContainsFinalizer(object, naming.FinalizerRights) {
		return nil
	}
	return labelOf(object)
}

func (r *Reconciler) held(ctx context.Context, tenant string) ([]rbacv1.RoleBinding, error) {
	bindings := &rbacv1.RoleBindingList{}
	err := r.List(ctx, bindings, client.MatchingFields{indexHeld: tenant})
	return bindings.Items, err
}

// releaseRights removes the finalizer from RoleBindings that are being deleted, except from those in a namespace
// that is being deleted while something else is left there.
func (r *Reconciler) releaseRights(ctx context.Context, run *pass) error {
	bindings, err := r.held(ctx, run.tenant().Name)
	if err != nil || len(bindings) == 0 {
		return err
	}
	ending := map[string]*corev1.Namespace{}
	for _, member := range run.members.All {
		if namespace := member.Namespace; namespace != nil && !namespace.DeletionTimestamp.IsZero() && !membership.OnlyRightsRemain(namespace) {
			ending[member.Name] = namespace
		}
	}
	var failures []error
	for i := range bindings {
		binding := &bindings[i]
		wanted := wantedRight(run.inputs, binding)
		if ending[binding.Namespace] == nil || !metav1.IsControlledBy(binding, run.tenant()) || wanted == nil {
			failures = append(failures, r.removeRightsFinalizer(ctx, binding))
			continue
		}
		if !equality.Semantic.DeepEqual(binding.Subjects, wanted.Subjects) {
			binding = binding.DeepCopy()
			binding.Subjects = wanted.Subjects
			failures = append(failures, client.IgnoreNotFound(r.Update(ctx, binding, client.FieldOwner(naming.FieldOwner))))
		}
	}
	return errors.Join(failures...)
}

// releaseAllRights removes the finalizer from the RoleBindings of a tenant that was removed without the operator.
func (r *Reconciler) releaseAllRights(ctx context.Context, tenant string) error {
	bindings, err := r.held(ctx, tenant)
	failures := []error{err}
	for i := range bindings {
		failures = append(failures, r.removeRightsFinalizer(ctx, &bindings[i]))
	}
	return errors.Join(failures...)
}

// wantedRight returns the desired state of a RoleBinding of owners; nil if they should not have it.
func wantedRight(in parts.Inputs, binding *rbacv1.RoleBinding) *rbacv1.RoleBinding {
	in.Places = []parts.Place{{Name: binding.Namespace, Usable: true}}
	for _, object := range parts.Access.Objects(in) {
		wanted, isBinding := object.(*rbacv1.RoleBinding)
		if isBinding && wanted.Name == binding.Name && wanted.Namespace == binding.Namespace && wanted.RoleRef == binding.RoleRef {
			return wanted
		}
	}
	return nil
}

func (r *Reconciler) removeRightsFinalizer(ctx context.Context, binding *rbacv1.RoleBinding) error {
	after := binding.DeepCopy()
	controllerutil.RemoveFinalizer(after, naming.FinalizerRights)
	patch := client.MergeFromWithOptions(binding, client.MergeFromWithOptimisticLock{})
	if err := client.IgnoreNotFound(r.Patch(ctx, after, patch, client.FieldOwner(naming.FieldOwner))); err != nil {
		return fmt.Errorf("take the finalizer %s off RoleBinding %s in namespace %s: %w", naming.FinalizerRights, binding.Name, binding.Namespace, err)
	}
	return nil
}
