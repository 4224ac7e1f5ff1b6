package matrix

import (
	"strings"

	"github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

const (
	// DatabaseNamespace has the pods behind the DatabaseServer of duff.
	DatabaseNamespace = "databases"
	// OwnServer is the DatabaseServer of soylent.
	OwnServer = "dedicated-soylent"

	ingressNamespace = "ingress-nginx"
	openShiftDNS     = "openshift-dns"
	partnerBlock     = "198.51.100.0/24"
	nodeCache        = "169.254.20.10"
)

// ClusterDNS is the setting --cluster-dns of the operator.
const ClusterDNS = metav1.NamespaceSystem + "/kube-dns," + openShiftDNS + "/dns-default," + nodeCache

var (
	databaseLabels = map[string]string{"app": "postgresql"}
	dnsLabels      = map[string]string{"k8s-app": "kube-dns"}
	// openShiftLabels are the labels of OpenShift's DNS pods.
	openShiftLabels = map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}
	// posingLabels are all labels that network policies select pods by.
	posingLabels = map[string]string{
		"app": "postgresql", "k8s-app": "kube-dns", corev1.LabelMetadataName: ingressNamespace,
		naming.LabelTenant: "duff", naming.LabelManagedBy: naming.ManagedBy, naming.LabelAppName: naming.App,
	}
)

// Shorthand has the pods of the table that belong to no tenant, as namespace/container.
var Shorthand = map[string]string{
	"dns": "kube-system/coredns", "openshift-dns": "openshift-dns/dns",
	"system":   "kube-system/metrics-server",
	"database": "databases/postgresql",
	"backup":   "databases/backup",
	"ingress":  "ingress-nginx/controller",
	"outsider": "default/posing",
	"operator": "tenantry-system/manager", "own-server": "tenantry-databases/postgresql",
}

// Addresses are the places outside of the pod network that have the same address in each cluster. The address of
// node-cache, NodeLocal DNSCache, is on each node.
var Addresses = map[string]string{
	"partner":     "198.51.100.17",
	"internet":    "203.0.113.80",
	"internet-v6": "2001:db8::80",
	"metadata":    "169.254.169.254",
	"metadata-v6": "fd00:ec2::254",
	"node-cache":  nodeCache,
}

// DatabasePeers are spec.networkPeers of the DatabaseServer of duff.
func DatabasePeers() []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: DatabaseNamespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: databaseLabels},
	}}
}

// Duff returns the tenant that allows the ingress controller and a partner.
func Duff(server, image string) *builders.TenantBuilder {
	return builders.Tenant("duff").Database(server).App(image).Port(8080).
		Ingress(networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ingressNamespace}},
			}},
			Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromString(naming.AppPort))}},
		}).
		Egress(networkingv1.NetworkPolicyEgressRule{
			To:    []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: partnerBlock}}},
			Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(443))}},
		})
}

// Tyrell returns the tenant that leaves spec.network out.
func Tyrell(server, image string) *builders.TenantBuilder {
	return builders.Tenant("tyrell").Database(server).App(image).Port(3000)
}

// Soylent returns the tenant with a dedicated server.
func Soylent() *builders.TenantBuilder {
	return builders.Tenant("soylent").Dedicated(func(server *v1alpha1.DedicatedServer) {
		server.Storage = new(resource.MustParse("1Gi"))
	})
}

// SoylentPolicies are the policies that soylent needs. It isn't Ready before its server is.
func SoylentPolicies() []*networkingv1.NetworkPolicy {
	return []*networkingv1.NetworkPolicy{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "soylent", Name: naming.PolicyAllowDatabase}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: naming.DatabasesNamespace, Name: OwnServer}},
	}
}

