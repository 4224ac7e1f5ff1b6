// Package apply brings objects of the API server to their desired state. It knows kinds by the
// scheme only, and nothing of what the objects are for.
//
// There are two ways of owning an object. [Engine.Apply] makes it exactly as desired: a PUT with a
// resourceVersion, which can't overwrite what the cache has not shown yet, and which also takes out
// what others have added. Labels, annotations, finalizers and owner references of others stay.
// [Engine.ApplyFields] is a server-side apply: it insists on the fields that the desired state has,
// removes those that it had before, and leaves all others to whoever sets them.
//
// Either way an object is created by POST, which can't overwrite what somebody else has put there in
// the meantime, and nothing is sent when nothing would change.
package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Outcome says what was done to an object.
type Outcome string

// The outcomes.
const (
	Created    Outcome = "created"
	Configured Outcome = "configured"
	Unchanged  Outcome = "unchanged"
	Deleted    Outcome = "deleted"
)

// Engine applies objects.
type Engine struct {
	client     client.Client
	live       client.Reader
	fieldOwner string
	settled    settled
}

// New makes an Engine. It reads from the client, which may have a cache, and from live, which must
// not, where the cache can't know the answer. It writes under the name of fieldOwner.
func New(c client.Client, live client.Reader, fieldOwner string) *Engine {
	return &Engine{client: c, live: live, fieldOwner: fieldOwner}
}

// Apply makes an object as desired, and the owner its controller. It sends nothing when the object
// is as desired already. It returns a *ConflictError for an object that exists and that another
// one, or nobody, controls, and a *TerminatingError for one that is being deleted. A desired state
// with a resourceVersion was decided by just that version of the object; for another one it returns
// the API server's error for a conflict.
func (e *Engine) Apply(ctx context.Context, owner, desired client.Object) (Outcome, error) {
	return e.Put(ctx, owner, desired, Owning{})
}

// ApplyFields gives an object the fields that the desired state has, and makes the owner its
// controller. Fields that others set stay as they are. Of the fields that the desired state had before
// and no longer has, those at the paths of keep stay as well, for somebody else to set, and all others
// are removed. It sends nothing and returns errors as Apply does.
func (e *Engine) ApplyFields(ctx context.Context, owner, desired client.Object, keep ...[]string) (Outcome, error) {
	return e.Put(ctx, owner, desired, Owning{Fields: true, Keep: keep})
}

// Owning says how an object is owned.
type Owning struct {
	// Fields says that it is by the fields that the desired state has. Where it is false, the object is as
	// desired.
	Fields bool
	// Keep are the paths of ApplyFields.
	Keep [][]string
	// Restored says that an object is taken over that nobody controls, if it is one that the engine has once
	// written with the desired labels.
	Restored bool
}

// Put is Apply or ApplyFields.
func (e *Engine) Put(ctx context.Context, owner, desired client.Object, owning Owning) (Outcome, error) {
	version := desired.GetResourceVersion()
	desired, hash, err := e.prepare(owner, desired)
	if err != nil {
		return Unchanged, err
	}
	which := claim{ours: controlledBy(owner), restored: owning.Restored, way: exact{e}}
	if owning.Fields {
		version, which.way = "", fields{e, owning.Keep}
	}
	return e.put(ctx, desired, hash, version, which)
}

// Keep is Apply for an object that is to outlive its owner, and so has none by which the garbage
// collector would take it along. It is the one that is meant when the annotation of that name has the
// same value as in the desired state; with restored, also when it is one that [Restored] says is meant. One that is
// being deleted is written all the same, since what is done at its end may depend on that.
func (e *Engine) Keep(ctx context.Context, annotation string, desired client.Object, restored bool) (Outcome, error) {
	desired = desired.DeepCopyObject().(client.Object)
	hash, err := stamp(desired)
	if err != nil {
		return Unchanged, err
	}
	return e.put(ctx, desired, hash, "", claim{toTheEnd: true, restored: restored, way: exact{e}, ours: func(live client.Object) bool {
		value, found := live.GetAnnotations()[annotation]
		return found && value == desired.GetAnnotations()[annotation]
	}})
}

// claim says which live objects may be written, and how.
type claim struct {
	// ours says whether it is the one that is meant.
	ours func(live client.Object) bool
	// restored says that it may also be one that is so.
	restored bool
	// toTheEnd says that it is written while it is being deleted, too.
	toTheEnd bool
	// way is how it is owned.
	way way
}

