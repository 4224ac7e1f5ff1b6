package cluster

import (
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/plugin/answer"
)

// Departure reads what a deletion of a tenant would do, and what would hold it up.
func (c *Connection) Departure(ctx context.Context, name string) (answer.Departure, error) {
	tenant, err := c.Tenant(ctx, name)
	if err != nil {
		return answer.Departure{}, err // Without it nobody knows.
	}
	r := &reading{Connection: c, facts: answer.Facts{Name: name, Tenant: tenant, Namespaces: tenant.Status.Namespaces, Now: metav1.Now().Time}}
	if err := r.server(ctx); err != nil {
		return answer.Departure{}, err
	}
	spec := effective.Of(tenant).Spec
	class, _, err := c.Class(ctx, tenant)
	if err := r.optional(err); err != nil && !apierrors.IsNotFound(err) {
		return answer.Departure{}, err
	}
	if class != nil {
		if made, err := effective.OfClass(tenant, class); err == nil { //nolint:contextcheck // It is pure and waits for nothing.
			spec = made.Spec
		}
	}
	departure := answer.Departure{Releases: spec.Namespaces.ReclaimPolicy == v1alpha1.NamespaceRelease}
	departure.Retains = spec.Database != nil && spec.Database.ReclaimPolicy == v1alpha1.ReclaimPolicyRetain
	departure.Holders, err = r.holders(ctx)
	departure.Facts = r.facts
	return departure, err
}

// holders finds the objects in a tenant's namespaces that aren't deleted by themselves, of all kinds that the cluster
// has.
func (r *reading) holders(ctx context.Context) (holders []answer.Holder, err error) {
	resources, err := discovery.ServerPreferredNamespacedResources(r.discovery)
	if err != nil && len(resources) == 0 {
		return nil, r.explain(err, "")
	}
	var mutex sync.Mutex
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, kind := range listable(resources) {
		group.Go(func() error {
			found, err := r.holdersOf(within, kind)
			mutex.Lock()
			defer mutex.Unlock()
			holders = append(holders, found...)
			return err
		})
	}
	err = group.Wait()
	slices.SortFunc(holders, func(a, b answer.Holder) int {
		return strings.Compare(a.Namespace+"/"+a.Kind+"/"+a.Name, b.Namespace+"/"+b.Kind+"/"+b.Name)
	})
	return holders, err
}

// listable returns the kinds that a namespace can have, each once. Events have no finalizers, and there are many.
func listable(resources []*metav1.APIResourceList) (kinds []schema.GroupVersionKind) {
	for _, list := range resources {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for i := range list.APIResources {
			resource := &list.APIResources[i]
			if resource.Kind != "Event" && slices.Contains(resource.Verbs, "list") {
				kinds = append(kinds, version.WithKind(resource.Kind))
			}
		}
	}
	return kinds
}

func (r *reading) holdersOf(ctx context.Context, kind schema.GroupVersionKind) (holders []answer.Holder, err error) {
	for _, namespace := range r.facts.Namespaces {
		found := &metav1.PartialObjectMetadataList{}
		found.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		err := r.list(ctx, found, func() {
			for i := range found.Items {
				if foreign := answer.Foreign(found.Items[i].Finalizers); len(foreign) > 0 {
					holders = append(holders, answer.Holder{
						Kind: kind.Kind, Namespace: namespace.Name, Name: found.Items[i].Name, Finalizers: foreign,
					})
				}
			}
		}, client.InNamespace(namespace.Name))
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			return holders, nil // Its CustomResourceDefinition has just gone, or it has no list.
		}
		if err != nil {
			return holders, r.optional(err)
		}
	}
	return holders, nil
}
