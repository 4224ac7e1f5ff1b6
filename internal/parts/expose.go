package parts

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;create;update;patch;delete

// Entrance is what the cluster has on the way to an exposed app.
type Entrance struct {
	// Classes are the names of all IngressClasses.
	Classes []string
	// Class is the IngressClass of the app; nil if there is none of that name, or no default.
	Class *networkingv1.IngressClass
	// GatewayAPI says that the cluster has HTTPRoutes.
	GatewayAPI bool
	// Gateway is the Gateway of the app; nil if there is none.
	Gateway *gatewayv1.Gateway
	// OwnersGateway says that the Gateway is in the namespace of a tenant, whose owners may annotate it.
	OwnersGateway bool
	// Certificate says that there is the Secret with the app's certificate.
	Certificate bool
}

const (
	// annotationHelmNamespace is on all objects of a Helm release (https://github.com/helm/helm, pkg/action/validate.go).
	annotationHelmNamespace = "meta.helm.sh/release-namespace"
	// labelGatewayName is what the pods of a Gateway have if they run in its namespace
	// (https://gateway-api.sigs.k8s.io/geps/gep-1762/).
	labelGatewayName = "gateway.networking.k8s.io/gateway-name"
	// labelSolver is on the pods that answer the challenge HTTP-01, and solverPort what they listen on
	// (https://github.com/cert-manager/cert-manager, pkg/issuer/acme/http).
	labelSolver = "acme.cert-manager.io/http01-solver"
	solverPort  = 8089
)

// exposure returns how the app is exposed; nil if it isn't.
func (in Inputs) exposure() *v1alpha1.AppExposure {
	app := in.Tenant.Spec.App
	if app == nil || app.Expose == nil || len(app.Expose.Hostnames) == 0 || app.Port == 0 {
		return nil
	}
	return app.Expose
}

// ownHostnames returns the hostnames under which the app is exposed that no older tenant has.
func (in Inputs) ownHostnames() []string {
	var own []string
	for _, hostname := range in.exposure().Hostnames {
		if slices.ContainsFunc(in.Tenant.Spec.Policy.Hostnames, func(pattern v1alpha1.HostnamePattern) bool {
			return covers(string(pattern), string(hostname)) && !slices.Contains(in.ForeignHostnames, pattern)
		}) {
			own = append(own, string(hostname))
		}
	}
	return own
}

// WaysIn returns what exposes the app: its Ingress or its HTTPRoute. They change with the spec also while the app stays
// as it is for some reason, since its hostnames may be somebody else's by then.
func WaysIn(in Inputs) []desired.Object { return present(ingress(in), route(in)) }

// covers reports whether a hostname is one that a pattern stands for, as in config/admission/ingresses.yaml.
func covers(pattern, hostname string) bool {
	return pattern == hostname || strings.HasPrefix(pattern, "*.") && len(hostname) >= len(pattern) && strings.HasSuffix(hostname, pattern[1:])
}

// ingress returns the Ingress of an app; nil if it has none.
func ingress(in Inputs) desired.Object {
	expose := in.exposure()
	if expose == nil || expose.GatewayRef != nil || !in.allowsClass() {
		return nil
	}
	hostnames := in.ownHostnames()
	if len(hostnames) == 0 {
		return nil
	}
	result := &networkingv1.Ingress{ObjectMeta: meta(in.Tenant, naming.App)}
	result.Annotations = expose.Annotations
	// Left out, the API server would only fill it in when the Ingress is created, and nobody would serve one whose class
	// is taken away later.
	if class := in.className(); class != "" {
		result.Spec.IngressClassName = &class
	}
	if expose.TLS != nil {
		result.Spec.TLS = []networkingv1.IngressTLS{{Hosts: hostnames, SecretName: expose.TLS.SecretName}}
	}
	for _, hostname := range hostnames {
		result.Spec.Rules = append(result.Spec.Rules, networkingv1.IngressRule{
			Host: hostname,
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{{
					Path: "/", PathType: new(networkingv1.PathTypePrefix),
					Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
						Name: naming.App, Port: networkingv1.ServiceBackendPort{Name: naming.AppPort},
					}},
				}},
			}},
		})
	}
	return result
}

// className returns the name of the app's IngressClass; empty if that isn't known.
func (in Inputs) className() string {
	if in.Entrance.Class != nil {
		return in.Entrance.Class.Name
	}
	return in.exposure().IngressClassName
}

// allowsClass reports whether the policy lets the tenant use its IngressClass. The API server, which asks the same of
// Ingresses of others, doesn't ask the operator. Some controllers know a class by its name alone, so that it doesn't
// matter whether it exists.
func (in Inputs) allowsClass() bool {
	rule := in.Tenant.Spec.Policy.IngressClasses
	return rule == nil || slices.Contains(rule.Allowed, in.className())
}

