package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/status"
)

var (
	secrets = schema.GroupResource{Resource: "secrets"}

	errRefused  = errors.New("connection refused")
	errInvalid  = apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "app", field.ErrorList{field.Invalid(field.NewPath("spec"), "x", "must be y")})
	errDenied   = apierrors.NewForbidden(secrets, "database", errors.New("no right to create"))
	errChanged  = &database.ChangedError{Err: errors.New("tuple concurrently updated")}
	errInTheWay = &apply.ConflictError{Object: `Secret "database" in namespace "acme"`}
	errUnknown  = &problemError{Problem: status.Problem{Reason: "ServerNotFound", Message: "There is no such server."}, retry: later}
)

// namespaceTerminating is the API server's answer to a write into a namespace that is being deleted.
func namespaceTerminating() error {
	err := apierrors.NewForbidden(secrets, "database", errors.New("unable to create new content in namespace acme because it is being terminated"))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause, Field: "metadata.namespace"})
	return err
}

func TestWhatAnErrorMeansForATenant(t *testing.T) {
	for _, test := range []struct {
		name    string
		err     error
		reason  string
		stalled bool
		retry   retry
		message string // contained in what the tenant says
	}{
		{"a problem that a phase found", errUnknown, "ServerNotFound", false, later, "There is no such server."},
		{"an object of somebody else is in the way", errInTheWay, "Conflict", true, later, `Secret "database" in namespace "acme" exists already`},
		{"an object is being deleted", &apply.TerminatingError{Object: `Namespace "acme"`}, "Progressing", false, onChange, "still being deleted"},
		{"the namespace is being deleted", namespaceTerminating(), "Progressing", false, onChange, "The namespace is still being deleted."},
		{"the API server finds it invalid", errInvalid, "Invalid", true, onChange, "must be y"},
		{"the API server can't read it", apierrors.NewBadRequest("no such field"), "Invalid", true, onChange, "no such field"},
		{"the API server forbids it", errDenied, "Forbidden", false, withBackoff, "no right to create"},
		{"the API server has too much to do", apierrors.NewTooManyRequests("later", 1), "Failed", false, withBackoff, "later"},
		{"the API server failed", apierrors.NewInternalError(errors.New("etcd")), "Failed", false, withBackoff, "etcd"},
		{"the object is gone", apierrors.NewNotFound(secrets, "database"), "Failed", false, withBackoff, "not found"},
		{"the API server does not answer", errRefused, "Failed", false, withBackoff, "connection refused"},
		{"it took too long", context.DeadlineExceeded, "Failed", false, withBackoff, "took too long"},
		{"the database server is down", &database.UnreachableError{Server: "shared", Address: "pg:5432", Err: errRefused}, "ServerNotReady", false, later, "pg:5432"},
		{
			"the database server is too slow", &database.UnreachableError{Server: "shared", Err: context.DeadlineExceeded},
			"ServerNotReady", false, later, "does not answer",
		},
		{"the database server refuses the admin", &database.AuthenticationError{Server: "shared", Username: "postgres", Err: errRefused}, "ServerNotReady", false, later, "postgres"},
		{"the database server is too old", &database.UnsuitableServerError{Server: "shared", Problem: "it is too old"}, "ServerNotReady", false, later, "too old"},
		{"the database server is full", &database.FullError{Tenants: 2, Capacity: 2}, "ServerFull", true, onChange, "spec.capacity.tenants is 2"},
		{"a database is in the way", &database.ConflictError{Problem: "the server already has it"}, "Conflict", true, later, "already has it"},
		{"no such database to adopt", &database.AdoptNotFoundError{Name: "t_x"}, "Conflict", true, later, "no retained database t_x"},
		{"the database to adopt is in use", &database.AdoptInUseError{Name: "t_x", Tenant: "globex"}, "Conflict", true, later, "globex"},
		{"somebody else changes the database server all the time", errChanged, "Failed", false, withBackoff, "changed meanwhile"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for how, err := range map[string]error{
				"plain": test.err, "wrapped": fmt.Errorf("apply: %w", test.err), "among others": errors.Join(errors.New("something"), test.err),
			} {
				problem, retry := classify(err)
				if problem.Reason != test.reason || problem.Stalled != test.stalled || retry != test.retry {
					t.Errorf("%s: it is %s, stalled %t, retry %d; want %s, %t, %d",
						how, problem.Reason, problem.Stalled, retry, test.reason, test.stalled, test.retry)
				}
				if !strings.Contains(problem.Message, test.message) {
					t.Errorf("%s: the tenant says %q, and not %q", how, problem.Message, test.message)
				}
			}
		})
	}
}

