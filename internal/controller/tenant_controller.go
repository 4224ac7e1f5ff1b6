package controller

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
)

// retryLater is how long to wait for what isn't watched, such as an object of somebody else that
// is in the way.
const retryLater = 30 * time.Second

// TenantReconciler turns a Tenant into what its spec asks for.
type TenantReconciler struct {
	client.Client
	// Live reads from the API server, for the few questions that the cache can't answer.
	Live client.Reader
	// Engine applies the tenant's objects.
	Engine *apply.Engine
	// Databases talks to database servers.
	Databases Databases
	// Connections says how to reach them.
	Connections *Connections
	// Occupancy counts the tenants of each server.
	Occupancy *Occupancy
	// Drift says whose databases want a closer look.
	Drift *Drift
	// Recorder records Events.
	Recorder events.EventRecorder
	// Audit says that policies warn in the whole cluster, and refuse nothing.
	Audit bool
	// Identity tells this operator from all others, also from those that ran before it.
	Identity string

	pace       pace
	placements placements
	bustle     bustle
}

// phase puts one part of a tenant in place.
type phase struct {
	part desired.Part
	run  func(*TenantReconciler, context.Context, *reconciliation) error
}

// phases come in the order in which the parts need each other. A part that fails doesn't hold up
// the next one, except for the namespace, which all others need. In a namespace that owners have made,
// they get their rights once there are walls around it.
var phases = []phase{
	{desired.Namespace, (*TenantReconciler).applyNamespaces},
	{desired.Quota, applyPart(desired.Quota)},
	{desired.Network, (*TenantReconciler).applyNetwork},
	{desired.Access, (*TenantReconciler).applyAccess},
	{desired.Database, (*TenantReconciler).placeDatabase},
	{desired.App, (*TenantReconciler).applyApp},
}

// Reconcile brings a tenant from what it is to what its spec says.
func (r *TenantReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.Tenant{}
	if err := r.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	tenant := effective.Of(object)
	if !tenant.DeletionTimestamp.IsZero() {
		return r.reconcileDeletion(ctx, tenant)
	}
	run, err := r.load(ctx, tenant)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.ensureFinalizers(ctx, run); err != nil {
		return ctrl.Result{}, ignoreOutdated(err)
	}
	for _, phase := range phases {
		if run.blocked() {
			break
		}
		run.record(phase.part, phase.run(r, ctx, run))
	}
	if err := r.tidy(ctx, run); err != nil {
		return ctrl.Result{}, ignoreOutdated(err)
	}
	if run.outdated {
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	observation, err := r.observe(ctx, run)
	if err != nil {
		return ctrl.Result{}, err
	}
	return r.report(ctx, run, observation)
}

// ignoreOutdated drops an error that a change has caused which leads to a reconcile of its own.
func ignoreOutdated(err error) error {
	if outdated(err) {
		return nil
	}
	return err
}