// way is a way of owning an object.
type way interface {
	// unchanged says whether to write the desired state over live would change nothing.
	unchanged(desired, live client.Object) (bool, error)
	// write writes the desired state over live and returns what came of it.
	write(ctx context.Context, desired, live client.Object) (client.Object, error)
	// disown writes next, which differs from the whole object in nothing but who has set its fields.
	disown(ctx context.Context, whole, next client.Object) error
}

func controlledBy(owner client.Object) func(live client.Object) bool {
	return func(live client.Object) bool { return metav1.IsControlledBy(live, owner) }
}

// put makes an object as desired, if a live one may be written, and has this version, where one is
// given.
func (e *Engine) put(ctx context.Context, desired client.Object, hash, version string, which claim) (Outcome, error) {
	live, err := e.get(ctx, e.client, desired)
	if apierrors.IsNotFound(err) {
		return e.create(ctx, desired, hash, which)
	}
	if err != nil {
		return Unchanged, err
	}
	if version != "" && version != live.GetResourceVersion() {
		return Unchanged, e.outdated(live)
	}
	return e.update(ctx, desired, live, hash, which)
}

// Adopt makes an object that exists as desired, and the owner its controller, also where it had
// none. It is for objects that show that they are meant for the owner. It returns a *ConflictError
// for an object that another one controls, and a *TerminatingError for one that is being deleted.
func (e *Engine) Adopt(ctx context.Context, owner, desired, live client.Object) (Outcome, error) {
	desired, hash, err := e.prepare(owner, desired)
	if err != nil {
		return Unchanged, err
	}
	if metav1.GetControllerOf(live) == nil {
		live = live.DeepCopyObject().(client.Object)
		live.SetOwnerReferences(overlayReferences(live.GetOwnerReferences(), desired.GetOwnerReferences()))
		return e.write(ctx, desired, live, hash, exact{e})
	}
	return e.update(ctx, desired, live, hash, claim{ours: controlledBy(owner), way: exact{e}})
}

// Release takes what Apply and Adopt have put into an object's metadata out again, and leaves the
// object to itself. What somebody has changed since stays as it is.
func (e *Engine) Release(ctx context.Context, owner, desired, live client.Object) error {
	released := live.DeepCopyObject().(client.Object)
	released.SetOwnerReferences(withoutOwner(live.GetOwnerReferences(), owner.GetUID()))
	released.SetLabels(without(live.GetLabels(), desired.GetLabels()))
	annotations := without(live.GetAnnotations(), desired.GetAnnotations())
	maps.DeleteFunc(annotations, func(key, _ string) bool { return strings.HasPrefix(key, domain) })
	released.SetAnnotations(annotations)
	return e.client.Update(ctx, released, client.FieldOwner(e.fieldOwner))
}

// prepare is the desired state as it is written, with its hash.
func (e *Engine) prepare(owner, desired client.Object) (prepared client.Object, hash string, err error) {
	prepared = desired.DeepCopyObject().(client.Object)
	prepared.SetResourceVersion("")
	if err := controllerutil.SetControllerReference(owner, prepared, e.client.Scheme(), controllerutil.WithBlockOwnerDeletion(false)); err != nil {
		return nil, "", err
	}
	hash, err = stamp(prepared)
	return prepared, hash, err
}

func (e *Engine) create(ctx context.Context, desired client.Object, hash string, which claim) (Outcome, error) {
	created := desired.DeepCopyObject().(client.Object)
	err := e.client.Create(ctx, created, client.FieldOwner(e.fieldOwner))
	if err == nil {
		e.settled.note(created, hash)
		return Created, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return Unchanged, err
	}
	// The cache doesn't show everything: an object of somebody else, for example.
	live, err := e.get(ctx, e.live, desired)
	if err != nil {
		return Unchanged, err
	}
	return e.update(ctx, desired, live, hash, which)
}

func (e *Engine) update(ctx context.Context, desired, live client.Object, hash string, which claim) (Outcome, error) {
	switch {
	case which.ours(live):
	case which.restored && isRestored(desired, live) && live.GetDeletionTimestamp().IsZero():
		taken, err := e.takeIn(ctx, live, which.way)
		if err != nil {
			return Unchanged, err
		}
		return e.write(ctx, desired, taken, hash, which.way)
	default:
		return Unchanged, e.conflict(desired, live)
	}
	if live.GetDeletionTimestamp().IsZero() {
		return e.bring(ctx, desired, live, hash, which.way)
	}
	if which.toTheEnd {
		if outcome, err := e.bring(ctx, desired, live, hash, which.way); err != nil {
			return outcome, err
		}
	}
	return Unchanged, &TerminatingError{Object: e.describe(live)}
}

