package v1alpha1

import corev1 "k8s.io/api/core/v1"

// PodSecurityStandard is one of Kubernetes' Pod Security Standards
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
// +kubebuilder:validation:Enum=Privileged;Baseline;Restricted
type PodSecurityStandard string

// The Pod Security Standards.
const (
	// PodSecurityPrivileged : no restriction; pods may take over their node.
	PodSecurityPrivileged PodSecurityStandard = "Privileged"
	// PodSecurityBaseline : known privilege escalations are refused.
	PodSecurityBaseline PodSecurityStandard = "Baseline"
	// PodSecurityRestricted : current hardening practice is required.
	PodSecurityRestricted PodSecurityStandard = "Restricted"
)

// PolicyEnforcement is what becomes of a request that breaks a rule.
// +kubebuilder:validation:Enum=Enforce;Audit
type PolicyEnforcement string

// The ways to enforce a policy.
const (
	// PolicyEnforce : the request is refused.
	PolicyEnforce PolicyEnforcement = "Enforce"
	// PolicyAudit : the request goes through, with a warning to the client and an annotation in the
	// API server's audit log.
	PolicyAudit PolicyEnforcement = "Audit"
)

// ImageRegistry is the beginning of an image's name: a registry, or a part of one.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="!self.contains('://')",message="an image has no scheme; write registry.example/acme/ and not https://registry.example/acme/"
// +kubebuilder:validation:XValidation:rule="!self.contains('*')",message="this is the beginning of an image's name, so it needs no wildcard; write registry.example/acme/ and not registry.example/acme/*"
// +kubebuilder:validation:XValidation:rule="self == self.lowerAscii()",message="the names of registries and images are in lower case; write this one so"
// +kubebuilder:validation:XValidation:rule="self.contains('://') || self.matches('^([^/]*[.:][^/]*|localhost)(/|$)')",message="this must begin with the registry's host; write docker.io/acme/ for what is acme/ on Docker Hub, and docker.io/library/ for its official images"
// +kubebuilder:validation:XValidation:rule="self.contains('://') || self.contains('*') || self.matches('^[-.a-zA-Z0-9]+(:[0-9]+)?(/[-._/a-zA-Z0-9]*)?(:[-._a-zA-Z0-9]+)?(@[a-z0-9]+:[a-f0-9]+)?$')",message="this can't be the beginning of an image's name; write a host, a port where there is one, and a path, as in registry.example:5000/acme/"
type ImageRegistry string

// HostnamePattern is a hostname, or * for one or more labels in front of one.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self == self.lowerAscii()",message="hostnames are in lower case; write this one so"
// +kubebuilder:validation:XValidation:rule="!self.contains('*') || (self.startsWith('*.') && self.lastIndexOf('*') == 0)",message="a wildcard is the whole first label and nothing else; write *.acme.example"
// +kubebuilder:validation:XValidation:rule="self.contains('*') && !self.startsWith('*.') || self.matches('^([*][.])?[a-zA-Z0-9*]([-a-zA-Z0-9*]*[a-zA-Z0-9*])?([.][a-zA-Z0-9*]([-a-zA-Z0-9*]*[a-zA-Z0-9*])?)*$')",message="a hostname has neither scheme, port nor path, and its labels are letters, digits and dashes; write shop.acme.example or *.acme.example"
type HostnamePattern string

// ClassRule says which classes of a kind may be used.
// +kubebuilder:validation:XValidation:rule="!has(self.default) || (has(self.allowed) && self.default in self.allowed)",message="the default is not among those allowed; add it to allowed, or choose another default",fieldPath=".default"
type ClassRule struct {
	// allowed are the names of the classes that may be used. Left out or empty, it is none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Allowed []string `json:"allowed,omitempty"`

	// default is the class of an object that names none; it must be allowed. Left out, such an object
	// gets what it gets in the rest of the cluster.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Default string `json:"default,omitempty"`
}

// DeviceClassRule says which DeviceClasses may be used.
type DeviceClassRule struct {
	// allowed are the names of the DeviceClasses that may be used. Left out or empty, it is none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Allowed []string `json:"allowed,omitempty"`
}

// NodeLabel is a label of nodes, and the values of it among which pods must choose.
type NodeLabel struct {
	// key is the label's key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key,omitempty"`

	// values are the values that a pod may select by.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=63
	Values []string `json:"values,omitempty"`
}

// NodeSelectorRule says which nodes pods may run on, by labels of the nodes.
// +kubebuilder:validation:XValidation:rule="!has(self.default) || !has(self.allowed) || self.default.all(k, !self.allowed.exists(a, a.key == k) || self.allowed.exists(a, a.key == k && self.default[k] in a.values))",message="the default selects by a value that is not allowed; add it to the values of its key in allowed, or choose another default",fieldPath=".default"
type NodeSelectorRule struct {
	// allowed are the labels by which each pod must select its nodes, by one of the values. Further
	// labels in a pod's node selector only narrow the choice, and are always fine.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=16
	Allowed []NodeLabel `json:"allowed,omitempty"`

	// default are the labels that a pod gets in its node selector where it doesn't have the key.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Default map[string]string `json:"default,omitempty"`
}

