package clusterdns_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/internal/backend"
	"github.com/tenantry/tenantry/internal/clusterdns"
)

const (
	// ofKubelet is the /etc/resolv.conf of a pod, with a placeholder for the address.
	ofKubelet = "search tenantry-system.svc.cluster.local svc.cluster.local cluster.local\nnameserver ADDRESS\noptions ndots:5\n"
	ofMachine = "search example.com\nnameserver 192.0.2.53\n"
)

// service returns a Service of a cluster's DNS as distributions have it.
func service(namespace, name, clusterIP string, target intstr.IntOrString, selector map[string]string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.ServiceSpec{
			ClusterIPs: []string{clusterIP}, Selector: selector,
			Ports: []corev1.ServicePort{
				{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, TargetPort: target},
				{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: 53, TargetPort: target},
				{Name: "metrics", Protocol: corev1.ProtocolTCP, Port: 9153, TargetPort: intstr.FromInt32(9153)},
			},
		},
	}
}

func TestTheWayToTheDNS(t *testing.T) {
	kubeDNS := service("kube-system", "kube-dns", "10.96.0.10", intstr.FromInt32(53), map[string]string{"k8s-app": "kube-dns"})
	gardener := service("kube-system", "kube-dns", "10.96.0.10", intstr.FromInt32(8053), map[string]string{"k8s-app": "kube-dns"})
	openShift := service("openshift-dns", "dns-default", "172.30.0.10", intstr.FromString("dns"),
		map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"})
	endpoints := []discoveryv1.EndpointSlice{{Ports: []discoveryv1.EndpointPort{
		{Name: new("dns"), Protocol: new(corev1.ProtocolUDP), Port: new(int32(5353))},
		{Name: new("dns-tcp"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(5353))},
		{Name: new("metrics"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(9154))},
	}}}
	for _, test := range []struct {
		name    string
		setting clusterdns.Setting
		found   []backend.Found
		want    []string
	}{
		{
			"nothing is known of the cluster", read(ofMachine), nil,
			[]string{"kube-system k8s-app=kube-dns: 53/UDP 53/TCP", "kube-system k8s-app=node-local-dns: 53/UDP 53/TCP"},
		},
		{
			"the usual one", read(strings.Replace(ofKubelet, "ADDRESS", "10.96.0.10", 1)), []backend.Found{{Service: kubeDNS}},
			[]string{
				"10.96.0.10/32: 53/UDP 53/TCP", "kube-system k8s-app=kube-dns: 53/UDP 53/TCP", "kube-system k8s-app=node-local-dns: 53/UDP 53/TCP",
			},
		},
		{
			"one whose pods have another port", read(ofMachine), []backend.Found{{Service: gardener}},
			[]string{
				"10.96.0.10/32: 53/UDP 53/TCP", "kube-system k8s-app=kube-dns: 8053/UDP 8053/TCP", "kube-system k8s-app=node-local-dns: 53/UDP 53/TCP",
			},
		},
		{
			"NodeLocal DNSCache", read(strings.Replace(ofKubelet, "ADDRESS", "169.254.20.10", 1)), []backend.Found{{Service: kubeDNS}},
			[]string{
				"10.96.0.10/32: 53/UDP 53/TCP", "169.254.20.10/32: 53/UDP 53/TCP",
				"kube-system k8s-app=kube-dns: 53/UDP 53/TCP", "kube-system k8s-app=node-local-dns: 53/UDP 53/TCP",
			},
		},
		{
			"OpenShift", read(strings.Replace(ofKubelet, "ADDRESS", "172.30.0.10", 1)), []backend.Found{{Service: openShift, Endpoints: endpoints}},
			[]string{
				"172.30.0.10/32: 53/UDP 53/TCP", "kube-system k8s-app=node-local-dns: 53/UDP 53/TCP",
				"openshift-dns dns.operator.openshift.io/daemonset-dns=default: 5353/UDP 5353/TCP",
			},
		},
		{
			"an admin says where, and nothing else is open", written(t, "openshift-dns/dns-default, 169.254.20.10,[fd00::10]:5353"),
			[]backend.Found{{Service: openShift, Endpoints: endpoints}},
			[]string{
				"169.254.20.10/32: 53/UDP 53/TCP", "172.30.0.10/32: 53/UDP 53/TCP", "fd00::10/128: 5353/UDP 5353/TCP",
				"openshift-dns dns.operator.openshift.io/daemonset-dns=default: 5353/UDP 5353/TCP",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := readable(test.setting.Rules(test.found)); !slices.Equal(got, test.want) {
				t.Errorf("the rules are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestWhatToAskTheCluster(t *testing.T) {
	usual := backend.Query{Namespace: "kube-system", Label: "k8s-app=kube-dns"}
	for _, test := range []struct {
		name    string
		setting clusterdns.Setting
		want    []backend.Query
	}{
		{"a machine's nameserver is not the cluster's", read(ofMachine), []backend.Query{usual}},
		{
			"whose address the nameserver has", read(strings.Replace(ofKubelet, "ADDRESS", "172.30.0.10", 1)),
			[]backend.Query{usual, {ClusterIP: "172.30.0.10"}},
		},
		{"no Service has the address of a node's cache", read(strings.Replace(ofKubelet, "ADDRESS", "169.254.20.10", 1)), []backend.Query{usual}},
		{
			"only what an admin says", written(t, "my-dns/coredns,10.96.0.10"),
			[]backend.Query{{Namespace: "my-dns", Name: "coredns"}, {ClusterIP: "10.96.0.10"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.setting.Queries(); !slices.Equal(got, test.want) {
				t.Errorf("asks %v, want %v", got, test.want)
			}
		})
	}
}

func TestAWrongSettingSaysWhatToWrite(t *testing.T) {
	for _, text := range []string{"", "kube-dns", "kube-system/", "/kube-dns", "10.96.0.10,", "10.96.0.10/32", "10.96.0.300"} {
		_, err := clusterdns.Parse(text)
		if err == nil || !strings.Contains(err.Error(), "write namespace/name") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func read(resolvConf string) clusterdns.Setting { return clusterdns.Read(resolvConf) }

func written(t *testing.T, text string) clusterdns.Setting {
	t.Helper()
	setting, err := clusterdns.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return setting
}

// readable returns rules as "peer: ports", in alphabetical order.
func readable(rules []networkingv1.NetworkPolicyEgressRule) []string {
	var lines []string
	for _, rule := range rules {
		for _, peer := range rule.To {
			var line string
			if peer.IPBlock != nil {
				line = peer.IPBlock.CIDR
			} else {
				line = peer.NamespaceSelector.MatchLabels[corev1.LabelMetadataName] + " " + metav1.FormatLabelSelector(peer.PodSelector)
			}
			line += ":"
			for _, port := range rule.Ports {
				line += fmt.Sprintf(" %s/%s", port.Port, *port.Protocol)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}
