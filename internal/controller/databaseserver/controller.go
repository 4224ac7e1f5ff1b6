// Package databaseserver has the controller of DatabaseServers: it prepares them for tenants, keeps their status,
// and runs tenants' own servers.
package databaseserver

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/report"
	"github.com/tenantry/tenantry/internal/retry"
	"github.com/tenantry/tenantry/internal/service"
	"github.com/tenantry/tenantry/internal/status"
)

const (
	// probeInterval is the time between two probes of a server. The number of retained databases may be that old; the
	// number of tenants may be as old as fleet.CountInterval while it keeps changing.
	probeInterval = 5 * time.Second
	// probeTimeout is how long a server may take to answer.
	probeTimeout = 10 * time.Second
	// parallelServers is how many servers are probed concurrently, so that those that don't answer don't delay
	// others.
	parallelServers = 16
)

// Databases probes and prepares database servers. Package database/postgres implements it.
type Databases interface {
	// Probe returns the state of a server, and prepares it for tenants if it isn't prepared yet.
	Probe(ctx context.Context, server database.Server) (database.ServerStatus, error)
	// Share returns the state of the databases that tenants share, and prepares them if they aren't yet.
	Share(ctx context.Context, server database.Server, sharing database.Sharing) (database.SharingStatus, error)
	// Registered returns the tenants that use a server.
	Registered(ctx context.Context, server database.Server) ([]service.Registration, error)
	// Observe returns what a server has for the tenant with this UID. name is the name to look for if the server's
	// registry has none for the UID.
	Observe(ctx context.Context, server database.Server, uid, name string) (database.Observed, error)
	// Execute executes actions in order.
	Execute(ctx context.Context, server database.Server, actions []database.Action) error
	// Accept accepts the states of tenants that Probe has reported as changed.
	Accept(ctx context.Context, server database.Server, drifts []service.Drift) error
	// Uses returns how much each tenant uses of a server.
	Uses(ctx context.Context, server database.Server) ([]database.Use, error)
	// Reload makes a server reload its configuration and certificate.
	Reload(ctx context.Context, server database.Server) error
	// Forget closes all connections to a server.
	Forget(server string)
}

// Reconciler keeps the status of DatabaseServers up to date and prepares servers for tenants.
type Reconciler struct {
	client.Client
	// Live reads from the API server what the cache doesn't have, such as Secrets that the operator doesn't manage.
	Live client.Reader
	// Databases talks to database servers.
	Databases Databases
	// Fleet is what the operator remembers about all servers and tenants.
	Fleet *fleet.Fleet
	// Recorder records Events.
	Recorder events.EventRecorder
	// Engine applies the objects of the servers that the operator runs.
	Engine *apply.Engine
	// Watching watches the Services that the hosts of servers name.
	Watching client.WithWatch

	services hostServices

	retries *retry.Retries

	controller      controller.Controller
	cache           cache.Cache
	clusters        sync.Mutex // guards watchesClusters
	watchesClusters bool
}

// +kubebuilder:rbac:groups=tenantry.dev,resources=databaseservers,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=tenantry.dev,resources=databaseservers/status,verbs=patch

