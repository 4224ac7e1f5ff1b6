package network

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	ingressNamespace  = "ingress-nginx"
	databaseNamespace = "databases"
	ownServer         = "dedicated-initech"
	partnerBlock      = "198.51.100.0/24"
	openShiftDNS      = "openshift-dns"
	// nodeCache is the address of NodeLocal DNSCache, on each node.
	nodeCache = "169.254.20.10"
)

var (
	databaseLabels = map[string]string{"app": "postgresql"}
	dnsLabels      = map[string]string{"k8s-app": "kube-dns"}
	// openShiftLabels are the labels of OpenShift's DNS pods.
	openShiftLabels = map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}
	// posingLabels are all labels that network policies select pods by.
	posingLabels = map[string]string{
		"app": "postgresql", "k8s-app": "kube-dns", corev1.LabelMetadataName: ingressNamespace,
		naming.LabelTenant: "acme", naming.LabelManagedBy: naming.ManagedBy, naming.LabelAppName: naming.App,
	}
)

var (
	env *environment.Environment
	// cluster judges the cluster as it is before any spec.
	cluster *judge
)

func TestNetwork(t *testing.T) {
	environment.RunSpecs(t, "Network")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	env, err = environment.Start(ctx, environment.Options{
		Name: "network", Progress: GinkgoWriter,
		OperatorArgs: []string{"--cluster-dns=kube-system/kube-dns,openshift-dns/dns-default," + nodeCache},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)

	registerServers(ctx)
	applyTenants(ctx)
	createPods(ctx)
	offerDNS(ctx)
	cluster, err = newJudge(ctx, env.Client)
	Expect(err).NotTo(HaveOccurred())
	locateAddresses(ctx)
}, NodeTimeout(20*time.Minute))

// registerServers registers one PostgreSQL as two servers: in-cluster, with pods of the namespace databases as its
// peers, and by-address, with the addresses of localhost.
func registerServers(ctx context.Context) {
	GinkgoHelper()
	inCluster, err := env.ApplyDatabaseServer(ctx, "in-cluster", env.Postgres)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, komega.Update(inCluster, func() {
		inCluster.Spec.NetworkPeers = []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: databaseNamespace}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: databaseLabels},
		}}
	})).Should(Succeed())
	byAddress, err := env.ApplyDatabaseServer(ctx, "by-address", env.Postgres)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, komega.Update(byAddress, func() { byAddress.Spec.Host = "localhost" })).Should(Succeed())
}

// applyTenants applies acme, which allows the ingress controller and a partner, and globex, which leaves
// spec.network out.
func applyTenants(ctx context.Context) {
	GinkgoHelper()
	for _, tenant := range []*builders.TenantBuilder{
		builders.Tenant("acme").Database("in-cluster").App("registry.example/acme/shop:1.4.2").Port(8080).
			Ingress(networkingv1.NetworkPolicyIngressRule{
				From: []networkingv1.NetworkPolicyPeer{{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ingressNamespace}},
				}},
				Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromString(naming.AppPort))}},
			}).
			Egress(networkingv1.NetworkPolicyEgressRule{
				To:    []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: partnerBlock}}},
				Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(443))}},
			}),
		builders.Tenant("globex").Database("by-address").App("registry.example/globex/crm:2.0.0").Port(3000),
	} {
		tenant := tenant.Build()
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		Eventually(ctx, func() (bool, error) {
			err := env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), tenant)
			return apimeta.IsStatusConditionTrue(tenant.Status.Conditions, v1alpha1.ConditionReady), err
		}).Should(BeTrue(), func() string {
			return fmt.Sprintf("tenant %s has the conditions %+v", tenant.Name, tenant.Status.Conditions)
		})
	}
	applyInitech(ctx)
}

// applyInitech applies a tenant with a dedicated server, which never runs because there is no volume for its pod.
func applyInitech(ctx context.Context) {
	GinkgoHelper()
	Expect(env.Client.Create(ctx, builders.Tenant("initech").Dedicated(func(server *v1alpha1.DedicatedServer) {
		server.Storage = new(resource.MustParse("1Gi"))
	}).Build())).To(Succeed())
	for _, key := range []client.ObjectKey{
		{Namespace: "initech", Name: naming.PolicyAllowDatabase}, {Namespace: naming.DatabasesNamespace, Name: ownServer},
	} {
		Eventually(ctx, func() error { return env.Client.Get(ctx, key, &networkingv1.NetworkPolicy{}) }).Should(Succeed())
	}
}

