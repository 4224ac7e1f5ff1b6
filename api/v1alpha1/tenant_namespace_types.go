package v1alpha1

// TenantNamespaces limits the namespaces of a tenant. The operator creates the first one, which has the
// tenant's name, and those in names. Owners with the role Admin create further ones: Namespaces with the
// label tenantry.dev/tenant and the tenant's name as its value.
// +kubebuilder:validation:XValidation:rule="!has(self.limit) || !has(self.names) || size(self.names) < self.limit",message="names has as many namespaces as limit allows together with the one that has the tenant's name, or more; raise limit, leave it out, or take names away",fieldPath=".limit"
type TenantNamespaces struct {
	// names are namespaces that the operator creates for the tenant, in addition to the one with the tenant's name.
	// It recreates them if somebody deletes them. Removing a name from the list doesn't delete the namespace; it is
	// then like one that an owner has created. The operator doesn't touch a namespace that exists and isn't the
	// tenant's.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=255
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.all(n, n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))",message="names has an entry that is no name of a namespace; use lower-case letters, digits and dashes, with a letter or digit at both ends, for example acme-dev"
	// +kubebuilder:validation:XValidation:rule="self.all(n, !(n in ['default', 'tenantry-system', 'tenantry-databases']) && !n.startsWith('kube-'))",message="names has a namespace of the cluster itself (default, kube-*, tenantry-system, tenantry-databases); choose another name"
	Names []string `json:"names,omitempty"`

	// limit is the number of namespaces that the tenant may use, including the one with the tenant's name. Left out,
	// it is 1. With names, it is the number of names plus one. Nobody can use namespaces beyond the limit. Namespaces
	// in use stay usable; when there is room, the oldest of the others becomes usable.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	Limit int32 `json:"limit,omitempty"`

	// allowedNames are names that owners may give to the tenant's namespaces. Names that begin with the tenant's name
	// and a dash are always allowed. An entry is a name, such as playground, or a prefix that ends in a dash,
	// followed by a star, such as shop-*. Users who manage tenants may give a namespace any name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	AllowedNames []NamespacePattern `json:"allowedNames,omitempty"`

	// reclaimPolicy says what happens to the tenant's namespaces when the Tenant is deleted. Delete deletes them with
	// everything in them. Release removes what the operator has put there (labels, quota, policies, the owners'
	// rights, the app) and keeps the namespaces with everything else. Left out, namespaces that were moved into the
	// tenant are released, and namespaces that were created for it are deleted; status.namespaces shows which of them
	// will be released.
	// +optional
	ReclaimPolicy NamespaceReclaimPolicy `json:"reclaimPolicy,omitempty"`
}

// NamespacePattern is the name of a namespace, or shop-* for all names that begin with shop and a dash.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(-[*])?$')",message="this is neither the name of a namespace nor the beginning of one; write playground, or shop-* with a dash before the star"
// +kubebuilder:validation:XValidation:rule="!self.endsWith('*') || self.split('-').size() <= 5",message="the beginning of a name has four dashes at most, the one before the star included; write a shorter one"
type NamespacePattern string

// NamespaceReclaimPolicy says what happens to a namespace when its Tenant is deleted.
// +kubebuilder:validation:Enum=Delete;Release
// +kubebuilder:validation:MaxLength=7
type NamespaceReclaimPolicy string

// The reclaim policies of namespaces.
const (
	// NamespaceDelete deletes the namespace with everything in it.
	NamespaceDelete NamespaceReclaimPolicy = "Delete"
	// NamespaceRelease keeps the namespace, without what the operator has put there.
	NamespaceRelease NamespaceReclaimPolicy = "Release"
)

// NamespaceState says whether a namespace of a tenant can be used.
// +kubebuilder:validation:Enum=Usable;OverLimit;Conflict;Terminating
// +kubebuilder:validation:MaxLength=11
type NamespaceState string

// The states of namespaces.
const (
	// NamespaceUsable means that owners have their rights in the namespace, and that it has its share of the quota.
	NamespaceUsable NamespaceState = "Usable"
	// NamespaceOverLimit means that the tenant already uses as many namespaces as it may, and nothing can run in this
	// one.
	NamespaceOverLimit NamespaceState = "OverLimit"
	// NamespaceConflict means that the namespace has the tenant's label but belongs to somebody else. The operator
	// doesn't touch it.
	NamespaceConflict NamespaceState = "Conflict"
	// NamespaceTerminating means that the namespace is being deleted.
	NamespaceTerminating NamespaceState = "Terminating"
)

// TenantNamespace is a namespace of a tenant.
type TenantNamespace struct {
	// name is the name of the namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// primary is true for the namespace with the tenant's name.
	// +optional
	Primary bool `json:"primary,omitempty"`

	// state is Usable, OverLimit, Conflict or Terminating. An OverLimit namespace becomes Usable when
	// another one is deleted or spec.namespaces.limit is raised.
	// +optional
	State NamespaceState `json:"state,omitempty"`

	// reclaimPolicy is Release if the namespace is kept when the Tenant is deleted. It is absent if the namespace is
	// deleted with the Tenant.
	// +optional
	ReclaimPolicy NamespaceReclaimPolicy `json:"reclaimPolicy,omitempty"`

	// message says what is wrong with the namespace and what to do. It is absent for a Usable namespace.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}
