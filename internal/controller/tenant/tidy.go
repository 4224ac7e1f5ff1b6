package tenant

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/parts"
)

// tidy takes away what the tenant has and should not.
func (o objects) tidy(ctx context.Context, run *pass) error {
	if run.outdated {
		return nil
	}
	return errors.Join(o.withdraw(ctx, run), o.prune(ctx, run))
}

// prune deletes the tenant's objects that the spec no longer asks for. As long as there is no login
// to the database, it isn't known what those are.
func (o objects) prune(ctx context.Context, run *pass) error {
	if run.blocked() || (run.tenant().Spec.Database != nil && run.inputs.Login == nil) {
		return nil
	}
	keep := sets.New[apply.Key]()
	for _, part := range parts.All {
		for _, object := range part.Objects(run.inputs) {
			key, err := apply.KeyOf(object, o.Client)
			if err != nil {
				return err
			}
			keep.Insert(key)
		}
	}
	var failures []error
	for _, place := range run.inputs.Places {
		failures = append(failures, o.pruneIn(ctx, run, place.Name, keep))
	}
	return errors.Join(failures...)
}

// pruneIn deletes the tenant's objects in a namespace that are not to be kept.
func (o objects) pruneIn(ctx context.Context, run *pass, namespace string, keep sets.Set[apply.Key]) error {
	lists, err := listsOf(o.Scheme(), ownedKinds())
	if err != nil {
		return err
	}
	deleted, err := o.engine.Prune(ctx, objectOf(run.tenant()), namespace, lists, keep)
	for _, key := range deleted {
		metrics.ObjectChanges.WithLabelValues(key.Kind, string(apply.Deleted)).Inc()
	}
	return err
}

// withdraw takes the tenant's objects out of namespaces that are no longer its own, and leaves all
// else in them.
func (o objects) withdraw(ctx context.Context, run *pass) error {
	var failures []error
	for _, namespace := range run.strays() {
		failures = append(failures, o.pruneIn(ctx, run, namespace, nil))
	}
	if len(failures) == 0 || errors.Join(failures...) != nil {
		return errors.Join(failures...)
	}
	for _, namespace := range run.members.Leaving {
		if !namespace.DeletionTimestamp.IsZero() {
			continue
		}
		place := parts.Place{Name: namespace.Name, Usable: true}
		mark := parts.Namespace.Objects(parts.Inputs{Tenant: run.tenant(), Places: []parts.Place{place}})
		err := client.IgnoreNotFound(o.engine.Release(ctx, objectOf(run.tenant()), mark[0], namespace))
		if err != nil {
			failures = append(failures, o.unapplied(ctx, run.tenant(), namespace, fmt.Errorf("release namespace %s: %w", namespace.Name, err)))
			continue
		}
		metrics.ObjectChanges.WithLabelValues("Namespace", "released").Inc()
		ctrl.LoggerFrom(ctx).Info("Namespace released", "name", namespace.Name)
	}
	return errors.Join(failures...)
}
