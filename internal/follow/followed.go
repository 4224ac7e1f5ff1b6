package follow

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

const (
	// soon and bound are the first and the longest wait before asking again for what can't be followed now.
	soon, bound = 500 * time.Millisecond, 15 * time.Second
	// memory is how long what was written is remembered, if the watch never has it: the object may be gone already.
	memory = 30 * time.Second
	// byUser is the index of the copies by the value of the label.
	byUser = "user"
)

// followed is what is followed for some users.
type followed struct {
	follower  *Follower
	selection Selection
	users     sets.Set[string] // guarded by the follower
	stop      context.CancelFunc
	known     chan struct{} // closed when something is known

	mutex sync.Mutex
	state State
	err   error
	// missed are the users that have asked before something was known.
	missed  sets.Set[string]
	store   toolscache.Indexer
	written map[types.NamespacedName]writing
}

// writing is an object as it was written.
type writing struct {
	object *unstructured.Unstructured
	until  time.Time
}

func (f *Follower) start(ctx context.Context, selection Selection) *followed {
	// What is followed must outlive the call that begins it.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	item := &followed{
		follower: f, selection: selection, users: sets.New[string](), stop: stop, known: make(chan struct{}),
		missed: sets.New[string](), written: map[types.NamespacedName]writing{},
	}
	go item.run(ctx)
	return item
}

// run follows a selection until the context ends. It asks again and again for what can't be followed.
func (i *followed) run(ctx context.Context) {
	pause := soon
	for {
		resource, state, err := i.resolve()
		if state == Starting {
			var worked bool
			if worked, state, err = i.watch(ctx, resource); worked {
				pause = soon
			}
		}
		if ctx.Err() != nil {
			return
		}
		i.tell(state, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, bound)
		}
	}
}

// resolve asks the API server for the resource of the kind. The state is Starting if there is one to be watched.
func (i *followed) resolve() (schema.GroupVersionResource, State, error) {
	version := i.selection.Kind.GroupVersion()
	served, err := i.follower.discovery.ServerResourcesForGroupVersion(version.String())
	switch {
	case apierrors.IsNotFound(err):
		return schema.GroupVersionResource{}, Unknown, nil
	case err != nil:
		return schema.GroupVersionResource{}, Failing, err
	}
	for _, resource := range served.APIResources {
		if resource.Kind != i.selection.Kind.Kind || strings.Contains(resource.Name, "/") {
			continue
		}
		if !resource.Namespaced {
			return schema.GroupVersionResource{}, ClusterScoped, nil
		}
		return version.WithResource(resource.Name), Starting, nil
	}
	return schema.GroupVersionResource{}, Unknown, nil
}

// watch follows the objects of a resource until the context ends, or what ends it is returned. It reports whether it
// has worked before that.
func (i *followed) watch(ctx context.Context, resource schema.GroupVersionResource) (worked bool, state State, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	store, informer := toolscache.NewInformerWithOptions(toolscache.InformerOptions{
		ListerWatcher: i.source(resource, cancel), ObjectType: &unstructured.Unstructured{}, Handler: i.handler(),
		Indexers: toolscache.Indexers{byUser: func(object any) ([]string, error) {
			return []string{object.(*unstructured.Unstructured).GetLabels()[i.follower.options.Label]}, nil
		}},
		Transform: func(object any) (any, error) {
			if object, isObject := object.(*unstructured.Unstructured); isObject {
				return i.follower.trimmed(object), nil
			}
			return object, nil
		},
	})
	i.keep(store.(toolscache.Indexer))
	defer i.keep(nil)
	go func() {
		if toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			i.tell(Followed, nil)
		}
	}()
	informer.RunWithContext(ctx)
	err = context.Cause(ctx)
	switch {
	case apierrors.IsNotFound(err):
		state = Unknown
	case apierrors.IsForbidden(err):
		state = Forbidden
	default:
		state = Failing
	}
	return informer.HasSynced(), state, err
}

// source lists and watches the objects. It calls give with an error with which there is nothing to be followed.
func (i *followed) source(resource schema.GroupVersionResource, give context.CancelCauseFunc) toolscache.ListerWatcher {
	objects := i.follower.objects.Resource(resource).Namespace(i.selection.Namespace)
	narrow := func(options metav1.ListOptions) metav1.ListOptions {
		if i.selection.Name == "" {
			options.LabelSelector = i.follower.options.Label
		} else {
			options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, i.selection.Name).String()
		}
		return options
	}
	note := func(err error) {
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsMethodNotSupported(err) {
			give(err)
		}
	}
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := objects.List(ctx, narrow(options))
			note(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			changes, err := objects.Watch(ctx, narrow(options))
			note(err)
			return changes, err
		},
	}
}

