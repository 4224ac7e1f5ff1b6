package v1alpha1

// AnnotationNetworkPeers is on an IngressClass or a Gateway, and says where its controller sends requests from: a list
// of namespaces and of IP addresses or blocks, separated by commas, for example ingress-nginx,192.0.2.0/24. The
// network policies of exposed apps let these in. Without it, they let in the namespace of the Helm release that an
// IngressClass belongs to, or the pods that the Gateway API's standard label gives to a Gateway. It counts for nothing
// on a Gateway in the namespace of a tenant, since its owners could write it.
const AnnotationNetworkPeers = "tenantry.dev/network-peers"

// AppExposure makes an app reachable from outside of the cluster, by an Ingress or an HTTPRoute named app.
// +kubebuilder:validation:XValidation:rule="!has(self.gatewayRef) || !has(self.ingressClassName)",message="an app is exposed by an Ingress or through a Gateway; leave ingressClassName or gatewayRef out"
// +kubebuilder:validation:XValidation:rule="!has(self.gatewayRef) || !has(self.tls)",message="the certificates are those of the Gateway's listeners; leave tls out, or expose the app by an Ingress instead of gatewayRef"
// +kubebuilder:validation:XValidation:rule="!has(self.annotations) || self.annotations.all(k, k != 'kubernetes.io/ingress.class' && !k.startsWith('tenantry.dev/'))",message="annotations has a key that the operator gives a meaning of its own; name the class in ingressClassName, and leave keys of tenantry.dev out",fieldPath=".annotations"
type AppExposure struct {
	// hostnames are the names under which the app is reachable, for example shop.acme.example, or *.acme.example
	// for all names below acme.example. They must be among policy.hostnames. If that is left out, they become the
	// tenant's by being here: a hostname belongs to one tenant, and if two claim it, the older tenant keeps it. Left
	// out, the app isn't exposed, so that a class can say how its tenants are reachable and each tenant where.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Hostnames []HostnamePattern `json:"hostnames,omitempty"`

	// ingressClassName is the IngressClass of the Ingress. Left out, it is the default of policy.ingressClasses, or
	// the cluster's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	IngressClassName string `json:"ingressClassName,omitempty"`

	// tls has the Ingress serve HTTPS. Left out, it serves HTTP only. A Gateway has certificates of its own.
	// +optional
	TLS *AppCertificate `json:"tls,omitempty"`

	// annotations are set on the Ingress or HTTPRoute. With cert-manager.io/cluster-issuer or cert-manager.io/issuer,
	// cert-manager makes the certificate of an Ingress. An annotation that names hosts may name only those of the
	// tenant; policy.allowedAnnotations says more.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`

	// gatewayRef is the Gateway that serves the app, by an HTTPRoute. Left out, the app is exposed by an Ingress.
	// +optional
	GatewayRef *GatewayReference `json:"gatewayRef,omitempty"`
}

// AppCertificate says which certificate an app has.
type AppCertificate struct {
	// secretName is the Secret of type kubernetes.io/tls in the tenant's primary namespace with the certificate. Left
	// out, it is app-tls.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
}

// GatewayReference names a Gateway of the Gateway API. Its listeners say which namespaces may attach routes.
// +structType=atomic
// +kubebuilder:validation:XValidation:rule="has(self.name)",message="gatewayRef needs the name of a Gateway; write name",fieldPath=".name"
type GatewayReference struct {
	// namespace is the namespace of the Gateway. Left out, it is the tenant's primary namespace.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name is the name of the Gateway.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// sectionName is the listener that serves the app. Left out, all listeners that match a hostname do.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SectionName string `json:"sectionName,omitempty"`
}
