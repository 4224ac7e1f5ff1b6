package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodSecurityStandard is one of Kubernetes' Pod Security Standards
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
// +kubebuilder:validation:Enum=Privileged;Baseline;Restricted
type PodSecurityStandard string

// The Pod Security Standards.
const (
	// PodSecurityPrivileged allows everything. Pods can take over their node.
	PodSecurityPrivileged PodSecurityStandard = "Privileged"
	// PodSecurityBaseline refuses known privilege escalations.
	PodSecurityBaseline PodSecurityStandard = "Baseline"
	// PodSecurityRestricted requires current best practices of pod hardening.
	PodSecurityRestricted PodSecurityStandard = "Restricted"
)

// PolicyEnforcement says what happens to a request that breaks a rule.
// +kubebuilder:validation:Enum=Enforce;Audit
type PolicyEnforcement string

// The ways to enforce a policy.
const (
	// PolicyEnforce refuses the request.
	PolicyEnforce PolicyEnforcement = "Enforce"
	// PolicyAudit allows the request, with a warning to the client and an annotation in the API server's audit log.
	PolicyAudit PolicyEnforcement = "Audit"
)

// ImageRegistry is the beginning of an image's name: a registry or a path in one.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="!self.contains('://')",message="an image has no scheme; write registry.example/acme/ and not https://registry.example/acme/"
// +kubebuilder:validation:XValidation:rule="!self.contains('*')",message="this is the beginning of an image's name, so it needs no wildcard; write registry.example/acme/ and not registry.example/acme/*"
// +kubebuilder:validation:XValidation:rule="self == self.lowerAscii()",message="the names of registries and images are in lower case; write this one so"
// +kubebuilder:validation:XValidation:rule="self.contains('://') || self.matches('^([^/]*[.:][^/]*|localhost)(/|$)')",message="this must begin with the registry's host; write docker.io/acme/ for what is acme/ on Docker Hub, and docker.io/library/ for its official images"
// +kubebuilder:validation:XValidation:rule="self.contains('://') || self.contains('*') || self.matches('^[-.a-zA-Z0-9]+(:[0-9]+)?(/[-._/a-zA-Z0-9]*)?(:[-._a-zA-Z0-9]+)?(@[a-z0-9]+:[a-f0-9]+)?$')",message="this can't be the beginning of an image's name; write a host, a port where there is one, and a path, as in registry.example:5000/acme/"
type ImageRegistry string

// HostnamePattern is a hostname, or a wildcard such as *.acme.example for all names below one.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self == self.lowerAscii()",message="hostnames are in lower case; write this one so"
// +kubebuilder:validation:XValidation:rule="!self.contains('*') || (self.startsWith('*.') && self.lastIndexOf('*') == 0)",message="a wildcard is the whole first label and nothing else; write *.acme.example"
// +kubebuilder:validation:XValidation:rule="self.contains('*') && !self.startsWith('*.') || self.matches('^([*][.])?[a-zA-Z0-9*]([-a-zA-Z0-9*]*[a-zA-Z0-9*])?([.][a-zA-Z0-9*]([-a-zA-Z0-9*]*[a-zA-Z0-9*])?)*$')",message="a hostname has neither scheme, port nor path, and its labels are letters, digits and dashes; write shop.acme.example or *.acme.example"
type HostnamePattern string

// ClassRule limits which classes of a kind may be used.
// +kubebuilder:validation:XValidation:rule="!has(self.default) || (has(self.allowed) && self.default in self.allowed)",message="the default is not among those allowed; add it to allowed, or choose another default",fieldPath=".default"
type ClassRule struct {
	// allowed are the names of the classes that may be used. Left out or empty, no class may be used.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Allowed []string `json:"allowed,omitempty"`

	// default is the class that objects without one get. It must be in allowed. Left out, such objects get
	// the cluster's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Default string `json:"default,omitempty"`
}

// DeviceClassRule limits which DeviceClasses may be used.
type DeviceClassRule struct {
	// allowed are the names of the DeviceClasses that may be used. Left out or empty, no DeviceClass may
	// be used.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Allowed []string `json:"allowed,omitempty"`
}

