package v1alpha1

// TenantNamespaces says how many namespaces a tenant may have. The first one is named after the
// tenant and made by the operator. Further ones are made by owners with the role Admin, who create a
// Namespace with the label tenantry.dev/tenant and the tenant's name as its value.
type TenantNamespaces struct {
	// limit is how many namespaces the tenant may use, the one named after the tenant included. Left
	// out, it is 1. Namespaces beyond the limit exist, but nobody can use them: those that are in use
	// stay so, and of the others the older come first.
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
	// NamespaceUsable : owners have their rights in it, and it has its part of the quota.
	NamespaceUsable NamespaceState = "Usable"
	// NamespaceOverLimit : the tenant has as many namespaces as it may already; nothing can run in it.
	NamespaceOverLimit NamespaceState = "OverLimit"
	// NamespaceConflict : it has the tenant's label but belongs to somebody else, and is left as it is.
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

	// primary says that this is the namespace named after the tenant.
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
