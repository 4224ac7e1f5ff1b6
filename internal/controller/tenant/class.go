package tenant

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/hibernation"
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
	class, told, err := r.classAt(ctx, object, name)
	if err != nil {
		return alone, err
	}
	made, err := effective.OfClass(object, class) //nolint:contextcheck // It is pure and waits for nothing.
	if err != nil {
		alone.Class = class
		return alone, err
	}
	if told {
		return made, nil
	}
	return made, r.keepRevision(ctx, object, made)
}

// assignDefault gives a new tenant that doesn't say which class it has the default class, and records that before
// anything else is written. So it is decided once, and by the API server's word: the cache may not have a class yet that
// was created just before the tenant.
func (r *Reconciler) assignDefault(ctx context.Context, tenant *v1alpha1.Tenant) error {
	if tenant.Spec.ClassName != nil || tenant.Status.Class != nil {
		return nil
	}
	classes := &v1alpha1.TenantClassList{}
	if err := r.Live.List(ctx, classes); err != nil {
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

// classAt returns what a class says about a tenant, and whether the tenant was told to change to that.
func (r *Reconciler) classAt(ctx context.Context, tenant *v1alpha1.Tenant, name string) (found *effective.Class, told bool, err error) {
	class := &v1alpha1.TenantClass{}
	err = r.Get(ctx, types.NamespacedName{Name: name}, class)
	if apierrors.IsNotFound(err) {
		return nil, false, problem.ClassNotFound(name)
	}
	if err != nil {
		return nil, false, err
	}
	revision, told := revisionOf(tenant, class)
	if revision == "" && apimeta.IsStatusConditionTrue(class.Status.Conditions, v1alpha1.ConditionStalled) {
		return nil, false, problem.ClassStalled(name)
	}
	if revision == "" {
		return nil, false, problem.WaitsForClass(name)
	}
	content, err := r.revisionFor(ctx, tenant, class, revision)
	if err != nil {
		return nil, false, err
	}
	rules, _ := r.Rules.Of(class) // The class says which don't compile.
	return effective.At(class, content, rules), told, nil
}

// revisionFor reads the revision that a tenant is to be at. If it is gone, and the tenant isn't pinned to it, that is
// the current one.
func (r *Reconciler) revisionFor(ctx context.Context, tenant *v1alpha1.Tenant, class *v1alpha1.TenantClass, name string) (*v1alpha1.TenantClassRevision, error) {
	content, err := r.revision(ctx, name)
	if apierrors.IsNotFound(err) && tenant.Spec.ClassRevision == "" {
		name = class.Status.CurrentRevision
		content, err = r.revision(ctx, name)
	}
	switch {
	case apierrors.IsNotFound(err) && tenant.Spec.ClassRevision != "":
		return nil, problem.RevisionNotFound(name)
	case apierrors.IsNotFound(err):
		return nil, problem.WaitsForClass(class.Name)
	case err != nil:
		return nil, err
	case content.Spec.ClassName != class.Name:
		return nil, problem.RevisionOfOtherClass(name, content.Spec.ClassName, class.Name)
	}
	return content, nil
}

// revisionOf returns the revision of its class that a tenant is to be at, empty if the class has none yet, and whether
// the tenant was told to change to it. All that decides that is here. A tenant changes its revision only if it has been
// told so in the status of the class, but for one that comes to the class, one that comes back once all others are at
// the current revision, and one that sleeps, which wakes at what is proven.
func revisionOf(tenant *v1alpha1.Tenant, class *v1alpha1.TenantClass) (revision string, told bool) {
	current, stable := class.Status.CurrentRevision, class.Status.StableRevision
	if tenant.Spec.ClassRevision != "" {
		return tenant.Spec.ClassRevision, false
	}
	recorded := tenant.Status.Class
	if recorded == nil || recorded.Name != class.Name || recorded.Revision == "" {
		return cmp.Or(stable, current), false
	}
	if tenant.Spec.Cordoned {
		return recorded.Revision, false
	}
	if !hibernation.IsAwake(tenant.Status.Hibernation) && recorded.Revision != current {
		return cmp.Or(stable, recorded.Revision), false
	}
	if assigned := assignment(tenant, class); assigned != "" {
		return assigned, true
	}
	if stable == current {
		return current, false
	}
	return recorded.Revision, false
}

// assignment returns the revision that a tenant was told to change to; empty if it was told nothing.
func assignment(tenant *v1alpha1.Tenant, class *v1alpha1.TenantClass) string {
	at, found := slices.BinarySearchFunc(class.Status.InFlight, tenant.Name, func(entry v1alpha1.TenantClassAssignment, name string) int {
		return strings.Compare(entry.Name, name)
	})
	if !found {
		return ""
	}
	return class.Status.InFlight[at].Revision
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

// keepRevision leaves a tenant that has not been told to change at the revision in its status if the one that it
// gets has the same effect, so that nothing has to be written.
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
	class := made.Class.At(former)
	was, err := effective.OfClass(object, class) //nolint:contextcheck // It is pure and waits for nothing.
	if err == nil && effective.Same(was, made) {
		made.Class = class
	}
	return nil
}

func (r *Reconciler) classCreated(ctx context.Context, e event.CreateEvent, q queue) {
	enqueue(ctx, q, r.tenantsBy(ctx, naming.IndexClass, e.Object.GetName()))
}

// classUpdated enqueues the tenants of a class that were told to change, or all if it says something else about all.
func (r *Reconciler) classUpdated(ctx context.Context, e event.UpdateEvent, q queue) {
	was, is := e.ObjectOld.(*v1alpha1.TenantClass), e.ObjectNew.(*v1alpha1.TenantClass)
	mistaken := is.Status.CurrentRevision == "" && apimeta.IsStatusConditionTrue(is.Status.Conditions, v1alpha1.ConditionStalled)
	if mistaken || was.UID != is.UID || was.Status.CurrentRevision == "" && is.Status.CurrentRevision != "" || !equality.Semantic.DeepEqual(was.Spec.Bounds, is.Spec.Bounds) {
		enqueue(ctx, q, r.tenantsBy(ctx, naming.IndexClass, is.Name))
		return
	}
	enqueue(ctx, q, requestsFor(newlyTold(was.Status.InFlight, is.Status.InFlight)))
}

// newlyTold returns the tenants that were told to change, or something else than before. Both lists are in the order
// of the names.
func newlyTold(was, is []v1alpha1.TenantClassAssignment) (names []string) {
	for _, entry := range is {
		for len(was) > 0 && was[0].Name < entry.Name {
			was = was[1:]
		}
		if len(was) == 0 || was[0].Name != entry.Name || was[0].Revision != entry.Revision {
			names = append(names, entry.Name)
		}
	}
	return names
}

func (r *Reconciler) classDeleted(ctx context.Context, e event.DeleteEvent, q queue) {
	r.Rules.Forget(e.Object.GetName())
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
