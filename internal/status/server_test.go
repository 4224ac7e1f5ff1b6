package status_test

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/diff"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

// answering returns the observation of a server that answers.
func answering(t *testing.T) status.ServerObservation {
	t.Helper()
	return status.ServerObservation{
		Server: builders.Stored(t, builders.DatabaseServer("shared", "pg.example").Build()),
		Answer: database.ServerStatus{
			Version: "15.18", Tenants: 412, RetainedTotal: 3,
			Retained: []database.RetainedDatabase{{Name: "t_brewsrmdqcfqkxdoaomm", Tenant: "globex", Since: created.Add(123456789)}},
		},
		Addresses: []string{"192.0.2.10", "2001:db8::10"},
		CABundle:  "PEM",
		Now:       created,
	}
}

func TestAServerThatAnswers(t *testing.T) {
	o := answering(t)
	result := status.OfServer(o)
	if got := conditions(result.Conditions); !equality.Semantic.DeepEqual(got, map[string]string{"Ready": "True Ready"}) {
		t.Errorf("its conditions are %v", got)
	}
	checkConditions(t, result.Conditions, 1)
	if result.Version != "15.18" || *result.Tenants != 412 || *result.RetainedDatabases != 3 || result.CABundle != "PEM" ||
		!slices.Equal(result.Addresses, o.Addresses) || result.ObservedGeneration != 1 {
		t.Errorf("its status is %+v", result)
	}
	if len(result.Retained) != 1 || result.Retained[0].Name != "t_brewsrmdqcfqkxdoaomm" || result.Retained[0].Tenant != "globex" ||
		!result.Retained[0].Since.Time.Equal(created) {
		t.Errorf("its retained databases are %v", result.Retained)
	}
}

func TestAServerOfSharedTablesListsThoseThatAreNotProtected(t *testing.T) {
	o := answering(t)
	if result := status.OfServer(o); result.UnprotectedTables != nil || result.Unprotected != nil {
		t.Errorf("a server without isolation Row has unprotected tables: %+v", result)
	}
	o.Server.Spec.Isolations = []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationRow}
	result := status.OfServer(o)
	if result.UnprotectedTables == nil || *result.UnprotectedTables != 0 {
		t.Errorf("it has %v unprotected tables, not 0", result.UnprotectedTables)
	}
	o.Sharing = database.SharingStatus{UnprotectedTotal: 40, Unprotected: []database.UnprotectedTable{{Name: "public.orders", Problem: "call tenantry.isolate"}}}
	result = status.OfServer(o)
	if *result.UnprotectedTables != 40 || len(result.Unprotected) != 1 ||
		result.Unprotected[0] != (v1alpha1.UnprotectedTable{Name: "public.orders", Problem: "call tenantry.isolate"}) {
		t.Errorf("its unprotected tables are %d, of them %v", *result.UnprotectedTables, result.Unprotected)
	}
	if got := conditions(result.Conditions); !equality.Semantic.DeepEqual(got, map[string]string{"Ready": "True Ready"}) {
		t.Errorf("its conditions are %v", got)
	}
	o.Problem = &problem.Problem{Reason: v1alpha1.ReasonUnreachable, Message: "It does not answer."}
	o.Server.Status = result
	if kept := status.OfServer(o); *kept.UnprotectedTables != 40 || len(kept.Unprotected) != 1 {
		t.Errorf("while it doesn't answer, its unprotected tables are %v", kept.Unprotected)
	}
}

func TestAServerThatCanNotHaveAllItAsksForIsUsedAsItIs(t *testing.T) {
	o := answering(t)
	o.Dedicated.Unmet = &problem.Problem{Reason: v1alpha1.ReasonInvalid, Message: "The volume can't grow.", Stalled: true}
	result := status.OfServer(o)
	if got := conditions(result.Conditions); !equality.Semantic.DeepEqual(got, map[string]string{"Ready": "True Ready", "Stalled": "True Invalid"}) {
		t.Errorf("its conditions are %v", got)
	}
	if message := condition(t, result.Conditions, "Ready").Message; message != "The server answers, as it is. The volume can't grow." {
		t.Errorf("Ready says %q", message)
	}
	o.Server.Status, o.Now = stored(t, result), later
	if again := status.OfServer(o); !equality.Semantic.DeepEqual(again, o.Server.Status) {
		t.Errorf("while nothing changes, its status does: %s", diff.Diff(o.Server.Status, again))
	}
	o.Dedicated.Unmet = nil
	if got := conditions(status.OfServer(o).Conditions); !equality.Semantic.DeepEqual(got, map[string]string{"Ready": "True Ready"}) {
		t.Errorf("once it has all, its conditions are %v", got)
	}
}

