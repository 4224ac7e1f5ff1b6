package tenant

import (
	"context"
	"errors"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
)

// tidy removes objects that the tenant has but should not have.
func (o objects) tidy(ctx context.Context, run *pass) error {
	if run.outdated {
		return nil
	}
	return errors.Join(o.withdraw(ctx, run), o.prune(ctx, run))
}

// prune deletes the tenant's objects that the spec no longer asks for. While the login to the database is missing,
// it isn't known which objects these are.
func (o objects) prune(ctx context.Context, run *pass) error {
	if run.blocked() || (run.tenant().Spec.Database != nil && run.inputs.Login == nil) {
		return nil
	}
	in, keep := run.inputs, sets.New[apply.Key]()
	in.Unplaced = false // An app that waits for its first database keeps running.
	for _, part := range parts.All {
		for _, object := range append(part.Objects(in), part.Spared(in)...) {
			key, err := apply.KeyOf(object, o.Client)
			if err != nil {
				return err
			}
			keep.Insert(key)
		}
	}
	for _, name := range run.inputs.Release.Keep {
		for _, kind := range []string{"Job", "ConfigMap"} {
			keep.Insert(apply.Key{Kind: kind, NamespacedName: types.NamespacedName{Namespace: run.tenant().Name, Name: name}})
		}
	}
	kinds := o.gateways.owned()
	if run.inputs.Release.Unknown {
		// It isn't known what else belongs to the app that runs. Its hostnames are the tenant's, or no longer.
		kinds = o.gateways.with([]client.Object{&batchv1.Job{}, &networkingv1.Ingress{}})
	}
	var failures []error
	for _, place := range run.inputs.Places {
		failures = append(failures, o.pruneIn(ctx, run.tenant(), place.Name, kinds, keep))
	}
	return errors.Join(failures...)
}

// pruneIn deletes the tenant's objects of these kinds in a namespace, except those in keep.
func (o objects) pruneIn(ctx context.Context, tenant *effective.Tenant, namespace string, kinds []client.Object, keep sets.Set[apply.Key]) error {
	lists, err := listsOf(o.Scheme(), kinds)
	if err != nil {
		return err
	}
	deleted, err := o.engine.Prune(ctx, objectOf(tenant), namespace, lists, keep)
	for _, key := range deleted {
		metrics.ObjectChanges.WithLabelValues(key.Kind, string(apply.Deleted)).Inc()
	}
	return err
}

// withdraw deletes the tenant's objects in namespaces that are no longer its own, and nothing else.
func (o objects) withdraw(ctx context.Context, run *pass) error {
	var failures []error
	leaving := sets.New[string]()
	for _, namespace := range run.members.Leaving {
		leaving.Insert(namespace.Name)
		failures = append(failures, o.release(ctx, run.inputs, membership.Member{Namespace: namespace}))
	}
	for _, namespace := range run.strays() {
		if !leaving.Has(namespace) {
			failures = append(failures, o.pruneIn(ctx, run.tenant(), namespace, o.gateways.owned(), nil))
		}
	}
	return errors.Join(failures...)
}

// release deletes the tenant's objects in a namespace, and then removes the labels and annotations that make it
// the tenant's.
func (o objects) release(ctx context.Context, in parts.Inputs, member membership.Member) error {
	namespace := member.Namespace
	if err := o.pruneIn(ctx, in.Tenant, namespace.Name, o.gateways.owned(), nil); err != nil || !namespace.DeletionTimestamp.IsZero() {
		return err
	}
	in.Places = []parts.Place{{Name: namespace.Name, Usable: member.State != v1alpha1.NamespaceOverLimit}}
	mark := parts.Namespace.Objects(in)[0]
	labels := mark.GetLabels()
	for label, value := range namespace.Labels {
		if strings.HasPrefix(label, v1alpha1.GroupVersion.Group+"/") && label != naming.LabelTenant {
			labels[label] = value // The labels may be from an earlier spec.
		}
	}
	err := client.IgnoreNotFound(o.engine.Release(ctx, objectOf(in.Tenant), mark, namespace))
	if err != nil {
		return o.unapplied(ctx, in.Tenant, namespace, fmt.Errorf("release namespace %s: %w", namespace.Name, err))
	}
	metrics.ObjectChanges.WithLabelValues("Namespace", "released").Inc()
	ctrl.LoggerFrom(ctx).Info("Namespace released", "name", namespace.Name)
	return nil
}
