// Package services follows single Services of the cluster and their EndpointSlices with watches of their own, so
// that the operator need not have all Services of all tenants in memory.
package services

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/internal/backend"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list;watch

func optionsOf(q backend.Query) []client.ListOption {
	selector := fields.Set{}
	if q.Name != "" {
		selector[metav1.ObjectNameField] = q.Name
	}
	if q.ClusterIP != "" {
		selector["spec.clusterIP"] = q.ClusterIP
	}
	options := []client.ListOption{client.InNamespace(q.Namespace), client.MatchingFieldsSelector{Selector: selector.AsSelector()}}
	if q.Label != "" {
		if selector, err := labels.Parse(q.Label); err == nil {
			options = append(options, client.MatchingLabelsSelector{Selector: selector})
		}
	}
	return options
}

// Follower follows Services. Each user has its own key.
type Follower struct {
	client  client.WithWatch
	changed func(key string)

	mutex    sync.Mutex
	followed map[string]*followed
}

// New returns a Follower. It calls changed with a key when a Service that is followed for the key has changed.
func New(c client.WithWatch, changed func(key string)) *Follower {
	return &Follower{client: c, changed: changed, followed: map[string]*followed{}}
}

// Follow follows exactly the Services of these queries for a key. It returns once it knows them, or with an error
// if the context ends before that.
func (f *Follower) Follow(ctx context.Context, key string, queries ...backend.Query) error {
	item := f.item(ctx, key, queries)
	for _, known := range item.informers() {
		if !toolscache.WaitForCacheSync(ctx.Done(), known.synced) {
			return fmt.Errorf("can't find out about the Services that are meant by %q: %w", key, context.Cause(ctx))
		}
	}
	// The Services have shown which EndpointSlices are needed.
	for _, known := range item.informers() {
		if !toolscache.WaitForCacheSync(ctx.Done(), known.synced) {
			return fmt.Errorf("can't find out what is behind the Services that are meant by %q: %w", key, context.Cause(ctx))
		}
	}
	return nil
}

func (f *Follower) item(ctx context.Context, key string, queries []backend.Query) *followed {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	item, known := f.followed[key]
	if known && slices.Equal(item.queries, queries) {
		return item
	}
	if known {
		item.stop()
	}
	// The informers must outlive the call that starts them.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	item = &followed{
		follower: f, key: key, queries: queries, stop: stop, context: ctx, endpoints: map[types.NamespacedName]*informer{},
	}
	f.followed[key] = item
	for _, query := range queries {
		item.services = append(item.services, item.start(&corev1.ServiceList{}, &corev1.Service{}, item.serviceChanged, optionsOf(query)...)) //nolint:contextcheck // It has the context of item.
	}
	return item
}

// Found returns the Services that are followed for a key, each once.
func (f *Follower) Found(key string) []backend.Found {
	f.mutex.Lock()
	item, known := f.followed[key]
	f.mutex.Unlock()
	if !known {
		return nil
	}
	return item.found()
}

// Forget stops following Services for a key.
func (f *Follower) Forget(key string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if item, known := f.followed[key]; known {
		item.stop()
		delete(f.followed, key)
	}
}

// followed is what is followed for one key.
type followed struct {
	follower *Follower
	key      string
	queries  []backend.Query
	services []*informer
	context  context.Context // ends what is started later, too
	stop     context.CancelFunc

	mutex     sync.Mutex
	endpoints map[types.NamespacedName]*informer
}

// informer keeps a copy of some objects.
type informer struct {
	store  toolscache.Store
	synced toolscache.InformerSynced
	stop   context.CancelFunc
}

func (f *followed) informers() []*informer {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	all := slices.Clone(f.services)
	for _, endpoints := range f.endpoints {
		all = append(all, endpoints)
	}
	return all
}

// start starts an informer.
func (f *followed) start(list client.ObjectList, kind client.Object, changed func(object any, deleted bool), options ...client.ListOption) *informer {
	ctx, stop := context.WithCancel(f.context)
	with := func(raw metav1.ListOptions) []client.ListOption {
		return append(slices.Clone(options), &client.ListOptions{Raw: &raw})
	}
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
			fresh := list.DeepCopyObject().(client.ObjectList)
			return fresh, f.follower.client.List(ctx, fresh, with(raw)...)
		},
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			return f.follower.client.Watch(ctx, list.DeepCopyObject().(client.ObjectList), with(raw)...)
		},
	}
	store, controller := toolscache.NewInformerWithOptions(toolscache.InformerOptions{
		ListerWatcher: source, ObjectType: kind,
		Handler: toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { changed(object, false) },
			UpdateFunc: func(_, object any) { changed(object, false) },
			DeleteFunc: func(object any) { changed(object, true) },
		},
	})
	go controller.RunWithContext(ctx)
	return &informer{store: store, synced: controller.HasSynced, stop: stop}
}

// serviceChanged follows the EndpointSlices of a Service while it exists and [backend.Resolves] is false for it.
func (f *followed) serviceChanged(object any, deleted bool) {
	if tombstone, missed := object.(toolscache.DeletedFinalStateUnknown); missed {
		object = tombstone.Obj
	}
	service, isService := object.(*corev1.Service)
	if !isService {
		return
	}
	f.mutex.Lock()
	name := client.ObjectKeyFromObject(service)
	known, needed := f.endpoints[name], !deleted && !backend.Resolves(service)
	switch {
	case known == nil && needed:
		f.endpoints[name] = f.start(&discoveryv1.EndpointSliceList{}, &discoveryv1.EndpointSlice{}, f.endpointsChanged,
			client.InNamespace(service.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service.Name})
	case known != nil && !needed:
		known.stop()
		delete(f.endpoints, name)
	}
	f.mutex.Unlock()
	f.follower.changed(f.key)
}

func (f *followed) endpointsChanged(any, bool) { f.follower.changed(f.key) }

func (f *followed) found() []backend.Found {
	byName := map[types.NamespacedName]backend.Found{}
	for _, known := range f.services {
		for _, object := range known.store.List() {
			service := object.(*corev1.Service)
			byName[client.ObjectKeyFromObject(service)] = backend.Found{Service: service}
		}
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	result := make([]backend.Found, 0, len(byName))
	for name, found := range byName {
		if endpoints := f.endpoints[name]; endpoints != nil {
			for _, object := range endpoints.store.List() {
				found.Endpoints = append(found.Endpoints, *object.(*discoveryv1.EndpointSlice))
			}
		}
		result = append(result, found)
	}
	slices.SortFunc(result, func(a, b backend.Found) int {
		return cmp.Or(cmp.Compare(a.Service.Namespace, b.Service.Namespace), cmp.Compare(a.Service.Name, b.Service.Name))
	})
	return result
}
