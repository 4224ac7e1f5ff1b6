// Package apply brings objects in the API server to their desired state. It knows nothing about the objects but
// what the scheme says of their kinds.
//
// There are two ways of owning an object. [Engine.Apply] makes it exactly as desired. It sends a PUT with a
// resourceVersion, which can't overwrite changes that the cache doesn't show yet, and which removes what others
// have added, except their labels, annotations, finalizers and owner references. [Engine.ApplyFields] is a
// server-side apply. It sets the fields in the desired state, removes those that were in it before, and leaves all
// others to whoever sets them.
//
// Both create an object by POST, which can't overwrite an object that somebody else has created in the meantime,
// and send nothing if nothing would change.
package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// New returns an Engine that reads from the client, which may have a cache. If the cache can't have the answer, it
// reads from live, which must not have one. It writes as the field manager fieldOwner.
func New(c client.Client, live client.Reader, fieldOwner string) *Engine {
	return &Engine{client: c, live: live, fieldOwner: fieldOwner}
}

// Apply makes an object exactly as desired, and the owner its controller. It sends nothing if the object is as
// desired already. It returns a *ConflictError if the object exists and the owner doesn't control it, and a
// *TerminatingError if it is being deleted. If the desired state has a resourceVersion and the object another one,
// or if there is no object any more, it returns the API server's conflict error.
func (e *Engine) Apply(ctx context.Context, owner, desired client.Object) (Outcome, error) {
	outcome, _, err := e.Put(ctx, owner, desired, Owning{})
	return outcome, err
}

// ApplyFields sets the fields of an object that are in the desired state, and makes the owner its controller. It
// leaves fields that others set alone. It removes fields that were in the desired state before, except those at
// the paths of keep, whose values stay for somebody else to change. It sends nothing if nothing would change, and
// returns the errors that Apply returns.
func (e *Engine) ApplyFields(ctx context.Context, owner, desired client.Object, keep ...[]string) (Outcome, error) {
	outcome, _, err := e.Put(ctx, owner, desired, Owning{Fields: true, Keep: keep})
	return outcome, err
}

// Owning says how an object is owned.
type Owning struct {
	// Fields means owning only the fields in the desired state, as ApplyFields does. Otherwise the object is owned as
	// a whole, as by Apply.
	Fields bool
	// Keep are the paths of fields that ApplyFields doesn't remove.
	Keep [][]string
	// Yields means that fields which somebody else has set to another value stay as they are, and are a
	// *FieldsConflictError. Only an object that the engine has written itself is changed.
	Yields bool
	// Restored allows taking over an object without a controller if the engine has once written it with the desired
	// labels.
	Restored bool
}

// Put does what Apply or ApplyFields does, and also returns the object's resourceVersion.
func (e *Engine) Put(ctx context.Context, owner, desired client.Object, owning Owning) (outcome Outcome, version string, err error) {
	version = desired.GetResourceVersion()
	prepared, hash, err := e.prepare(owner, desired)
	if err != nil {
		return Unchanged, "", err
	}
	which := claim{ours: controlledBy(owner), restored: owning.Restored, way: exact{e}}
	if owning.Fields {
		version, which.way = "", fields{engine: e, keep: owning.Keep, yields: owning.Yields}
	}
	if owning.Yields {
		which.ours = func(live client.Object) bool { return metav1.IsControlledBy(live, owner) && e.hasWritten(live) }
	}
	outcome, err = e.put(ctx, prepared, hash, version, which)
	return outcome, prepared.GetResourceVersion(), err
}

// Keep does what Apply does for an object that must outlive its owner, and so has no owner reference. The
// annotation identifies it: it must have the same value as in the desired state; with restored, an object that [Restored]
// reports is the one, too. Keep also writes an object that is being deleted, since its finalizers may depend on its
// content. What desired has of the live object isn't in intent, so that a change of it is no reason to write: a claim
// is bound to its volume by the cluster.
func (e *Engine) Keep(ctx context.Context, annotation string, desired, intent client.Object, restored bool) (Outcome, error) {
	desired = desired.DeepCopyObject().(client.Object)
	hash, err := stampAs(desired, intent)
	if err != nil {
		return Unchanged, err
	}
	return e.put(ctx, desired, hash, "", claim{whileDeleted: true, restored: restored, way: exact{e}, ours: func(live client.Object) bool {
		value, found := live.GetAnnotations()[annotation]
		return found && value == desired.GetAnnotations()[annotation]
	}})
}

// claim says which live objects the engine may write, and how.
type claim struct {
	// ours reports whether the live object is the one that the caller means.
	ours func(live client.Object) bool
	// restored also allows an object that [Restored] reports.
	restored bool
	// whileDeleted allows writing an object that is being deleted.
	whileDeleted bool
	way          way
}

// way is one of the two ways of owning an object.
type way interface {
	// unchanged reports whether writing the desired state over live would change nothing.
	unchanged(desired, live client.Object) (bool, error)
	// write writes the desired state over live and returns the result.
	write(ctx context.Context, desired, live client.Object) (client.Object, error)
	// disown writes next, which differs from whole only in metadata.managedFields.
	disown(ctx context.Context, whole, next client.Object) error
}

// hasWritten reports whether the engine has set fields of an object.
func (e *Engine) hasWritten(live client.Object) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool { return isOwn(entry, e.fieldOwner) })
}

func controlledBy(owner client.Object) func(live client.Object) bool {
	return func(live client.Object) bool { return metav1.IsControlledBy(live, owner) }
}

