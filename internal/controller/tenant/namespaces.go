package tenant

import (
	"cmp"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
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

// tenantControlling returns the owner reference to the tenant that controls an object; nil if none does.
func tenantControlling(object client.Object) *metav1.OwnerReference {
	controller := metav1.GetControllerOf(object)
	if controller == nil || controller.Kind != "Tenant" || controller.APIVersion != v1alpha1.GroupVersion.String() {
		return nil
	}
	return controller
}

func (r *Reconciler) members(ctx context.Context, tenant *effective.Tenant) (membership.Members, error) {
	byUID := map[types.UID]*corev1.Namespace{}
	for _, name := range append([]string{tenant.Name}, tenant.Spec.Namespaces.Names...) {
		named := &corev1.Namespace{}
		found, err := r.read(ctx, types.NamespacedName{Name: name}, named)
		if err != nil {
			return membership.Members{}, err
		}
		if found {
			byUID[named.UID] = named
		}
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
	members := membership.Of(tenant, namespaces)
	return members, r.findPods(ctx, members)
}

const (
	// podsInterval is the time between two looks at the pods that keep a namespace from being deleted. Pods that
	// aren't managed are not watched.
	podsInterval = 10 * time.Second
	// podsRead is the maximum number of pods to read.
	podsRead = 10
)

// findPods reads the pods that are left in namespaces that are being deleted and whose conditions don't say what
// keeps them.
func (r *Reconciler) findPods(ctx context.Context, members membership.Members) error {
	for i, member := range members.All {
		if !member.IsTerminating() || member.Obstacles != "" {
			continue
		}
		pods := &corev1.PodList{}
		if err := r.Live.List(ctx, pods, client.InNamespace(member.Name), client.Limit(podsRead)); err != nil {
			return fmt.Errorf("list the pods in namespace %s: %w", member.Name, err)
		}
		members.All[i] = member.HeldBy(pods.Items)
	}
	return nil
}

// placesOf returns the namespaces to put objects into.
func placesOf(members membership.Members) []parts.Place {
	var places []parts.Place
	for _, member := range members.All {
		// A namespace that was over the limit from the start isn't created.
		if member.Primary || member.State == v1alpha1.NamespaceUsable || member.State == v1alpha1.NamespaceOverLimit && member.Namespace != nil {
			places = append(places, parts.Place{
				Name: member.Name, Usable: member.State == v1alpha1.NamespaceUsable,
				MovedIn: member.MovedIn, ReclaimPolicy: member.ReclaimPolicy,
			})
		}
	}
	return places
}

// namespacePhase creates the primary namespace, takes over those that owners have created, and puts the tenant's
// policy into each.
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
			if taken := n.taken(run.tenant()); taken != nil {
				return taken
			}
			return n.unapplied(ctx, run.tenant(), object, err)
		default:
			run.withhold(parts.Namespace, namespace, n.unapplied(ctx, run.tenant(), object, err))
		}
	}
	return nil
}

// taken returns a problem if the primary namespace is another tenant's.
func (n namespacePhase) taken(tenant *effective.Tenant) error {
	found := n.live[tenant.Name]
	if found == nil {
		return nil
	}
	other := found.Labels[naming.LabelTenant]
	if controller := tenantControlling(found); controller != nil {
		other = controller.Name
	}
	if other == "" || other == tenant.Name {
		return nil
	}
	return problem.NamespaceTaken(tenant.Name, other)
}

func (n namespacePhase) applyOne(ctx context.Context, tenant *effective.Tenant, object desired.Object) (apply.Outcome, error) {
	if _, isNamespace := object.(*corev1.Namespace); isNamespace {
		// A namespace in the cache that is the tenant's is adopted. Any other is created, or is a conflict.
		found := n.live[object.GetName()]
		if found != nil && found.DeletionTimestamp.IsZero() && membership.Mine(tenant, found) {
			return n.engine.Adopt(ctx, objectOf(tenant), object, found)
		}
	}
	outcome, _, err := n.engine.Put(ctx, objectOf(tenant), object, owningOf(tenant, object))
	return outcome, err
}
