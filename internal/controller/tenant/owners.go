package tenant

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
)

// indexOwnersNamespace finds the tenants that have ServiceAccounts of a namespace as owners.
const indexOwnersNamespace = "ownersNamespace"

// loadOwners finds owners that are ServiceAccounts of a namespace that doesn't exist, which anybody could create,
// or that is another tenant's.
func (r *Reconciler) loadOwners(ctx context.Context, run *pass) error {
	for _, name := range parts.OwnersNamespaces(run.tenant()) {
		namespace := &corev1.Namespace{}
		found, err := r.read(ctx, types.NamespacedName{Name: name}, namespace)
		if err != nil {
			return err
		}
		why := "doesn't exist"
		if found {
			other := namespace.Labels[naming.LabelTenant]
			if other == "" || other == run.tenant().Name {
				continue
			}
			why = "is one of the Tenant " + other
		}
		if run.inputs.UntrustedNamespaces == nil {
			run.inputs.UntrustedNamespaces = map[string]string{}
		}
		run.inputs.UntrustedNamespaces[name] = why
	}
	return nil
}

// byOwnersNamespace returns the tenants that have ServiceAccounts of a namespace as owners.
func (r *Reconciler) byOwnersNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return append(r.tenantsBy(ctx, indexOwnersNamespace, namespace.GetName()), r.byOwnersOfClasses(ctx, namespace.GetName())...)
}

// namespaceChangesHands lets namespaces through that were created, deleted or have become another tenant's.
var namespaceChangesHands = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetLabels()[naming.LabelTenant] != e.ObjectNew.GetLabels()[naming.LabelTenant]
	},
}
