package parts

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenantpolicies,verbs=get;list;watch;create;update;delete

// Namespace is the part with the tenant's namespaces, each with its TenantPolicy.
var Namespace = &Part{
	Condition: v1alpha1.ConditionNamespaceReady,
	Kinds:     []desired.Object{&v1alpha1.TenantPolicy{}},
	objects:   func(in Inputs) []desired.Object { return in.each(namespace, tenantPolicy) },
	inPlace:   namespaceInPlace,
}

func namespace(in Inputs, place Place) desired.Object {
	tenant := in.Tenant
	labels := naming.ManagedLabels(tenant.Name)
	maps.Copy(labels, policyLabels(in))
	labels[naming.LabelUsable] = strconv.FormatBool(place.Usable)
	annotations := map[string]string{}
	if tenant.Spec.DisplayName != "" {
		annotations[naming.AnnotationDisplayName] = tenant.Spec.DisplayName
	}
	if place.Usable && !in.isPrimary(place) {
		annotations[naming.AnnotationUsable] = "true"
	}
	if place.MovedIn {
		annotations[naming.AnnotationMovedIn] = "true"
	}
	if place.ReclaimPolicy == v1alpha1.NamespaceRelease {
		annotations[naming.AnnotationReclaimPolicy] = string(place.ReclaimPolicy)
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: place.Name, Labels: labels, Annotations: annotations}}
}

func namespaceInPlace(o Observation) condition.State {
	usable, limit := o.UsableNamespaces(), o.Tenant.Spec.Namespaces.Limit
	for _, namespace := range o.Namespaces {
		if namespace.State == v1alpha1.NamespaceConflict {
			return condition.Of(problem.NamespaceConflict(namespace.Name, namespace.Message))
		}
	}
	if waiting := membership.Names(o.Namespaces, v1alpha1.NamespaceOverLimit); waiting != "" {
		return condition.Of(problem.NamespaceLimitExceeded(limit, waiting))
	}
	if usable > 1 {
		return condition.Ready("%d namespaces are in place.", usable)
	}
	return condition.Ready("The namespace is in place.")
}