// route returns the HTTPRoute of an app; nil if it has none, or if the cluster has no such kind.
func route(in Inputs) desired.Object {
	expose := in.exposure()
	if expose == nil || expose.GatewayRef == nil || !in.Entrance.GatewayAPI {
		return nil
	}
	hostnames := in.ownHostnames()
	if len(hostnames) == 0 {
		return nil
	}
	gateway := gatewayv1.ParentReference{
		Namespace: new(gatewayv1.Namespace(GatewayNamespace(in.Tenant.Name, expose.GatewayRef))),
		Name:      gatewayv1.ObjectName(expose.GatewayRef.Name),
	}
	if listener := expose.GatewayRef.SectionName; listener != "" {
		gateway.SectionName = new(gatewayv1.SectionName(listener))
	}
	result := &gatewayv1.HTTPRoute{ObjectMeta: meta(in.Tenant, naming.App)}
	result.Annotations = expose.Annotations
	result.Spec.ParentRefs = []gatewayv1.ParentReference{gateway}
	for _, hostname := range hostnames {
		result.Spec.Hostnames = append(result.Spec.Hostnames, gatewayv1.Hostname(hostname))
	}
	backend := gatewayv1.BackendObjectReference{Name: naming.App, Port: new(in.Tenant.Spec.App.Port)}
	result.Spec.Rules = []gatewayv1.HTTPRouteRule{{
		BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{BackendObjectReference: backend}}},
	}}
	return result
}

// GatewayNamespace returns the namespace of the Gateway that a tenant refers to.
func GatewayNamespace(tenant string, reference *v1alpha1.GatewayReference) string {
	if reference.Namespace != "" {
		return reference.Namespace
	}
	return tenant
}

// allowIngress lets those who serve the app's hostnames reach it.
func allowIngress(in Inputs) desired.Object {
	if in.exposure() == nil {
		return nil
	}
	return in.allowPeers(naming.PolicyAllowIngress, naming.AppLabels(in.Tenant.Name), in.Tenant.Spec.App.Port)
}

// allowSolver lets them reach the pods by which cert-manager shows, for the challenge HTTP-01, that the hostnames are the
// tenant's. Whether its issuer uses that isn't known here.
func allowSolver(in Inputs) desired.Object {
	if expose := in.exposure(); expose == nil || !makesCertificate(expose) {
		return nil
	}
	return in.allowPeers(naming.PolicyAllowSolver, map[string]string{labelSolver: "true"}, solverPort)
}

// allowPeers lets those who serve the app's hostnames reach pods with these labels in the primary namespace, and nothing
// else of the tenant. It returns nil while they are unknown: a rule without peers would let all in.
func (in Inputs) allowPeers(name string, pods map[string]string, port int32) desired.Object {
	peers := in.Entrance.peers()
	if len(peers) == 0 || !in.places()[0].Usable {
		return nil
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: meta(in.Tenant, name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: pods},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  peers,
				Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(port))}},
			}},
		},
	}
}

// makesCertificate reports whether cert-manager makes the app's certificate.
func makesCertificate(expose *v1alpha1.AppExposure) bool {
	_, forAll := expose.Annotations["cert-manager.io/cluster-issuer"]
	_, forOne := expose.Annotations["cert-manager.io/issuer"]
	return expose.TLS != nil && (forAll || forOne)
}

// peers returns where requests to the app come from; none if that is unknown.
func (e Entrance) peers() []networkingv1.NetworkPolicyPeer {
	switch {
	case e.Gateway != nil:
		if told, isTold := e.Gateway.Annotations[v1alpha1.AnnotationNetworkPeers]; isTold && !e.OwnersGateway {
			return peersIn(told)
		}
		return []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: labelSelector(corev1.LabelMetadataName, e.Gateway.Namespace),
			PodSelector:       labelSelector(labelGatewayName, e.Gateway.Name),
		}}
	case e.Class != nil:
		if told, isTold := e.Class.Annotations[v1alpha1.AnnotationNetworkPeers]; isTold {
			return peersIn(told)
		}
		return peersIn(e.Class.Annotations[annotationHelmNamespace])
	}
	return nil
}

// peersIn returns the peers in a list of namespaces and addresses. It leaves out what is neither.
func peersIn(list string) []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		block, err := netip.ParsePrefix(entry)
		if address, isAddress := netip.ParseAddr(entry); isAddress == nil {
			block, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err == nil:
			peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: block.Masked().String()}})
		case len(validation.IsDNS1123Label(entry)) == 0:
			peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: labelSelector(corev1.LabelMetadataName, entry)})
		}
	}
	return peers
}
