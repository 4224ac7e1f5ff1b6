package problem_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/service"
)

var (
	secrets      = schema.GroupResource{Resource: "secrets"}
	roleBindings = schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "rolebindings"}
	clusterRoles = schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}

	errRefused  = errors.New("connection refused")
	errInvalid  = apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "app", field.ErrorList{field.Invalid(field.NewPath("spec"), "x", "must be y")})
	errDenied   = apierrors.NewForbidden(secrets, "database", errors.New("no right to create"))
	errConflict = apierrors.NewConflict(secrets, "database", errors.New("the object has been modified"))
	errChanged  = &service.ChangedError{Engine: database.Engine, Err: errors.New("tuple concurrently updated")}
	errLocked   = &database.LockedError{
		Server: "shared", Err: errRefused,
		Holder: &database.LockHolder{PID: 4711, Role: "t_a_0", Since: time.Date(2026, time.November, 26, 14, 0, 0, 0, time.UTC)},
	}
	errInTheWay = &apply.ConflictError{Object: `Secret "database" in namespace "acme"`}
	errUnknown  = problem.Problem{Reason: "ServerNotFound", Message: "There is no such server.", Retry: problem.Later}
)

// forbidden returns the API server's answer if it refuses to write a Secret for this reason.
func forbidden(why string) *apierrors.StatusError {
	return apierrors.NewForbidden(secrets, "database", errors.New(why))
}

// namespaceTerminating returns the API server's answer to a write into a namespace that is being deleted.
func namespaceTerminating(resource schema.GroupResource, name string) error {
	err := apierrors.NewForbidden(resource, name, errors.New("unable to create new content in namespace acme because it is being terminated"))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause, Field: "metadata.namespace"})
	return err
}

// deniedByPolicy returns the API server's answer if a ValidatingAdmissionPolicy without a reason refuses: the
// object is invalid.
func deniedByPolicy() error {
	err := forbidden(`ValidatingAdmissionPolicy 'no-secrets.example.com' with binding 'all' denied request: Secrets come from the vault.`)
	err.ErrStatus.Reason, err.ErrStatus.Code = metav1.StatusReasonInvalid, http.StatusUnprocessableEntity
	return err
}

