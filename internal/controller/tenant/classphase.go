package tenant

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/follow"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/templates"
)

// classPhase puts in place what a tenant has from its class. It loads the originals of copies before the first phase,
// since the needs of the quota depend on them.
type classPhase struct {
	*ClassObjects
	objects
	// in are the inputs of the pass. The phase sets the originals in them.
	in *parts.Inputs

	templates []*templates.Template
	// invalid is why there are no templates.
	invalid error
	// states has what is known of what the tenant needs.
	states map[follow.Selection]followState
	// uncopied are the problems with the originals.
	uncopied []error

	// wanted has the objects that the tenant should have, and unsettled the kinds of which that isn't known.
	wanted    map[classKey]bool
	names     []follow.Selection // of wanted, in the order of the class
	unsettled sets.Set[schema.GroupKind]
	// kinds is the inventory: the kinds of which the tenant has, or may have, objects.
	kinds []v1alpha1.TenantObjectKind
}

type followState struct {
	state follow.State
	err   error
}

// classKey identifies an object whatever version of its kind the class names.
type classKey struct {
	kind schema.GroupKind
	name types.NamespacedName
}

func classKeyOf(object *unstructured.Unstructured) classKey {
	return classKey{object.GroupVersionKind().GroupKind(), client.ObjectKeyFromObject(object)}
}

func (r *Reconciler) newClassPhase(in *parts.Inputs) classPhase {
	return classPhase{
		ClassObjects: r.ClassObjects, objects: r.objects(), in: in,
		states: map[follow.Selection]followState{}, wanted: map[classKey]bool{}, unsettled: sets.New[schema.GroupKind](),
		kinds: in.Tenant.Status.ObjectKinds,
	}
}

func (c *classPhase) tenant() *effective.Tenant { return c.in.Tenant }

// patience is how long a pass waits for what it has begun to follow. What takes longer leads to another pass.
const patience = 5 * time.Second

// load begins to follow what the tenant needs, and reads the originals of its copies.
func (c *classPhase) load(ctx context.Context) error {
	if c.ClassObjects == nil {
		return nil
	}
	c.templates, c.invalid = c.compiled.of(c.tenant().Class)
	needed := sets.New[follow.Selection]()
	for _, template := range c.templates {
		needed.Insert(follow.Selection{Kind: template.Kind})
	}
	for _, kind := range c.kinds {
		needed.Insert(selectionOf(kind))
	}
	for _, of := range c.copies() {
		needed.Insert(originalOf(of))
	}
	c.follower.Follow(ctx, c.tenant().Name, needed)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for selection := range needed {
		state, err := c.follower.Await(ctx, c.tenant().Name, selection)
		c.states[selection] = followState{state, err}
	}
	return c.loadOriginals(ctx)
}

func (c *classPhase) copies() []v1alpha1.TenantClassCopy {
	if class := c.tenant().Class; class != nil {
		return class.Copies
	}
	return nil
}

func selectionOf(kind v1alpha1.TenantObjectKind) follow.Selection {
	return follow.Selection{Kind: schema.FromAPIVersionAndKind(kind.APIVersion, kind.Kind)}
}

func originalOf(of v1alpha1.TenantClassCopy) follow.Selection {
	return follow.Selection{Kind: corev1.SchemeGroupVersion.WithKind(string(of.Kind)), Namespace: of.Namespace, Name: of.Name}
}

// loadOriginals reads the originals of copies.
func (c *classPhase) loadOriginals(ctx context.Context) error {
	c.in.Originals = map[v1alpha1.TenantClassCopy]*unstructured.Unstructured{}
	for _, of := range c.copies() {
		namespace := &corev1.Namespace{}
		err := client.IgnoreNotFound(c.Get(ctx, types.NamespacedName{Name: of.Namespace}, namespace))
		if err != nil {
			return err
		}
		original, err := c.original(of, namespace.Labels[naming.LabelTenant])
		if err != nil {
			c.uncopied = append(c.uncopied, err)
			continue
		}
		c.in.Originals[of] = original
	}
	return nil
}

// original returns what a copy is made of, or why it can't be made. owner is the tenant that has the original's
// namespace; empty if none has.
func (c *classPhase) original(of v1alpha1.TenantClassCopy, owner string) (*unstructured.Unstructured, error) {
	class, found := c.tenant().Class.Name, c.states[originalOf(of)]
	switch {
	case owner != "":
		return nil, problem.OriginalOfTenant(class, of, owner)
	case parts.NameIsTaken(c.tenant(), of):
		return nil, problem.CopyTaken(class, of)
	case found.state == follow.Starting:
		return nil, problem.OriginalStarting(of)
	case found.state != follow.Followed:
		return nil, problem.InObject("spec.copies", class, found.err)
	}
	original := c.follower.Get(originalOf(of), types.NamespacedName{Namespace: of.Namespace, Name: of.Name})
	if original == nil {
		return nil, problem.OriginalNotFound(class, of)
	}
	if kind, _, _ := unstructured.NestedString(original.Object, "type"); kind == string(corev1.SecretTypeServiceAccountToken) {
		return nil, problem.OriginalNotCopied(class, of)
	}
	return original, nil
}

