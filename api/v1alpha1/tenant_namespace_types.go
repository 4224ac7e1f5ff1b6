package v1alpha1

// TenantNamespaces limits the namespaces of a tenant. The operator creates the first one, which has the
// tenant's name. Owners with the role Admin create further ones: Namespaces with the label
// tenantry.dev/tenant and the tenant's name as its value.
type TenantNamespaces struct {
	// limit is the number of namespaces that the tenant may use, including the one with the tenant's name.
	// Left out, it is 1. Nobody can use namespaces beyond the limit. Namespaces in use stay usable; when
	// there is room, the oldest of the others is next.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	Limit int32 `json:"limit,omitempty"`
}

// NamespaceState says whether a namespace of a tenant can be used.
// +kubebuilder:validation:Enum=Usable;OverLimit;Conflict;Terminating
// +kubebuilder:validation:MaxLength=11
type NamespaceState string

// The states of namespaces.
const (
	// NamespaceUsable : owners have their rights in it, and it has its share of the quota.
	NamespaceUsable NamespaceState = "Usable"
	// NamespaceOverLimit : the tenant already uses as many namespaces as it may, and nothing can run in
	// this one.
	NamespaceOverLimit NamespaceState = "OverLimit"
	// NamespaceConflict : it has the tenant's label but belongs to somebody else; the operator doesn't
	// touch it.
	NamespaceConflict NamespaceState = "Conflict"
	// NamespaceTerminating : it is being deleted.
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

	// message is a sentence that says what is wrong with the namespace and what to do; empty for a
	// Usable one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}
