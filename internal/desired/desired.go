// Package desired says which objects a tenant should have. It is pure: it sees its Inputs and
// nothing else, neither the cluster nor the time, so the same Inputs always give the same objects.
package desired

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// Inputs is all that a tenant's objects depend on.
type Inputs struct {
	// Tenant is the tenant.
	Tenant *v1alpha1.Tenant
	// Server is the DatabaseServer that the tenant's database is placed on; nil where the tenant has
	// no database, or the server doesn't exist.
	Server *v1alpha1.DatabaseServer
	// Login is the tenant's login; nil while Server is.
	Login *Login
}

// Login is what a tenant needs to log in to its database.
type Login struct {
	// Database is the name of the database.
	Database string
	// Username is the name of the login role.
	Username string
	// Password is the password of the login role; empty when nobody knows it any more.
	Password string
	// NextPassword is the password of the login role that is to follow; empty for none.
	NextPassword string
	// RotatedAt is when the password was made.
	RotatedAt time.Time
	// RotationRequest is the request for a new password that this one came after; empty for none.
	RotationRequest string
}

// Object is a Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// Part is a part of a tenant that has a condition of its own; its value is the condition's type.
type Part string

// The parts, in the order in which they are put in place.
const (
	Namespace Part = v1alpha1.ConditionNamespaceReady
	Database  Part = v1alpha1.ConditionDatabaseReady
	Quota     Part = v1alpha1.ConditionQuotaReady
	Network   Part = v1alpha1.ConditionNetworkReady
	Access    Part = v1alpha1.ConditionAccessReady
	App       Part = v1alpha1.ConditionAppReady
)

// Parts are all parts, in the order in which they are put in place.
var Parts = []Part{Namespace, Database, Quota, Network, Access, App}

// Objects are the objects of one part of the tenant, in the order in which they are put in place.
// A part that the spec leaves out has none. They share maps and slices with the Inputs; copy an
// object before you change it.
func Objects(part Part, in Inputs) []Object {
	switch part {
	case Namespace:
		return []Object{namespace(in.Tenant)}
	case Database:
		return present(secret(in))
	case Quota:
		return present(resourceQuota(in.Tenant), limitRange(in.Tenant))
	case Network:
		return present(denyAll(in.Tenant), allowDNS(in.Tenant), allowTenant(in.Tenant),
			allowDatabase(in.Tenant, in.Server), allowSpec(in.Tenant))
	case Access:
		return roleBindings(in.Tenant)
	case App:
		return app(in)
	}
	return nil
}

// present are those of the objects that are not nil.
func present(objects ...Object) []Object {
	var result []Object
	for _, object := range objects {
		if object != nil {
			result = append(result, object)
		}
	}
	return result
}

// meta is the metadata of an object in the tenant's namespace.
func meta(tenant *v1alpha1.Tenant, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: tenant.Name,
		Name:      name,
		Labels:    naming.ManagedLabels(tenant.Name),
	}
}