// Namespaces returns the namespaces that belong neither to a tenant nor to what is in each cluster.
func Namespaces() []*corev1.Namespace {
	var namespaces []*corev1.Namespace
	for _, name := range []string{ingressNamespace, DatabaseNamespace, openShiftDNS} {
		namespaces = append(namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return namespaces
}

// Pods returns the pods that don't belong to the tenants' apps.
func Pods() []*corev1.Pod {
	return []*corev1.Pod{
		Pod("duff", "own", nil),
		Pod("tyrell", "own", nil),
		Pod("tyrell", "posing", posingLabels),
		Pod(metav1.NamespaceDefault, "posing", posingLabels),
		Pod(metav1.NamespaceSystem, "coredns", dnsLabels),
		answering(Pod(openShiftDNS, "dns", openShiftLabels), 5353),
		Pod(metav1.NamespaceSystem, "metrics-server", map[string]string{"k8s-app": "metrics-server"}),
		Pod(DatabaseNamespace, "postgresql", databaseLabels),
		Pod(DatabaseNamespace, "backup", map[string]string{"app": "backup"}),
		Pod(ingressNamespace, "controller", nil),
		Pod("soylent", "own", nil),
		Pod(naming.ManagerNamespace, "manager", map[string]string{
			naming.LabelAppName: naming.ManagerAppName, naming.LabelAppComponent: naming.ManagerComponent,
		}),
		Pod(naming.DatabasesNamespace, "postgresql", map[string]string{naming.LabelServer: OwnServer}),
	}
}

// Pod returns a pod that meets the Pod Security Standard Restricted.
func Pod(namespace, name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   new(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: name, Image: "registry.example/" + name + ":1.0.0",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// answering returns the pod with a port named dns.
func answering(pod *corev1.Pod, port int32) *corev1.Pod {
	for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		container := &pod.Spec.Containers[0]
		container.Ports = append(container.Ports, corev1.ContainerPort{
			Name: "dns-" + strings.ToLower(string(protocol)), ContainerPort: port, Protocol: protocol,
		})
	}
	return pod
}

// KubeDNS returns the Service of the DNS pods in kube-system, which has the same port as they.
func KubeDNS() *corev1.Service {
	return dnsService(metav1.NamespaceSystem, "kube-dns", dnsLabels, func(string) intstr.IntOrString { return intstr.FromInt32(53) })
}

// OpenShiftDNS returns the Service of the DNS pods of OpenShift, which have another port than it, with a name.
func OpenShiftDNS() *corev1.Service {
	return dnsService(openShiftDNS, "dns-default", openShiftLabels, intstr.FromString)
}

func dnsService(namespace, name string, labels map[string]string, target func(string) intstr.IntOrString) *corev1.Service {
	port := func(protocol corev1.Protocol) corev1.ServicePort {
		name := "dns-" + strings.ToLower(string(protocol))
		return corev1.ServicePort{Name: name, Protocol: protocol, Port: 53, TargetPort: target(name)}
	}
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{port(corev1.ProtocolUDP), port(corev1.ProtocolTCP)}},
	}
}

// AllowClusterDNS matches the egress of a policy that knows of both Services of the cluster's DNS.
func AllowClusterDNS() types.GomegaMatcher {
	rule := func(field string, matcher types.GomegaMatcher) types.GomegaMatcher {
		return gomega.ContainElement(gomega.HaveField(field, gomega.ContainElement(matcher)))
	}
	return gomega.And(
		rule("To", gomega.HaveField("PodSelector", gomega.HaveField("MatchLabels", dnsLabels))),
		rule("Ports", gomega.HaveField("Port", gomega.HaveValue(gomega.Equal(intstr.FromInt32(5353))))),
	)
}

// DNSPolicies are the policies by which the tenants reach the cluster's DNS.
func DNSPolicies() []*networkingv1.NetworkPolicy {
	var policies []*networkingv1.NetworkPolicy
	for _, tenant := range []string{"duff", "tyrell", "soylent"} {
		policies = append(policies, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: naming.PolicyAllowDNS}})
	}
	return policies
}
