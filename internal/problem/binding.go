package problem

import (
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// bindingError means that the API server doesn't allow the operator to bind a ClusterRole.
type bindingError struct {
	clusterRole string
	// missing says that the ClusterRole doesn't exist.
	missing bool
	cause   error
}

func (e *bindingError) Error() string { return e.cause.Error() }
func (e *bindingError) Unwrap() error { return e.cause }

// Binding wraps the error of writing a RoleBinding to a ClusterRole. Of combines those that are about ClusterRoles
// into one problem.
func Binding(clusterRole string, err error) error {
	var failure apierrors.APIStatus
	if !errors.As(err, &failure) {
		return err
	}
	details := failure.Status().Details
	missing := apierrors.IsNotFound(err) && details != nil && details.Name == clusterRole
	_, by := refusalOf(err)
	forbidden := apierrors.IsForbidden(err) && (by == nobody || by == rbac) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
	if missing || forbidden {
		return &bindingError{clusterRole: clusterRole, missing: missing, cause: err}
	}
	return err
}

// ofBindings returns the problems with ClusterRoles, and all other errors.
func ofBindings(errs []error) (problems []Problem, others []error) {
	var missing, forbidden []string
	for _, err := range errs {
		refused, ok := errors.AsType[*bindingError](err)
		switch {
		case !ok:
			others = append(others, err)
		case refused.missing:
			missing = append(missing, refused.clusterRole)
		default:
			forbidden = append(forbidden, refused.clusterRole)
		}
	}
	if len(missing) > 0 {
		problems = append(problems, ClusterRolesMissing(sortedUnique(missing)))
	}
	if len(forbidden) > 0 {
		problems = append(problems, ClusterRolesForbidden(sortedUnique(forbidden)))
	}
	return problems, others
}

func sortedUnique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
