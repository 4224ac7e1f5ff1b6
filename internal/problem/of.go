package problem

import (
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
)

// Of says what an error, which isn't nil, means for a tenant. Errors that are joined are told Together.
func Of(err error) Problem { return of(err, ofTenantsDatabase) }

// OfServer says what an error, which isn't nil, means for a DatabaseServer.
func OfServer(err error) Problem { return of(err, ofServersAnswer) }

// Outdated says whether an error, or one of those that are joined in it, only means that something was
// decided on old data.
func Outdated(err error) bool { return slices.ContainsFunc(parts(err), isOutdated) }

// Locked says whether an error only means that somebody held a lock for too long. That says nothing of the
// server, on which all else goes on.
func Locked(err error) bool {
	_, locked := errors.AsType[*database.LockedError](err)
	return locked
}

func isOutdated(err error) bool {
	_, changed := errors.AsType[*database.ChangedError](err)
	return changed || apierrors.IsConflict(err)
}

// parts are the errors that are joined in one, each of which may have a meaning of its own.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, part := range joined.Unwrap() {
		all = append(all, parts(part)...)
	}
	return all
}

// of is the one place that says what an error means. answers says what it means that a database server
// answers so.
func of(err error, answers func(error) (Problem, bool)) Problem {
	problems, others := ofBindings(parts(err))
	for _, part := range others {
		problems = append(problems, ofOne(part, answers))
	}
	return Together(problems...)
}

// Together makes one problem of several, of which there is at least one: the gravest gives the reason,
// all say their sentence, and the most eager says when to try again.
func Together(problems ...Problem) Problem {
	result := slices.MaxFunc(problems, func(a, b Problem) int { return gravity(a) - gravity(b) })
	sentences := []string{result.Message}
	for _, problem := range problems {
		result.Retry = max(result.Retry, problem.Retry)
		if !slices.Contains(sentences, problem.Message) {
			sentences = append(sentences, problem.Message)
		}
	}
	result.Message = strings.Join(sentences, " ")
	return result
}

// gravity says how much a problem tells of why a part isn't in place: most what somebody has to mend,
// least that a request failed.
func gravity(p Problem) int {
	switch {
	case p.Stalled:
		return 3
	case p.Reason == v1alpha1.ReasonFailed:
		return 0
	case p.Reason == v1alpha1.ReasonProgressing:
		return 1
	default:
		return 2
	}
}

func ofOne(err error, answers func(error) (Problem, bool)) Problem {
	if found, ok := errors.AsType[Problem](err); ok {
		return found
	}
	if missing, ok := errors.AsType[*effective.MissingError](err); ok {
		return stalled(v1alpha1.ReasonInvalid, OnChange, "%s", missing.Message)
	}
	for _, meaning := range []func(error) (Problem, bool){ofApply, answers, ofData, ofRequest} {
		if problem, known := meaning(err); known {
			return problem
		}
	}
	return failed(err)
}

// ofApply is what it means that an object can't be brought to its desired state.
func ofApply(err error) (Problem, bool) {
	if terminating, ok := errors.AsType[*apply.TerminatingError](err); ok {
		return progressing("%s", terminating.Error()), true
	}
	if conflict, ok := errors.AsType[*apply.ConflictError](err); ok {
		return stalled(v1alpha1.ReasonConflict, Later, "%s", conflict.Error()), true
	}
	return Problem{}, false
}

// ofRequest is what the API server's answer means.
func ofRequest(err error) (Problem, bool) {
	if refused, by := refusalOf(err); by != nobody {
		return refused, true
	}
	switch {
	case isOutdated(err):
		return temporary(v1alpha1.ReasonFailed, Again, "Something changed while the operator decided what to do, several times in a row; it is tried again, less and less often: %s", sentence(err)), true
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return progressing("The namespace is still being deleted."), true
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return stalled(v1alpha1.ReasonInvalid, OnChange, "%v", err), true
	case apierrors.IsForbidden(err):
		return temporary(v1alpha1.ReasonForbidden, WithBackoff, "The API server forbids what the operator asks for: %s", sentence(err)), true
	default:
		return Problem{}, false
	}
}