// createPods creates the pods that don't belong to the tenants' apps, and waits until all pods have addresses.
func createPods(ctx context.Context) {
	GinkgoHelper()
	for _, name := range []string{ingressNamespace, databaseNamespace, openShiftDNS} {
		Expect(env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	}
	for _, pod := range []*corev1.Pod{
		newPod("acme", "own", nil),
		newPod("globex", "own", nil),
		newPod("globex", "posing", posingLabels),
		newPod(metav1.NamespaceDefault, "posing", posingLabels),
		newPod(metav1.NamespaceSystem, "coredns", dnsLabels),
		answering(newPod(openShiftDNS, "dns", openShiftLabels), 5353),
		newPod(metav1.NamespaceSystem, "metrics-server", map[string]string{"k8s-app": "metrics-server"}),
		newPod(databaseNamespace, "postgresql", databaseLabels),
		newPod(databaseNamespace, "backup", map[string]string{"app": "backup"}),
		newPod(ingressNamespace, "controller", nil),
		newPod("initech", "own", nil),
		newPod(naming.ManagerNamespace, "manager", map[string]string{
			naming.LabelAppName: naming.ManagerAppName, naming.LabelAppComponent: naming.ManagerComponent,
		}),
		newPod(naming.DatabasesNamespace, "postgresql", map[string]string{naming.LabelServer: ownServer}),
	} {
		Expect(env.Client.Create(ctx, pod)).To(Succeed())
	}
	pods := &corev1.PodList{}
	Eventually(ctx, func() (addresses []string, err error) {
		err = env.Client.List(ctx, pods)
		for i := range pods.Items {
			if pods.Items[i].Name == ownServer+"-0" {
				continue // It waits for a volume.
			}
			addresses = append(addresses, pods.Items[i].Status.PodIP)
		}
		return addresses, err
	}).Should(And(HaveLen(15), HaveEach(Not(BeEmpty()))))
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

// offerDNS creates the Services of the cluster's DNS: one with the same port as its pods, and one with another
// port than its pods, which has a name. It waits until the tenants' policies have both.
func offerDNS(ctx context.Context) {
	GinkgoHelper()
	port := func(protocol corev1.Protocol, target intstr.IntOrString) corev1.ServicePort {
		return corev1.ServicePort{Name: "dns-" + strings.ToLower(string(protocol)), Protocol: protocol, Port: 53, TargetPort: target}
	}
	Expect(env.Client.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "kube-dns", Labels: dnsLabels},
		Spec: corev1.ServiceSpec{Selector: dnsLabels, Ports: []corev1.ServicePort{
			port(corev1.ProtocolUDP, intstr.FromInt32(53)), port(corev1.ProtocolTCP, intstr.FromInt32(53)),
		}},
	})).To(Succeed())
	Expect(env.Client.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: openShiftDNS, Name: "dns-default"},
		Spec: corev1.ServiceSpec{Selector: openShiftLabels, Ports: []corev1.ServicePort{
			port(corev1.ProtocolUDP, intstr.FromString("dns-udp")), port(corev1.ProtocolTCP, intstr.FromString("dns-tcp")),
		}},
	})).To(Succeed())
	for _, tenant := range []string{"acme", "globex", "initech"} {
		policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: naming.PolicyAllowDNS}}
		Eventually(ctx, komega.Object(policy)).Should(HaveField("Spec.Egress", And(
			ContainElement(HaveField("To", ContainElement(HaveField("PodSelector", HaveField("MatchLabels", dnsLabels))))),
			ContainElement(HaveField("Ports", ContainElement(HaveField("Port", HaveValue(Equal(intstr.FromInt32(5353))))))),
		)))
	}
}

// newPod returns a pod that meets the Pod Security Standard Restricted.
func newPod(namespace, name string, labels map[string]string) *corev1.Pod {
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

// locateAddresses adds the places that are not pods to the judge.
func locateAddresses(ctx context.Context) {
	GinkgoHelper()
	apiServer, err := url.Parse(env.Kubernetes.Config().Host)
	Expect(err).NotTo(HaveOccurred())
	port, err := strconv.ParseUint(apiServer.Port(), 10, 16)
	Expect(err).NotTo(HaveOccurred())
	service := &corev1.Service{}
	Expect(env.Client.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}, service)).To(Succeed())
	nodes := &corev1.NodeList{}
	Expect(env.Client.List(ctx, nodes)).To(Succeed())

	cluster.ports["PGPORT"] = int32(env.Postgres.Port)
	cluster.ports["APIPORT"] = int32(port)
	for name, address := range map[string]string{
		"database-host": env.Postgres.Host,
		"api-server":    apiServer.Hostname(),
		"api-service":   service.Spec.ClusterIP,
		"node":          nodes.Items[0].Status.Addresses[0].Address,
		"partner":       "198.51.100.17",
		"internet":      "203.0.113.80",
		"internet-v6":   "2001:db8::80",
		"metadata":      "169.254.169.254",
		"metadata-v6":   "fd00:ec2::254",
		"node-cache":    nodeCache,
	} {
		cluster.addAddress(name, address)
	}
	for name, pod := range shorthand {
		cluster.places[name] = cluster.places[pod]
	}
}
