package controller

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/parts"
)

// TenantReconciler turns a Tenant into what its spec asks for.
type TenantReconciler struct {
	client.Client
	// Live reads from the API server, for the few questions that the cache can't answer.
	Live client.Reader
	// Engine applies the tenant's objects.
	Engine *apply.Engine
	// Databases talks to database servers.
	Databases Databases
	// Fleet is what the operator remembers of all tenants and servers.
	Fleet *fleet.Fleet
	// Recorder records Events.
	Recorder events.EventRecorder
	// Audit says that policies warn in the whole cluster, and refuse nothing.
	Audit bool
	// Identity tells this operator from all others, also from those that ran before it.
	Identity string

	retries *retries
}

// phase puts one part of a tenant in place.
type phase func(*TenantReconciler, context.Context, *reconciliation) error

// phases are those of the parts that consist of more than objects.
var phases = map[*parts.Part]phase{
	parts.Namespace: (*TenantReconciler).applyNamespaces,
	parts.Network:   (*TenantReconciler).applyNetwork,
	parts.Database:  (*TenantReconciler).placeDatabase,
}

// phaseOf is how a part is put in place. A part that fails doesn't hold up the next one, except for the
// namespace, which all others need.
func phaseOf(part *parts.Part) phase {
	if own, found := phases[part]; found {
		return own
	}
	if part.Opens {
		return onceQuotaCounts(applyPart(part))
	}
	return applyPart(part)
}

// Reconcile brings a tenant from what it is to what its spec says.
func (r *TenantReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.Tenant{}
	err := r.Get(ctx, request.NamespacedName, object)
	if apierrors.IsNotFound(err) {
		r.retries.forget(request.Name)
		r.Fleet.ForgetTenant(request.Name)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	r.Fleet.SawTenant(object.Name, object.UID)
	tenant := effective.Of(object)
	if !tenant.DeletionTimestamp.IsZero() {
		return r.reconcileDeletion(ctx, tenant)
	}
	run, err := r.load(ctx, tenant)
	if err == nil {
		err = r.ensureFinalizers(ctx, run)
	}
	if err != nil {
		return r.reportFailure(ctx, tenant, err)
	}
	for _, part := range parts.All {
		if run.blocked() {
			break
		}
		run.record(part, phaseOf(part)(r, ctx, run))
	}
	run.fail(r.tidy(ctx, run))
	return r.report(ctx, run)
}
