// Package effective computes a tenant's effective spec: its own spec over what its class says, merged by the rules of
// server-side apply, with built-in defaults for what both leave out. It is pure.
//
// The API server sets none of these defaults, so a stored Tenant has only what somebody wrote. Everything that
// uses this package works with the effective spec.
package effective

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Tenant is a tenant with its effective spec.
type Tenant struct {
	// ObjectMeta is that of the Tenant.
	metav1.ObjectMeta
	// Spec is the tenant's effective spec.
	Spec Spec
	// Status is the Tenant's present status.
	Status v1alpha1.TenantStatus
	// Class is the tenant's class; nil if it has none.
	Class *Class
	// HeldBack says which fields stay as they are, because they are fixed once the database is placed, although the
	// class says otherwise.
	HeldBack []string
}

// Spec is a Tenant's spec with a value in each field that has a default. It is a separate type, so that nobody
// mistakes one for the other.
type Spec v1alpha1.TenantSpec

// Of returns a tenant without a class with its effective spec. It doesn't change the Tenant; the result shares its metadata and
// status.
func Of(tenant *v1alpha1.Tenant) *Tenant {
	spec := Spec(*tenant.Spec.DeepCopy())
	spec.complete()
	return &Tenant{ObjectMeta: tenant.ObjectMeta, Spec: spec, Status: tenant.Status}
}