// NodeLabel is a node label and the values that pods may select.
type NodeLabel struct {
	// key is the label's key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key,omitempty"`

	// values are the allowed values. A pod must select one of them.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=63
	Values []string `json:"values,omitempty"`
}

// NodeSelectorRule limits which nodes pods may run on, by node labels.
// +kubebuilder:validation:XValidation:rule="!has(self.default) || !has(self.allowed) || self.default.all(k, !self.allowed.exists(a, a.key == k) || self.allowed.exists(a, a.key == k && self.default[k] in a.values))",message="the default selects by a value that is not allowed; add it to the values of its key in allowed, or choose another default",fieldPath=".default"
type NodeSelectorRule struct {
	// allowed are the labels that each pod must have in its node selector, with one of the values. Further
	// labels are always allowed, since they only narrow the choice.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=16
	Allowed []NodeLabel `json:"allowed,omitempty"`

	// default are labels that are added to a pod's node selector if it doesn't have the key.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Default map[string]string `json:"default,omitempty"`
}

// AllowedToleration describes node taints that pods may tolerate.
type AllowedToleration struct {
	// key is the taint's key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key,omitempty"`

	// value is the taint's value. Left out, any value matches.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`

	// effect is the taint's effect: NoSchedule, PreferNoSchedule or NoExecute. Left out, any effect matches.
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect corev1.TaintEffect `json:"effect,omitempty"`
}

// TolerationRule limits which node taints pods may tolerate.
// +kubebuilder:validation:XValidation:rule="!has(self.default) || self.default.all(t, has(self.allowed) && has(t.key) && self.allowed.exists(a, a.key == t.key && (!has(a.value) || (has(t.value) && t.value == a.value && (!has(t.operator) || t.operator == 'Equal'))) && (!has(a.effect) || (has(t.effect) && t.effect == a.effect))))",message="a default toleration is not among those allowed; add it to allowed, or choose another default",fieldPath=".default"
type TolerationRule struct {
	// allowed are the taints that pods may tolerate. Left out or empty, pods may tolerate none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Allowed []AllowedToleration `json:"allowed,omitempty"`

	// default are tolerations that are added to each pod. Each must be in allowed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Default []corev1.Toleration `json:"default,omitempty"`
}

