// Package follow keeps copies of objects of kinds that are known at run time only: of a kind, all objects with a
// label, or one object by its name. There is one watch for each, as long as somebody needs it.
package follow

import (
	"context"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
)

// Selection is what is followed: all labeled objects of a kind, or the one with a name.
type Selection struct {
	// Kind is the kind of the objects.
	Kind schema.GroupVersionKind
	// Namespace and Name are those of a single object; empty for all labeled ones.
	Namespace, Name string
}

// State is what is known of a selection.
type State int

const (
	// Starting means that nothing is known yet.
	Starting State = iota
	// Followed means that the copies follow the objects.
	Followed
	// Unknown means that the cluster doesn't have the kind.
	Unknown
	// ClusterScoped means that objects of the kind are in no namespace.
	ClusterScoped
	// Forbidden means that the operator may not watch the objects.
	Forbidden
	// Failing means that the watch doesn't work for another reason.
	Failing
)

// Options say how to follow.
type Options struct {
	// Label is the label of the objects of a kind. Its value is the user of the object.
	Label string
	// Manager is the field manager whose entries of metadata.managedFields are kept.
	Manager string
	// Changed is called with the users of what has changed. It must not call the Follower.
	Changed func(user string)
	// Signs returns what of a labeled object its user must hear of. It is compared with what it was before.
	Signs func(*unstructured.Unstructured) string
}

// Follower follows what its users need.
type Follower struct {
	discovery discovery.DiscoveryInterface
	objects   dynamic.Interface
	options   Options

	mutex    sync.Mutex
	followed map[Selection]*followed
	needs    map[string]sets.Set[Selection]
}

// New returns a Follower.
func New(d discovery.DiscoveryInterface, objects dynamic.Interface, options Options) *Follower {
	return &Follower{
		discovery: d, objects: objects, options: options,
		followed: map[Selection]*followed{}, needs: map[string]sets.Set[Selection]{},
	}
}

// Follow follows exactly these selections for a user, until the next call for it. What nobody else needs any more
// isn't followed any longer.
func (f *Follower) Follow(ctx context.Context, user string, selections sets.Set[Selection]) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for selection := range f.needs[user].Difference(selections) {
		item := f.followed[selection]
		item.users.Delete(user)
		if item.users.Len() == 0 {
			item.stop()
			delete(f.followed, selection)
		}
	}
	if selections.Len() == 0 {
		delete(f.needs, user)
		return
	}
	f.needs[user] = selections.Clone()
	for selection := range selections {
		item, known := f.followed[selection]
		if !known {
			item = f.start(ctx, selection)
			f.followed[selection] = item
		}
		item.users.Insert(user)
	}
}

// Await waits until something is known of a selection that is followed for a user, or the context ends, and returns
// what. If nothing is known yet, the user hears of it later.
func (f *Follower) Await(ctx context.Context, user string, selection Selection) (State, error) {
	item := f.item(selection)
	if item == nil {
		return Starting, nil
	}
	select {
	case <-item.known:
	case <-ctx.Done():
	}
	return item.current(user)
}

// Get returns a copy of an object, which must not be changed; nil if there is none.
func (f *Follower) Get(selection Selection, name types.NamespacedName) *unstructured.Unstructured {
	if item := f.item(selection); item != nil {
		return item.get(name)
	}
	return nil
}

// Of returns copies of the objects of a kind whose label has this user. They must not be changed.
func (f *Follower) Of(selection Selection, user string) []*unstructured.Unstructured {
	if item := f.item(selection); item != nil {
		return item.of(user)
	}
	return nil
}

// Wrote notes an object as the API server has returned it, so that it is known before the watch has it.
func (f *Follower) Wrote(object *unstructured.Unstructured) {
	if item := f.item(Selection{Kind: object.GroupVersionKind()}); item != nil {
		item.wrote(f.trimmed(object.DeepCopy()))
	}
}

func (f *Follower) item(selection Selection) *followed {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.followed[selection]
}

// usersOf returns who needs a selection.
func (f *Follower) usersOf(item *followed) []string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return sets.List(item.users)
}

// trimmed drops the entries of metadata.managedFields that nobody reads.
func (f *Follower) trimmed(object *unstructured.Unstructured) *unstructured.Unstructured {
	object.SetManagedFields(slices.DeleteFunc(object.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager != f.options.Manager
	}))
	return object
}
