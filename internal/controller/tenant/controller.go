// Package tenant has the controller of Tenants. It does the input and output; what to do is decided by the pure
// packages effective, parts, database and status, and by functions here that do no I/O.
//
// A reconcile loads all inputs, puts the parts in place one after the other, observes the result, and writes one
// status.
package tenant

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/retry"
)

// Reconciler reconciles Tenants.
type Reconciler struct {
	client.Client
	// Live reads from the API server what the cache doesn't have.
	Live client.Reader
	// Certificates has the names of all Secrets with certificates, as NewCertificates returns it.
	Certificates cache.Cache
	// Engine applies the tenant's objects.
	Engine *apply.Engine
	// Databases talks to database servers.
	Databases Databases
	// Fleet is what the operator remembers about all tenants and servers.
	Fleet *fleet.Fleet
	// DNS knows where the cluster's DNS is.
	DNS *ClusterDNS
	// Secrets follows the Secrets with the apps' settings.
	Secrets *SettingsSecrets
	// Recorder records Events.
	Recorder events.EventRecorder
	// ClassObjects is what objects of classes have of their own.
	ClassObjects *ClassObjects
	// Audit says that the policies only warn, in the whole cluster.
	Audit bool
	// Identity identifies this process of the operator. No other process, present or past, has the same.
	Identity string
	// Rules has the compiled rules of classes.
	Rules *effective.Compiled

	retries  *retry.Retries
	gateways *gateways
}

// Reconcile brings a tenant's actual state to the one in its spec.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.Tenant{}
	err := r.Get(ctx, request.NamespacedName, object)
	if apierrors.IsNotFound(err) {
		r.retries.Forget(request.Name)
		r.Fleet.TenantVanished(request.Name)
		r.ClassObjects.forget(ctx, request.Name)
		return ctrl.Result{}, r.releaseAllRights(ctx, request.Name)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	r.Fleet.SawTenant(object.Name, object.UID)
	tenant, err := r.effective(ctx, object)
	if !tenant.DeletionTimestamp.IsZero() {
		r.Fleet.Provisioning.End(tenant.UID)
		return r.reconcileDeletion(ctx, tenant)
	}
	if err != nil {
		r.Fleet.Provisioning.End(tenant.UID)
		return r.reportFailure(ctx, tenant, err)
	}
	if isNew(tenant) && !r.Fleet.Provisioning.Begin(tenant.Name, tenant.UID) {
		return ctrl.Result{}, nil // It is looked at again when it is its turn.
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
		run.record(part, r.put(ctx, run, part))
	}
	run.fail(errors.Join(run.class.prune(ctx, run), r.objects().tidy(ctx, run), r.releaseRights(ctx, run), run.sleep.invalid))
	return r.report(ctx, run)
}

// isNew reports whether nothing was made for a tenant yet.
func isNew(tenant *effective.Tenant) bool {
	return !slices.Contains(tenant.Finalizers, naming.FinalizerTenant)
}

// put puts one part of a tenant in place. If a part fails, the next ones are still put in place, unless it is the
// namespace, which all others need. Parts that consist of more than objects have phases of their own.
func (r *Reconciler) put(ctx context.Context, run *pass, part *parts.Part) error {
	if part.Opens {
		if err := r.awaitQuota(ctx, run); err != nil {
			return err
		}
		if primary := run.tenant().Name; run.withheld.Has(primary) {
			return problem.WaitsForWalls(primary)
		}
	}
	switch part {
	case parts.Namespace:
		return newNamespacePhase(r.objects(), run.members).run(ctx, run)
	case parts.Network:
		return run.network.run(ctx, r.objects(), run)
	case parts.Database:
		return run.database.run(ctx)
	case parts.App:
		return r.putApp(ctx, run)
	case parts.Objects:
		return run.class.run(ctx, run, r.awaitQuota)
	default:
		return r.objects().run(ctx, run, part)
	}
}
