package tenant

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantclasses;tenantclassrevisions,verbs=get;list;watch

// indexPinned finds the tenants that are pinned to a TenantClassRevision.
const indexPinned = "classRevision"

// effective returns a tenant with its effective spec. With an error, which says why the tenant can't have one, it
// returns the tenant with its own spec alone, for its status.
func (r *Reconciler) effective(ctx context.Context, object *v1alpha1.Tenant) (*effective.Tenant, error) {
	alone := effective.Of(object)
	if isNew(alone) && object.DeletionTimestamp.IsZero() {
		if err := r.assignDefault(ctx, object); err != nil {
			return alone, err
		}
		alone.ResourceVersion, alone.Status = object.ResourceVersion, object.Status
	}
	name := naming.ClassOf(object)
	if name == "" {
		return alone, nil
	}
	class, err := r.classAt(ctx, object, name)
	if err != nil {
		return alone, err
	}
	made, err := effective.OfClass(object, class) //nolint:contextcheck // It is pure and waits for nothing.
	if err != nil {
		return alone, err
	}
	return made, r.keepRevision(ctx, object, made)
}

// assignDefault gives a new tenant that doesn't say which class it has the default class, and records that before
// anything else is written. So it is decided once.
func (r *Reconciler) assignDefault(ctx context.Context, tenant *v1alpha1.Tenant) error {
	if tenant.Spec.ClassName != nil || tenant.Status.Class != nil {
		return nil
	}
	classes := &v1alpha1.TenantClassList{}
	if err := r.List(ctx, classes, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	class := effective.DefaultClass(classes.Items)
	if class == "" {
		return nil
	}
	before := tenant.DeepCopy()
	tenant.Status.Class = &v1alpha1.TenantStatusClass{Name: class, AssignedAt: metav1.NewTime(time.Now().Truncate(time.Second))}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return r.Status().Patch(ctx, tenant, patch, client.FieldOwner(naming.FieldOwner))
}

// classAt returns what a class says about a tenant. All that decides which revision a tenant is at is here.
func (r *Reconciler) classAt(ctx context.Context, tenant *v1alpha1.Tenant, name string) (*effective.Class, error) {
	class := &v1alpha1.TenantClass{}
	err := r.Get(ctx, types.NamespacedName{Name: name}, class)
	if apierrors.IsNotFound(err) {
		return nil, problem.ClassNotFound(name)
	}
	if err != nil {
		return nil, err
	}
	revision := cmp.Or(tenant.Spec.ClassRevision, class.Status.CurrentRevision)
	if revision == "" {
		return nil, problem.WaitsForClass(name)
	}
	content, err := r.revision(ctx, revision)
	switch {
	case apierrors.IsNotFound(err) && tenant.Spec.ClassRevision != "":
		return nil, problem.RevisionNotFound(revision)
	case apierrors.IsNotFound(err):
		return nil, problem.WaitsForClass(name)
	case err != nil:
		return nil, err
	case content.Spec.ClassName != name:
		return nil, problem.RevisionOfOtherClass(revision, content.Spec.ClassName, name)
	}
	return &effective.Class{
		Name: name, Revision: revision, Tenant: content.Spec.Tenant, Bounds: class.Spec.Bounds, Rules: r.rules.of(class),
	}, nil
}

// revision reads a revision. The cache may have a class before its revision.
func (r *Reconciler) revision(ctx context.Context, name string) (*v1alpha1.TenantClassRevision, error) {
	found, key := &v1alpha1.TenantClassRevision{}, types.NamespacedName{Name: name}
	err := r.Get(ctx, key, found)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, key, found)
	}
	return found, err
}

// keepRevision leaves a tenant that isn't pinned at the revision in its status if the current one changes nothing for
// it, so that nothing has to be written.
func (r *Reconciler) keepRevision(ctx context.Context, object *v1alpha1.Tenant, made *effective.Tenant) error {
	recorded := object.Status.Class
	if recorded == nil || recorded.Name != made.Class.Name || recorded.Revision == "" ||
		recorded.Revision == made.Class.Revision || object.Spec.ClassRevision != "" {
		return nil
	}
	former, err := r.revision(ctx, recorded.Revision)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	class := *made.Class
	class.Revision, class.Tenant = recorded.Revision, former.Spec.Tenant
	was, err := effective.OfClass(object, &class) //nolint:contextcheck // It is pure and waits for nothing.
	if err == nil && slices.Equal(was.HeldBack, made.HeldBack) && equality.Semantic.DeepEqual(was.Spec, made.Spec) {
		made.Class = &class
	}
	return nil
}

