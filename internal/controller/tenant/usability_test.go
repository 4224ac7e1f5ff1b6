package tenant

import (
	"errors"
	"slices"
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/test/builders"
)

// ready returns a server that is Ready, with changes.
func ready(t *testing.T, changes ...func(*v1alpha1.DatabaseServer)) *v1alpha1.DatabaseServer {
	t.Helper()
	server := builders.Stored(t, builders.DatabaseServer("shared", "pg.example").Build())
	server.Status.ObservedGeneration = 1
	apimeta.SetStatusCondition(&server.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady,
	})
	for _, change := range changes {
		change(server)
	}
	return server
}

// saying changes the Ready condition of a server.
func saying(status metav1.ConditionStatus, reason, message string) func(*v1alpha1.DatabaseServer) {
	return func(server *v1alpha1.DatabaseServer) {
		apimeta.SetStatusCondition(&server.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message,
		})
	}
}

func TestWhyATenantCannotUseItsServer(t *testing.T) {
	onShared := func() *builders.TenantBuilder { return builders.Tenant("acme").Database("shared") }
	terminating := func(server *v1alpha1.DatabaseServer) { server.DeletionTimestamp = new(metav1.Now()) }
	unschedulable := func(server *v1alpha1.DatabaseServer) { server.Spec.Unschedulable = true }
	schemas := func(server *v1alpha1.DatabaseServer) {
		server.Spec.Isolations = []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationSchema}
	}
	own := func(server *v1alpha1.DatabaseServer) {
		server.Spec.Dedicated = &v1alpha1.DatabaseServerDedication{}
	}
	none := &problem.Problem{Message: "None takes a new tenant."}
	has := otherServer{name: "former", connected: true, registered: true}
	for _, test := range []struct {
		name   string
		tenant *builders.TenantBuilder
		found  prospect
		want   error
	}{
		{"no database", builders.Tenant("acme"), prospect{}, nil},
		{"all is well", onShared(), prospect{server: ready(t), connected: true}, nil},
		{"there is none", onShared(), prospect{name: "shared"}, problem.ServerNotFound("shared")},
		{"none was chosen", builders.Tenant("acme").DatabaseSelector("tier", "gold"), prospect{unchosen: none}, none},
		{
			"its own has yet to be made",
			builders.Tenant("acme").Isolation(v1alpha1.DatabaseIsolationDedicated).Dedicated(func(server *v1alpha1.DedicatedServer) { server.Storage = new(resource.MustParse("1Gi")) }),
			prospect{}, problem.OwnServerMissing(),
		},
		{
			"nobody has looked at it yet", onShared(),
			prospect{server: ready(t, schemas, func(server *v1alpha1.DatabaseServer) { server.Status.ObservedGeneration = -1 }), connected: true},
			problem.NotConnected(),
		},
		{
			"another isolation", onShared(), prospect{server: ready(t, schemas), connected: true},
			problem.IsolationNotOffered("shared", []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationSchema}, v1alpha1.DatabaseIsolationDatabase),
		},
		{
			"an extension", onShared().Extensions("citext"), prospect{server: ready(t), connected: true},
			problem.ExtensionNotOffered("shared", nil, "citext"),
		},
		{
			"an extension that it has already", onShared().Extensions("citext"),
			prospect{server: ready(t), connected: true, recorded: &v1alpha1.TenantDatabaseStatus{Extensions: []string{"citext"}}}, nil,
		},
		{"on its way out", onShared(), prospect{server: ready(t, terminating), connected: true}, problem.ServerTerminating("shared")},
		{"unschedulable", onShared(), prospect{server: ready(t, unschedulable), connected: true}, problem.ServerUnschedulable("shared")},
		{
			"unschedulable, and the tenant has its database there", onShared(),
			prospect{server: ready(t, unschedulable), connected: true, recorded: &v1alpha1.TenantDatabaseStatus{}}, nil,
		},
		{
			"unschedulable, and the tenant may have something there",
			onShared().Finalizers(naming.DatabaseFinalizer("shared")), prospect{server: ready(t, unschedulable), connected: true}, nil,
		},
		{
			"it starts", onShared(), prospect{server: ready(t, saying(metav1.ConditionFalse, v1alpha1.ReasonProgressing, "It starts."))},
			problem.ServerProgressing("It starts."),
		},
		{
			"it is down", onShared(), prospect{server: ready(t, saying(metav1.ConditionFalse, v1alpha1.ReasonUnreachable, "It is down.")), connected: true},
			problem.ServerNotReady("shared", "It is down."),
		},
		{
			"its own has pods that are in trouble for long", onShared(),
			prospect{server: ready(t, saying(metav1.ConditionFalse, "ImagePullBackOff", "There is no image."), own, func(server *v1alpha1.DatabaseServer) {
				apimeta.SetStatusCondition(&server.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: "ImagePullBackOff"})
			}), connected: true},
			problem.OwnServerStalled("ImagePullBackOff", "There is no image."),
		},
		{
			"nobody knows", onShared(), prospect{server: ready(t, saying(metav1.ConditionUnknown, v1alpha1.ReasonPending, "")), connected: true},
			problem.NotConnected(),
		},
		{"the operator has just started", onShared(), prospect{server: ready(t)}, problem.NotConnected()},
		{
			"its database is elsewhere", onShared(), prospect{server: ready(t), connected: true, others: []otherServer{has}},
			problem.PlacedElsewhere("acme", "former", problem.HasDatabase),
		},
		{
			"it wants no database any more and has one", builders.Tenant("acme"), prospect{others: []otherServer{has}},
			problem.PlacedElsewhere("acme", "former", problem.HasDatabase),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.found.tenant = builders.Effective(t, test.tenant.Build())
			got := test.found.unusable()
			switch {
			case test.want == nil && got == nil:
			case test.want == nil || got == nil || got.Error() != test.want.Error():
				t.Errorf("it is %v, want %v", got, test.want)
			}
		})
	}
}

