package tenant

import (
	"cmp"
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/membership"
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
func (r *Reconciler) members(ctx context.Context, tenant *effective.Tenant) (membership.Members, error) {
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

// namespacePhase makes the primary namespace, takes over those that owners have made, and puts the
// tenant's policy into each.
type namespacePhase struct {
	objects
	// live are the tenant's namespaces by name, as the cache has them.
	live map[string]*corev1.Namespace
}

func newNamespacePhase(o objects, members membership.Members) namespacePhase {
	phase := namespacePhase{objects: o, live: map[string]*corev1.Namespace{}}
	for _, member := range members.All {
		phase.live[member.Name] = member.Namespace
	}
	return phase
}

func (n namespacePhase) run(ctx context.Context, run *pass) error {
	for _, object := range parts.Namespace.Objects(run.inputs) {
		namespace := cmp.Or(object.GetNamespace(), object.GetName())
		if run.withheld.Has(namespace) {
			continue
		}
		outcome, err := n.applyOne(ctx, run.tenant(), object)
		switch {
		case err == nil:
			n.noteChange(ctx, object, outcome)
		case namespace == run.tenant().Name:
			return n.unapplied(ctx, run.tenant(), object, err)
		default:
			run.withhold(parts.Namespace, namespace, n.unapplied(ctx, run.tenant(), object, err))
		}
	}
	return nil
}

func (n namespacePhase) applyOne(ctx context.Context, tenant *effective.Tenant, object client.Object) (apply.Outcome, error) {
	if _, isNamespace := object.(*corev1.Namespace); isNamespace {
		// One that is in the cache and shows whose it is. Any other is made, or is in the way.
		found := n.live[object.GetName()]
		if found != nil && found.DeletionTimestamp.IsZero() && membership.Mine(tenant, found) {
			return n.engine.Adopt(ctx, objectOf(tenant), object, found)
		}
	}
	return n.engine.Apply(ctx, objectOf(tenant), object)
}