// compiledRules has the compiled rules of classes. The zero value is ready to use.
type compiledRules struct {
	mutex sync.Mutex
	known map[string]compilation
}

type compilation struct {
	uid        types.UID
	generation int64
	rules      *effective.Rules
}

func (c *compiledRules) of(class *v1alpha1.TenantClass) *effective.Rules {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known := c.known[class.Name]
	if known.uid != class.UID || known.generation != class.Generation {
		known = compilation{uid: class.UID, generation: class.Generation}
		known.rules, _ = effective.Compile(class.Spec.Bounds.Rules) // The class says which don't compile.
		if c.known == nil {
			c.known = map[string]compilation{}
		}
		c.known[class.Name] = known
	}
	return known.rules
}

func (c *compiledRules) forget(class string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.known, class)
}

func (r *Reconciler) classCreated(ctx context.Context, e event.CreateEvent, q queue) {
	enqueue(ctx, q, r.tenantsBy(ctx, naming.IndexClass, e.Object.GetName()))
}

// classUpdated enqueues the tenants of a class if it says something else about them.
func (r *Reconciler) classUpdated(ctx context.Context, e event.UpdateEvent, q queue) {
	was, is := e.ObjectOld.(*v1alpha1.TenantClass), e.ObjectNew.(*v1alpha1.TenantClass)
	if was.UID != is.UID || was.Status.CurrentRevision != is.Status.CurrentRevision || !equality.Semantic.DeepEqual(was.Spec.Bounds, is.Spec.Bounds) {
		enqueue(ctx, q, r.tenantsBy(ctx, naming.IndexClass, is.Name))
	}
}

func (r *Reconciler) classDeleted(ctx context.Context, e event.DeleteEvent, q queue) {
	r.rules.forget(e.Object.GetName())
	enqueue(ctx, q, r.tenantsBy(ctx, naming.IndexClass, e.Object.GetName()))
}

// byPin returns the tenants that are pinned to a revision.
func (r *Reconciler) byPin(ctx context.Context, revision client.Object) []reconcile.Request {
	return r.tenantsBy(ctx, indexPinned, revision.GetName())
}

// beganToWait enqueues a tenant with a class that has come to wait for a server. Which one isn't in its own spec, so
// that no index had it while the server may have come.
func beganToWait(ctx context.Context, e event.UpdateEvent, q queue) {
	was, is := effective.Of(e.ObjectOld.(*v1alpha1.Tenant)), effective.Of(e.ObjectNew.(*v1alpha1.Tenant))
	if hasClass(is) && len(serversWaitedFor(was)) == 0 && len(serversWaitedFor(is)) > 0 {
		enqueue(ctx, q, requestsFor([]string{is.Name}))
	}
}

// hasClass reports whether a tenant has a class, which an index over its own spec doesn't know.
func hasClass(tenant *effective.Tenant) bool {
	return ptr.Deref(tenant.Spec.ClassName, "") != "" || tenant.Spec.ClassName == nil && tenant.Status.Class != nil
}

// byOwnersOfClasses returns the tenants of the classes that have ServiceAccounts of a namespace as owners.
func (r *Reconciler) byOwnersOfClasses(ctx context.Context, namespace string) (requests []reconcile.Request) {
	revisions := &v1alpha1.TenantClassRevisionList{}
	if err := r.List(ctx, revisions, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't list the revisions of classes")
		return nil
	}
	var classes []string
	for i := range revisions.Items {
		spec := revisions.Items[i].Spec
		if slices.ContainsFunc(spec.Tenant.Owners, func(owner v1alpha1.Owner) bool { return owner.Namespace == namespace }) && !slices.Contains(classes, spec.ClassName) {
			classes = append(classes, spec.ClassName)
			requests = append(requests, r.tenantsBy(ctx, naming.IndexClass, spec.ClassName)...)
		}
	}
	return requests
}
