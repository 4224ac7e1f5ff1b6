package problem

import (
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// bindingError says that the API server doesn't let the operator bind a ClusterRole.
type bindingError struct {
	clusterRole string
	// missing says that there is no such ClusterRole.
	missing bool
	cause   error
}

func (e *bindingError) Error() string { return e.cause.Error() }
func (e *bindingError) Unwrap() error { return e.cause }

// Binding marks an error of writing a RoleBinding to a ClusterRole. Of makes one problem of all those that are
// about the ClusterRoles.
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

// ofBindings returns the problems with ClusterRoles, and the errors that are about something else.
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
