// Package parts has the parts of a tenant. The file of each part says which tenants have it, which objects it
// consists of, and what its condition says. The package is pure: it sees only its Inputs, or an Observation, and
// neither the cluster nor the time. The same Inputs always give the same objects.
package parts

import (
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"

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
	// Places are the tenant's namespaces, the primary one first. Empty means only that one.
	Places []Place
	// Listing is the list of namespaces that the tenant's owners see; empty if they get none.
	Listing []v1alpha1.TenantNamespace
	// UntrustedNamespaces are the namespaces of ServiceAccounts among the owners that don't exist or are another
	// tenant's, each with the reason in a few words.
	UntrustedNamespaces map[string]string
	// Server is the DatabaseServer that the tenant's database is placed on; nil if the tenant has no database, or if
	// the server doesn't exist.
	Server *v1alpha1.DatabaseServer
	// Login is the tenant's login; nil if Server is nil.
	Login *Login
	// Unplaced says that the tenant's database has never been in place so far, so that an app would find none.
	Unplaced bool
	// ForeignHostnames are hostnames of the tenant that an older tenant has already.
	ForeignHostnames []v1alpha1.HostnamePattern
	// Entrance is what the cluster has on the way to an app that is exposed.
	Entrance Entrance
	// DNS are the egress rules that allow the cluster's DNS. If empty, they are those of nearly all distributions.
	DNS []networkingv1.NetworkPolicyEgressRule
	// Audit says that the policies only warn, in the whole cluster.
	Audit bool
	// Autoscaled are the names of the Deployments of which a HorizontalPodAutoscaler sets how many replicas they have.
	Autoscaled sets.Set[string]
	// Release is what the app in the tenant's spec waits for. Tenant has the app that it may have now.
	Release Release
	// Asleep says that the tenant is to sleep: its app has no replicas.
	Asleep bool
	// Scales has, by their names, how many replicas the live Deployments of the app and its workers have.
	Scales map[string]Scale
	// Files are the files with the app's settings.
	Files Files
	// Secrets has, by the names of the Secrets with the app's settings, what changes with their content.
	Secrets map[string]string
	// Claims are the live PersistentVolumeClaims of the app's storage.
	Claims []corev1.PersistentVolumeClaim
	// Running is the template of the app's live pods; nil if there are none.
	Running *corev1.PodTemplateSpec
	// Limits is the live LimitRange in the primary namespace; nil if there is none.
	Limits *corev1.LimitRange
	// Originals are those of the class's copies that are known and can be copied.
	Originals map[v1alpha1.TenantClassCopy]*unstructured.Unstructured
}

// Place is a namespace of a tenant.
type Place struct {
	// Name is the name of the namespace.
	Name string
	// Usable says that the tenant may use it. Nothing can run in a namespace that isn't usable.
	Usable bool
	// MovedIn says that it existed before it became the tenant's.
	MovedIn bool
	// ReclaimPolicy is Release if it stays when the Tenant is deleted.
	ReclaimPolicy v1alpha1.NamespaceReclaimPolicy
	// Quota is the namespace's slice of the tenant's quota; nil if it has the whole quota.
	Quota *Slice
}

// Slice is the part of a tenant's quota that one namespace has.
type Slice struct {
	// Hard is how much of each resource it has.
	Hard corev1.ResourceList
	// Note is the Note of package budget, as text; empty for none.
	Note string
	// Version is the resourceVersion of the ResourceQuota from which this was decided; empty if that doesn't
	// matter.
	Version string
}

// Login is what a tenant needs to log in to its database.
type Login struct {
	// Database is the name of the database.
	Database string
	// Schema is the schema of the database in which the tenant's tables are.
	Schema string
	// Username is the name of the login role.
	Username string
	// Password is the password of the login role; empty when nobody knows it any more.
	Password string
	// NextPassword is the password of the login role that is to be used next; empty for none.
	NextPassword string
	// RotatedAt is when the password was generated.
	RotatedAt time.Time
	// RotationRequest is the last request for a new password that this one has fulfilled; empty for none.
	RotationRequest string
	// SecretVersion is the resourceVersion that the Secret must have; empty if it needn't exist. So a Secret that
	// somebody has just deleted doesn't come back with the password that it had.
	SecretVersion string
}

