package problem

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/service"
)

// Of returns what an error, which must not be nil, means for a tenant. It combines joined errors with Together.
func Of(err error) Problem { return of(err, ofTenantsDatabase) }

// OfServer returns what an error, which must not be nil, means for a DatabaseServer.
func OfServer(err error) Problem { return of(err, ofServersAnswer) }

// Outdated reports whether an error, or one joined in it, only means that a decision was made on old data.
func Outdated(err error) bool { return slices.ContainsFunc(parts(err), isOutdated) }

// Locked reports whether an error only means that somebody held a lock for too long. Everything else on the server
// works.
func Locked(err error) bool {
	_, locked := errors.AsType[*database.LockedError](err)
	return locked
}

func isOutdated(err error) bool {
	_, changed := errors.AsType[*service.ChangedError](err)
	return changed || apierrors.IsConflict(err)
}

// parts returns the errors that are joined in one. Each may have its own meaning.
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

// of returns what an error means. answers does so for the answers of a database server.
func of(err error, answers func(error) (Problem, bool)) Problem {
	problems, others := ofBindings(parts(err))
	for _, part := range others {
		problems = append(problems, ofOne(part, answers))
	}
	return Together(problems...)
}

// Together combines one or more problems. The result has the reason of the most severe, the sentences of all, and
// the earliest retry.
func Together(problems ...Problem) Problem {
	result := slices.MaxFunc(problems, func(a, b Problem) int { return severity(a) - severity(b) })
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

// severity ranks problems by how well they explain why a part isn't in place: what somebody has to fix comes
// first, and a failed request last.
func severity(p Problem) int {
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
	if invalid, ok := errors.AsType[*effective.InvalidError](err); ok {
		return stalled(v1alpha1.ReasonInvalid, OnChange, "%v", invalid)
	}
	for _, meaning := range []func(error) (Problem, bool){ofApply, answers, ofData, ofRequest} {
		if problem, known := meaning(err); known {
			return problem
		}
	}
	return failed(err)
}

// ofApply returns what an error of package apply means.
func ofApply(err error) (Problem, bool) {
	if terminating, ok := errors.AsType[*apply.TerminatingError](err); ok {
		return progressing("%s", terminating.Error()), true
	}
	if conflict, ok := errors.AsType[*apply.ConflictError](err); ok {
		if conflict.Restored {
			return stalled(v1alpha1.ReasonConflict, Later, "%s exists already and is left as it is. It was once the tenant's: if it was restored from a backup, set spec.adoptObjects of the Tenant to true; otherwise, delete it.", conflict.Object), true
		}
		return stalled(v1alpha1.ReasonConflict, Later, "%s", conflict.Error()), true
	}
	return Problem{}, false
}

// ofRequest returns what the API server's answer means.
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
		return invalid(err), true
	case apierrors.IsForbidden(err):
		return temporary(v1alpha1.ReasonForbidden, WithBackoff, "The API server forbids what the operator asks for: %s", sentence(err)), true
	default:
		return Problem{}, false
	}
}

// invalid means that the API server refuses an object because its content is invalid.
func invalid(err error) Problem {
	found := stalled(v1alpha1.ReasonInvalid, OnChange, "%v", err)
	of, isWorkload := workloadOf(found.Message)
	if !isWorkload {
		return found
	}
	if advice := of.inFields(found.Message); advice != "" {
		found.Message = sentence(err) + " " + advice
	} else if of != App {
		found.Message = fmt.Sprintf("%s Correct %s.", sentence(err), of.Field)
	}
	return found
}

// ofTenantsDatabase returns what the state of a database server means for a tenant on it.
func ofTenantsDatabase(err error) (Problem, bool) {
	if none, ok := errors.AsType[*service.NoServerError](err); ok {
		return noServer(none), true
	}
	if full, ok := errors.AsType[*service.FullError](err); ok {
		return stalled(v1alpha1.ReasonServerFull, OnChange, "%v", full), true
	}
	if locked, ok := errors.AsType[*database.LockedError](err); ok {
		return temporary(v1alpha1.ReasonFailed, WithBackoff, "The database waits for a lock: %s", sentence(locked)), true
	}
	if unfinished, ok := errors.AsType[*service.UnfinishedError](err); ok {
		return temporary(v1alpha1.ReasonProgressing, WithBackoff, "The removal goes on: %s", sentence(unfinished)), true
	}
	_, unreachable := errors.AsType[*service.UnreachableError](err)
	_, refused := errors.AsType[*service.AuthenticationError](err)
	_, unsuitable := errors.AsType[*service.UnsuitableServerError](err)
	_, unprepared := errors.AsType[*database.UnpreparedError](err)
	if unreachable || refused || unsuitable || unprepared {
		return temporary(v1alpha1.ReasonServerNotReady, Later, "%v", err), true
	}
	return Problem{}, false
}

// noServer returns what it means for a tenant that no server can take it.
func noServer(err *service.NoServerError) Problem {
	switch {
	case err.Matched == 0:
		return temporary(v1alpha1.ReasonServerNotFound, OnChange, "%v", err)
	case err.Passes:
		return temporary(v1alpha1.ReasonNoSuitableServer, OnChange, "%v", err)
	default:
		return stalled(v1alpha1.ReasonNoSuitableServer, OnChange, "%v", err)
	}
}

// ofServersAnswer returns what the same means for the server itself, which is probed again in any case.
func ofServersAnswer(err error) (Problem, bool) {
	if unreachable, ok := errors.AsType[*service.UnreachableError](err); ok {
		return temporary(v1alpha1.ReasonUnreachable, Later, "%v", unreachable), true
	}
	if refused, ok := errors.AsType[*service.AuthenticationError](err); ok {
		return stalled(v1alpha1.ReasonAuthenticationFailed, Later, "%v", refused), true
	}
	if unsuitable, ok := errors.AsType[*service.UnsuitableServerError](err); ok {
		return stalled(v1alpha1.ReasonInvalid, Later, "%v", unsuitable), true
	}
	return Problem{}, false
}

// ofData returns what conflicts on a database server mean.
func ofData(err error) (Problem, bool) {
	_, conflict := errors.AsType[*service.ConflictError](err)
	_, notFound := errors.AsType[*service.AdoptNotFoundError](err)
	_, inUse := errors.AsType[*service.AdoptInUseError](err)
	if conflict || notFound || inUse {
		return stalled(v1alpha1.ReasonConflict, Later, "%v", err), true
	}
	return Problem{}, false
}

// sentence returns the error's text with exactly one period at the end.
func sentence(err error) string { return strings.TrimSuffix(err.Error(), ".") + "." }

// failed returns the problem for errors without a more specific meaning.
func failed(err error) Problem {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return temporary(v1alpha1.ReasonFailed, WithBackoff, "The work took too long and is tried again, less and less often: %s", sentence(err))
	}
	return temporary(v1alpha1.ReasonFailed, WithBackoff, "This failed and is tried again, less and less often: %s", sentence(err))
}

// LastWriter returns the field manager, other than self, that last changed an object according to its metadata;
// empty if there is none.
func LastWriter(entries []metav1.ManagedFieldsEntry, self string) string {
	writer, at := "", metav1.Time{}
	for _, entry := range entries {
		if entry.Manager != self && entry.Time != nil && !entry.Time.Before(&at) {
			writer, at = entry.Manager, *entry.Time
		}
	}
	return writer
}