// run puts the copies and the objects in place. What fails doesn't hold up the others. Objects may lead to pods, and
// wait for the quota.
func (c *classPhase) run(ctx context.Context, run *pass, awaitQuota func(context.Context, *pass) error) error {
	failures := append(slices.Clone(c.uncopied), c.replaceCopies(ctx), c.objects.run(ctx, run, parts.Objects))
	if c.invalid != nil {
		c.unsettleAll()
		return errors.Join(append(failures, problem.ObjectInvalid(c.tenant().Class.Name, c.invalid))...)
	}
	rendered, err := c.render(run.database.recorded != nil)
	failures = append(failures, err)
	if len(rendered) == 0 {
		return errors.Join(failures...)
	}
	if err := awaitQuota(ctx, run); err != nil {
		return errors.Join(append(failures, err)...)
	}
	if err := c.record(ctx, rendered); err != nil {
		return errors.Join(append(failures, err)...)
	}
	outcomes := make([]error, len(rendered))
	workqueue.ParallelizeUntil(ctx, parallel, len(rendered), func(i int) {
		if !run.withheld.Has(rendered[i].Object.GetNamespace()) {
			outcomes[i] = c.putObject(ctx, rendered[i])
		}
	})
	failures = append(failures, outcomes...)
	return errors.Join(append(failures, ctx.Err())...)
}

// unsettleAll notes that it isn't known which objects the tenant should have.
func (c *classPhase) unsettleAll() {
	for _, kind := range c.kinds {
		c.unsettled.Insert(selectionOf(kind).Kind.GroupKind())
	}
}

// replaceCopies deletes copies of Secrets whose type is no longer that of the original, since a type can't change.
func (c *classPhase) replaceCopies(ctx context.Context) error {
	var failures []error
	for _, object := range parts.Objects.Objects(*c.in) {
		wanted, isSecret := object.(*corev1.Secret)
		if !isSecret {
			continue
		}
		live := &corev1.Secret{}
		err := c.Get(ctx, client.ObjectKeyFromObject(wanted), live)
		if err == nil && live.Type != wanted.Type && metav1.IsControlledBy(live, c.tenant()) && live.DeletionTimestamp.IsZero() {
			err = c.objects.engine.Delete(ctx, live.DeepCopy())
		}
		failures = append(failures, client.IgnoreNotFound(err))
	}
	return errors.Join(failures...)
}

// render returns the objects that the tenant should have, of the kinds that the cluster has. placed says that the
// tenant's database is ready.
func (c *classPhase) render(placed bool) ([]parts.ClassObject, error) {
	if len(c.templates) == 0 {
		return nil, nil
	}
	class := c.tenant().Class.Name
	scope, err := parts.ScopeOf(*c.in)
	if err != nil {
		c.unsettleAll()
		return nil, err
	}
	var all []parts.ClassObject
	var failures []error
	paths := map[classKey]string{}
	for _, template := range c.templates {
		if err := c.kindProblem(template); err != nil {
			failures = append(failures, err)
			continue
		}
		made, err := parts.Render(*c.in, template, scope, placed)
		if err != nil {
			c.unsettled.Insert(template.Kind.GroupKind())
			failures = append(failures, c.notRendered(err))
			continue
		}
		for _, object := range made {
			key := classKeyOf(object.Object)
			if other, twice := paths[key]; twice {
				described := apply.Key{Kind: key.kind.Kind, NamespacedName: key.name}.String()
				failures = append(failures, problem.ObjectTwice(template.Path, other, class, described))
				continue
			}
			paths[key], c.wanted[key] = template.Path, true
			c.names = append(c.names, follow.Selection{Kind: template.Kind, Namespace: key.name.Namespace, Name: key.name.Name})
			all = append(all, object)
		}
	}
	return all, errors.Join(failures...)
}

func (c *classPhase) notRendered(err error) error {
	if mistake, isMistake := errors.AsType[*templates.Error](err); isMistake {
		return problem.ObjectInvalid(c.tenant().Class.Name, mistake)
	}
	return err
}

