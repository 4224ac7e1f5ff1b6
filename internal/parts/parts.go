// Package parts says what the parts of a tenant are: for each, one file has which tenants have it, which
// objects it consists of, and what its condition says. It is pure: it sees its Inputs, or an Observation,
// and nothing else, neither the cluster nor the time, so the same Inputs always give the same objects.
package parts

import (
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// Inputs is all that a tenant's objects depend on.
type Inputs struct {
	// Tenant is the tenant, with its effective spec.
	Tenant *effective.Tenant
	// Places are the tenant's namespaces, the primary one first. Left out, there is only that one.
	Places []Place
	// Listing is what the tenant's owners are told of its namespaces. Left out, it is nothing.
	Listing []v1alpha1.TenantNamespace
	// Server is the DatabaseServer that the tenant's database is placed on; nil where the tenant has
	// no database, or the server doesn't exist.
	Server *v1alpha1.DatabaseServer
	// Login is the tenant's login; nil while Server is.
	Login *Login
	// ForeignHostnames are those of the tenant's hostnames that an older tenant has.
	ForeignHostnames []v1alpha1.HostnamePattern
	// Audit says that policies warn in the whole cluster, and refuse nothing.
	Audit bool
	// Autoscaled says that a HorizontalPodAutoscaler sets how many replicas the app has.
	Autoscaled bool
	// Limits is the LimitRange that is in place in the primary namespace; nil for none.
	Limits *corev1.LimitRange
}

// Place is a namespace of a tenant.
type Place struct {
	// Name is the name of the namespace.
	Name string
	// Usable says that the tenant may use it. One that isn't Usable is kept so that nothing runs in it.
	Usable bool
	// Quota is the part of the tenant's quota that it has; nil where it has all.
	Quota *Slice
}

// Slice is part of a tenant's quota.
type Slice struct {
	// Hard is how much.
	Hard corev1.ResourceList
	// Note is what the next split depends on, as text; empty where there is none.
	Note string
	// Version is the resourceVersion of the ResourceQuota that this was decided by; empty where it may
	// be any.
	Version string
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

// Part is a part of a tenant that has a condition of its own.
type Part struct {
	// Condition is the type of the condition.
	Condition string
	// Wall says that a namespace is open as long as it lacks this part, and so must stay closed.
	Wall bool
	// Opens says that the part lets something into a namespace. It waits until the quota counts there.
	Opens bool
	// Kinds are the namespaced kinds of its objects. The operator watches them, and deletes those of the
	// tenant that are no longer asked for.
	Kinds []desired.Object

	applies func(effective.Spec) bool         // nil if each tenant has the part
	missing func(*effective.Spec) error       // nil if a spec can't lack anything
	objects func(Inputs) []desired.Object     // none for a spec that hasn't the part
	inPlace func(Observation) condition.State // of a part without a problem
}

// All are all parts, in the order in which they need each other. It is also the order in which they explain
// why a tenant isn't Ready. Whatever the operator does with parts goes by this list.
var All = []*Part{Namespace, Quota, Network, Access, Database, App}

// String is the type of the condition.
func (p *Part) String() string { return p.Condition }

// Applies says whether a tenant with this spec has the part.
func (p *Part) Applies(spec effective.Spec) bool { return p.applies == nil || p.applies(spec) }

// Missing says what the spec lacks to make the part of, as a [*effective.MissingError]; nil for nothing.
func (p *Part) Missing(spec *effective.Spec) error {
	if p.missing == nil {
		return nil
	}
	return p.missing(spec)
}

// Objects are the objects of the part, in the order in which they are put in place. A part that the spec
// leaves out has none. They share maps and slices with the Inputs; copy an object before you change it.
func (p *Part) Objects(in Inputs) []desired.Object { return p.objects(in) }

// State is what the part's condition says.
func (p *Part) State(o Observation) condition.State {
	if found, isProblem := o.Problems[p.Condition]; isProblem {
		return condition.Of(found)
	}
	return p.inPlace(o)
}

// Kinds are the kinds of all parts, each once.
func Kinds() []desired.Object {
	var kinds []desired.Object
	known := map[reflect.Type]bool{}
	for _, part := range All {
		for _, kind := range part.Kinds {
			if of := reflect.TypeOf(kind); !known[of] {
				known[of] = true
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}

// places are the tenant's namespaces, the primary one first.
func (in Inputs) places() []Place {
	if len(in.Places) > 0 {
		return in.Places
	}
	return []Place{{Name: in.Tenant.Name, Usable: true}}
}

// each are the objects that these make for each of the tenant's namespaces.
func (in Inputs) each(makers ...func(Inputs, Place) desired.Object) []desired.Object {
	var objects []desired.Object
	for _, place := range in.places() {
		for _, maker := range makers {
			objects = append(objects, present(maker(in, place))...)
		}
	}
	return objects
}

// isPrimary says whether a namespace is the one that is named after the tenant.
func (in Inputs) isPrimary(place Place) bool { return place.Name == in.Tenant.Name }

// present are those of the objects that are not nil.
func present(objects ...desired.Object) []desired.Object {
	var result []desired.Object
	for _, object := range objects {
		if object != nil {
			result = append(result, object)
		}
	}
	return result
}

// meta is the metadata of an object in the tenant's primary namespace.
func meta(tenant *effective.Tenant, name string) metav1.ObjectMeta {
	return metaIn(tenant.Name, tenant, name)
}

// metaIn is the metadata of an object in a namespace of the tenant.
func metaIn(namespace string, tenant *effective.Tenant, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace,
		Name:      name,
		Labels:    naming.ManagedLabels(tenant.Name),
	}
}
