// Package effective says what a tenant is to be: what its own spec says and, where that is silent,
// what is built in. It is pure.
//
// The API server fills in no defaults that this package knows, so a stored Tenant has what somebody
// wrote and nothing else. Everything behind this package goes by the effective spec.
package effective

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Tenant is a tenant with its effective spec.
type Tenant struct {
	// ObjectMeta is that of the Tenant.
	metav1.ObjectMeta
	// Spec is what the tenant is to be.
	Spec Spec
	// Status is what the Tenant's status says so far.
	Status v1alpha1.TenantStatus
}

// Spec has the fields of a Tenant's spec, with a value in each that has a default. It is a type of its
// own so that nobody takes one for the other.
type Spec v1alpha1.TenantSpec

// Of makes the effective spec of a tenant from its layers: each says what those above it leave out,
// and the last one is built in. The Tenant stays as it is; metadata and status are shared with it.
func Of(tenant *v1alpha1.Tenant) *Tenant {
	spec := Spec(*tenant.Spec.DeepCopy())
	spec.complete()
	return &Tenant{ObjectMeta: tenant.ObjectMeta, Spec: spec, Status: tenant.Status}
}
