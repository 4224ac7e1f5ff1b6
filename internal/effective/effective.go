// Package effective says what a tenant is to be: what its own spec says, and built-in defaults for the rest. It
// is pure.
//
// The API server fills in none of these defaults, so that a stored Tenant has what somebody wrote and nothing
// else. Everything behind this package goes by the effective spec.
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
	// Status is the Tenant's present status.
	Status v1alpha1.TenantStatus
}

// Spec is a Tenant's spec with a value in each field that has a default. It is a type of its own, so that nobody
// takes one for the other.
type Spec v1alpha1.TenantSpec

// Of makes the effective spec of a tenant from its layers: each one fills in what those above it leave out, and
// the last one is built in. The Tenant isn't changed; the result shares its metadata and status.
func Of(tenant *v1alpha1.Tenant) *Tenant {
	spec := Spec(*tenant.Spec.DeepCopy())
	spec.complete()
	return &Tenant{ObjectMeta: tenant.ObjectMeta, Spec: spec, Status: tenant.Status}
}
