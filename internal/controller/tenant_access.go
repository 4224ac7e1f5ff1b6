package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/status"
)

// refusedBindingError says that the API server doesn't let the operator bind a ClusterRole.
type refusedBindingError struct {
	clusterRole string
	// missing says that there is no such ClusterRole.
	missing bool
	cause   error
}

func (e *refusedBindingError) Error() string { return e.cause.Error() }
func (e *refusedBindingError) Unwrap() error { return e.cause }

// refusal tells errors about a RoleBinding's ClusterRole from all others.
func refusal(object client.Object, err error) error {
	binding, ok := object.(*rbacv1.RoleBinding)
	if !ok {
		return err
	}
	var failure apierrors.APIStatus
	missing := errors.As(err, &failure) && apierrors.IsNotFound(err) &&
		failure.Status().Details != nil && failure.Status().Details.Name == binding.RoleRef.Name
	if missing || apierrors.IsForbidden(err) {
		return &refusedBindingError{clusterRole: binding.RoleRef.Name, missing: missing, cause: err}
	}
	return err
}

// applyAccess gives the owners their rights. Where the operator may not, it says who has to do what.
func (r *TenantReconciler) applyAccess(ctx context.Context, run *reconciliation) error {
	err := r.apply(ctx, run, desired.Access)
	missing, forbidden := refusedRoles(err)
	switch {
	case len(missing) > 0:
		return accessProblem("There is no ClusterRole %s; create it, or leave it out of spec.owners.", strings.Join(missing, " and no ClusterRole "))
	case len(forbidden) > 0:
		name := "tenantry-bind-" + forbidden[0]
		return accessProblem("The operator may not give away the ClusterRole %s. To allow it: "+
			"kubectl create clusterrole %s --verb=bind --resource=clusterroles.rbac.authorization.k8s.io --resource-name=%s && "+
			"kubectl create clusterrolebinding %s --clusterrole=%s --serviceaccount=%s:%s",
			strings.Join(forbidden, ", "), name, strings.Join(forbidden, " --resource-name="),
			name, name, naming.ManagerNamespace, naming.Manager)
	}
	return err
}

// refusedRoles are the ClusterRoles that an error of several bindings is about.
func refusedRoles(err error) (missing, forbidden []string) {
	for _, refused := range refusedBindings(err) {
		if refused.missing {
			missing = append(missing, refused.clusterRole)
		} else {
			forbidden = append(forbidden, refused.clusterRole)
		}
	}
	slices.Sort(missing)
	slices.Sort(forbidden)
	return slices.Compact(missing), slices.Compact(forbidden)
}

func refusedBindings(err error) []*refusedBindingError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*refusedBindingError
		for _, err := range joined.Unwrap() {
			all = append(all, refusedBindings(err)...)
		}
		return all
	}
	if refused, ok := errors.AsType[*refusedBindingError](err); ok {
		return []*refusedBindingError{refused}
	}
	return nil
}

func accessProblem(format string, args ...any) error {
	return &problemError{Problem: status.Problem{
		Reason: v1alpha1.ReasonForbidden, Message: fmt.Sprintf(format, args...), Stalled: true,
	}, retry: later}
}