// PolicyRules are the rules for objects in a tenant's namespaces. The API server enforces them when an
// object is written; existing objects are not affected.
type PolicyRules struct {
	// enforcement says what happens to a request that breaks a rule. Enforce refuses it; Audit allows it,
	// with a warning to the client and an annotation in the API server's audit log. Pod Security does the
	// same. Left out, it is Enforce.
	// +optional
	Enforcement PolicyEnforcement `json:"enforcement,omitempty"`

	// podSecurity is the Pod Security Standard that all pods in the tenant's namespaces must meet:
	// Privileged, Baseline or Restricted. Left out, it is Restricted. The tenant's own app always
	// meets Restricted.
	// +optional
	PodSecurity PodSecurityStandard `json:"podSecurity,omitempty"`

	// imageRegistries are the allowed beginnings of image names, for example registry.example/acme/. An
	// entry that doesn't end in / matches whole path elements: registry.example/acme matches the image of
	// that name, with any tag or digest, and all images below it, but not registry.example/acme2. An image
	// without a host is on Docker Hub: nginx is docker.io/library/nginx. Left out, all images are allowed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="an empty list would refuse all images; name a registry, or leave imageRegistries out to allow all"
	ImageRegistries []ImageRegistry `json:"imageRegistries,omitempty"`

	// imagePullPolicies are the pull policies that containers may have: Always, IfNotPresent, Never. If
	// there is only one, all containers get it. Left out, all are allowed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:items:Enum=Always;IfNotPresent;Never
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="an empty list would refuse all containers; name a pull policy, or leave imagePullPolicies out to allow all"
	ImagePullPolicies []corev1.PullPolicy `json:"imagePullPolicies,omitempty"`

	// hostnames are the names that Ingresses and the Gateway API's Gateways and routes may have, and that
	// annotations for controllers of DNS, certificates and proxies may name, for example
	// shop.acme.example. *.acme.example matches all names below acme.example, at any depth, and
	// the same wildcard in an Ingress. A hostname belongs to one tenant: if two claim it, the older tenant
	// keeps it. Left out or empty, no hostnames are allowed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Hostnames []HostnamePattern `json:"hostnames,omitempty"`

	// allowedAnnotations are the keys of annotations that may have any value, including annotations that name hosts
	// or configure a proxy, for example nginx.ingress.kubernetes.io/configuration-snippet. With such annotations the
	// tenant can take traffic of others. Left out or empty, annotations may name only the hostnames above, and may
	// not configure a proxy by snippets, rules or regular expressions.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	AllowedAnnotations []string `json:"allowedAnnotations,omitempty"`

	// storageClasses limits the StorageClasses of PersistentVolumeClaims. Left out, all are allowed.
	// +optional
	StorageClasses *ClassRule `json:"storageClasses,omitempty"`

	// volumeAttributesClasses limits the VolumeAttributesClasses of PersistentVolumeClaims. It can't have a default,
	// and claims that name none are always allowed. Left out, all are allowed.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.default)",message="volumeAttributesClasses has no default; a StorageClass says what volumes have at first, so leave default out",fieldPath=".default"
	VolumeAttributesClasses *ClassRule `json:"volumeAttributesClasses,omitempty"`

	// priorityClasses limits the PriorityClasses of pods. Left out, pods may name none, and have the
	// cluster's default priority.
	// +optional
	PriorityClasses *ClassRule `json:"priorityClasses,omitempty"`

	// runtimeClasses limits the RuntimeClasses of pods. Left out, pods may name none, and run in the
	// node's default runtime.
	// +optional
	RuntimeClasses *ClassRule `json:"runtimeClasses,omitempty"`

	// ingressClasses limits the IngressClasses of Ingresses. Left out, all are allowed.
	// +optional
	IngressClasses *ClassRule `json:"ingressClasses,omitempty"`

	// gatewayClasses limits the GatewayClasses of Gateways. It can't have a default, since a Gateway must
	// name its class. Left out, all are allowed.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.default)",message="gatewayClasses has no default, since each Gateway must name its class; leave default out",fieldPath=".default"
	GatewayClasses *ClassRule `json:"gatewayClasses,omitempty"`

	// deviceClasses limits the DeviceClasses of ResourceClaims and ResourceClaimTemplates. Left out, all
	// are allowed.
	// +optional
	DeviceClasses *DeviceClassRule `json:"deviceClasses,omitempty"`

	// serviceTypes are the types that Services may have: ClusterIP, NodePort, LoadBalancer, ExternalName.
	// Left out, it is ClusterIP alone. No Service may have externalIPs.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:Enum=ClusterIP;NodePort;LoadBalancer;ExternalName
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="an empty list would refuse all Services; name a type, or leave serviceTypes out for ClusterIP"
	ServiceTypes []corev1.ServiceType `json:"serviceTypes,omitempty"`

	// nodeSelector limits which nodes pods may run on. Left out, pods may select any.
	// +optional
	NodeSelector *NodeSelectorRule `json:"nodeSelector,omitempty"`

	// tolerations limits which node taints pods may tolerate. Left out, pods may tolerate none. Pods may
	// always tolerate for a time that a node is not ready or not reachable, as Kubernetes does by default.
	// +optional
	Tolerations *TolerationRule `json:"tolerations,omitempty"`

	// allowBlockedEvictions allows PodDisruptionBudgets that forbid all evictions, with maxUnavailable 0 or
	// minAvailable 100%. A node with a pod of such a budget can't be drained. Left out, it is false.
	// +optional
	AllowBlockedEvictions *bool `json:"allowBlockedEvictions,omitempty"`

	// maxTokenLifetime is the longest lifetime of a ServiceAccount token that somebody may request, for example with
	// kubectl create token: 10m to 87600h, in hours (h), minutes (m) and seconds (s). Tokens that Kubernetes mounts
	// into pods are not affected. Left out, it is 24h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && self != '' && duration(self) >= duration('10m') && duration(self) <= duration('87600h')",message="maxTokenLifetime must be a time from 10m to 87600h in hours, minutes and seconds, such as 24h or 1h30m"
	MaxTokenLifetime *metav1.Duration `json:"maxTokenLifetime,omitempty"`
}
