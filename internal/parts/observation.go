package parts

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/problem"
)

// Observation is all that the conditions of a tenant's parts depend on.
type Observation struct {
	// Tenant is the tenant, with its effective spec and its present status.
	Tenant *effective.Tenant
	// Problems say, by condition type, what keeps a part from being in place. A part without a
	// problem is in place.
	Problems map[string]problem.Problem
	// Database is where the tenant's database is; nil while it has none.
	Database *v1alpha1.TenantDatabaseStatus
	// Namespaces are the tenant's namespaces; empty means only the primary one.
	Namespaces []v1alpha1.TenantNamespace
	// Needs is what the operator's own objects use of the quota, in all namespaces.
	Needs corev1.ResourceList
	// UntrustedNamespaces are as in Inputs.
	UntrustedNamespaces map[string]string
	// Quota is the tenant's ResourceQuota as the cluster has it, or what its ResourceQuotas are
	// together; nil if it has none.
	Quota *corev1.ResourceQuota
	// Slice is what is used of the quota in the primary namespace.
	Slice corev1.ResourceList
	// Deployment is the tenant's app as the cluster has it; nil if it has none.
	Deployment *appsv1.Deployment
	// Pods are the app's pods as the cluster has them.
	Pods []corev1.Pod
	// TroubledSince is since when AppTrouble has found something, whatever it was.
	TroubledSince time.Time
	// Now is the time of the observation.
	Now time.Time
}

// MaxNamespaces is how many namespaces a status takes.
const MaxNamespaces = 256

// TenantNamespaces returns the tenant's namespaces, or as many of them as a status may list.
func (o Observation) TenantNamespaces() []v1alpha1.TenantNamespace {
	if _, missing := o.Problems[v1alpha1.ConditionNamespaceReady]; missing && len(o.Namespaces) < 2 {
		return nil
	}
	if len(o.Namespaces) == 0 {
		return []v1alpha1.TenantNamespace{{Name: o.Tenant.Name, Primary: true, State: v1alpha1.NamespaceUsable}}
	}
	return o.Namespaces[:min(len(o.Namespaces), MaxNamespaces)]
}

// UsableNamespaces returns how many namespaces the tenant may use.
func (o Observation) UsableNamespaces() int32 {
	usable := int32(0)
	for _, namespace := range o.TenantNamespaces() {
		if namespace.State == v1alpha1.NamespaceUsable {
			usable++
		}
	}
	return usable
}