func TestWhatAnErrorMeansForATenant(t *testing.T) {
	for _, test := range []struct {
		name    string
		err     error
		reason  string
		stalled bool
		retry   problem.Retry
		message string // contained in what the tenant says
	}{
		{"a problem that a phase found", errUnknown, "ServerNotFound", false, problem.Later, "There is no such server."},
		{"an object of somebody else is in the way", errInTheWay, "Conflict", true, problem.Later, `Secret "database" in namespace "acme" exists already`},
		{"an object is being deleted", &apply.TerminatingError{Object: `Namespace "acme"`}, "Progressing", false, problem.OnChange, "still being deleted"},
		{"the namespace is being deleted", namespaceTerminating(secrets, "database"), "Progressing", false, problem.OnChange, "The namespace is still being deleted."},
		{"the API server finds it invalid", errInvalid, "Invalid", true, problem.OnChange, "must be y"},
		{"the API server can't read it", apierrors.NewBadRequest("no such field"), "Invalid", true, problem.OnChange, "no such field"},
		{"the API server forbids it", errDenied, "Forbidden", false, problem.WithBackoff, "no right to create"},
		{"the API server has too much to do", apierrors.NewTooManyRequests("later", 1), "Failed", false, problem.WithBackoff, "later"},
		{"the API server failed", apierrors.NewInternalError(errors.New("etcd")), "Failed", false, problem.WithBackoff, "etcd"},
		{"the object is gone", apierrors.NewNotFound(secrets, "database"), "Failed", false, problem.WithBackoff, "not found"},
		{"the API server does not answer", errRefused, "Failed", false, problem.WithBackoff, "connection refused"},
		{"it took too long", context.DeadlineExceeded, "Failed", false, problem.WithBackoff, "took too long"},
		{"an object changes all the time", errConflict, "Failed", false, problem.Again, "Something changed while the operator decided what to do"},
		{"the database server is down", &service.UnreachableError{Engine: database.Engine, Server: "shared", Address: "pg:5432", Err: errRefused}, "ServerNotReady", false, problem.Later, "pg:5432"},
		{
			"the database server is too slow", &service.UnreachableError{Engine: database.Engine, Server: "shared", Err: context.DeadlineExceeded},
			"ServerNotReady", false, problem.Later, "does not answer",
		},
		{"the database server refuses the admin", &service.AuthenticationError{Engine: database.Engine, Server: "shared", Username: "postgres", Err: errRefused}, "ServerNotReady", false, problem.Later, "postgres"},
		{"the database server is too old", &service.UnsuitableServerError{Engine: database.Engine, Server: "shared", Problem: "it is too old"}, "ServerNotReady", false, problem.Later, "too old"},
		{"the database server is not prepared yet", &database.UnpreparedError{Isolation: database.IsolationRow}, "ServerNotReady", false, problem.Later, "not prepared for isolation Row"},
		{
			"an app locks the tenant's database", errLocked, "Failed", false, problem.WithBackoff,
			"on database server shared, role t_a_0 has had a transaction open since 2026-11-26T14:00:00Z that locks what the operator has to change; end it in that app, or run SELECT pg_terminate_backend(4711) there.",
		},
		{
			"there is much to remove", &service.UnfinishedError{Left: 1200, What: "rows"}, "Progressing", false, problem.WithBackoff,
			"The removal goes on: the tenant's data is being removed in portions; 1200 rows are left.",
		},
		{"the database server is full", &service.FullError{Engine: database.Engine, Tenants: 2, Capacity: 2}, "ServerFull", true, problem.OnChange, "spec.capacity.tenants is 2"},
		{"no database server matches", &service.NoServerError{Engine: database.Engine, Selector: "tier=gold"}, "ServerNotFound", false, problem.OnChange, "tier=gold"},
		{"no database server takes it now", &service.NoServerError{Engine: database.Engine, Matched: 1, Lacks: []string{"a is not ready"}, Passes: true}, "NoSuitableServer", false, problem.OnChange, "a is not ready"},
		{"no database server takes it", &service.NoServerError{Engine: database.Engine, Matched: 1, Lacks: []string{"a is full"}}, "NoSuitableServer", true, problem.OnChange, "a is full"},
		{"a database is in the way", &service.ConflictError{Problem: "the server already has it"}, "Conflict", true, problem.Later, "already has it"},
		{"no such database to adopt", &service.AdoptNotFoundError{Engine: database.Engine, Name: "t_x"}, "Conflict", true, problem.Later, "no retained database t_x"},
		{"the database to adopt is in use", &service.AdoptInUseError{Engine: database.Engine, Name: "t_x", Tenant: "globex"}, "Conflict", true, problem.Later, "globex"},
		{"somebody else changes the database server all the time", errChanged, "Failed", false, problem.Again, "changed meanwhile"},

		{
			"the tenant's quota is used up", forbidden("exceeded quota: tenant, requested: secrets=1, used: secrets=3, limited: secrets=3"),
			"QuotaExceeded", false, problem.Later,
			`The quota leaves no room for secrets "database": requested: secrets=1, used: secrets=3, limited: secrets=3. Raise spec.quota, or remove what uses it up.`,
		},
		{
			"somebody else's quota is used up", forbidden("exceeded quota: team, requested: secrets=1, used: secrets=3, limited: secrets=3"),
			"QuotaExceeded", false, problem.Later, `Raise or remove the ResourceQuota team, which is not the operator's, or remove what uses it up.`,
		},
		{
			"nobody has counted what the quota is about", forbidden("status unknown for quota: tenant, resources: secrets"),
			"Progressing", false, problem.WithBackoff, "waits until the cluster has counted what the quota tenant is about",
		},
		{
			"Pod Security refuses it", forbidden(`violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)`),
			"Forbidden", true, problem.Later, `Pod Security refuses secrets "database", since it violates the standard restricted:latest: host namespaces (hostNetwork=true). Correct it, or lower spec.policy.podSecurity`,
		},
		{
			"a policy of the cluster refuses it", deniedByPolicy(), "Forbidden", true, problem.Later,
			`The admission policy no-secrets.example.com of this cluster refuses secrets "database": Secrets come from the vault. Change the spec so that it complies`,
		},
		{
			"a mutating policy of the cluster refuses it", forbidden(`policy 'a.example.com' with binding 'b' denied request: no`),
			"Forbidden", true, problem.Later, `The admission policy a.example.com of this cluster refuses secrets "database": no.`,
		},
		{
			"a webhook of the cluster refuses it", forbidden("admission webhook \"validate.kyverno.svc\" denied the request: \n\nresource Secret was blocked"),
			"Forbidden", true, problem.Later, "The admission webhook validate.kyverno.svc of this cluster refuses",
		},
		{
			"a webhook that says nothing", forbidden(`admission webhook "mute" denied the request without explanation`),
			"Forbidden", true, problem.Later, "it gives no reason",
		},
		{
			"the operator lacks a right", forbidden(`User "system:serviceaccount:tenantry-system:tenantry-manager" cannot create resource "secrets" in API group "" in the namespace "acme"`),
			"Forbidden", false, problem.WithBackoff, `The operator lacks a right: User "system:serviceaccount:tenantry-system:tenantry-manager" cannot create resource "secrets" in API group "" in the namespace "acme". Install the operator's ClusterRole anew`,
		},
		{
			"it may not bind a ClusterRole", problem.Binding("deployer", apierrors.NewForbidden(roleBindings, "owner-deployer", errors.New("attempting to grant RBAC permissions not currently held"))),
			"Forbidden", true, problem.Later, "The operator may not give away the ClusterRole deployer. To allow it: kubectl create clusterrole tenantry-bind-deployer",
		},
		{
			"there is no such ClusterRole", problem.Binding("deployer", apierrors.NewNotFound(clusterRoles, "deployer")),
			"Forbidden", true, problem.Later, "There is no ClusterRole deployer; create it, or leave it out of spec.owners.",
		},
		{
			"a quota refuses a RoleBinding", problem.Binding("deployer", apierrors.NewForbidden(roleBindings, "owner-deployer", errors.New("exceeded quota: tenant, requested: count/rolebindings=1"))),
			"QuotaExceeded", false, problem.Later, "Raise spec.quota",
		},
		{
			"the namespace of a RoleBinding is being deleted", problem.Binding("deployer", namespaceTerminating(roleBindings, "owner-deployer")),
			"Progressing", false, problem.OnChange, "The namespace is still being deleted.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for how, err := range map[string]error{"plain": test.err, "wrapped": fmt.Errorf("apply: %w", test.err)} {
				found := problem.Of(err)
				if found.Reason != test.reason || found.Stalled != test.stalled || found.Retry != test.retry {
					t.Errorf("%s: it is %s, stalled %t, retry %d; want %s, %t, %d",
						how, found.Reason, found.Stalled, found.Retry, test.reason, test.stalled, test.retry)
				}
				if !strings.Contains(found.Message, test.message) {
					t.Errorf("%s: the tenant says %q, and not %q", how, found.Message, test.message)
				}
			}
			among := problem.Of(errors.Join(errors.New("something"), test.err))
			if among.Reason != test.reason || among.Stalled != test.stalled || among.Retry != max(test.retry, problem.WithBackoff) {
				t.Errorf("among others: it is %+v", among)
			}
			if !strings.Contains(among.Message, test.message) || !strings.Contains(among.Message, "something") {
				t.Errorf("among others: the tenant says %q", among.Message)
			}
		})
	}
}