// kindProblem returns why there can be no objects of the kind of a template now; nil if there can.
func (c *classPhase) kindProblem(template *templates.Template) error {
	class, found := c.tenant().Class.Name, c.states[follow.Selection{Kind: template.Kind}]
	switch found.state {
	case follow.Followed:
		return nil
	case follow.Unknown:
		return problem.KindNotFound(template.Path, class, template.Kind)
	case follow.ClusterScoped:
		return problem.KindClusterScoped(template.Path, class, template.Kind)
	case follow.Forbidden:
		return problem.KindForbidden(template.Path, class, found.err)
	case follow.Failing:
		return problem.InObject(template.Path, class, found.err)
	default:
		return problem.KindStarting(template.Kind)
	}
}

// record writes the kinds of objects to the status before the first object of a kind is created, so that it is found
// again whatever happens.
func (c *classPhase) record(ctx context.Context, rendered []parts.ClassObject) error {
	next := slices.Clone(c.kinds)
	for _, object := range rendered {
		kind := v1alpha1.TenantObjectKind{APIVersion: object.Object.GetAPIVersion(), Kind: object.Object.GetKind()}
		if !slices.Contains(next, kind) {
			next = append(next, kind)
		}
	}
	if len(next) == len(c.kinds) {
		return nil
	}
	tenant := c.tenant()
	before, after := objectOf(tenant), objectOf(tenant)
	before.Status, after.Status = tenant.Status, *tenant.Status.DeepCopy()
	after.Status.ObjectKinds = next
	if err := c.Status().Patch(ctx, after, client.MergeFrom(before), client.FieldOwner(naming.FieldOwner)); err != nil {
		return err
	}
	tenant.Status.ObjectKinds, tenant.ResourceVersion = next, after.ResourceVersion
	c.kinds = next
	return nil
}

func (c *classPhase) putObject(ctx context.Context, wanted parts.ClassObject) error {
	outcome, _, err := c.ClassObjects.engine.Put(ctx, objectOf(c.tenant()), wanted.Object,
		apply.Owning{Fields: true, Yields: true, Restored: c.tenant().Spec.AdoptObjects})
	if err != nil {
		return problem.InObject(wanted.Path, c.tenant().Class.Name, c.retries.KeepsChanging(ctx, c.tenant().Name, wanted.Object, err))
	}
	c.noteChange(ctx, wanted.Object, outcome)
	return nil
}

// live returns the objects as they are.
func (c *classPhase) live() []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, of := range c.names {
		object := c.follower.Get(follow.Selection{Kind: of.Kind}, types.NamespacedName{Namespace: of.Namespace, Name: of.Name})
		if object != nil && metav1.IsControlledBy(object, c.tenant()) {
			found = append(found, object)
		}
	}
	return found
}

// prune deletes the objects that the tenant should no longer have, and drops from the inventory the kinds of which it
// has none. What was left in namespaces that are no longer the tenant's is deleted, too.
func (c *classPhase) prune(ctx context.Context, run *pass) error {
	if c.ClassObjects == nil || run.blocked() {
		return nil
	}
	places := sets.New[string]()
	for _, place := range c.in.Places {
		places.Insert(place.Name)
	}
	var failures []error
	var kinds []v1alpha1.TenantObjectKind
	for _, kind := range c.kinds {
		left, err := c.pruneKind(ctx, selectionOf(kind), places)
		failures = append(failures, err)
		if left {
			kinds = append(kinds, kind)
		}
	}
	c.kinds = kinds
	return errors.Join(failures...)
}

// pruneKind deletes what the tenant should no longer have of a kind, and reports whether it has, or may have, any of it.
func (c *classPhase) pruneKind(ctx context.Context, selection follow.Selection, places sets.Set[string]) (left bool, err error) {
	kind := selection.Kind.GroupKind()
	if slices.ContainsFunc(c.templates, func(template *templates.Template) bool { return template.Kind == selection.Kind }) {
		left = true
	}
	switch c.states[selection].state {
	case follow.Followed:
	case follow.Unknown, follow.ClusterScoped:
		return left, nil // Its objects have gone with it.
	default:
		return true, nil
	}
	var failures []error
	for _, object := range c.follower.Of(selection, c.tenant().Name) {
		key := classKeyOf(object)
		if !metav1.IsControlledBy(object, c.tenant()) || c.wanted[key] {
			continue
		}
		left = true
		if c.unsettled.Has(kind) && places.Has(key.name.Namespace) || !object.GetDeletionTimestamp().IsZero() {
			continue
		}
		err := c.ClassObjects.engine.Delete(ctx, object.DeepCopy())
		if err == nil {
			metrics.ObjectChanges.WithLabelValues(key.kind.Kind, string(apply.Deleted)).Inc()
		}
		failures = append(failures, err)
	}
	return left, errors.Join(failures...)
}
