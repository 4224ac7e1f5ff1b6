package cluster

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/plugin/answer"
)

// parallel is how many requests the plugin makes at a time.
const parallel = 8

// reading collects the facts about a tenant.
type reading struct {
	*Connection
	mutex sync.Mutex
	facts answer.Facts
	// withEvents says that Events are read, too.
	withEvents bool
}

// Facts reads all about a tenant that the user may read; the facts have a sentence for each thing that isn't so. It
// returns an error if the user may read nothing at all.
func (c *Connection) Facts(ctx context.Context, name string, withEvents bool) (answer.Facts, error) {
	r := &reading{Connection: c, facts: answer.Facts{Name: name, Now: time.Now()}, withEvents: withEvents}
	if err := r.tenant(ctx); err != nil {
		return r.facts, err
	}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, kind := range parts.AllKinds() {
		gvk, err := apiutil.GVKForObject(kind, c.client.Scheme())
		if err != nil {
			continue // The plugin doesn't know the kind.
		}
		group.Go(func() error { return r.objects(within, gvk) })
	}
	for _, namespace := range r.facts.Namespaces {
		group.Go(func() error { return r.pods(within, namespace.Name) })
		if withEvents {
			group.Go(func() error { return r.events(within, namespace.Name) })
		}
	}
	group.Go(func() error { return r.server(within) })
	if err := group.Wait(); err != nil {
		return r.facts, err
	}
	r.sort()
	return r.facts, nil
}

// tenant reads the Tenant and its namespaces.
func (r *reading) tenant(ctx context.Context) error {
	tenant, err := r.Tenant(ctx, r.facts.Name)
	switch {
	case err == nil:
		r.facts.Tenant, r.facts.Namespaces = tenant, tenant.Status.Namespaces
	case apierrors.IsForbidden(err):
		listed, unlisted := r.Namespaces(ctx, r.facts.Name)
		if unlisted != nil {
			return err
		}
		r.facts.Namespaces = listed.Namespaces
		r.facts.Unread = append(r.facts.Unread, err.Error())
	default:
		return err
	}
	return nil
}

// optional notes that something may not be read. Other errors are returned.
func (r *reading) optional(err error) error {
	if err == nil || !apierrors.IsForbidden(err) {
		return err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !slices.Contains(r.facts.Unread, err.Error()) {
		r.facts.Unread = append(r.facts.Unread, err.Error())
	}
	return nil
}

// objects reads the operator's objects of one kind: those of all namespaces at once, for who may.
func (r *reading) objects(ctx context.Context, kind schema.GroupVersionKind) error {
	if _, err := r.client.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version); meta.IsNoMatchError(err) {
		return nil // A cluster needn't have all of them.
	}
	labels := client.MatchingLabels(naming.ManagedLabels(r.facts.Name))
	err := r.objectsIn(ctx, kind, labels)
	if !apierrors.IsForbidden(err) {
		return err
	}
	for _, namespace := range r.facts.Namespaces {
		if err := r.objectsIn(ctx, kind, labels, client.InNamespace(namespace.Name)); err != nil {
			return r.optional(err) // It is the same in the others.
		}
	}
	return nil
}

func (r *reading) objectsIn(ctx context.Context, kind schema.GroupVersionKind, options ...client.ListOption) error {
	listKind := kind.GroupVersion().WithKind(kind.Kind + "List")
	if kind.Kind == "Secret" {
		// What is in a Secret is nobody's business here.
		found := &metav1.PartialObjectMetadataList{}
		found.SetGroupVersionKind(listKind)
		return r.list(ctx, found, func() {
			for i := range found.Items {
				secret := unstructured.Unstructured{}
				secret.SetGroupVersionKind(kind)
				secret.SetNamespace(found.Items[i].Namespace)
				secret.SetName(found.Items[i].Name)
				secret.SetLabels(found.Items[i].Labels)
				secret.SetAnnotations(found.Items[i].Annotations)
				r.add(secret)
			}
		}, options...)
	}
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(listKind)
	return r.list(ctx, found, func() { r.add(found.Items...) }, options...)
}

func (r *reading) add(objects ...unstructured.Unstructured) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.facts.Objects = append(r.facts.Objects, objects...)
}

func (r *reading) pods(ctx context.Context, namespace string) error {
	found := &corev1.PodList{}
	return r.optional(r.list(ctx, found, func() {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.facts.Pods = append(r.facts.Pods, found.Items...)
	}, client.InNamespace(namespace)))
}

// events reads the Events of a namespace.
func (r *reading) events(ctx context.Context, namespace string, options ...client.ListOption) error {
	found := &corev1.EventList{}
	return r.optional(r.list(ctx, found, func() {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.facts.Events = append(r.facts.Events, found.Items...)
	}, append(options, client.InNamespace(namespace))...))
}

// eventsOf reads the Events of an object that has no namespace.
func (r *reading) eventsOf(ctx context.Context, kind, name string) error {
	if !r.withEvents {
		return nil
	}
	return r.events(ctx, metav1.NamespaceDefault, client.MatchingFields{"involvedObject.kind": kind, "involvedObject.name": name})
}

// server reads the server with the tenant's database, and the Events of the Tenant and of it.
func (r *reading) server(ctx context.Context) error {
	if r.facts.Tenant == nil {
		return nil
	}
	if err := r.eventsOf(ctx, "Tenant", r.facts.Name); err != nil {
		return err
	}
	name := serverOf(r.facts.Tenant)
	if name == "" {
		return nil
	}
	server := &v1alpha1.DatabaseServer{}
	if err := r.get(ctx, "", name, server); err != nil {
		if apierrors.IsNotFound(err) {
			return nil // The Tenant says so.
		}
		return r.optional(err)
	}
	r.mutex.Lock()
	r.facts.Server = server
	r.mutex.Unlock()
	return r.eventsOf(ctx, "DatabaseServer", name)
}

// serverOf returns the name of the server with a tenant's database, or that it is to be on; empty for none.
func serverOf(tenant *v1alpha1.Tenant) string {
	if placed := tenant.Status.Database; placed != nil && placed.Server != "" {
		return placed.Server
	}
	if servers := naming.DatabaseServers(tenant.Finalizers); len(servers) > 0 {
		return servers[0]
	}
	if database := tenant.Spec.Database; database != nil {
		return database.ServerRef.Name
	}
	return ""
}

// sort gives the facts an order that doesn't depend on which request was answered first.
func (r *reading) sort() {
	slices.SortFunc(r.facts.Objects, func(a, b unstructured.Unstructured) int {
		return strings.Compare(a.GetKind()+"/"+a.GetNamespace()+"/"+a.GetName(), b.GetKind()+"/"+b.GetNamespace()+"/"+b.GetName())
	})
	slices.SortFunc(r.facts.Pods, func(a, b corev1.Pod) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	slices.Sort(r.facts.Unread)
}