// AllowedToleration is a taint that pods may tolerate.
type AllowedToleration struct {
	// key is the taint's key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key,omitempty"`

	// value is the taint's value. Left out, it is any.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`

	// effect is the taint's effect: NoSchedule, PreferNoSchedule or NoExecute. Left out, it is any.
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect corev1.TaintEffect `json:"effect,omitempty"`
}

// TolerationRule says which taints of nodes pods may tolerate.
// +kubebuilder:validation:XValidation:rule="!has(self.default) || self.default.all(t, has(self.allowed) && has(t.key) && self.allowed.exists(a, a.key == t.key && (!has(a.value) || (has(t.value) && t.value == a.value && (!has(t.operator) || t.operator == 'Equal'))) && (!has(a.effect) || (has(t.effect) && t.effect == a.effect))))",message="a default toleration is not among those allowed; add it to allowed, or choose another default",fieldPath=".default"
type TolerationRule struct {
	// allowed are the taints that pods may tolerate. Left out or empty, it is none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Allowed []AllowedToleration `json:"allowed,omitempty"`

	// default are tolerations that each pod gets; each must be allowed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Default []corev1.Toleration `json:"default,omitempty"`
}

// PolicyRules are what the objects in a tenant's namespaces must comply with. The API server
// enforces them when an object is written; what was there before a rule stays as it is.
type PolicyRules struct {
	// enforcement is what becomes of a request that breaks a rule: Enforce refuses it, Audit lets it
	// through with a warning to the client and an annotation in the API server's audit log. Pod
	// Security follows suit. Left out, it is Enforce.
	// +optional
	Enforcement PolicyEnforcement `json:"enforcement,omitempty"`

	// podSecurity is the Pod Security Standard that all pods in the tenant's namespaces must meet:
	// Privileged, Baseline or Restricted. Left out, it is Restricted. The tenant's own app always
	// meets Restricted.
	// +optional
	PodSecurity PodSecurityStandard `json:"podSecurity,omitempty"`

	// imageRegistries are what the images of all containers must begin with, for example
	// registry.example/acme/. An entry that doesn't end in / stands for whole parts of a name:
	// registry.example/acme is the image of that name, by whatever tag or digest, and all below it,
	// but not registry.example/acme2. An image without a host is one of Docker Hub: nginx is
	// docker.io/library/nginx. Left out, all images are fine.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="an empty list would refuse all images; name a registry, or leave imageRegistries out to allow all"
	ImageRegistries []ImageRegistry `json:"imageRegistries,omitempty"`

	// imagePullPolicies are those that containers may have: Always, IfNotPresent, Never. Where only
	// one is allowed, all containers get it. Left out, all are fine.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:items:Enum=Always;IfNotPresent;Never
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="an empty list would refuse all containers; name a pull policy, or leave imagePullPolicies out to allow all"
	ImagePullPolicies []corev1.PullPolicy `json:"imagePullPolicies,omitempty"`

	// hostnames are those that Ingresses and the Gateway API's Gateways and routes may have, for
	// example shop.acme.example. *.acme.example stands for all names below acme.example, however
	// deep, and for the same wildcard in an Ingress. They are the tenant's alone: where two tenants
	// claim the same, the older one keeps it. Left out or empty, it is none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Hostnames []HostnamePattern `json:"hostnames,omitempty"`

	// storageClasses are those that PersistentVolumeClaims may name. Left out, all are fine.
	// +optional
	StorageClasses *ClassRule `json:"storageClasses,omitempty"`

	// priorityClasses are those that pods may name. Left out, it is none; pods that name none have
	// the cluster's default priority.
	// +optional
	PriorityClasses *ClassRule `json:"priorityClasses,omitempty"`

	// runtimeClasses are those that pods may name. Left out, it is none; pods that name none run in
	// the node's default runtime.
	// +optional
	RuntimeClasses *ClassRule `json:"runtimeClasses,omitempty"`

	// ingressClasses are those that Ingresses may name. Left out, all are fine.
	// +optional
	IngressClasses *ClassRule `json:"ingressClasses,omitempty"`

	// gatewayClasses are those that Gateways may name. The default is of no use to a Gateway, whose
	// class is required; leave it out. Left out, all are fine.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.default)",message="gatewayClasses has no default, since each Gateway must name its class; leave default out",fieldPath=".default"
	GatewayClasses *ClassRule `json:"gatewayClasses,omitempty"`

	// deviceClasses are those that ResourceClaims and ResourceClaimTemplates may name. Left out, all
	// are fine.
	// +optional
	DeviceClasses *DeviceClassRule `json:"deviceClasses,omitempty"`

	// serviceTypes are those that Services may have: ClusterIP, NodePort, LoadBalancer, ExternalName.
	// Left out, it is ClusterIP alone. No Service may have externalIPs.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:Enum=ClusterIP;NodePort;LoadBalancer;ExternalName
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="an empty list would refuse all Services; name a type, or leave serviceTypes out for ClusterIP"
	ServiceTypes []corev1.ServiceType `json:"serviceTypes,omitempty"`

	// nodeSelector says which nodes pods may run on. Left out, pods may select any.
	// +optional
	NodeSelector *NodeSelectorRule `json:"nodeSelector,omitempty"`

	// tolerations say which taints of nodes pods may tolerate. Left out, it is none. That a node is
	// not ready or not reachable may always be tolerated for a time, as Kubernetes does by default.
	// +optional
	Tolerations *TolerationRule `json:"tolerations,omitempty"`
}