// put makes an object as desired, if the claim allows writing the live one. If version is set, the live one must
// have it. Afterwards, desired has the version of the live one.
func (e *Engine) put(ctx context.Context, desired client.Object, hash, version string, which claim) (Outcome, error) {
	live, err := e.get(ctx, e.client, desired)
	if apierrors.IsNotFound(err) {
		if version == "" {
			return e.create(ctx, desired, hash, which)
		}
		// The cache lacks objects without the operator's label.
		live, err = e.get(ctx, e.live, desired)
	}
	if client.IgnoreNotFound(err) != nil {
		return Unchanged, err
	}
	if err != nil || version != "" && version != live.GetResourceVersion() {
		return Unchanged, e.outdated(desired)
	}
	return e.update(ctx, desired, live, hash, which)
}

// Adopt does what Apply does for an object that exists, and also takes over one without a controller. The caller
// must know that the object is meant for the owner. Adopt returns a *ConflictError if another object controls it,
// and a *TerminatingError if it is being deleted.
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

// Release removes from an object's metadata what Apply and Adopt have put there. It keeps what somebody has
// changed since.
func (e *Engine) Release(ctx context.Context, owner, desired, live client.Object) error {
	released := live.DeepCopyObject().(client.Object)
	released.SetOwnerReferences(withoutOwner(live.GetOwnerReferences(), owner.GetUID()))
	released.SetLabels(without(live.GetLabels(), desired.GetLabels()))
	annotations := without(live.GetAnnotations(), desired.GetAnnotations())
	maps.DeleteFunc(annotations, func(key, _ string) bool { return strings.HasPrefix(key, domain) })
	released.SetAnnotations(annotations)
	return e.client.Update(ctx, released, client.FieldOwner(e.fieldOwner))
}

// prepare returns the desired state as the engine writes it, with its hash.
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
		e.settle(desired, created, hash)
		return Created, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return Unchanged, err
	}
	// The cache lacks objects without the operator's label, and may be late.
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
		taken, err := e.prepareRestored(ctx, live, which.way)
		if err != nil {
			return Unchanged, err
		}
		return e.write(ctx, desired, taken, hash, which.way)
	default:
		return Unchanged, e.conflict(desired, live)
	}
	if live.GetDeletionTimestamp().IsZero() {
		return e.ensure(ctx, desired, live, hash, which.way)
	}
	if which.whileDeleted {
		if outcome, err := e.ensure(ctx, desired, live, hash, which.way); err != nil {
			return outcome, err
		}
	}
	return Unchanged, &TerminatingError{Object: e.describe(live)}
}

// ensure writes the desired state unless that would change nothing.
func (e *Engine) ensure(ctx context.Context, desired, live client.Object, hash string, how way) (Outcome, error) {
	if e.settled.has(live, hash) {
		desired.SetResourceVersion(live.GetResourceVersion())
		return Unchanged, nil
	}
	same, err := how.unchanged(desired, live)
	if err != nil {
		return Unchanged, err
	}
	if same {
		e.settle(desired, live, hash)
		return Unchanged, nil
	}
	return e.write(ctx, desired, live, hash, how)
}

// write writes the desired state over the live object, and remembers the result as settled.
func (e *Engine) write(ctx context.Context, desired, live client.Object, hash string, how way) (Outcome, error) {
	written, err := how.write(ctx, desired, live)
	if err != nil {
		return Unchanged, err
	}
	e.settle(desired, written, hash)
	if written.GetResourceVersion() == live.GetResourceVersion() {
		return Unchanged, nil
	}
	return Configured, nil
}

// settle remembers the live object as the result of writing the desired state, and its version in that.
func (e *Engine) settle(desired, live client.Object, hash string) {
	e.settled.note(live, hash)
	desired.SetResourceVersion(live.GetResourceVersion())
}

// Prune deletes the objects in a namespace that the owner controls and that are not in keep. It looks at one kind
// for each list.
func (e *Engine) Prune(ctx context.Context, owner client.Object, namespace string, lists []client.ObjectList, keep sets.Set[Key]) ([]Key, error) {
	var deleted []Key
	for _, list := range lists {
		// The list may be some milliseconds old, since Delete has the UID as a precondition.
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

// Delete deletes exactly this object, and not a new one with its name. It returns no error if the object is gone.
// For an object that may not be in the cache, pass [client.DisableReadYourWritesConsistency]: otherwise reads of
// its kind would wait for the cache to see a deletion that it never sees.
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

// empty returns an empty object of the kind, unstructured if like is.
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

func (e *Engine) outdated(object client.Object) error {
	gvk, err := apiutil.GVKForObject(object, e.client.Scheme())
	if err != nil {
		return err
	}
	return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, object.GetName(),
		errors.New("it has been changed or deleted since it was looked at"))
}

func (e *Engine) describe(object client.Object) string {
	key, err := KeyOf(object, e.client)
	if err != nil {
		return fmt.Sprintf("%q", object.GetName())
	}
	return key.String()
}

// Key identifies an object by kind, namespace and name.
type Key struct {
	Kind string
	types.NamespacedName
}

// KeyOf returns the key of an object. It returns an error if the client's scheme doesn't know its type.
func KeyOf(object client.Object, c client.Client) (Key, error) {
	gvk, err := apiutil.GVKForObject(object, c.Scheme())
	return Key{Kind: gvk.Kind, NamespacedName: client.ObjectKeyFromObject(object)}, err
}

// String returns the key as it is shown to users: kind, name, and the namespace if there is one.
func (k Key) String() string {
	if k.Namespace == "" {
		return fmt.Sprintf("%s %q", k.Kind, k.Name)
	}
	return fmt.Sprintf("%s %q in namespace %q", k.Kind, k.Name, k.Namespace)
}