func TestATenantCanBeRemovedFromAServerWhoseDiskIsFull(t *testing.T) {
	server := ready(t, saying(metav1.ConditionFalse, v1alpha1.ReasonDiskFull, "Its disk is full."))
	memory := &fleet.Fleet{}
	of := servers{fleet: memory}
	if _, err := of.reachable(server); err == nil {
		t.Error("nobody has logged in to it yet")
	}
	memory.SawServer(server.Name, server.UID)
	memory.Connections.Put(server, database.Server{Name: server.Name})
	if _, err := of.reachable(server); err != nil {
		t.Errorf("it waits for somebody to make room: %v", err)
	}
	if err := (prospect{tenant: builders.Effective(t, builders.Tenant("acme").Database("shared").Build()), server: server, connected: true}).unusable(); err == nil {
		t.Error("a tenant that writes there learns nothing of it")
	}
}

func TestWhichServersATenantLeaves(t *testing.T) {
	failure := errors.New("it broke off")
	empty, second := otherServer{name: "a", connected: true}, otherServer{name: "b", connected: true}
	for _, test := range []struct {
		name   string
		others []otherServer
		left   []string
		want   error
	}{
		{"none", nil, nil, nil},
		{"those that have nothing for it", []otherServer{empty, second}, []string{"a", "b"}, nil},
		{
			"one that has its database", []otherServer{empty, {name: "b", connected: true, registered: true}},
			[]string{"a"}, problem.PlacedElsewhere("acme", "b", problem.HasDatabase),
		},
		{"one that nobody can ask", []otherServer{{name: "a"}, second}, nil, problem.PlacedElsewhere("acme", "a", problem.MayHaveDatabase)},
		{"one that breaks off", []otherServer{empty, {name: "b", connected: true, err: failure}}, []string{"a"}, failure},
	} {
		t.Run(test.name, func(t *testing.T) {
			left, err := leave("acme", test.others)
			if !slices.Equal(left, test.left) || !errors.Is(err, test.want) {
				t.Errorf("it leaves %v, and meets %v; want %v and %v", left, err, test.left, test.want)
			}
		})
	}
}

func TestWhichFinalizersADatabaseNeeds(t *testing.T) {
	server := ready(t)
	for _, test := range []struct {
		name         string
		phase        databasePhase
		needed, left []string
	}{
		{"no server", databasePhase{in: &parts.Inputs{}}, nil, nil},
		{"one that can be used", databasePhase{in: &parts.Inputs{Server: server}}, []string{"database.tenantry.dev/shared"}, nil},
		{"one that can't be used", databasePhase{in: &parts.Inputs{Server: server}, unusable: problem.NotConnected()}, nil, nil},
		{
			"one instead of another", databasePhase{in: &parts.Inputs{Server: server}, left: []string{"former"}},
			[]string{"database.tenantry.dev/shared"}, []string{"database.tenantry.dev/former"},
		},
		{
			"part of the way", databasePhase{in: &parts.Inputs{Server: server}, left: []string{"a"}, unusable: problem.PlacedElsewhere("acme", "b", problem.HasDatabase)},
			nil, []string{"database.tenantry.dev/a"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			needed, left := test.phase.finalizers()
			if !slices.Equal(needed, test.needed) || !slices.Equal(left, test.left) {
				t.Errorf("it needs %v and no more %v, want %v and %v", needed, left, test.needed, test.left)
			}
		})
	}
}
