package v1alpha1

import (
	"k8s.io/apimachinery/pkg/runtime"
)

// TenantClassEach says in which namespaces of a tenant there is something.
// +kubebuilder:validation:Enum=Namespace
type TenantClassEach string

// EachNamespace means each namespace that the tenant may use.
const EachNamespace TenantClassEach = "Namespace"

// TenantClassObject is an object that each tenant of a class has.
type TenantClassObject struct {
	// template is the object, of any namespaced kind, without metadata.namespace. A text in it may have values in
	// ${…}, which are CEL expressions over the tenant: ${tenant.name}.shop.example. A text that is one such value as a
	// whole keeps its type, so that replicas: ${spec.app.replicas} is a number; elsewhere it becomes text. Where the
	// result is optional.none(), the field or item is left out. Write $${ for ${ itself.
	//
	// The variables are tenant (name, uid, displayName, labels, annotations, namespace), class (name), spec (the spec of
	// the tenant together with what its class says), database (host, port, name, secretName) and app (url,
	// internalURL, image). An object with database in it is created once the tenant's database is ready. The operator needs the rights to
	// the kind: the ClusterRole tenantry-class-objects has those to ConfigMaps, and takes in all ClusterRoles with the
	// label tenantry.dev/aggregate-to-class-objects: "true".
	// +required
	// +kubebuilder:pruning:PreserveUnknownFields
	Template runtime.RawExtension `json:"template,omitzero"`

	// each says where the object is: Namespace is each namespace that the tenant may use, where tenant.namespace
	// is its name. Left out, it is the primary namespace.
	// +optional
	Each TenantClassEach `json:"each,omitempty"`
}

// TenantClassCopyKind is a kind of which there can be copies.
// +kubebuilder:validation:Enum=Secret;ConfigMap
type TenantClassCopyKind string

// The kinds of which there can be copies.
const (
	CopySecret    TenantClassCopyKind = "Secret"
	CopyConfigMap TenantClassCopyKind = "ConfigMap"
)

// TenantClassCopy is a Secret or ConfigMap of which each tenant of a class has a copy.
type TenantClassCopy struct {
	// kind is Secret or ConfigMap.
	// +required
	Kind TenantClassCopyKind `json:"kind,omitempty"`

	// namespace is where the original is. It can't be the namespace of a tenant, who could change it for all others.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!(self in ['tenantry-system', 'tenantry-databases'])",message="what is in tenantry-system and tenantry-databases is the operator's own, such as the logins to database servers; have the original in another namespace"
	Namespace string `json:"namespace,omitempty"`

	// name is the name of the original and of its copies.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// each says where the copies are: Namespace is each namespace that the tenant may use. Left out, it is the primary
	// namespace.
	// +optional
	Each TenantClassEach `json:"each,omitempty"`
}

// TenantObjectKind is a kind of objects.
type TenantObjectKind struct {
	// apiVersion is the group and version of the kind.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	APIVersion string `json:"apiVersion,omitempty"`

	// kind is the name of the kind.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
}
