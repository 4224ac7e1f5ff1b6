// Package clusterdns finds the peers by which tenants' pods reach the cluster's DNS: the Service kube-dns, one
// with another name, or a cache on each node. It is pure.
package clusterdns

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tenantry/tenantry/internal/backend"
)

// port is the port of DNS, unless a Service has another target port.
const port = 53

const (
	labelApp = "k8s-app"
	// kubeDNS is its value on the Service and the pods of the cluster's DNS in nearly every distribution, for CoreDNS
	// as well as for kube-dns (https://kubernetes.io/docs/tasks/administer-cluster/coredns/).
	kubeDNS = "kube-dns"
	// nodeCache is its value on the pods of NodeLocal DNSCache, to which some network plugins redirect all queries.
	nodeCache = "node-local-dns"
)

// Setting says where the cluster's DNS is. The zero value means to read that from the cluster.
type Setting struct {
	// Addresses are addresses that pods send their queries to, for example of a cache on each node.
	Addresses []netip.AddrPort
	// Services are the Services by namespace and name.
	Services []ServiceName
	// read says that the setting was read from the cluster.
	read bool
}

// ServiceName names a Service.
type ServiceName struct{ Namespace, Name string }

// Parse parses the value of the flag: a list of Services, as namespace/name, and IP addresses, each with a port if
// it isn't 53.
func Parse(text string) (Setting, error) {
	var setting Setting
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		if namespace, name, _ := strings.Cut(entry, "/"); isLabel(namespace) && isLabel(name) {
			setting.Services = append(setting.Services, ServiceName{namespace, name})
			continue
		}
		address, err := parseAddress(entry)
		if err != nil {
			return Setting{}, fmt.Errorf("%q is neither a Service nor an address; write namespace/name of a Service such as openshift-dns/dns-default, or an address such as 169.254.20.10", entry)
		}
		setting.Addresses = append(setting.Addresses, address)
	}
	return setting, nil
}

func isLabel(text string) bool { return len(validation.IsDNS1123Label(text)) == 0 }

func parseAddress(text string) (netip.AddrPort, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(address, port), nil
	}
	return netip.ParseAddrPort(text)
}

// Read returns the setting for a cluster in which a pod has this /etc/resolv.conf. The kubelet gives the same
// nameservers to every pod. A file that isn't from a kubelet says nothing about the cluster.
func Read(resolvConf string) Setting {
	setting := Setting{read: true}
	fromKubelet := false
	var addresses []netip.AddrPort
	for line := range strings.Lines(resolvConf) {
		words := strings.Fields(line)
		switch {
		case len(words) < 2:
		case words[0] == "search":
			fromKubelet = slices.ContainsFunc(words[1:], func(domain string) bool { return strings.HasPrefix(domain, "svc.") })
		case words[0] == "nameserver":
			if address, err := netip.ParseAddr(words[1]); err == nil {
				addresses = append(addresses, netip.AddrPortFrom(address, port))
			}
		}
	}
	if fromKubelet {
		setting.Addresses = addresses
	}
	return setting
}

// Queries returns the queries for the Services that Rules needs. An address may be that of a Service.
func (s Setting) Queries() []backend.Query {
	var queries []backend.Query
	if s.read {
		queries = append(queries, backend.Query{Namespace: metav1.NamespaceSystem, Label: labelApp + "=" + kubeDNS})
	}
	for _, name := range s.Services {
		queries = append(queries, backend.Query{Namespace: name.Namespace, Name: name.Name})
	}
	for _, address := range s.Addresses {
		if !address.Addr().IsLinkLocalUnicast() && !address.Addr().IsLoopback() {
			queries = append(queries, backend.Query{ClusterIP: address.Addr().String()})
		}
	}
	return queries
}

// Rules returns the egress rules that allow the cluster's DNS, given the Services that were found. The same
// Services always give the same rules.
func (s Setting) Rules(found []backend.Found) []networkingv1.NetworkPolicyEgressRule {
	var rules []networkingv1.NetworkPolicyEgressRule
	addresses := sets.New(s.Addresses...)
	for _, service := range found {
		behind := backend.Of(service, port, corev1.ProtocolUDP, corev1.ProtocolTCP)
		rules = append(rules, backend.Rules(behind.Peers(), behind.Ports...)...)
		for _, text := range behind.ClusterIPs {
			if address, err := netip.ParseAddr(text); err == nil {
				addresses.Insert(netip.AddrPortFrom(address, port)) // A cache on the node may have taken it.
			}
		}
	}
	if s.read && len(rules) == 0 {
		rules = Default()
	}
	if s.read {
		rules = append(rules, backend.Rules(podsOf(nodeCache), ports(port)...)...)
	}
	for _, address := range slices.SortedFunc(maps.Keys(addresses), netip.AddrPort.Compare) {
		rules = append(rules, backend.Rules(backend.Blocks([]string{address.Addr().String()}), ports(address.Port())...)...)
	}
	return rules
}

// Default returns the egress rules for a cluster about which nothing is known.
func Default() []networkingv1.NetworkPolicyEgressRule {
	return backend.Rules(podsOf(kubeDNS), ports(port)...)
}

// podsOf returns the pods of kube-system with this value of the label k8s-app.
func podsOf(app string) []networkingv1.NetworkPolicyPeer {
	return backend.Backend{Namespace: metav1.NamespaceSystem, Selector: map[string]string{labelApp: app}}.Peers()
}

func ports(number uint16) []backend.Port {
	return []backend.Port{
		{Protocol: corev1.ProtocolUDP, Number: int32(number)}, {Protocol: corev1.ProtocolTCP, Number: int32(number)},
	}
}