func TestAServerThatCanNotWriteSaysWhatToDo(t *testing.T) {
	const said = `could not write to file "base/pgsql_tmp/pgsql_tmp71.0": No space left on device`
	size := resource.MustParse("512Mi")
	for _, test := range []struct {
		name      string
		dedicated status.Dedicated
		want      string
	}{
		{"somebody else runs it", status.Dedicated{}, "The server answers, but its disk is full, so that apps can only read: " + said + ". Make room on it, or make it larger."},
		{
			"the operator runs it", status.Dedicated{Storage: &size},
			"The server answers, but its volume of 512Mi is full, so that the app can only read: " + said + ". Raise spec.database.dedicated.storage of the Tenant.",
		},
		{
			"its volume can't grow",
			status.Dedicated{Storage: &size, Unmet: &problem.Problem{Reason: v1alpha1.ReasonInvalid, Message: "The volume can't grow.", Stalled: true}},
			"The server answers, but its volume of 512Mi is full, so that the app can only read: " + said + ". Raise spec.database.dedicated.storage of the Tenant. The volume can't grow.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := answering(t)
			o.Dedicated, o.Answer.DiskFull = test.dedicated, said
			result := status.OfServer(o)
			if got := conditions(result.Conditions); !equality.Semantic.DeepEqual(got, map[string]string{"Ready": "False DiskFull", "Stalled": "True DiskFull"}) {
				t.Errorf("its conditions are %v", got)
			}
			for _, kind := range []string{"Ready", "Stalled"} {
				if message := condition(t, result.Conditions, kind).Message; message != test.want {
					t.Errorf("%s says %q, not %q", kind, message, test.want)
				}
			}
			checkConditions(t, result.Conditions, 1)
			if result.Version != "15.18" || *result.Tenants != 412 {
				t.Errorf("it no longer says what else the server answers: %+v", result)
			}
			o.Server.Status, o.Answer.DiskFull, o.Dedicated.Unmet = stored(t, result), "", nil
			if got := conditions(status.OfServer(o).Conditions); !equality.Semantic.DeepEqual(got, map[string]string{"Ready": "True Ready"}) {
				t.Errorf("once it can write again, its conditions are %v", got)
			}
		})
	}
}

func TestAServerThatDoesNotAnswerKeepsWhatItSaid(t *testing.T) {
	for _, test := range []struct {
		name    string
		problem problem.Problem
		want    map[string]string
	}{
		{
			"it is down", problem.Problem{Reason: v1alpha1.ReasonUnreachable, Message: "It does not answer."},
			map[string]string{"Ready": "False Unreachable", "Reconciling": "True Unreachable"},
		},
		{
			"it refuses the admin", problem.Problem{Reason: v1alpha1.ReasonAuthenticationFailed, Message: "The password is wrong.", Stalled: true},
			map[string]string{"Ready": "False AuthenticationFailed", "Stalled": "True AuthenticationFailed"},
		},
		{
			"its Secret is gone", problem.Problem{Reason: v1alpha1.ReasonSecretNotFound, Message: "There is no Secret.", Stalled: true},
			map[string]string{"Ready": "False SecretNotFound", "Stalled": "True SecretNotFound"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := answering(t)
			o.Server.Status = stored(t, status.OfServer(o))
			before := o.Server.DeepCopy()
			o = status.ServerObservation{Server: o.Server, Problem: &test.problem, Addresses: []string{"192.0.2.11"}, Now: later}
			o.Server.Generation = 2
			result := status.OfServer(o)
			if got := conditions(result.Conditions); !equality.Semantic.DeepEqual(got, test.want) {
				t.Error(diff.Diff(test.want, got))
			}
			checkConditions(t, result.Conditions, 2)
			if message := condition(t, result.Conditions, "Ready").Message; message != test.problem.Message {
				t.Errorf("Ready says %q", message)
			}
			want := before.Status.DeepCopy()
			want.Conditions, want.ObservedGeneration, want.Addresses = result.Conditions, 2, []string{"192.0.2.11"}
			if !equality.Semantic.DeepEqual(result, *want) {
				t.Errorf("it forgot something:\n%s", diff.Diff(*want, result))
			}
		})
	}
}

func TestAServerThatComesBackIsReadySinceThen(t *testing.T) {
	o := answering(t)
	o.Problem = &problem.Problem{Reason: v1alpha1.ReasonUnreachable, Message: "It does not answer."}
	o.Server.Status = stored(t, status.OfServer(o))
	o.Problem, o.Now = nil, later
	ready := condition(t, status.OfServer(o).Conditions, "Ready")
	if ready.Status != "True" || !ready.LastTransitionTime.Time.Equal(later) {
		t.Errorf("Ready is %v", ready)
	}
}

func TestAServerThatStaysAsItIsHasTheStatusItHad(t *testing.T) {
	o := answering(t)
	o.Server.Status = stored(t, status.OfServer(o))
	o.Now = o.Now.Add(time.Minute)
	if next := status.OfServer(o); !equality.Semantic.DeepEqual(o.Server.Status, next) {
		t.Errorf("it changes without a reason:\n%s", diff.Diff(o.Server.Status, next))
	}
}

func TestAServerForgetsRetainedDatabasesThatWereTakenOver(t *testing.T) {
	o := answering(t)
	o.Server.Status = stored(t, status.OfServer(o))
	o.Answer.Retained, o.Answer.RetainedTotal = nil, 0
	if result := status.OfServer(o); len(result.Retained) > 0 || *result.RetainedDatabases != 0 {
		t.Errorf("it still has %v", result.Retained)
	}
}

// A lock in a shared database doesn't invalidate what was observed there before.
func TestSharingOfKeepsWhatTheStatusSays(t *testing.T) {
	o := answering(t)
	o.Server.Spec.Isolations = []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationRow}
	if got := status.SharingOf(o.Server); !equality.Semantic.DeepEqual(got, database.SharingStatus{}) {
		t.Errorf("a server of which nothing was seen has %+v", got)
	}
	o.Sharing = database.SharingStatus{UnprotectedTotal: 40, Unprotected: []database.UnprotectedTable{{Name: "public.orders", Problem: "call tenantry.isolate"}}}
	o.Server.Status = status.OfServer(o)
	if got := status.SharingOf(o.Server); !equality.Semantic.DeepEqual(got, o.Sharing) {
		t.Errorf("it has %+v, not %+v", got, o.Sharing)
	}
}
