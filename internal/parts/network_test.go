package parts_test

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
)

func port(protocol corev1.Protocol, number int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: new(protocol), Port: new(intstr.FromInt32(number))}
}

func labeled(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

func blocks(cidrs ...string) []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, cidr := range cidrs {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}})
	}
	return peers
}

func TestTheNetworkPolicies(t *testing.T) {
	own := []networkingv1.NetworkPolicyPeer{{NamespaceSelector: labeled("tenantry.dev/tenant", "acme")}}
	from := networkingv1.NetworkPolicyIngressRule{From: blocks("198.51.100.0/24")}
	to := networkingv1.NetworkPolicyEgressRule{To: blocks("203.0.113.0/24")}
	bare := builders.Tenant("acme")
	for _, test := range []struct {
		name   string
		policy string
		tenant *builders.TenantBuilder
		want   networkingv1.NetworkPolicySpec
	}{
		{
			"nobody reaches the tenant, and it reaches nobody", "deny-all", bare,
			networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{ingress, egress}},
		},
		{
			"except for the cluster's DNS", "allow-dns", bare,
			networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{egress},
				Egress: []networkingv1.NetworkPolicyEgressRule{{
					Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, 53), port(corev1.ProtocolTCP, 53)},
					To: []networkingv1.NetworkPolicyPeer{{
						NamespaceSelector: labeled("kubernetes.io/metadata.name", "kube-system"),
						PodSelector:       labeled("k8s-app", "kube-dns"),
					}},
				}},
			},
		},
		{
			"and itself", "allow-tenant", bare,
			networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{ingress, egress},
				Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: own}},
				Egress:      []networkingv1.NetworkPolicyEgressRule{{To: own}},
			},
		},
		{
			"the spec's ingress leaves egress alone", "allow-spec", builders.Tenant("acme").Ingress(from),
			networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{ingress},
				Ingress:     []networkingv1.NetworkPolicyIngressRule{from},
			},
		},
		{
			"the spec's egress leaves ingress alone", "allow-spec", builders.Tenant("acme").Egress(to),
			networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{egress},
				Egress:      []networkingv1.NetworkPolicyEgressRule{to},
			},
		},
		{
			"both of the spec", "allow-spec", builders.Tenant("acme").Ingress(from).Egress(to),
			networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{ingress, egress},
				Ingress:     []networkingv1.NetworkPolicyIngressRule{from},
				Egress:      []networkingv1.NetworkPolicyEgressRule{to},
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := findNamed[*networkingv1.NetworkPolicy](t, parts.Network, inputsOf(t, test.tenant), test.policy).Spec
			if !reflect.DeepEqual(got, test.want) {
				t.Error(diff.Diff(test.want, got))
			}
		})
	}
}

func TestEachNetworkPolicyButThatOfTheIngressControllerIsForAllPodsOfTheTenant(t *testing.T) {
	for _, object := range parts.Network.Objects(everything(t, "acme")) {
		selector := object.(*networkingv1.NetworkPolicy).Spec.PodSelector
		if all := len(selector.MatchLabels)+len(selector.MatchExpressions) == 0; all == (object.GetName() == "allow-ingress") {
			t.Errorf("%s selects %v", object.GetName(), selector)
		}
	}
}

func TestTheWayToTheDatabase(t *testing.T) {
	inCluster := []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: labeled("kubernetes.io/metadata.name", "databases"), PodSelector: labeled("cnpg.io/cluster", "shared"),
	}}
	at := func(addresses ...string) *builders.DatabaseServerBuilder {
		return builders.DatabaseServer("shared", "pg.example").Addresses(addresses...)
	}
	for _, test := range []struct {
		name   string
		server *builders.DatabaseServerBuilder
		want   []networkingv1.NetworkPolicyPeer
		port   int32
	}{
		{"an IPv4 address", at("192.0.2.10"), blocks("192.0.2.10/32"), 5432},
		{"an IPv6 address", at("2001:db8::10"), blocks("2001:db8::10/128"), 5432},
		{"both", at("192.0.2.10", "2001:db8::10"), blocks("192.0.2.10/32", "2001:db8::10/128"), 5432},
		{"another port", at("192.0.2.10").Port(6432), blocks("192.0.2.10/32"), 6432},
		{"the admin says where: that wins", at("192.0.2.10").NetworkPeers(inCluster...), inCluster, 5432},
		{"the admin says where, and the host does not resolve", at().NetworkPeers(inCluster...), inCluster, 5432},
		{"what is no address is left out", at("pg.example", "192.0.2.10"), blocks("192.0.2.10/32"), 5432},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := withDatabase(t, builders.Tenant("acme").Database("shared"), test.server)
			want := networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{egress},
				Egress: []networkingv1.NetworkPolicyEgressRule{{
					Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, test.port)},
					To:    test.want,
				}},
			}
			got := findNamed[*networkingv1.NetworkPolicy](t, parts.Network, in, "allow-database").Spec
			if !reflect.DeepEqual(got, want) {
				t.Error(diff.Diff(want, got))
			}
		})
	}
}

