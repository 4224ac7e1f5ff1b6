package tenant

import (
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/retry"
	"github.com/tenantry/tenantry/internal/service"
)

var (
	errRefused  = errors.New("connection refused")
	errInvalid  = apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "app", field.ErrorList{field.Invalid(field.NewPath("spec"), "x", "must be y")})
	errChanged  = &service.ChangedError{Engine: database.Engine, Err: errors.New("tuple concurrently updated")}
	errInTheWay = &apply.ConflictError{Object: `Secret "database" in namespace "acme"`}
)

func TestWhatAPassRemembersOfItsPhases(t *testing.T) {
	type outcome struct {
		part *parts.Part
		err  error
	}
	for _, test := range []struct {
		name     string
		outcomes []outcome
		reasons  map[*parts.Part]string
		retry    problem.Retry
		failed   bool
		blocked  bool
	}{
		{"all is well", []outcome{{parts.Namespace, nil}, {parts.App, nil}}, nil, problem.OnChange, false, false},
		{
			"one part fails", []outcome{{parts.Quota, errInvalid}, {parts.App, nil}},
			map[*parts.Part]string{parts.Quota: "Invalid"}, problem.OnChange, false, false,
		},
		{
			"of several retries the most eager counts",
			[]outcome{{parts.Quota, errRefused}, {parts.Network, errInTheWay}, {parts.Access, errInvalid}},
			map[*parts.Part]string{parts.Quota: "Failed", parts.Network: "Conflict", parts.Access: "Invalid"}, problem.WithBackoff, true, false,
		},
		{
			"without its namespace a tenant has nothing", []outcome{{parts.Namespace, errInTheWay}},
			map[*parts.Part]string{
				parts.Namespace: "Conflict", parts.Database: "Progressing", parts.Quota: "Progressing",
				parts.Network: "Progressing", parts.Access: "Progressing", parts.Objects: "Progressing", parts.App: "Progressing",
			}, problem.Later, false, true,
		},
		{"what was decided on old data proves nothing", []outcome{{parts.Database, errChanged}}, nil, problem.Again, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := &findings{problems: map[string]problem.Problem{}}
			for _, outcome := range test.outcomes {
				run.record(outcome.part, outcome.err)
			}
			for _, part := range parts.All {
				if got := run.problems[part.Condition].Reason; got != test.reasons[part] {
					t.Errorf("%s is %q, want %q", part, got, test.reasons[part])
				}
			}
			if run.retry != test.retry || (run.err != nil) != test.failed || run.blocked() != test.blocked {
				t.Errorf("retry %d, error %v, blocked %t; want %d, %t, %t", run.retry, run.err, run.blocked(), test.retry, test.failed, test.blocked)
			}
		})
	}
}

func TestWhatIsDecidedOnOldDataTooOftenIsAProblem(t *testing.T) {
	run := &findings{problems: map[string]problem.Problem{}, rounds: retry.TooOften}
	run.record(parts.Database, errChanged)
	run.fail(errChanged)
	found := run.problems[parts.Database.Condition]
	if found.Reason != "Failed" || run.failure == nil || run.failure.Reason != "Failed" {
		t.Errorf("the problem is %+v, of the pass %+v", found, run.failure)
	}
	if run.blocked() || run.outdated || run.retry != problem.Again || run.err != nil {
		t.Errorf("it holds up the other parts, or is no longer tried again: %+v", run)
	}
}

func TestWhatKeepsSeveralNamespacesClosedIsAllSaid(t *testing.T) {
	run := &findings{problems: map[string]problem.Problem{}, withheld: sets.New[string]()}
	run.withhold(parts.Quota, "a", errInTheWay)
	run.withhold(parts.Quota, "b", errInvalid)
	found := run.problems[parts.Quota.Condition]
	for _, err := range []error{errInTheWay, errInvalid} {
		if !strings.Contains(found.Message, err.Error()) {
			t.Errorf("the problem is %+v, without %v", found, err)
		}
	}
	if !run.withheld.HasAll("a", "b") || run.retry != problem.Later {
		t.Errorf("closed are %v, and the retry is %d", run.withheld, run.retry)
	}
}

func TestWhatIsDueForTheCredentialsAndCannotBeDoneIsNotTriedAtOnce(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for _, test := range []struct {
		name     string
		rotation service.Rotation
		former   time.Time
		failed   bool
		want     time.Duration // rounded down to hours, up to milliseconds
	}{
		{"the former login has time left", service.Rotation{}, now.Add(90 * time.Minute), true, time.Hour},
		{"the former login should be locked by now", service.Rotation{}, now, true, 0},
		{"the former login is to be locked after no time", service.Rotation{}, now, false, time.Millisecond},
		{"a rotation is due in a while", service.Rotation{Interval: 150 * time.Minute}, time.Time{}, true, time.Hour},
		{"a rotation is overdue", service.Rotation{Interval: time.Minute}, time.Time{}, true, 0},
		{"somebody has asked for a rotation", service.Rotation{Request: "1"}, time.Time{}, true, 0},
		{"there is no schedule", service.Rotation{}, time.Time{}, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := &databasePhase{
				recorded: &v1alpha1.TenantDatabaseStatus{}, now: now, provisioned: !test.failed,
				account: service.Account{
					Rotation:    test.rotation,
					Credentials: service.Credentials{RotatedAt: now.Add(-time.Hour), FormerUntil: test.former},
				},
			}
			if got := run.nextLook(); got != test.want && got.Truncate(time.Hour) != test.want {
				t.Errorf("it is looked at again after %s, want %s", got, test.want)
			}
		})
	}
}
