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
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/metrics"
)

// +kubebuilder:rbac:groups="",resources=namespaces;secrets;configmaps;services;serviceaccounts;limitranges;resourcequotas,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=rolebindings,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles,resourceNames=admin;edit;view,verbs=bind
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantpolicies,verbs=get;list;watch;create;update;delete

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

// applyNamespace stops at the first failure: nothing is put into a namespace that isn't the tenant's.
func (r *TenantReconciler) applyNamespace(ctx context.Context, run *reconciliation) error {
	for _, object := range desired.Objects(desired.Namespace, run.inputs) {
		outcome, err := r.Engine.Apply(ctx, run.tenant(), object)
		if err != nil {
			return err
		}
		r.noteChange(ctx, object, outcome)
	}
	return nil
}

// applyNetwork also says which of the tenant's hostnames are another one's.
func (r *TenantReconciler) applyNetwork(ctx context.Context, run *reconciliation) error {
	if err := r.apply(ctx, run, desired.Network); err != nil {
		return err
	}
	return hostnameConflict(run.foreignHostnames)
}

// applyPart is the phase of a part that consists of objects and nothing else.
func applyPart(part desired.Part) func(*TenantReconciler, context.Context, *reconciliation) error {
	return func(r *TenantReconciler, ctx context.Context, run *reconciliation) error {
		return r.apply(ctx, run, part)
	}
}

// apply puts all objects of a part in place, also those behind one that fails.
func (r *TenantReconciler) apply(ctx context.Context, run *reconciliation, part desired.Part) error {
	var failures []error
	for _, object := range desired.Objects(part, run.inputs) {
		outcome, err := r.Engine.Apply(ctx, run.tenant(), object)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		r.noteChange(ctx, object, outcome)
	}
	return errors.Join(failures...)
}

func (r *TenantReconciler) noteChange(ctx context.Context, object client.Object, outcome apply.Outcome) {
	key, err := apply.KeyOf(object, r.Client)
	if err != nil || outcome == apply.Unchanged {
		return
	}
	metrics.ObjectChanges.WithLabelValues(key.Kind, string(outcome)).Inc()
	ctrl.LoggerFrom(ctx).V(1).Info("Object "+string(outcome), "kind", key.Kind, "name", key.Name)
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
	deleted, err := r.Engine.Prune(ctx, run.tenant(), run.tenant().Name, ownedLists(), keep)
	for _, key := range deleted {
		metrics.ObjectChanges.WithLabelValues(key.Kind, string(apply.Deleted)).Inc()
	}
	return err
}
