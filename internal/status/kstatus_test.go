package status_test

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/problem"
	tenantstatus "github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

// kstatus returns the status that Flux, and others who wait by the same rules, compute for an object.
func kstatus(t *testing.T, object runtime.Object) status.Status {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatal(err)
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		t.Fatal(err)
	}
	return result.Status
}

func TestHowPipelinesThatWaitForATenantReadItsStatus(t *testing.T) {
	with := func(o tenantstatus.Observation, status v1alpha1.TenantStatus) *v1alpha1.Tenant {
		return &v1alpha1.Tenant{ObjectMeta: o.Tenant.ObjectMeta, Spec: v1alpha1.TenantSpec(o.Tenant.Spec), Status: status}
	}
	of := func(o tenantstatus.Observation) *v1alpha1.Tenant { return with(o, tenantstatus.Of(o)) }
	deleted := func(waiting string, stalled bool) *v1alpha1.Tenant {
		o := inPlace(t, complete())
		o.Tenant.DeletionTimestamp = new(metav1.NewTime(later))
		return with(o, tenantstatus.Terminating(o, waiting, stalled))
	}
	for _, test := range []struct {
		name   string
		tenant *v1alpha1.Tenant
		want   status.Status
	}{
		{"just applied", builders.Stored(t, complete().Build()), status.InProgressStatus},
		{"in place", of(inPlace(t, complete())), status.CurrentStatus},
		{"zero replicas", of(inPlace(t, builders.Tenant("acme").App(image).Replicas(0))), status.CurrentStatus},
		{"rolling out", of(inPlace(t, complete(), rollingOut)), status.InProgressStatus},
		{"the database server is down", of(inPlace(t, complete(), trouble("DatabaseReady", "ServerNotReady", false))), status.InProgressStatus},
		{"a request failed", of(inPlace(t, complete(), trouble("NamespaceReady", "Failed", false))), status.InProgressStatus},
		{"something is in the way", of(inPlace(t, complete(), trouble("NamespaceReady", "Conflict", true))), status.FailedStatus},
		{"the database server is full", of(inPlace(t, complete(), trouble("DatabaseReady", "ServerFull", true))), status.FailedStatus},
		{
			"something is in the way, and something else takes its time",
			of(inPlace(t, complete(), rollingOut, trouble("NetworkReady", "Conflict", true))), status.FailedStatus,
		},
		{"in place, and changed since", func() *v1alpha1.Tenant {
			tenant := of(inPlace(t, complete()))
			tenant.Generation++
			return tenant
		}(), status.InProgressStatus},
		{"stalled, and changed since", func() *v1alpha1.Tenant {
			tenant := of(inPlace(t, complete(), trouble("NamespaceReady", "Conflict", true)))
			tenant.Generation++
			return tenant
		}(), status.InProgressStatus},
		{"stalled, and in place again", func() *v1alpha1.Tenant {
			o := inPlace(t, complete())
			o.Tenant.Status = of(inPlace(t, complete(), trouble("NamespaceReady", "Conflict", true))).Status
			return of(o)
		}(), status.CurrentStatus},
		{"being deleted", deleted("It waits for its namespace.", false), status.TerminatingStatus},
		{"can't be deleted", deleted("Its database server is gone.", true), status.TerminatingStatus},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := kstatus(t, test.tenant); got != test.want {
				t.Errorf("it is %s, want %s", got, test.want)
			}
		})
	}
}

func TestHowPipelinesThatWaitForADatabaseServerReadItsStatus(t *testing.T) {
	of := func(problem *problem.Problem) *v1alpha1.DatabaseServer {
		server := builders.Stored(t, builders.DatabaseServer("shared", "pg.example").Build())
		server.Status = tenantstatus.OfServer(tenantstatus.ServerObservation{
			Server: server, Answer: database.ServerStatus{Version: "15.18"}, Problem: problem, Now: created,
		})
		return server
	}
	for _, test := range []struct {
		name   string
		server *v1alpha1.DatabaseServer
		want   status.Status
	}{
		{"just applied", builders.Stored(t, builders.DatabaseServer("shared", "pg.example").Build()), status.InProgressStatus},
		{"answers", of(nil), status.CurrentStatus},
		{"does not answer", of(&problem.Problem{Reason: "Unreachable", Message: "It does not answer."}), status.InProgressStatus},
		{
			"refuses the admin",
			of(&problem.Problem{Reason: "AuthenticationFailed", Message: "The password is wrong.", Stalled: true}), status.FailedStatus,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := kstatus(t, test.server); got != test.want {
				t.Errorf("it is %s, want %s", got, test.want)
			}
		})
	}
}
