package controller

import (
	"context"
	"errors"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/problem"
)

// +kubebuilder:rbac:groups="",resources=namespaces;secrets;configmaps;limitranges;resourcequotas,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=rolebindings,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantpolicies,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles,resourceNames=admin;edit;view;tenantry-tenant-user;tenantry-namespace-owner,verbs=bind

// ownedKinds are the namespaced kinds that a tenant's objects have.
func ownedKinds() []client.Object {
	return []client.Object{
		&corev1.Secret{}, &corev1.ResourceQuota{}, &corev1.LimitRange{}, &networkingv1.NetworkPolicy{},
		&rbacv1.RoleBinding{}, &corev1.ServiceAccount{}, &corev1.ConfigMap{}, &corev1.Service{},
		&policyv1.PodDisruptionBudget{}, &appsv1.Deployment{}, &v1alpha1.TenantPolicy{},
	}
}

func ownedLists() []client.ObjectList {
	return []client.ObjectList{
		&corev1.SecretList{}, &corev1.ResourceQuotaList{}, &corev1.LimitRangeList{}, &networkingv1.NetworkPolicyList{},
		&rbacv1.RoleBindingList{}, &corev1.ServiceAccountList{}, &corev1.ConfigMapList{}, &corev1.ServiceList{},
		&policyv1.PodDisruptionBudgetList{}, &appsv1.DeploymentList{}, &v1alpha1.TenantPolicyList{},
	}
}

// applyNetwork also says which of the tenant's hostnames are another one's.
func (r *TenantReconciler) applyNetwork(ctx context.Context, run *reconciliation) error {
	if err := r.apply(ctx, run, desired.Network); err != nil {
		return err
	}
	return hostnameConflict(run.foreignHostnames)
}

// applyApp runs the app, if it is known what to run.
func (r *TenantReconciler) applyApp(ctx context.Context, run *reconciliation) error {
	if err := run.tenant().Spec.MissingForApp(); err != nil {
		return err
	}
	return r.apply(ctx, run, desired.App)
}

// applyPart is the phase of a part that consists of objects and nothing else.
func applyPart(part desired.Part) func(*TenantReconciler, context.Context, *reconciliation) error {
	return func(r *TenantReconciler, ctx context.Context, run *reconciliation) error {
		return r.apply(ctx, run, part)
	}
}

// parallel is how many namespaces of a tenant are worked on at a time.
const parallel = 8

// apply puts all objects of a part in place, also those behind one that fails, but none in a
// namespace that is withheld. Namespaces don't wait for each other.
func (r *TenantReconciler) apply(ctx context.Context, run *reconciliation, part desired.Part) error {
	var names []string
	objects := map[string][]desired.Object{}
	for _, object := range desired.Objects(part, run.inputs) {
		name := object.GetNamespace()
		if run.withheld.Has(name) {
			continue
		}
		if _, known := objects[name]; !known {
			names = append(names, name)
		}
		objects[name] = append(objects[name], object)
	}
	outcomes := make([]error, len(names))
	workqueue.ParallelizeUntil(ctx, parallel, len(names), func(i int) {
		outcomes[i] = r.applyAll(ctx, run, objects[names[i]])
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	var failures []error
	for i, err := range outcomes {
		switch {
		case err == nil:
		case isWall(part) && names[i] != run.tenant().Name:
			run.withhold(part, names[i], err)
		default:
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// objectOf is the Tenant as Kubernetes knows it, with its metadata and nothing else: it owns objects,
// has finalizers, and is what Events are about.
func objectOf(tenant *effective.Tenant) *v1alpha1.Tenant {
	object := &v1alpha1.Tenant{ObjectMeta: tenant.ObjectMeta}
	return object.DeepCopy()
}

// applyAll puts objects in place, also those behind one that fails.
func (r *TenantReconciler) applyAll(ctx context.Context, run *reconciliation, objects []desired.Object) error {
	var failures []error
	for _, object := range objects {
		outcome, err := put(ctx, r.Engine, objectOf(run.tenant()), object)
		if err != nil {
			failures = append(failures, r.unapplied(ctx, run, object, err))
			continue
		}
		r.noteChange(ctx, object, outcome)
	}
	return errors.Join(failures...)
}

// put puts an object in place, in the way in which its kind is owned.
func put(ctx context.Context, engine *apply.Engine, owner client.Object, object desired.Object) (apply.Outcome, error) {
	if owning := desired.OwningOf(object); owning.Fields {
		return engine.ApplyFields(ctx, owner, object, owning.Keep...)
	}
	return engine.Apply(ctx, owner, object)
}

// unapplied is why an object could not be put in place, in terms of what it is for.
func (r *TenantReconciler) unapplied(ctx context.Context, run *reconciliation, object client.Object, err error) error {
	if binding, ok := object.(*rbacv1.RoleBinding); ok {
		err = problem.Binding(binding.RoleRef.Name, err)
	}
	return r.retries.keepsChanging(ctx, run.tenant().Name, object, err)
}

// isWall says whether a namespace is open as long as a part of it is missing.
func isWall(part desired.Part) bool { return part == desired.Quota || part == desired.Network }

func (r *TenantReconciler) noteChange(ctx context.Context, object client.Object, outcome apply.Outcome) {
	key, err := apply.KeyOf(object, r.Client)
	if err != nil || outcome == apply.Unchanged {
		return
	}
	metrics.ObjectChanges.WithLabelValues(key.Kind, string(outcome)).Inc()
	ctrl.LoggerFrom(ctx).V(1).Info("Object "+string(outcome), "kind", key.Kind, "name", key.Name)
}

// tidy takes away what the tenant has and should not.
func (r *TenantReconciler) tidy(ctx context.Context, run *reconciliation) error {
	if run.outdated {
		return nil
	}
	return errors.Join(r.withdraw(ctx, run), r.prune(ctx, run))
}

// prune deletes the tenant's objects that the spec no longer asks for. As long as there is no login
// to the database, it isn't known what those are.
func (r *TenantReconciler) prune(ctx context.Context, run *reconciliation) error {
	if run.blocked() || (run.tenant().Spec.Database != nil && run.inputs.Login == nil) {
		return nil
	}
	keep := sets.New[apply.Key]()
	for _, part := range desired.Parts {
		for _, object := range desired.Objects(part, run.inputs) {
			key, err := apply.KeyOf(object, r.Client)
			if err != nil {
				return err
			}
			keep.Insert(key)
		}
	}
	var failures []error
	for _, place := range run.inputs.Places {
		failures = append(failures, r.pruneIn(ctx, run, place.Name, keep))
	}
	return errors.Join(failures...)
}

// pruneIn deletes the tenant's objects in a namespace that are not to be kept.
func (r *TenantReconciler) pruneIn(ctx context.Context, run *reconciliation, namespace string, keep sets.Set[apply.Key]) error {
	deleted, err := r.Engine.Prune(ctx, objectOf(run.tenant()), namespace, ownedLists(), keep)
	for _, key := range deleted {
		metrics.ObjectChanges.WithLabelValues(key.Kind, string(apply.Deleted)).Inc()
	}
	return err
}
