// Package backend says where the traffic to a Service ends up, which is what NetworkPolicies go by: most
// network plugins apply them after the address of the Service was replaced by that of a pod.
package backend

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
)

// Query says which Services are meant: those that meet all that it has.
type Query struct {
	// Namespace is where they are.
	Namespace string
	// Name is the name of one.
	Name string
	// ClusterIP is the address of one, the first that it has.
	ClusterIP string
	// Label is what they are labeled with, as key=value.
	Label string
}

// Found is a Service of the cluster.
type Found struct {
	Service *corev1.Service
	// Endpoints are its EndpointSlices, unless the Service says all by itself.
	Endpoints []discoveryv1.EndpointSlice
}

// QueryFor says which Service a host stands for: one of the form name.namespace.svc, with the cluster's domain
// or without, or the address of one. Other hosts stand for none.
func QueryFor(host string) (query Query, ok bool) {
	if address, err := netip.ParseAddr(host); err == nil {
		return Query{ClusterIP: address.String()}, !address.IsLoopback() && !address.IsLinkLocalUnicast()
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	at := slices.Index(labels, "svc")
	if at != 2 && at != 3 { // A pod of a headless Service has a name of its own before that of the Service.
		return Query{}, false
	}
	return Query{Name: labels[at-2], Namespace: labels[at-1]}, true
}

// Port is a port that a connection is made to.
type Port struct {
	Protocol corev1.Protocol
	Number   int32
}

// Backend is what is behind one port of a Service.
type Backend struct {
	// Namespace and Name are the Service's.
	Namespace, Name string
	// Selector are the labels of the pods behind the Service; empty where it selects none.
	Selector map[string]string
	// Addresses are those behind a Service that selects no pods.
	Addresses []string
	// ClusterIPs are the Service's own addresses; a headless one has none.
	ClusterIPs []string
	// Ports are the ports of the pods or addresses. There are none as long as nobody knows which.
	Ports []Port
	// Absent says that there is no such Service, and Offered that it has the port.
	Absent, Offered bool
}

// Of returns what is behind the port of a Service, for each of the protocols.
func Of(found Found, number int32, protocols ...corev1.Protocol) Backend {
	service, endpoints := found.Service, found.Endpoints
	result := Backend{Namespace: service.Namespace, Name: service.Name, Selector: service.Spec.Selector}
	for _, address := range service.Spec.ClusterIPs {
		if _, err := netip.ParseAddr(address); err == nil {
			result.ClusterIPs = append(result.ClusterIPs, address)
		}
	}
	ports := sets.New[Port]()
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if protocol := protocolOf(port); port.Port == number && slices.Contains(protocols, protocol) {
			result.Offered = true
			ports.Insert(targets(service, port, endpoints)...)
		}
	}
	result.Ports = slices.SortedFunc(maps.Keys(ports), byNumber)
	if len(service.Spec.Selector) == 0 {
		result.Addresses = addresses(endpoints)
	}
	return result
}

// Resolves reports whether a Service says all by itself. Where a port goes by its name, or no pods are selected,
// its EndpointSlices say the rest.
func Resolves(service *corev1.Service) bool {
	return len(service.Spec.Selector) > 0 && !slices.ContainsFunc(service.Spec.Ports, func(port corev1.ServicePort) bool {
		return port.TargetPort.Type == intstr.String
	})
}

// targets returns the ports that a port of a Service stands for.
func targets(service *corev1.Service, port *corev1.ServicePort, endpoints []discoveryv1.EndpointSlice) []Port {
	protocol := protocolOf(port)
	switch {
	case len(service.Spec.Selector) > 0 && port.TargetPort.Type == intstr.Int && port.TargetPort.IntVal > 0:
		return []Port{{protocol, port.TargetPort.IntVal}}
	case len(service.Spec.Selector) > 0 && port.TargetPort.Type == intstr.Int:
		return []Port{{protocol, port.Port}}
	}
	var result []Port
	for i := range endpoints {
		for _, candidate := range endpoints[i].Ports {
			if ptr.Deref(candidate.Name, "") == port.Name && ptr.Deref(candidate.Protocol, corev1.ProtocolTCP) == protocol && candidate.Port != nil {
				result = append(result, Port{protocol, *candidate.Port})
			}
		}
	}
	return result
}

func protocolOf(port *corev1.ServicePort) corev1.Protocol {
	if port.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return port.Protocol
}

func addresses(endpoints []discoveryv1.EndpointSlice) []string {
	found := sets.New[string]()
	for i := range endpoints {
		for j := range endpoints[i].Endpoints {
			found.Insert(endpoints[i].Endpoints[j].Addresses...)
		}
	}
	return sets.List(found)
}

func byNumber(a, b Port) int {
	// UDP before TCP, as DNS has it.
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(b.Protocol, a.Protocol))
}

// Numbers returns the ports.
func (b Backend) Numbers() []int32 {
	numbers := make([]int32, 0, len(b.Ports))
	for _, port := range b.Ports {
		numbers = append(numbers, port.Number)
	}
	return numbers
}

// Peers returns the pods behind the Service, or the addresses; none while nobody knows either.
func (b Backend) Peers() []networkingv1.NetworkPolicyPeer {
	if len(b.Selector) > 0 {
		return []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: b.Namespace}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: maps.Clone(b.Selector)},
		}}
	}
	return Blocks(b.Addresses)
}

// Blocks returns peers that are an address each. What is no address is left out.
func Blocks(addresses []string) []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, text := range addresses {
		if address, err := netip.ParseAddr(text); err == nil {
			block := netip.PrefixFrom(address, address.BitLen())
			peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: block.String()}})
		}
	}
	return peers
}

// Rules returns the rule that opens these ports of the peers. There is none without peers or without ports, since
// either would open more than is meant.
func Rules(peers []networkingv1.NetworkPolicyPeer, ports ...Port) []networkingv1.NetworkPolicyEgressRule {
	if len(peers) == 0 || len(ports) == 0 {
		return nil
	}
	rule := networkingv1.NetworkPolicyEgressRule{To: peers}
	for _, port := range ports {
		rule.Ports = append(rule.Ports, networkingv1.NetworkPolicyPort{
			Protocol: new(port.Protocol), Port: new(intstr.FromInt32(port.Number)),
		})
	}
	return []networkingv1.NetworkPolicyEgressRule{rule}
}