func TestWhatSeveralErrorsMeanTogether(t *testing.T) {
	cannotBind := func(role string) error {
		return problem.Binding(role, apierrors.NewForbidden(roleBindings, "owner-"+role, errors.New("no")))
	}
	for _, test := range []struct {
		name    string
		errs    []error
		reason  string
		retry   problem.Retry
		message string
	}{
		{
			"what somebody has to mend comes first", []error{errRefused, errInvalid}, "Invalid", problem.WithBackoff,
			errInvalid.Error() + " This failed and is tried again, less and less often: connection refused.",
		},
		{"what is said twice is said once", []error{errInTheWay, errInTheWay}, "Conflict", problem.Later, errInTheWay.Error()},
		{
			"a conflict behind another answer of the API server is found", []error{errInvalid, errConflict}, "Invalid", problem.Again,
			errInvalid.Error() + " " + problem.Of(errConflict).Message,
		},
		{
			"several ClusterRoles that may not be bound are one problem", []error{cannotBind("b"), cannotBind("a"), cannotBind("b")}, "Forbidden", problem.Later,
			"The operator may not give away the ClusterRole a, b. To allow it: kubectl create clusterrole tenantry-bind-a --verb=bind --resource=clusterroles.rbac.authorization.k8s.io --resource-name=a --resource-name=b && kubectl create clusterrolebinding tenantry-bind-a --clusterrole=tenantry-bind-a --serviceaccount=tenantry-system:tenantry-manager",
		},
		{
			"several ClusterRoles that are missing are one problem",
			[]error{problem.Binding("y", apierrors.NewNotFound(clusterRoles, "y")), problem.Binding("x", apierrors.NewNotFound(clusterRoles, "x"))},
			"Forbidden", problem.Later, "There is no ClusterRole x and no ClusterRole y; create it, or leave it out of spec.owners.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for how, err := range map[string]error{"joined": errors.Join(test.errs...), "joined twice": errors.Join(nil, errors.Join(test.errs...))} {
				got := problem.Of(err)
				if got.Reason != test.reason || got.Retry != test.retry || got.Message != test.message {
					t.Errorf("%s: it is %+v, want %s, %d, %q", how, got, test.reason, test.retry, test.message)
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
		{"a Secret is missing", problem.SecretNotFound("tenantry-system", "admin"), "SecretNotFound", true},
		{"it is down", &service.UnreachableError{Engine: database.Engine, Server: "shared", Err: errRefused}, "Unreachable", false},
		{"it refuses the admin", &service.AuthenticationError{Engine: database.Engine, Server: "shared", Err: errRefused}, "AuthenticationFailed", true},
		{"it is too old", &service.UnsuitableServerError{Engine: database.Engine, Server: "shared", Problem: "it is too old"}, "Invalid", true},
		{"the API server does not give the Secret away", errDenied, "Forbidden", false},
		{"an object of it is in the way", errInTheWay, "Conflict", true},
		{"an object of it is being deleted", &apply.TerminatingError{Object: `StatefulSet "x"`}, "Progressing", false},
		{"an object of it is invalid", errInvalid, "Invalid", true},
		{"something changes all the time", errConflict, "Failed", false},
		{"it took too long", context.DeadlineExceeded, "Failed", false},
		{"anything else", errRefused, "Failed", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for how, err := range map[string]error{"plain": test.err, "wrapped": fmt.Errorf("probe: %w", test.err)} {
				found := problem.OfServer(err)
				if found.Reason != test.reason || found.Stalled != test.stalled || found.Message == "" {
					t.Errorf("%s: it is %+v, want %s, stalled %t", how, found, test.reason, test.stalled)
				}
			}
		})
	}
}

func TestWhichErrorsOnlyMeanThatTheDataWasOld(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"the object has been modified", errConflict, true},
		{"a precondition failed, inside another error", fmt.Errorf("add finalizers: %w", errConflict), true},
		{"the object has been modified, among others", errors.Join(errInvalid, errConflict), true},
		{"the database server changed", errChanged, true},
		{"an object is in the way", errInTheWay, false},
		{"the object is there already", apierrors.NewAlreadyExists(secrets, "database"), false},
		{"the API server failed", apierrors.NewGenericServerResponse(http.StatusBadGateway, "get", secrets, "", "", 0, false), false},
		{"an object keeps changing", problem.KeepsChanging(`Secret "database"`, ""), false},
		{"nothing", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := problem.Outdated(test.err); got != test.want {
				t.Errorf("Outdated(%v) = %t", test.err, got)
			}
		})
	}
}

func TestWhoHasChangedAnObjectLast(t *testing.T) {
	at := func(second int) *metav1.Time { return new(metav1.Unix(int64(second), 0)) }
	for _, test := range []struct {
		name    string
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		{"nobody", nil, ""},
		{"the operator itself", []metav1.ManagedFieldsEntry{{Manager: "tenantry", Time: at(1)}}, ""},
		{"nobody knows when", []metav1.ManagedFieldsEntry{{Manager: "old"}}, ""},
		{
			"the last of several", []metav1.ManagedFieldsEntry{
				{Manager: "kubectl", Time: at(1)}, {Manager: "argocd", Time: at(3)}, {Manager: "kube-controller-manager", Time: at(2)},
				{Manager: "tenantry", Time: at(4)},
			}, "argocd",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := problem.LastWriter(test.entries, "tenantry"); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

// An error of the network can be a timeout without wrapping context.DeadlineExceeded.
func TestATimeoutIsToldByWhateverHasTimedOut(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_, err = http.DefaultClient.Do(request) //nolint:bodyclose // There is none.
	if got := problem.Of(err); !strings.Contains(got.Message, "took too long") || got.Retry != problem.WithBackoff {
		t.Errorf("of %v it says %+v", err, got)
	}
}
