package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationDefaultClass on a TenantClass, with the value true, makes it the class of new Tenants that don't say which
// class they have. If several TenantClasses have it, the newest is the default.
const AnnotationDefaultClass = "tenantclass.tenantry.dev/is-default-class"

// TenantField is the path of a field in a Tenant's spec, for example app.replicas.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-zA-Z0-9]*([.][a-z][a-zA-Z0-9]*){0,2}$')",message="this is no path of a field in a Tenant's spec; write up to three names with dots between them and without spec, as in quota, app.replicas or database.credentials.secretName"
type TenantField string

// TenantClassRule is a rule for what tenants of a class write.
type TenantClassRule struct {
	// rule is a CEL expression that is true if the tenant may have its spec. self is the spec of the Tenant as it was
	// written, without what the class adds. The functions are those of the validation rules of a
	// CustomResourceDefinition (https://kubernetes.io/docs/reference/using-api/cel/).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Rule string `json:"rule,omitempty"`

	// message says what is wrong and what to write instead. Tenants that break the rule show it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// TenantClassBounds limit what tenants of a class may write in their own spec. The API server refuses what is
// outside of them.
type TenantClassBounds struct {
	// overridable are the fields that tenants may write, with all that is in them: quota, app.replicas. Left out,
	// tenants may write every field. [] lets them write none. What is about a single tenant is always the tenant's to
	// write: className, displayName, cordoned, deletionProtection and adoptObjects.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Overridable []TenantField `json:"overridable,omitzero"`

	// quota has the highest values that tenants may write in their quota. Each must have a default in
	// spec.tenant.quota, since without one a tenant that writes nothing would have no limit. What isn't listed isn't
	// bounded.
	// +optional
	// +kubebuilder:validation:MaxProperties=24
	Quota corev1.ResourceList `json:"quota,omitempty"`

	// isolations are the isolations that the tenants' databases may have. Left out, all are allowed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Isolations []DatabaseIsolation `json:"isolations,omitempty"`

	// imageRegistries are the allowed beginnings of app.image, and of the images of its further containers, as in
	// policy.imageRegistries of a Tenant. Left out, all images are allowed. spec.tenant.policy.imageRegistries also limits
	// all other pods of the tenants.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ImageRegistries []ImageRegistry `json:"imageRegistries,omitempty"`

	// rules are further rules for what tenants write. The operator checks them: a tenant that breaks one is Stalled,
	// and stays as it was before.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Rules []TenantClassRule `json:"rules,omitempty"`
}

// TenantClassSpec says what the tenants of a class have.
// +kubebuilder:validation:XValidation:rule="!has(self.tenant) || ![has(self.tenant.className), has(self.tenant.classRevision), has(self.tenant.displayName), has(self.tenant.cordoned), has(self.tenant.deletionProtection), has(self.tenant.adoptObjects), has(self.tenant.namespaces) && has(self.tenant.namespaces.names), has(self.tenant.policy) && has(self.tenant.policy.hostnames), has(self.tenant.app) && has(self.tenant.app.expose) && has(self.tenant.app.expose.hostnames), has(self.tenant.database) && has(self.tenant.database.adopt)].exists(said, said)",message="className, classRevision, displayName, cordoned, deletionProtection, adoptObjects, namespaces.names, policy.hostnames, app.expose.hostnames and database.adopt are about a single tenant; leave them out here, and write them in the Tenant",fieldPath=".tenant"
// +kubebuilder:validation:XValidation:rule="!has(self.bounds) || !has(self.bounds.isolations) || !has(self.tenant) || !has(self.tenant.database) || (has(self.tenant.database.isolation) ? self.tenant.database.isolation : 'Database') in self.bounds.isolations",messageExpression="'tenant.database.isolation is ' + (has(self.tenant.database.isolation) ? self.tenant.database.isolation : 'Database, the default') + ', and bounds.isolations allows ' + self.bounds.isolations.join(', ')",fieldPath=".tenant.database.isolation"
// +kubebuilder:validation:XValidation:rule="!has(self.bounds) || !has(self.bounds.imageRegistries) || !has(self.tenant) || !has(self.tenant.app) || !has(self.tenant.app.image) || self.bounds.imageRegistries.exists(r, self.tenant.app.image == r || self.tenant.app.image.startsWith(r.endsWith('/') ? r : r + '/') || !r.endsWith('/') && (self.tenant.app.image.startsWith(r + ':') || self.tenant.app.image.startsWith(r + '@')))",messageExpression="'tenant.app.image is ' + self.tenant.app.image + ', and bounds.imageRegistries allows ' + self.bounds.imageRegistries.join(', ')",fieldPath=".tenant.app.image"
// +kubebuilder:validation:XValidation:rule="!has(self.tenant) || !has(self.tenant.secretRefs) || self.tenant.secretRefs.all(r, !has(r.__namespace__))",message="secretRefs names Secrets in the primary namespace of each tenant; leave namespace out",fieldPath=".tenant.secretRefs"
type TenantClassSpec struct {
	// description says for whom the class is.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Description string `json:"description,omitempty"`

	// tenant is what the tenants of this class have, field by field as in the spec of a Tenant. What a Tenant itself
	// writes comes before it: entries of maps, and of lists whose entries have a key such as a name, one by one, and
	// other lists as a whole. Nothing of it is stored in the Tenant. Nothing here is required; what a tenant can't do
	// without may come from either.
	// +optional
	Tenant TenantSpec `json:"tenant,omitzero"`

	// bounds limit what tenants may write themselves. Left out, they may write everything.
	// +optional
	Bounds TenantClassBounds `json:"bounds,omitzero"`

	// rollout says how a change of tenant reaches the tenants of the class. Left out, it reaches one after the other.
	// +optional
	Rollout TenantClassRollout `json:"rollout,omitzero"`

	// objects are further objects that each tenant of this class has.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Objects []TenantClassObject `json:"objects,omitempty"`

	// copies are Secrets and ConfigMaps of which each tenant of this class has a copy, which follows the original. The
	// people and pods of a tenant can read them.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Copies []TenantClassCopy `json:"copies,omitempty"`

	// revisionHistoryLimit is how many TenantClassRevisions that no tenant uses are kept. Left out, it is 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`
}

// TenantClassStatus is the observed state of a TenantClass.
type TenantClassStatus struct {
	// conditions describe the state of the class. Ready is always present, Reconciling and Stalled only while True,
	// and DeletionBlocked while the class is being deleted and still has tenants.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status reflects.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// currentRevision is the name of the TenantClassRevision with the current spec.tenant, spec.objects
	// and spec.copies.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	CurrentRevision string `json:"currentRevision,omitempty"`

	TenantClassRelease `json:",inline"`

	// tenants is the number of Tenants with this class.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants *int32 `json:"tenants,omitempty"`

	// ready is how many of them are Ready.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Ready *int32 `json:"ready,omitempty"`

	// pinned is how many of them have a classRevision in their spec.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pinned *int32 `json:"pinned,omitempty"`

	// heldBack is how many of them keep something that the class would change, because it is fixed once their
	// database is placed. Their condition HeldBack says what.
	// +optional
	// +kubebuilder:validation:Minimum=0
	HeldBack *int32 `json:"heldBack,omitempty"`
}

// TenantClass is a plan: what its tenants have unless they say otherwise, and what they may say. A Tenant names its
// class in spec.className. A change of the class reaches its tenants in waves.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=tnc,categories=tenantry
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.currentRevision`
// +kubebuilder:printcolumn:name="Tenants",type=integer,JSONPath=`.status.tenants`
// +kubebuilder:printcolumn:name="Updated",type=integer,JSONPath=`.status.updated`
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.ready`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.failed`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Description",type=string,JSONPath=`.spec.description`,priority=1
// +kubebuilder:printcolumn:name="Pinned",type=integer,JSONPath=`.status.pinned`,priority=1
// +kubebuilder:printcolumn:name="Held Back",type=integer,JSONPath=`.status.heldBack`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 50",message="the name of a TenantClass must be a DNS label of at most 50 characters: lower-case letters, digits and dashes, with a letter or digit at both ends"
type TenantClass struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what the tenants of the class have, and what they may write themselves.
	// +required
	Spec TenantClassSpec `json:"spec"` //nolint:kubeapilinter // An empty spec is a valid one, which Go must not leave out.

	// status is the observed state of the class.
	// +optional
	// +default={"observedGeneration": -1, "conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "Waiting for the operator.", "lastTransitionTime": "1970-01-01T00:00:00Z"}]}
	Status TenantClassStatus `json:"status,omitzero"`
}

// TenantClassList is a list of TenantClasses.
// +kubebuilder:object:root=true
type TenantClassList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the TenantClasses.
	// +required
	Items []TenantClass `json:"items"`
}

// TenantClassRevisionSpec is what a class said at one time.
type TenantClassRevisionSpec struct {
	// className is the name of the TenantClass.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	ClassName string `json:"className,omitempty"`

	// tenant is the class's spec.tenant.
	// +optional
	Tenant TenantSpec `json:"tenant,omitzero"`

	// objects are the class's spec.objects.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Objects []TenantClassObject `json:"objects,omitempty"`

	// copies are the class's spec.copies.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Copies []TenantClassCopy `json:"copies,omitempty"`
}

// TenantClassRevision is what a TenantClass said at one time. The operator writes one for each change of a class's
// spec.tenant, spec.objects or spec.copies, with a name that follows from the class and the content, and never changes it. A Tenant with its name
// in spec.classRevision stays at it.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=tncr,categories=tenantry
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.className`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TenantClassRevision struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the class said. It is immutable.
	// +required
	Spec TenantClassRevisionSpec `json:"spec,omitzero"`
}

// TenantClassRevisionList is a list of TenantClassRevisions.
// +kubebuilder:object:root=true
type TenantClassRevisionList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the TenantClassRevisions.
	// +required
	Items []TenantClassRevision `json:"items"`
}
