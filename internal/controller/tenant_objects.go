package controller

import (
	"context"
	"errors"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

// ownedKinds are the namespaced kinds that a tenant's objects have.
func ownedKinds() []client.Object {
	kinds := parts.Kinds()
	result := make([]client.Object, len(kinds))
	for i, kind := range kinds {
		result[i] = kind
	}
	return result
}

// listsOf are empty lists of these kinds.
func listsOf(scheme *runtime.Scheme, kinds []client.Object) ([]client.ObjectList, error) {
	lists := make([]client.ObjectList, len(kinds))
	for i, kind := range kinds {
		gvk, err := apiutil.GVKForObject(kind, scheme)
		if err != nil {
			return nil, err
		}
		list, err := scheme.New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err != nil {
			return nil, err
		}
		lists[i] = list.(client.ObjectList)
	}
	return lists, nil
}

// applyNetwork also says which of the tenant's hostnames are another one's.
func (r *TenantReconciler) applyNetwork(ctx context.Context, run *reconciliation) error {
	if err := r.apply(ctx, run, parts.Network); err != nil {
		return err
	}
	return hostnameConflict(run.foreignHostnames)
}

// applyPart is the phase of a part that consists of objects and nothing else.
func applyPart(part *parts.Part) phase {
	return func(r *TenantReconciler, ctx context.Context, run *reconciliation) error {
		if err := part.Missing(&run.tenant().Spec); err != nil {
			return err
		}
		return r.apply(ctx, run, part)
	}
}

// parallel is how many namespaces of a tenant are worked on at a time.
const parallel = 8

// apply puts all objects of a part in place, also those behind one that fails, but none in a
// namespace that is withheld. Namespaces don't wait for each other.
func (r *TenantReconciler) apply(ctx context.Context, run *reconciliation, part *parts.Part) error {
	var names []string
	objects := map[string][]desired.Object{}
	for _, object := range part.Objects(run.inputs) {
		name := object.GetNamespace()
		if run.withheld.Has(name) {
			continue
		}
		if _, known := objects[name]; !known {
			names = append(names, name)
		}
		objects[name] = append(objects[name], object)
	}
	outcomes := make([]error, len(names))
	workqueue.ParallelizeUntil(ctx, parallel, len(names), func(i int) {
		outcomes[i] = r.applyAll(ctx, run, objects[names[i]])
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	var failures []error
	for i, err := range outcomes {
		switch {
		case err == nil:
		case part.Wall && names[i] != run.tenant().Name:
			run.withhold(part, names[i], err)
		default:
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// objectOf is the Tenant as Kubernetes knows it, with its metadata and nothing else: it owns objects,
// has finalizers, and is what Events are about.
func objectOf(tenant *effective.Tenant) *v1alpha1.Tenant {
	object := &v1alpha1.Tenant{ObjectMeta: tenant.ObjectMeta}
	return object.DeepCopy()
}

// applyAll puts objects in place, also those behind one that fails.
func (r *TenantReconciler) applyAll(ctx context.Context, run *reconciliation, objects []desired.Object) error {
	var failures []error
	for _, object := range objects {
		outcome, err := put(ctx, r.Engine, objectOf(run.tenant()), object)
		if err != nil {
			failures = append(failures, r.unapplied(ctx, run, object, err))
			continue
		}
		r.noteChange(ctx, object, outcome)
	}
	return errors.Join(failures...)
}

// put puts an object in place, in the way in which its kind is owned.
func put(ctx context.Context, engine *apply.Engine, owner client.Object, object desired.Object) (apply.Outcome, error) {
	if owning := desired.OwningOf(object); owning.Fields {
		return engine.ApplyFields(ctx, owner, object, owning.Keep...)
	}
	return engine.Apply(ctx, owner, object)
}

// unapplied is why an object could not be put in place, in terms of what it is for.
func (r *TenantReconciler) unapplied(ctx context.Context, run *reconciliation, object client.Object, err error) error {
	if binding, ok := object.(*rbacv1.RoleBinding); ok {
		err = problem.Binding(binding.RoleRef.Name, err)
	}
	return r.retries.keepsChanging(ctx, run.tenant().Name, object, err)
}

func (r *TenantReconciler) noteChange(ctx context.Context, object client.Object, outcome apply.Outcome) {
	key, err := apply.KeyOf(object, r.Client)
	if err != nil || outcome == apply.Unchanged {
		return
	}
	metrics.ObjectChanges.WithLabelValues(key.Kind, string(outcome)).Inc()
	ctrl.LoggerFrom(ctx).V(1).Info("Object "+string(outcome), "kind", key.Kind, "name", key.Name)
}

// tidy takes away what the tenant has and should not.
func (r *TenantReconciler) tidy(ctx context.Context, run *reconciliation) error {
	if run.outdated {
		return nil
	}
	return errors.Join(r.withdraw(ctx, run), r.prune(ctx, run))
}

// prune deletes the tenant's objects that the spec no longer asks for. As long as there is no login
// to the database, it isn't known what those are.
func (r *TenantReconciler) prune(ctx context.Context, run *reconciliation) error {
	if run.blocked() || (run.tenant().Spec.Database != nil && run.inputs.Login == nil) {
		return nil
	}
	keep := sets.New[apply.Key]()
	for _, part := range parts.All {
		for _, object := range part.Objects(run.inputs) {
			key, err := apply.KeyOf(object, r.Client)
			if err != nil {
				return err
			}
			keep.Insert(key)
		}
	}
	var failures []error
	for _, place := range run.inputs.Places {
		failures = append(failures, r.pruneIn(ctx, run, place.Name, keep))
	}
	return errors.Join(failures...)
}

// pruneIn deletes the tenant's objects in a namespace that are not to be kept.
func (r *TenantReconciler) pruneIn(ctx context.Context, run *reconciliation, namespace string, keep sets.Set[apply.Key]) error {
	lists, err := listsOf(r.Scheme(), ownedKinds())
	if err != nil {
		return err
	}
	deleted, err := r.Engine.Prune(ctx, objectOf(run.tenant()), namespace, lists, keep)
	for _, key := range deleted {
		metrics.ObjectChanges.WithLabelValues(key.Kind, string(apply.Deleted)).Inc()
	}
	return err
}
