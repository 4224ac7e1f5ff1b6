package parts

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;update;delete

// Network is which traffic gets through to the tenant, and out of it.
var Network = &Part{
	Condition: v1alpha1.ConditionNetworkReady,
	Wall:      true,
	Kinds:     []desired.Object{&networkingv1.NetworkPolicy{}},
	objects: func(in Inputs) []desired.Object {
		return in.each(denyAll, allowDNS, allowTenant, allowDatabase, allowSpec)
	},
	inPlace: func(Observation) condition.State { return condition.Ready("The network policies are in place.") },
}

const portDNS = 53

// networkPolicy is nil for a namespace that can't be used, where nothing but denyAll is needed.
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

// allowDNS opens the way to the pods that nearly every distribution labels k8s-app=kube-dns, be
// they CoreDNS or kube-dns (https://kubernetes.io/docs/tasks/administer-cluster/coredns/).
func allowDNS(in Inputs, place Place) desired.Object {
	return networkPolicy(in, place, naming.PolicyAllowDNS, networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			Ports: []networkingv1.NetworkPolicyPort{
				networkPort(corev1.ProtocolUDP, portDNS),
				networkPort(corev1.ProtocolTCP, portDNS),
			},
			To: []networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: labelSelector(corev1.LabelMetadataName, metav1.NamespaceSystem),
				PodSelector:       labelSelector("k8s-app", "kube-dns"),
			}},
		}},
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

// allowDatabase is nil while it isn't known where the server is: a rule without peers would open
// the port to everywhere.
func allowDatabase(in Inputs, place Place) desired.Object {
	server := in.Server
	peers := databasePeers(server)
	if len(peers) == 0 {
		return nil
	}
	return networkPolicy(in, place, naming.PolicyAllowDatabase, networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			Ports: []networkingv1.NetworkPolicyPort{networkPort(corev1.ProtocolTCP, server.Spec.Port)},
			To:    peers,
		}},
	})
}

func databasePeers(server *v1alpha1.DatabaseServer) []networkingv1.NetworkPolicyPeer {
	if server == nil {
		return nil
	}
	if len(server.Spec.NetworkPeers) > 0 {
		return server.Spec.NetworkPeers
	}
	var peers []networkingv1.NetworkPolicyPeer
	for _, text := range server.Status.Addresses {
		address, err := netip.ParseAddr(text)
		if err != nil {
			continue // The DatabaseServer controller writes parsed addresses only.
		}
		block := netip.PrefixFrom(address, address.BitLen())
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: block.String()}})
	}
	return peers
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

func networkPort(protocol corev1.Protocol, port int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: new(intstr.FromInt32(port))}
}

func labelSelector(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}