// handler tells the users of objects of their changes. What is there at the beginning is no change.
func (i *followed) handler() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			i.arrived(object)
			if !initial {
				i.changed(object)
			}
		},
		UpdateFunc: func(before, object any) {
			i.arrived(object)
			if i.signs(before) != i.signs(object) {
				i.changed(before, object)
			}
		},
		DeleteFunc: func(object any) {
			if tombstone, missed := object.(toolscache.DeletedFinalStateUnknown); missed {
				object = tombstone.Obj
			}
			i.arrived(object)
			i.changed(object)
		},
	}
}

// signs returns what of an object its users must hear of.
func (i *followed) signs(object any) string {
	of := object.(*unstructured.Unstructured)
	if i.selection.Name != "" {
		return of.GetResourceVersion()
	}
	return of.GetLabels()[i.follower.options.Label] + "\n" + i.follower.options.Signs(of)
}

// changed tells the users of objects.
func (i *followed) changed(objects ...any) {
	users := sets.New[string]()
	if i.selection.Name != "" {
		users.Insert(i.follower.usersOf(i)...)
	} else {
		for _, object := range objects {
			users.Insert(object.(*unstructured.Unstructured).GetLabels()[i.follower.options.Label])
		}
	}
	for user := range users {
		i.follower.options.Changed(user)
	}
}

// tell notes what is known of the selection, and tells the users if that has changed.
func (i *followed) tell(state State, err error) {
	i.mutex.Lock()
	before := i.state
	i.state, i.err = state, err
	users := sets.List(i.missed)
	i.missed = sets.New[string]()
	i.mutex.Unlock()
	if before == Starting {
		close(i.known)
	} else if before != state {
		users = i.follower.usersOf(i)
	}
	for _, user := range users {
		i.follower.options.Changed(user)
	}
}

// current returns what is known. If that is nothing, the user is told later.
func (i *followed) current(user string) (State, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.state == Starting {
		i.missed.Insert(user)
	}
	return i.state, i.err
}

// keep notes where the copies are.
func (i *followed) keep(store toolscache.Indexer) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.store = store
	clear(i.written)
}

// wrote notes an object as it was written.
func (i *followed) wrote(object *unstructured.Unstructured) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.written[nameOf(object)] = writing{object: object, until: time.Now().Add(memory)}
}

// arrived forgets what was written when the watch has it.
func (i *followed) arrived(object any) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	of := object.(*unstructured.Unstructured)
	if written, known := i.written[nameOf(of)]; known && versionOf(of) >= versionOf(written.object) {
		delete(i.written, nameOf(of))
	}
}

func nameOf(object *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// versionOf returns the resourceVersion, which is a number that grows
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
func versionOf(object *unstructured.Unstructured) uint64 {
	version, _ := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	return version
}

func (i *followed) get(name types.NamespacedName) *unstructured.Unstructured {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	var found *unstructured.Unstructured
	if i.store != nil {
		if object, exists, _ := i.store.GetByKey(name.String()); exists {
			found = object.(*unstructured.Unstructured)
		}
	}
	written, known := i.written[name]
	if known && time.Now().After(written.until) {
		delete(i.written, name)
	} else if known && (found == nil || versionOf(found) < versionOf(written.object)) {
		found = written.object
	}
	return found
}

func (i *followed) of(user string) []*unstructured.Unstructured {
	i.mutex.Lock()
	names := sets.New[types.NamespacedName]()
	if i.store != nil {
		objects, _ := i.store.ByIndex(byUser, user)
		for _, object := range objects {
			names.Insert(nameOf(object.(*unstructured.Unstructured)))
		}
	}
	for name, written := range i.written {
		if written.object.GetLabels()[i.follower.options.Label] == user {
			names.Insert(name)
		}
	}
	i.mutex.Unlock()
	var found []*unstructured.Unstructured
	for name := range names {
		if object := i.get(name); object != nil {
			found = append(found, object)
		}
	}
	return found
}