// Part is a part of a tenant with its own condition.
type Part struct {
	// Condition is the type of the condition.
	Condition string
	// Wall says that a namespace must stay closed while it lacks this part.
	Wall bool
	// Opens says that the part lets others create objects in a namespace, or creates pods there, so that it must wait
	// until the cluster enforces the quota.
	Opens bool
	// Kinds are the namespaced kinds of its objects. The operator watches them, and deletes objects of the
	// tenant that are no longer desired.
	Kinds []desired.Object
	// Others are further kinds, which the operator watches and removes in ways of their own: those that not every
	// cluster has, and storage, which stays.
	Others []desired.Object

	applies func(*effective.Tenant) bool      // nil if each tenant has the part
	missing func(*effective.Spec) error       // nil if a spec can't lack anything
	objects func(Inputs) []desired.Object     // none for a spec that hasn't the part
	spared  func(Inputs) []desired.Object     // nil if what isn't desired is always to be deleted
	inPlace func(Observation) condition.State // of a part without a problem
}

// All has all parts in the order in which they depend on each other. That is also the order in which they explain
// why a tenant isn't Ready. Everything that the operator does with parts uses this list.
var All = []*Part{Namespace, Quota, Network, Access, Database, Objects, App}

// String returns the type of the condition.
func (p *Part) String() string { return p.Condition }

// Applies reports whether a tenant has the part.
func (p *Part) Applies(tenant *effective.Tenant) bool { return p.applies == nil || p.applies(tenant) }

// Missing returns what the spec lacks for the part, as a [*effective.MissingError]; nil if it lacks nothing.
func (p *Part) Missing(spec *effective.Spec) error {
	if p.missing == nil {
		return nil
	}
	return p.missing(spec)
}

// Objects returns the objects of the part, in the order in which they are put in place; none if the spec leaves
// the part out. They share maps and slices with the Inputs: copy an object before you change it.
func (p *Part) Objects(in Inputs) []desired.Object { return p.objects(in) }

// Spared returns objects of which it isn't known how they should be, and which stay as they are.
func (p *Part) Spared(in Inputs) []desired.Object {
	if p.spared == nil {
		return nil
	}
	return p.spared(in)
}

// State returns what the part's condition says.
func (p *Part) State(o Observation) condition.State {
	if found, isProblem := o.Problems[p.Condition]; isProblem {
		return condition.Of(found)
	}
	return p.inPlace(o)
}

// Kinds returns the kinds of all parts, each once.
func Kinds() []desired.Object {
	return eachKind(func(part *Part) []desired.Object { return part.Kinds })
}

// AllKinds returns the kinds of all parts with their others, each once.
func AllKinds() []desired.Object { return eachKind((*Part).AllKinds) }

// AllKinds returns the kinds of the part with its others.
func (p *Part) AllKinds() []desired.Object { return slices.Concat(p.Kinds, p.Others) }

func eachKind(of func(*Part) []desired.Object) []desired.Object {
	var kinds []desired.Object
	known := map[reflect.Type]bool{}
	for _, part := range All {
		for _, kind := range of(part) {
			if kindOf := reflect.TypeOf(kind); !known[kindOf] {
				known[kindOf] = true
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}

// places returns the tenant's namespaces, the primary one first.
func (in Inputs) places() []Place {
	if len(in.Places) > 0 {
		return in.Places
	}
	return []Place{{Name: in.Tenant.Name, Usable: true}}
}

// each returns the objects that the functions return for each of the tenant's namespaces.
func (in Inputs) each(makers ...func(Inputs, Place) desired.Object) []desired.Object {
	var objects []desired.Object
	for _, place := range in.places() {
		for _, maker := range makers {
			objects = append(objects, present(maker(in, place))...)
		}
	}
	return objects
}

// isPrimary reports whether a namespace is the one with the tenant's name.
func (in Inputs) isPrimary(place Place) bool { return place.Name == in.Tenant.Name }

// present returns the objects that are not nil.
func present(objects ...desired.Object) []desired.Object {
	var result []desired.Object
	for _, object := range objects {
		if object != nil {
			result = append(result, object)
		}
	}
	return result
}

// meta returns the metadata of an object in the tenant's primary namespace.
func meta(tenant *effective.Tenant, name string) metav1.ObjectMeta {
	return metaIn(tenant.Name, tenant, name)
}

// metaIn returns the metadata of an object in a namespace of the tenant.
func metaIn(namespace string, tenant *effective.Tenant, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace,
		Name:      name,
		Labels:    naming.ManagedLabels(tenant.Name),
	}
}
