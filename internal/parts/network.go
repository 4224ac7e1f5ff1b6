package parts

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/backend"
	"github.com/tenantry/tenantry/internal/clusterdns"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;update;delete

// Network is the part with the tenant's network policies.
var Network = &Part{
	Condition: v1alpha1.ConditionNetworkReady,
	Wall:      true,
	Kinds:     []desired.Object{&networkingv1.NetworkPolicy{}},
	objects: func(in Inputs) []desired.Object {
		return append(in.each(denyAll, allowDNS, allowTenant, allowDatabase, allowSpec), present(allowIngress(in), allowSolver(in))...)
	},
	inPlace: func(Observation) condition.State { return condition.Ready("The network policies are in place.") },
}

// networkPolicy returns nil for an unusable namespace, which needs only denyAll.
func networkPolicy(in Inputs, place Place, name string, spec networkingv1.NetworkPolicySpec) desired.Object {
	if !place.Usable && name != naming.PolicyDenyAll {
		return nil
	}
	return &networkingv1.NetworkPolicy{ObjectMeta: metaIn(place.Name, in.Tenant, name), Spec: spec}
}

func denyAll(in Inputs, place Place) desired.Object {
	return networkPolicy(in, place, naming.PolicyDenyAll, networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
	})
}

func allowDNS(in Inputs, place Place) desired.Object {
	rules := in.DNS
	if len(rules) == 0 {
		rules = clusterdns.Default()
	}
	return networkPolicy(in, place, naming.PolicyAllowDNS, networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress:      rules,
	})
}

func allowTenant(in Inputs, place Place) desired.Object {
	peers := []networkingv1.NetworkPolicyPeer{{NamespaceSelector: labelSelector(naming.LabelTenant, in.Tenant.Name)}}
	return networkPolicy(in, place, naming.PolicyAllowTenant, networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: peers}},
		Egress:      []networkingv1.NetworkPolicyEgressRule{{To: peers}},
	})
}

// allowDatabase returns nil while the server's addresses are unknown: a rule without peers would allow the port on
// all destinations.
func allowDatabase(in Inputs, place Place) desired.Object {
	rules := databaseRules(in.Server)
	if len(rules) == 0 {
		return nil
	}
	return networkPolicy(in, place, naming.PolicyAllowDatabase, networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress:      rules,
	})
}

// databaseRules returns the rules that allow egress to a server. For a server behind a Service they have its pods
// with their own ports, since most network plugins apply policies to the destination after the Service's address
// has been translated, and the cluster IPs for those that apply them before.
func databaseRules(server *v1alpha1.DatabaseServer) []networkingv1.NetworkPolicyEgressRule {
	if server == nil {
		return nil
	}
	port := backend.Port{Protocol: corev1.ProtocolTCP, Number: server.Spec.Port}
	behind, targets := behindHost(server)
	switch {
	case len(server.Spec.NetworkPeers) > 0:
		if !slices.Contains(targets, port) {
			targets = append(targets, port)
		}
		return backend.Rules(server.Spec.NetworkPeers, targets...)
	case behind != nil:
		return append(backend.Rules(behind.Peers(), targets...), backend.Rules(backend.Blocks(behind.ClusterIPs), port)...)
	}
	return backend.Rules(backend.Blocks(server.Status.Addresses), port)
}

// behindHost returns the endpoints of the Service that a server's host names; nil if it names none.
func behindHost(server *v1alpha1.DatabaseServer) (*backend.Backend, []backend.Port) {
	service := server.Status.Service
	if service == nil {
		return nil, nil
	}
	var ports []backend.Port
	for _, number := range service.Ports {
		ports = append(ports, backend.Port{Protocol: corev1.ProtocolTCP, Number: number})
	}
	return &backend.Backend{
		Namespace: service.Namespace, Selector: service.Selector, Addresses: service.Addresses, ClusterIPs: service.ClusterIPs,
	}, ports
}

func allowSpec(in Inputs, place Place) desired.Object {
	rules := in.Tenant.Spec.Network
	var types []networkingv1.PolicyType
	if len(rules.Ingress) > 0 {
		types = append(types, networkingv1.PolicyTypeIngress)
	}
	if len(rules.Egress) > 0 {
		types = append(types, networkingv1.PolicyTypeEgress)
	}
	if len(types) == 0 {
		return nil
	}
	return networkPolicy(in, place, naming.PolicyAllowSpec, networkingv1.NetworkPolicySpec{
		PolicyTypes: types, Ingress: rules.Ingress, Egress: rules.Egress,
	})
}

func labelSelector(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}