// A rule without peers would allow the port on all destinations.
func TestThereIsNoWayToADatabaseOfWhichNobodyKnowsWhereItIs(t *testing.T) {
	for _, test := range []struct {
		name string
		in   parts.Inputs
	}{
		{"no database", inputsOf(t, builders.Tenant("acme"))},
		{"no such server", inputsOf(t, builders.Tenant("acme").Database("nowhere"))},
		{"the host does not resolve", withDatabase(t, builders.Tenant("acme").Database("shared"), builders.DatabaseServer("shared", "pg.example"))},
		{"it resolves to nonsense", withDatabase(t, builders.Tenant("acme").Database("shared"), server().Addresses("nonsense"))},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, object := range parts.Network.Objects(test.in) {
				if object.GetName() == "allow-database" {
					t.Errorf("there is a policy %v", object)
				}
			}
		})
	}
}

func TestTheWayToADatabaseBehindAService(t *testing.T) {
	service := v1alpha1.DatabaseServerService{
		Namespace: "databases", Name: "postgresql", Selector: map[string]string{"app": "postgresql"},
		ClusterIPs: []string{"10.96.0.7"}, Ports: []int32{15432},
	}
	headless := service
	headless.ClusterIPs = nil
	byHand := service
	byHand.Selector, byHand.Addresses = nil, []string{"192.0.2.7"}
	unknown := service
	unknown.Ports = nil
	pods := []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: labeled("kubernetes.io/metadata.name", "databases"), PodSelector: labeled("app", "postgresql"),
	}}
	rule := func(to []networkingv1.NetworkPolicyPeer, numbers ...int32) networkingv1.NetworkPolicyEgressRule {
		var ports []networkingv1.NetworkPolicyPort
		for _, number := range numbers {
			ports = append(ports, port(corev1.ProtocolTCP, number))
		}
		return networkingv1.NetworkPolicyEgressRule{To: to, Ports: ports}
	}
	at := func() *builders.DatabaseServerBuilder {
		return builders.DatabaseServer("shared", "postgresql.databases.svc").Addresses("10.96.0.7")
	}
	for _, test := range []struct {
		name   string
		server *builders.DatabaseServerBuilder
		want   []networkingv1.NetworkPolicyEgressRule
	}{
		{"its pods, and its address", at().Behind(service), []networkingv1.NetworkPolicyEgressRule{rule(pods, 15432), rule(blocks("10.96.0.7/32"), 5432)}},
		{"headless: its pods, whatever it resolves to now", at().Behind(headless), []networkingv1.NetworkPolicyEgressRule{rule(pods, 15432)}},
		{"its addresses", at().Behind(byHand), []networkingv1.NetworkPolicyEgressRule{rule(blocks("192.0.2.7/32"), 15432), rule(blocks("10.96.0.7/32"), 5432)}},
		{"nobody knows the port of its pods", at().Behind(unknown), []networkingv1.NetworkPolicyEgressRule{rule(blocks("10.96.0.7/32"), 5432)}},
		{"the admin says where: at either port", at().Behind(service).NetworkPeers(pods...), []networkingv1.NetworkPolicyEgressRule{rule(pods, 15432, 5432)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := withDatabase(t, builders.Tenant("acme").Database("shared"), test.server)
			got := findNamed[*networkingv1.NetworkPolicy](t, parts.Network, in, "allow-database").Spec.Egress
			if !reflect.DeepEqual(got, test.want) {
				t.Error(diff.Diff(test.want, got))
			}
		})
	}
}
