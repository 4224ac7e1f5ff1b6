package tenant

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/service"
)

// maxAttempts is how often to observe and decide again if a server has changed between observing and acting.
const maxAttempts = 3

// Databases changes what database servers have for tenants. Package database/postgres implements it.
type Databases interface {
	// Observe returns what a server has for the tenant with this UID. name is the name to look for if the server's
	// registry has none for the UID.
	Observe(ctx context.Context, server database.Server, uid, name string) (database.Observed, error)
	// Execute executes the actions in order.
	Execute(ctx context.Context, server database.Server, actions []database.Action) error
}

// servers does what tenants need on database servers.
type servers struct {
	objects
	live      client.Reader
	databases Databases
	fleet     *fleet.Fleet
	recorder  events.EventRecorder
}

func (r *Reconciler) servers() servers {
	return servers{objects: r.objects(), live: r.Live, databases: r.Databases, fleet: r.Fleet, recorder: r.Recorder}
}

// serverNamed reads a DatabaseServer; nil if there is none.
func (s servers) serverNamed(ctx context.Context, name string) (*v1alpha1.DatabaseServer, error) {
	server := &v1alpha1.DatabaseServer{}
	err := s.Get(ctx, types.NamespacedName{Name: name}, server)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return server, err
}

// reachable returns how to connect to a server to remove a tenant from it, or why that is impossible now. If only
// the Secret with the admin's login is gone, the known login still works. On a full disk, a removal makes room, and an
// end of access must not wait until somebody does.
func (s servers) reachable(server *v1alpha1.DatabaseServer) (database.Server, error) {
	access, connected := s.fleet.Connections.To(server)
	ready := apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionReady)
	if connected && ready != nil && (ready.Reason == v1alpha1.ReasonSecretNotFound || ready.Reason == v1alpha1.ReasonDiskFull) {
		return access, nil
	}
	return access, unreachable(server, connected)
}

// change runs an attempt to observe a server, decide and act, and repeats it if the server has changed in between.
// If the connection broke, it forgets the connection: once the server is connected again, the tenants that wait
// for it are reconciled.
func (s servers) change(server database.Server, attempt func() (changed bool, err error)) error {
	changed, err := attempt()
	for range maxAttempts - 1 {
		if !changed {
			break
		}
		changed, err = attempt()
	}
	if _, unreachable := errors.AsType[*service.UnreachableError](err); unreachable {
		s.fleet.Connections.Drop(server.Name)
	}
	return err
}

// execute executes actions, and reports whether an error means that the server has changed meanwhile.
func (s servers) execute(ctx context.Context, server database.Server, actions []database.Action) (changed bool, err error) {
	if len(actions) == 0 {
		return false, nil
	}
	ctrl.LoggerFrom(ctx).V(1).Info("Changing the database", "server", server.Name, "actions", actions)
	err = s.databases.Execute(ctx, server, actions)
	if _, changed = errors.AsType[*service.ChangedError](err); !changed {
		metrics.DatabaseChanges.WithLabelValues(server.Name, metrics.Result(err)).Inc()
	}
	return changed, err
}