// Reconcile probes a server and writes its status.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	server := &v1alpha1.DatabaseServer{}
	err := r.Get(ctx, request.NamespacedName, server)
	if apierrors.IsNotFound(err) {
		r.forget(request.Name)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	r.Fleet.SawServer(server.Name, server.UID)
	users, err := r.hold(ctx, server)
	switch {
	case apierrors.IsNotFound(err), err == nil && users == 0 && !server.DeletionTimestamp.IsZero():
		return ctrl.Result{}, nil
	case err != nil:
		return r.reportFailure(ctx, server, err)
	}
	own, err := r.runDedicated(ctx, server)
	again, shown := r.next(server, err)
	if !shown {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	observation, access := r.observe(ctx, server, err)
	observation.Users, observation.Dedicated = users, own
	next := status.OfServer(observation)
	if err := r.writeStatus(ctx, server, next); err != nil {
		return ctrl.Result{}, err
	}
	r.publish(server, access, observation.Problem == nil)
	if observation.Problem == nil {
		if err := r.maintain(ctx, server, access, observation); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{RequeueAfter: probeInterval}, nil
}

// next returns when to reconcile a server again after an error, and whether the status shows the error. A decision
// on old data shows only after too many in a row.
func (r *Reconciler) next(server *v1alpha1.DatabaseServer, err error) (again time.Duration, shown bool) {
	if err == nil || problem.OfServer(err).Retry != problem.Again {
		r.retries.Forget(server.Name)
		return 0, true
	}
	shown = !problem.Outdated(err) || r.retries.Rounds(server.Name) >= retry.TooOften
	return r.retries.After(server.Name, problem.Again), shown
}

func (r *Reconciler) forget(name string) {
	r.retries.Forget(name)
	r.Fleet.ForgetServer(name)
	r.Databases.Forget(name)
	r.services.follower.Forget(name)
	metrics.ForgetServer(name)
}

// reportFailure writes to the status what keeps a server from being reconciled or deleted.
func (r *Reconciler) reportFailure(ctx context.Context, server *v1alpha1.DatabaseServer, err error) (ctrl.Result, error) {
	again, shown := r.next(server, err)
	if !shown {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	found := problem.OfServer(err)
	writeErr := r.writeStatus(ctx, server, status.OfServer(status.ServerObservation{
		Server: server, Problem: &found, Now: time.Now(), Addresses: server.Status.Addresses,
		Dedicated: recordedDedicated(server),
	}))
	switch {
	case writeErr == nil && again > 0:
		return ctrl.Result{RequeueAfter: again}, nil
	case writeErr == nil && found.Retry == problem.OnChange:
		return ctrl.Result{RequeueAfter: probeInterval}, nil
	default:
		return ctrl.Result{}, errors.Join(err, writeErr)
	}
}

func (r *Reconciler) patchFinalizer(ctx context.Context, before, after *v1alpha1.DatabaseServer) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return r.retries.KeepsChanging(ctx, after.Name, after, r.Patch(ctx, after, patch, client.FieldOwner(naming.FieldOwner)))
}

// observe probes a server, unless err already says what keeps it from running.
func (r *Reconciler) observe(ctx context.Context, server *v1alpha1.DatabaseServer, err error) (status.ServerObservation, database.Server) {
	observation := status.ServerObservation{Server: server, Now: time.Now(), Addresses: server.Status.Addresses}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var access database.Server
	if err == nil {
		observation.Addresses = resolve(ctx, server)
		observation.Service = r.services.of(ctx, server)
		access, err = r.accessTo(ctx, server)
	}
	if kept, found := r.keptLogin(ctx, server, err); found {
		access = kept
		if server.DeletionTimestamp.IsZero() {
			// It may only be used to remove tenants.
			r.connected(server, access)
		} else {
			err = nil
		}
	}
	if err == nil {
		observation.CABundle = access.CACert
		observation.Answer, err = r.Databases.Probe(ctx, access)
		r.recordIntruders(server, observation.Answer.Intruders)
	}
	if err == nil {
		metrics.ServerAnswered(server.Name, time.Since(observation.Now), len(observation.Answer.Drifted))
	}
	if err == nil && r.Fleet.Occupancy.Counted(server.Name, observation.Answer.Tenants, observation.Now) {
		r.Fleet.AvailableServers.Add(server.Name)
	}
	if offers := sharing(server); err == nil && len(offers.Isolations) > 0 {
		observation.Sharing, err = r.Databases.Share(ctx, access, offers)
		if problem.Locked(err) {
			observation.Sharing, observation.Unshared, err = status.SharingOf(server), err, nil
		}
	}
	if err != nil {
		// The Secret may have been corrected by the next probe.
		r.Fleet.Logins.Drop(server.Name)
		observation.Problem = new(problem.OfServer(err))
	}
	return observation, access
}

// recordIntruders records an Event with the tenants whose sessions held up a server. It shows in no status, since it
// ended with the sessions.
func (r *Reconciler) recordIntruders(server *v1alpha1.DatabaseServer, tenants []string) {
	if len(tenants) > 0 {
		r.Recorder.Eventf(server, nil, corev1.EventTypeWarning, "SessionsEnded", "Probe",
			"Sessions of these tenants kept others from connecting, by a lock on a database, and were ended: %s. If that goes on, give the tenant a server of its own, or delete the Tenant.", strings.Join(tenants, ", "))
	}
}

// sharing returns what the server offers in databases that tenants share.
func sharing(server *v1alpha1.DatabaseServer) database.Sharing {
	offers := database.Sharing{Extensions: server.Spec.Extensions}
	for _, isolation := range server.Spec.Isolations {
		if shared := database.Isolation(isolation); database.SharedDatabase(shared) != "" {
			offers.Isolations = append(offers.Isolations, shared)
		}
	}
	return offers
}

// resolve returns the addresses of the server's host, or those in its status if the host can't be resolved now.
func resolve(ctx context.Context, server *v1alpha1.DatabaseServer) []string {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", server.Spec.Host)
	if err != nil {
		return server.Status.Addresses
	}
	texts := make([]string, 0, len(addresses))
	for _, address := range addresses {
		texts = append(texts, address.Unmap().String())
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

func (r *Reconciler) writeStatus(ctx context.Context, server *v1alpha1.DatabaseServer, next v1alpha1.DatabaseServerStatus) error {
	if equality.Semantic.DeepEqual(server.Status, next) || r.mayWait(server, next) {
		return nil
	}
	ctx, cancel := report.Context(ctx)
	defer cancel()
	before := server.DeepCopy()
	server.Status = next
	if err := r.Status().Patch(ctx, server, client.MergeFrom(before), client.FieldOwner(naming.FieldOwner)); err != nil {
		return client.IgnoreNotFound(err)
	}
	report.Transition(r.Recorder, server,
		apimeta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady),
		apimeta.FindStatusCondition(next.Conditions, v1alpha1.ConditionReady))
	return nil
}

// mayWait reports whether a new status differs only in the number of tenants, and that is likely to change again.
func (r *Reconciler) mayWait(server *v1alpha1.DatabaseServer, next v1alpha1.DatabaseServerStatus) bool {
	if server.Status.Tenants == nil || next.Tenants == nil || !r.Fleet.Occupancy.Changing(server.Name) {
		return false
	}
	next.Tenants = server.Status.Tenants
	return equality.Semantic.DeepEqual(server.Status, next)
}

// publish lets the Tenant controller use a server that answers.
func (r *Reconciler) publish(server *v1alpha1.DatabaseServer, access database.Server, answers bool) {
	if !answers {
		metrics.ServerFailed(server.Name)
		return
	}
	metrics.ServerUp.WithLabelValues(server.Name).Set(1)
	r.connected(server, access)
}

// connected stores how to connect to a server, and has the tenants that wait for it reconciled.
func (r *Reconciler) connected(server *v1alpha1.DatabaseServer, access database.Server) {
	if r.Fleet.Connections.Put(server, access) {
		r.Fleet.AvailableServers.Add(server.Name)
	}
}

// inspectDrifted has the Tenant controller inspect databases that others have changed, and has the server accept
// those that were inspected and are sound.
func (r *Reconciler) inspectDrifted(ctx context.Context, access database.Server, drifts []service.Drift) error {
	accepted, suspicious := r.Fleet.SortDrifts(access.Name, drifts)
	for _, drift := range suspicious {
		r.Fleet.DriftedTenants.Add(drift.Tenant)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return r.Databases.Accept(ctx, access, accepted)
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	build := ctrl.NewControllerManagedBy(manager).
		For(&v1alpha1.DatabaseServer{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: parallelServers, RateLimiter: retry.RateLimiter()})
	for _, kind := range serverKinds() {
		build = build.Watches(kind, handler.EnqueueRequestsFromMapFunc(byServer), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{}))
	}
	var err error
	r.retries = retry.New(r.Client, r.Live)
	r.services = newHostServices(r.Watching)
	build = build.WatchesRawSource(r.services.source())
	r.cache = manager.GetCache()
	r.controller, err = build.Build(r)
	return err
}
