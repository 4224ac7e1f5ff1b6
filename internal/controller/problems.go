package controller

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/status"
)

// retry says when a part that has a problem is tried again.
type retry int

const (
	// onChange : when something that is watched changes.
	onChange retry = iota
	// later : also after a while, since what has to change isn't watched.
	later
	// withBackoff : soon, and less and less often.
	withBackoff
)

// problemError is a problem that a phase found itself.
type problemError struct {
	status.Problem
	retry retry
}

func (e *problemError) Error() string { return e.Message }

// outdated says whether an error only means that something was decided on old data.
func outdated(err error) bool {
	var changed *database.ChangedError
	return apierrors.IsConflict(err) || errors.As(err, &changed)
}

// classify is the one place that says what an error means for a tenant.
func classify(err error) (status.Problem, retry) {
	var found *problemError
	var terminating *apply.TerminatingError
	var missing *effective.MissingError
	switch {
	case errors.As(err, &found):
		return found.Problem, found.retry
	case errors.As(err, &missing):
		return status.Problem{Reason: v1alpha1.ReasonInvalid, Message: err.Error(), Stalled: true}, onChange
	case errors.As(err, &terminating):
		return status.Problem{Reason: v1alpha1.ReasonProgressing, Message: err.Error()}, onChange
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return status.Problem{Reason: v1alpha1.ReasonProgressing, Message: "The namespace is still being deleted."}, onChange
	case isConflict(err):
		return status.Problem{Reason: v1alpha1.ReasonConflict, Message: err.Error(), Stalled: true}, later
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return status.Problem{Reason: v1alpha1.ReasonInvalid, Message: err.Error(), Stalled: true}, onChange
	case apierrors.IsForbidden(err):
		return status.Problem{Reason: v1alpha1.ReasonForbidden, Message: err.Error()}, withBackoff
	}
	return classifyDatabase(err)
}

func classifyDatabase(err error) (status.Problem, retry) {
	var unreachable *database.UnreachableError
	var authentication *database.AuthenticationError
	var unsuitable *database.UnsuitableServerError
	var unprepared *database.UnpreparedError
	var full *database.FullError
	var none *database.NoServerError
	switch {
	case errors.As(err, &none):
		return noServer(none), onChange
	case errors.As(err, &full):
		return status.Problem{Reason: v1alpha1.ReasonServerFull, Message: err.Error(), Stalled: true}, onChange
	case errors.As(err, &unreachable), errors.As(err, &authentication), errors.As(err, &unsuitable), errors.As(err, &unprepared):
		return status.Problem{Reason: v1alpha1.ReasonServerNotReady, Message: err.Error()}, later
	case errors.Is(err, context.DeadlineExceeded):
		return status.Problem{Reason: v1alpha1.ReasonFailed, Message: "The work took too long and is tried again: " + err.Error()}, withBackoff
	default:
		return status.Problem{Reason: v1alpha1.ReasonFailed, Message: err.Error()}, withBackoff
	}
}

func isConflict(err error) bool {
	var object *apply.ConflictError
	var data *database.ConflictError
	var notFound *database.AdoptNotFoundError
	var inUse *database.AdoptInUseError
	return errors.As(err, &object) || errors.As(err, &data) || errors.As(err, &notFound) || errors.As(err, &inUse)
}