// bring writes the desired state, unless the live one is known to come out of that.
func (e *Engine) bring(ctx context.Context, desired, live client.Object, hash string, how way) (Outcome, error) {
	if e.settled.has(live, hash) {
		return Unchanged, nil
	}
	same, err := how.unchanged(desired, live)
	if err != nil {
		return Unchanged, err
	}
	if same {
		e.settled.note(live, hash)
		return Unchanged, nil
	}
	return e.write(ctx, desired, live, hash, how)
}

// write writes the desired state over the live one, and remembers what came of it.
func (e *Engine) write(ctx context.Context, desired, live client.Object, hash string, how way) (Outcome, error) {
	written, err := how.write(ctx, desired, live)
	if err != nil {
		return Unchanged, err
	}
	e.settled.note(written, hash)
	if written.GetResourceVersion() == live.GetResourceVersion() {
		return Unchanged, nil
	}
	return Configured, nil
}

// Prune deletes the objects in a namespace that the owner controls and that are not among those to
// keep. Each list says one kind to look at.
func (e *Engine) Prune(ctx context.Context, owner client.Object, namespace string, lists []client.ObjectList, keep sets.Set[Key]) ([]Key, error) {
	var deleted []Key
	for _, list := range lists {
		// Pruning by a list that is some milliseconds old is sound: the UID says what may go.
		if err := e.client.List(ctx, list, client.InNamespace(namespace), client.DisableReadYourWritesConsistency); err != nil {
			return deleted, err
		}
		err := meta.EachListItem(list, func(item runtime.Object) error {
			object := item.(client.Object)
			key, err := KeyOf(object, e.client)
			if err != nil || keep.Has(key) || !metav1.IsControlledBy(object, owner) || !object.GetDeletionTimestamp().IsZero() {
				return err
			}
			deleted = append(deleted, key)
			return e.Delete(ctx, object)
		})
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// Delete deletes just this object, not one that took its name since. It is no error if it is gone. An object
// that may not be in the cache takes [client.DisableReadYourWritesConsistency]: the cache would never hear that it
// is gone, and let nobody read others of its kind until it does.
func (e *Engine) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	uid := object.GetUID()
	err := e.client.Delete(ctx, object, append(options,
		client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))...)
	return client.IgnoreNotFound(err)
}

func (e *Engine) get(ctx context.Context, reader client.Reader, like client.Object) (client.Object, error) {
	gvk, err := apiutil.GVKForObject(like, e.client.Scheme())
	if err != nil {
		return nil, err
	}
	fresh, err := empty(like, gvk, e.client.Scheme())
	if err != nil {
		return nil, err
	}
	return fresh, reader.Get(ctx, client.ObjectKeyFromObject(like), fresh)
}

// empty is an object of the kind, unstructured where the other one is.
func empty(like client.Object, gvk schema.GroupVersionKind, scheme *runtime.Scheme) (client.Object, error) {
	if _, isUnstructured := like.(*unstructured.Unstructured); isUnstructured {
		fresh := &unstructured.Unstructured{}
		fresh.SetGroupVersionKind(gvk)
		return fresh, nil
	}
	fresh, err := scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	return fresh.(client.Object), nil
}

func (e *Engine) conflict(desired, live client.Object) error {
	conflict := &ConflictError{Object: e.describe(live), Restored: isRestored(desired, live)}
	if controller := metav1.GetControllerOf(live); controller != nil {
		conflict.Controller = fmt.Sprintf("%s %q", controller.Kind, controller.Name)
	}
	return conflict
}

func (e *Engine) outdated(live client.Object) error {
	gvk, err := apiutil.GVKForObject(live, e.client.Scheme())
	if err != nil {
		return err
	}
	return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, live.GetName(),
		errors.New("it has changed since it was looked at"))
}

func (e *Engine) describe(object client.Object) string {
	key, err := KeyOf(object, e.client)
	if err != nil {
		return fmt.Sprintf("%q", object.GetName())
	}
	return key.String()
}

// Key tells an object from all others.
type Key struct {
	Kind string
	types.NamespacedName
}

// KeyOf is the key of an object.
func KeyOf(object client.Object, c client.Client) (Key, error) {
	gvk, err := apiutil.GVKForObject(object, c.Scheme())
	return Key{Kind: gvk.Kind, NamespacedName: client.ObjectKeyFromObject(object)}, err
}

// String is how people read the key: kind, name, and the namespace if there is one.
func (k Key) String() string {
	if k.Namespace == "" {
		return fmt.Sprintf("%s %q", k.Kind, k.Name)
	}
	return fmt.Sprintf("%s %q in namespace %q", k.Kind, k.Name, k.Namespace)
}