// ofTenantsDatabase is what the state of a database server means for a tenant on it.
func ofTenantsDatabase(err error) (Problem, bool) {
	if none, ok := errors.AsType[*database.NoServerError](err); ok {
		return noServer(none), true
	}
	if full, ok := errors.AsType[*database.FullError](err); ok {
		return stalled(v1alpha1.ReasonServerFull, OnChange, "%v", full), true
	}
	if locked, ok := errors.AsType[*database.LockedError](err); ok {
		return temporary(v1alpha1.ReasonFailed, WithBackoff, "The database waits for a lock: %s", sentence(locked)), true
	}
	if unfinished, ok := errors.AsType[*database.UnfinishedError](err); ok {
		return temporary(v1alpha1.ReasonProgressing, WithBackoff, "The removal goes on: %s", sentence(unfinished)), true
	}
	_, unreachable := errors.AsType[*database.UnreachableError](err)
	_, refused := errors.AsType[*database.AuthenticationError](err)
	_, unsuitable := errors.AsType[*database.UnsuitableServerError](err)
	_, unprepared := errors.AsType[*database.UnpreparedError](err)
	if unreachable || refused || unsuitable || unprepared {
		return temporary(v1alpha1.ReasonServerNotReady, Later, "%v", err), true
	}
	return Problem{}, false
}

// noServer is what it means for a tenant that no server takes it.
func noServer(err *database.NoServerError) Problem {
	switch {
	case err.Matched == 0:
		return temporary(v1alpha1.ReasonServerNotFound, OnChange, "%v", err)
	case err.Passes:
		return temporary(v1alpha1.ReasonNoSuitableServer, OnChange, "%v", err)
	default:
		return stalled(v1alpha1.ReasonNoSuitableServer, OnChange, "%v", err)
	}
}

// ofServersAnswer is what the same means for the server itself. It is asked again by and by in any case.
func ofServersAnswer(err error) (Problem, bool) {
	if unreachable, ok := errors.AsType[*database.UnreachableError](err); ok {
		return temporary(v1alpha1.ReasonUnreachable, Later, "%v", unreachable), true
	}
	if refused, ok := errors.AsType[*database.AuthenticationError](err); ok {
		return stalled(v1alpha1.ReasonAuthenticationFailed, Later, "%v", refused), true
	}
	if unsuitable, ok := errors.AsType[*database.UnsuitableServerError](err); ok {
		return stalled(v1alpha1.ReasonInvalid, Later, "%v", unsuitable), true
	}
	return Problem{}, false
}

// ofData is what it means that something is in the way on a database server.
func ofData(err error) (Problem, bool) {
	_, conflict := errors.AsType[*database.ConflictError](err)
	_, notFound := errors.AsType[*database.AdoptNotFoundError](err)
	_, inUse := errors.AsType[*database.AdoptInUseError](err)
	if conflict || notFound || inUse {
		return stalled(v1alpha1.ReasonConflict, Later, "%v", err), true
	}
	return Problem{}, false
}

// sentence is the end of a sentence that tells an error in its own words.
func sentence(err error) string { return strings.TrimSuffix(err.Error(), ".") + "." }

// failed is what an error means that nobody knows.
func failed(err error) Problem {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return temporary(v1alpha1.ReasonFailed, WithBackoff, "The work took too long and is tried again, less and less often: %s", sentence(err))
	}
	return temporary(v1alpha1.ReasonFailed, WithBackoff, "This failed and is tried again, less and less often: %s", sentence(err))
}

// LastWriter is the field manager, other than the operator itself, that has changed an object last by
// what its metadata says; empty if there is none.
func LastWriter(entries []metav1.ManagedFieldsEntry, self string) string {
	writer, at := "", metav1.Time{}
	for _, entry := range entries {
		if entry.Manager != self && entry.Time != nil && !entry.Time.Before(&at) {
			writer, at = entry.Manager, *entry.Time
		}
	}
	return writer
}
