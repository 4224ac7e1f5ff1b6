package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TenantPolicySpec has the rules for objects in one of a tenant's namespaces.
type TenantPolicySpec struct {
	// tenant is the name of the Tenant.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tenant string `json:"tenant,omitempty"`

	// primary is true in the namespace with the tenant's name.
	// +optional
	Primary bool `json:"primary,omitempty"`

	// The rules of the Tenant's spec.policy, without hostnames that belong to an older tenant.
	PolicyRules `json:",inline"`
}

// TenantPolicy is a tenant's spec.policy as it applies in one of its namespaces. The operator writes
// it, with the name tenant, and the API server reads it when an object is written in the namespace. If
// it is missing, nearly everything is refused.
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=tnp,categories=tenantry
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=`.spec.tenant`
// +kubebuilder:printcolumn:name="Enforcement",type=string,JSONPath=`.spec.enforcement`
// +kubebuilder:printcolumn:name="Pod Security",type=string,JSONPath=`.spec.podSecurity`
// +kubebuilder:printcolumn:name="Services",type=string,JSONPath=`.spec.serviceTypes`
// +kubebuilder:printcolumn:name="Hostnames",type=string,JSONPath=`.spec.hostnames`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'tenant'",message="the TenantPolicy of a namespace is named tenant"
type TenantPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata. The name is always tenant.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec has the rules for objects in the namespace.
	// +structType=atomic
	// +required
	Spec TenantPolicySpec `json:"spec,omitzero"`
}

// TenantPolicyList is a list of TenantPolicies.
// +kubebuilder:object:root=true
type TenantPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the TenantPolicies.
	// +required
	Items []TenantPolicy `json:"items"`
}