func TestWhatAnErrorMeansForADatabaseServer(t *testing.T) {
	for _, test := range []struct {
		name    string
		err     error
		reason  string
		stalled bool
	}{
		{"a Secret is missing", secretProblem("There is no Secret %q in namespace %q; create it.", "admin", "tenantry-system"), "SecretNotFound", true},
		{"it is down", &database.UnreachableError{Server: "shared", Err: errRefused}, "Unreachable", false},
		{"it refuses the admin", &database.AuthenticationError{Server: "shared", Err: errRefused}, "AuthenticationFailed", true},
		{"it is too old", &database.UnsuitableServerError{Server: "shared", Problem: "it is too old"}, "Invalid", true},
		{"the API server does not give the Secret away", errDenied, "Failed", false},
		{"anything else", errRefused, "Failed", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for how, err := range map[string]error{"plain": test.err, "wrapped": fmt.Errorf("probe: %w", test.err)} {
				problem := serverProblem(err)
				if problem.Reason != test.reason || problem.Stalled != test.stalled || problem.Message == "" {
					t.Errorf("%s: it is %+v, want %s, stalled %t", how, problem, test.reason, test.stalled)
				}
			}
		})
	}
}

func TestWhichErrorsOnlyMeanThatTheDataWasOld(t *testing.T) {
	conflicting := apierrors.NewConflict(secrets, "database", errors.New("the object has been modified"))
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"the object has been modified", conflicting, true},
		{"a precondition failed, inside another error", fmt.Errorf("add finalizers: %w", conflicting), true},
		{"the database server changed", errChanged, true},
		{"an object is in the way", errInTheWay, false},
		{"the object is there already", apierrors.NewAlreadyExists(secrets, "database"), false},
		{"the API server failed", apierrors.NewGenericServerResponse(http.StatusBadGateway, "get", secrets, "", "", 0, false), false},
		{"nothing", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := outdated(test.err); got != test.want {
				t.Errorf("outdated(%v) = %t", test.err, got)
			}
			if kept := ignoreOutdated(test.err); (kept == nil) != (test.want || test.err == nil) {
				t.Errorf("ignoreOutdated(%v) = %v", test.err, kept)
			}
		})
	}
}

func TestWhatAPassRemembersOfItsPhases(t *testing.T) {
	type outcome struct {
		part desired.Part
		err  error
	}
	for _, test := range []struct {
		name     string
		outcomes []outcome
		reasons  map[desired.Part]string
		retry    retry
		failed   bool
		blocked  bool
	}{
		{"all is well", []outcome{{desired.Namespace, nil}, {desired.App, nil}}, nil, onChange, false, false},
		{
			"one part fails", []outcome{{desired.Quota, errInvalid}, {desired.App, nil}},
			map[desired.Part]string{desired.Quota: "Invalid"}, onChange, false, false,
		},
		{
			"of several retries the most eager counts",
			[]outcome{{desired.Quota, errRefused}, {desired.Network, errInTheWay}, {desired.Access, errInvalid}},
			map[desired.Part]string{desired.Quota: "Failed", desired.Network: "Conflict", desired.Access: "Invalid"}, withBackoff, true, false,
		},
		{
			"without its namespace a tenant has nothing", []outcome{{desired.Namespace, errInTheWay}},
			map[desired.Part]string{
				desired.Namespace: "Conflict", desired.Database: "Progressing", desired.Quota: "Progressing",
				desired.Network: "Progressing", desired.Access: "Progressing", desired.App: "Progressing",
			}, later, false, true,
		},
		{"what was decided on old data proves nothing", []outcome{{desired.Database, errChanged}}, nil, onChange, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := &reconciliation{problems: map[string]status.Problem{}}
			for _, outcome := range test.outcomes {
				run.record(outcome.part, outcome.err)
			}
			for _, part := range desired.Parts {
				if got := run.problems[string(part)].Reason; got != test.reasons[part] {
					t.Errorf("%s is %q, want %q", part, got, test.reasons[part])
				}
			}
			if run.retry != test.retry || (run.err != nil) != test.failed || run.blocked() != test.blocked {
				t.Errorf("retry %d, error %v, blocked %t; want %d, %t, %t", run.retry, run.err, run.blocked(), test.retry, test.failed, test.blocked)
			}
		})
	}
}
