package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

const (
	// indexLabel finds the objects that have the label of a tenant.
	indexLabel = "tenantLabel"
	// indexController finds the namespaces that a tenant controls, by its UID.
	indexController = "tenantController"
)

func labelOf(object client.Object) []string {
	if tenant := object.GetLabels()[naming.LabelTenant]; tenant != "" {
		return []string{tenant}
	}
	return nil
}

func controllerOf(object client.Object) []string {
	if controller := tenantControlling(object); controller != nil {
		return []string{string(controller.UID)}
	}
	return nil
}

// tenantControlling refers to the tenant that controls an object; nil if none does.
func tenantControlling(object client.Object) *metav1.OwnerReference {
	controller := metav1.GetControllerOf(object)
	if controller == nil || controller.Kind != "Tenant" || controller.APIVersion != v1alpha1.GroupVersion.String() {
		return nil
	}
	return controller
}

// members are the namespaces of a tenant, as the cache has them.
func (r *TenantReconciler) members(ctx context.Context, tenant *effective.Tenant) (membership.Members, error) {
	primary := &corev1.Namespace{}
	found, err := r.read(ctx, types.NamespacedName{Name: tenant.Name}, primary)
	if err != nil {
		return membership.Members{}, err
	}
	byUID := map[types.UID]*corev1.Namespace{}
	if found {
		byUID[primary.UID] = primary
	}
	for index, value := range map[string]string{indexLabel: tenant.Name, indexController: string(tenant.UID)} {
		namespaces := &corev1.NamespaceList{}
		if err := r.List(ctx, namespaces, client.MatchingFields{index: value}); err != nil {
			return membership.Members{}, err
		}
		for i := range namespaces.Items {
			byUID[namespaces.Items[i].UID] = &namespaces.Items[i]
		}
	}
	namespaces := make([]*corev1.Namespace, 0, len(byUID))
	for _, namespace := range byUID {
		namespaces = append(namespaces, namespace)
	}
	return membership.Of(tenant, namespaces), nil
}

// placesOf are the namespaces to put objects into.
func placesOf(members membership.Members) []parts.Place {
	var places []parts.Place
	for _, member := range members.All {
		if member.Primary || member.State == v1alpha1.NamespaceUsable || member.State == v1alpha1.NamespaceOverLimit {
			places = append(places, parts.Place{Name: member.Name, Usable: member.State == v1alpha1.NamespaceUsable})
		}
	}
	return places
}

// applyNamespaces makes the primary namespace, takes over those that owners have made, and puts the
// tenant's policy into each.
func (r *TenantReconciler) applyNamespaces(ctx context.Context, run *reconciliation) error {
	live := map[string]*corev1.Namespace{}
	for _, member := range run.members.All {
		live[member.Name] = member.Namespace
	}
	for _, object := range parts.Namespace.Objects(run.inputs) {
		namespace := cmp.Or(object.GetNamespace(), object.GetName())
		if run.withheld.Has(namespace) {
			continue
		}
		outcome, err := r.applyNamespace(ctx, run.tenant(), object, live)
		switch {
		case err == nil:
			r.noteChange(ctx, object, outcome)
		case namespace == run.tenant().Name:
			return r.unapplied(ctx, run, object, err)
		default:
			run.withhold(parts.Namespace, namespace, r.unapplied(ctx, run, object, err))
		}
	}
	return nil
}

func (r *TenantReconciler) applyNamespace(ctx context.Context, tenant *effective.Tenant, object client.Object, live map[string]*corev1.Namespace) (apply.Outcome, error) {
	if _, isNamespace := object.(*corev1.Namespace); isNamespace {
		// One that is in the cache and shows whose it is. Any other is made, or is in the way.
		found := live[object.GetName()]
		if found != nil && found.DeletionTimestamp.IsZero() && membership.Mine(tenant, found) {
			return r.Engine.Adopt(ctx, objectOf(tenant), object, found)
		}
	}
	return r.Engine.Apply(ctx, objectOf(tenant), object)
}

// withdraw takes the tenant's objects out of namespaces that are no longer its own, and leaves all
// else in them.
func (r *TenantReconciler) withdraw(ctx context.Context, run *reconciliation) error {
	var failures []error
	for _, namespace := range run.strays() {
		failures = append(failures, r.pruneIn(ctx, run, namespace, nil))
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
		err := client.IgnoreNotFound(r.Engine.Release(ctx, objectOf(run.tenant()), mark[0], namespace))
		if err != nil {
			failures = append(failures, r.unapplied(ctx, run, namespace, fmt.Errorf("release namespace %s: %w", namespace.Name, err)))
			continue
		}
		metrics.ObjectChanges.WithLabelValues("Namespace", "released").Inc()
		ctrl.LoggerFrom(ctx).Info("Namespace released", "name", namespace.Name)
	}
	return errors.Join(failures...)
}
