// Package backend finds the endpoints of Services, which NetworkPolicies must allow: most network plugins apply
// policies after the address of the Service has been translated to that of a pod.
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

// Query selects Services. All fields that are set must match.
type Query struct {
	// Namespace is the Services' namespace.
	Namespace string
	// Name is the name of a Service.
	Name string
	// ClusterIP is the first cluster IP of a Service.
	ClusterIP string
	// Label is a label of the Services, as key=value.
	Label string
}

// Found is a Service of the cluster.
type Found struct {
	Service *corev1.Service
	// Endpoints are its EndpointSlices, unless [Resolves] is true for the Service.
	Endpoints []discoveryv1.EndpointSlice
}

// QueryFor returns the query for the Service that a host names: name.namespace.svc, with or without the cluster's
// domain, or the cluster IP of a Service. It returns false for other hosts.
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

// Backend has the endpoints of one port of a Service.
type Backend struct {
	// Namespace and Name are the Service's.
	Namespace, Name string
	// Selector is the Service's selector; empty if it has none.
	Selector map[string]string
	// Addresses are the endpoints of a Service without a selector.
	Addresses []string
	// ClusterIPs are the Service's cluster IPs. A headless Service has none.
	ClusterIPs []string
	// Ports are the ports of the endpoints. It is empty while they are unknown.
	Ports []Port
	// Absent says that the Service doesn't exist, and Offered that it has the port.
	Absent, Offered bool
}

// Of returns the endpoints of a Service's port, for each of the protocols.
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

// Resolves reports whether the Service alone has all the information. If a target port is a name, or if there is
// no selector, its EndpointSlices are needed, too.
func Resolves(service *corev1.Service) bool {
	return len(service.Spec.Selector) > 0 && !slices.ContainsFunc(service.Spec.Ports, func(port corev1.ServicePort) bool {
		return port.TargetPort.Type == intstr.String
	})
}

// targets returns the target ports of a Service's port.
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

// Peers returns the pods or addresses behind the Service; none while they are unknown.
func (b Backend) Peers() []networkingv1.NetworkPolicyPeer {
	if len(b.Selector) > 0 {
		return []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: b.Namespace}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: maps.Clone(b.Selector)},
		}}
	}
	return Blocks(b.Addresses)
}

// Blocks returns an ipBlock peer for each address. It leaves out what isn't an IP address.
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

// Rules returns the rule that allows these ports of the peers. It returns none without peers or without ports,
// since an empty list in a rule would allow everything.
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
