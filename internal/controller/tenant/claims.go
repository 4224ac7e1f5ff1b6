package tenant

import (
	"context"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

// runApp is the phase of the app. Its storage comes first.
func (o objects) runApp(ctx context.Context, run *pass) error {
	failures := []error{parts.ClaimsUnmet(run.inputs)}
	intended := parts.IntendedClaims(run.inputs)
	for i, claim := range parts.Claims(run.inputs) {
		failures = append(failures, o.keep(ctx, run, claim, intended[i]))
	}
	return errors.Join(append(failures, o.run(ctx, run, parts.App))...)
}

// fixedSize is what the API server says of a StorageClass without allowVolumeExpansion
// (k8s.io/kubernetes/plugin/pkg/admission/storage/persistentvolume/resize). A quota refuses more storage, too.
const fixedSize = "must support resize"

// keep puts a PersistentVolumeClaim in place. It has no owner, so that the garbage collector can't delete it, and is
// deleted with its namespace.
func (o objects) keep(ctx context.Context, run *pass, claim, intended *corev1.PersistentVolumeClaim) error {
	outcome, err := o.engine.Keep(ctx, naming.AnnotationTenantUID, claim, intended, run.tenant().Spec.AdoptObjects)
	if err == nil {
		o.noteChange(ctx, claim, outcome)
		return nil
	}
	if conflict, ok := errors.AsType[*apply.ConflictError](err); ok {
		return problem.VolumeOfAnother(conflict.Object)
	}
	if apierrors.IsForbidden(err) && strings.Contains(err.Error(), fixedSize) {
		return problem.AppVolumeCannotGrow(strings.TrimPrefix(claim.Name, naming.AppClaim("")), err.Error())
	}
	return o.unapplied(ctx, run.tenant(), claim, err)
}

// loadClaims reads the storage of the tenant's app, and what is left of volumes that it doesn't have any more.
func (r *Reconciler) loadClaims(ctx context.Context, run *pass) error {
	claims := &corev1.PersistentVolumeClaimList{}
	if err := r.List(ctx, claims, client.InNamespace(run.tenant().Name), client.MatchingLabels(naming.ManagedLabels(run.tenant().Name))); err != nil {
		return err
	}
	run.inputs.Claims = claims.Items
	return nil
}

// isTenants reports whether an object is a tenant's, and not that of a server that the operator runs.
func isTenants(object client.Object) bool { return object.GetLabels()[naming.LabelTenant] != "" }
