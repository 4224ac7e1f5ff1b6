package tenant

import (
	"context"
	"errors"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
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
	"github.com/tenantry/tenantry/internal/retry"
)

// ownedKinds returns the namespaced kinds of a tenant's objects.
func ownedKinds() []client.Object {
	kinds := parts.Kinds()
	result := make([]client.Object, len(kinds))
	for i, kind := range kinds {
		result[i] = kind
	}
	return result
}

// listsOf returns empty lists of these kinds.
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

// objects puts a tenant's objects in place.
type objects struct {
	client.Client
	engine   *apply.Engine
	retries  *retry.Retries
	gateways *gateways
}

func (r *Reconciler) objects() objects { return objects{r.Client, r.Engine, r.retries, r.gateways} }

// run is the phase of a part that consists only of objects.
func (o objects) run(ctx context.Context, run *pass, part *parts.Part) error {
	if err := part.Missing(&run.tenant().Spec); err != nil {
		return err
	}
	return o.apply(ctx, run, part)
}

// parallel is how many namespaces of a tenant are worked on concurrently.
const parallel = 8

// apply puts all objects of a part in place, and continues after one that fails. It skips namespaces that are
// withheld, except that the primary namespace still gets its other walls. It works on several namespaces
// concurrently.
func (o objects) apply(ctx context.Context, run *pass, part *parts.Part) error {
	var names []string
	byNamespace := map[string][]desired.Object{}
	for _, object := range part.Objects(run.inputs) {
		name := object.GetNamespace()
		if run.withheld.Has(name) && (!part.Wall || name != run.tenant().Name) {
			continue
		}
		if _, known := byNamespace[name]; !known {
			names = append(names, name)
		}
		byNamespace[name] = append(byNamespace[name], object)
	}
	outcomes := make([]error, len(names))
	workqueue.ParallelizeUntil(ctx, parallel, len(names), func(i int) {
		outcomes[i] = o.applyAll(ctx, run.tenant(), byNamespace[names[i]])
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	var failures []error
	for i, err := range outcomes {
		switch {
		case err == nil:
		case part.Wall:
			run.withhold(part, names[i], err)
		default:
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// objectOf returns a Tenant with only the metadata, for owner references, finalizers and Events.
func objectOf(tenant *effective.Tenant) *v1alpha1.Tenant {
	object := &v1alpha1.Tenant{ObjectMeta: tenant.ObjectMeta}
	return object.DeepCopy()
}

// applyAll puts objects in place, and continues after one that fails.
func (o objects) applyAll(ctx context.Context, tenant *effective.Tenant, wanted []desired.Object) error {
	var failures []error
	for _, object := range wanted {
		if _, err := o.applyObject(ctx, tenant, object); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// applyObject puts an object in place, and returns its resourceVersion.
func (o objects) applyObject(ctx context.Context, tenant *effective.Tenant, object desired.Object) (version string, err error) {
	outcome, version, err := o.engine.Put(ctx, objectOf(tenant), object, owningOf(tenant, object))
	if err != nil {
		return "", o.unapplied(ctx, tenant, object, err)
	}
	o.noteChange(ctx, object, outcome)
	return version, nil
}

// owningOf returns how an object of a tenant is owned.
func owningOf(tenant *effective.Tenant, object desired.Object) apply.Owning {
	owning := desired.OwningOf(object)
	return apply.Owning{Fields: owning.Fields, Keep: owning.Keep, Restored: tenant.Spec.AdoptObjects}
}

// unapplied returns the problem of an object that could not be put in place.
func (o objects) unapplied(ctx context.Context, tenant *effective.Tenant, object client.Object, err error) error {
	if binding, ok := object.(*rbacv1.RoleBinding); ok && binding.RoleRef.Kind == "ClusterRole" {
		err = problem.Binding(binding.RoleRef.Name, err)
	}
	return o.retries.KeepsChanging(ctx, tenant.Name, object, err)
}

func (o objects) noteChange(ctx context.Context, object client.Object, outcome apply.Outcome) {
	key, err := apply.KeyOf(object, o.Client)
	if err != nil || outcome == apply.Unchanged {
		return
	}
	metrics.ObjectChanges.WithLabelValues(key.Kind, string(outcome)).Inc()
	ctrl.LoggerFrom(ctx).V(1).Info("Object "+string(outcome), "kind", key.Kind, "name", key.Name)
}
