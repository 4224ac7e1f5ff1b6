package parts

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/problem"
)

// Observation is all that the conditions of a tenant's parts depend on.
type Observation struct {
	// Tenant is the tenant, with its effective spec and the status that it has so far.
	Tenant *effective.Tenant
	// Problems say, by condition type, what keeps a part from being in place. A part without a
	// problem is in place.
	Problems map[string]problem.Problem
	// Database is where the tenant's database is; nil while it has none.
	Database *v1alpha1.TenantDatabaseStatus
	// Namespaces are the tenant's namespaces; left out, there is only the primary one.
	Namespaces []v1alpha1.TenantNamespace
	// Quota is the tenant's ResourceQuota as the cluster has it, or what its ResourceQuotas are
	// together; nil if it has none.
	Quota *corev1.ResourceQuota
	// Deployment is the tenant's app as the cluster has it; nil if it has none.
	Deployment *appsv1.Deployment
	// Pods are the app's pods as the cluster has them.
	Pods []corev1.Pod
}

// maxNamespaces is how many namespaces a status takes.
const maxNamespaces = 256

// TenantNamespaces are the tenant's namespaces, or as many of them as a status takes.
func (o Observation) TenantNamespaces() []v1alpha1.TenantNamespace {
	if _, missing := o.Problems[v1alpha1.ConditionNamespaceReady]; missing && len(o.Namespaces) < 2 {
		return nil
	}
	if len(o.Namespaces) == 0 {
		return []v1alpha1.TenantNamespace{{Name: o.Tenant.Name, Primary: true, State: v1alpha1.NamespaceUsable}}
	}
	return o.Namespaces[:min(len(o.Namespaces), maxNamespaces)]
}

// UsableNamespaces is how many of them the tenant may use.
func (o Observation) UsableNamespaces() int32 {
	usable := int32(0)
	for _, namespace := range o.TenantNamespaces() {
		if namespace.State == v1alpha1.NamespaceUsable {
			usable++
		}
	}
	return usable
}
