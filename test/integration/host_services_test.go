package integration

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

var _ = Describe("A database server behind a Service", Label("K13"), Ordered, func() {
	const namespace, host = "hosting", "postgresql.hosting.svc"
	var (
		server *v1alpha1.DatabaseServer
		policy *networkingv1.NetworkPolicy
		tenant *v1alpha1.Tenant
	)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "postgresql"}}

	BeforeAll(func(ctx SpecContext) {
		if os.Geteuid() != 0 {
			Skip("Only root can make the operator find a Service by its name.")
		}
		hosts := filepath.Join(GinkgoT().TempDir(), "hosts")
		Expect(os.WriteFile(hosts, []byte("127.0.0.1 localhost "+host+"\n"), 0o644)).To(Succeed())
		env.HostsPath = hosts
		Expect(env.RestartOperator(ctx)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			env.HostsPath = ""
			Expect(env.RestartOperator(ctx)).To(Succeed())
		}, NodeTimeout(specTimeout))
		Expect(env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		server = register(ctx, "behind-service", env.Postgres)
		change(ctx, server, func() { server.Spec.Host = host })
		tenant = apply(ctx, bare("served").Database(server.Name))
		DeferCleanup(func(ctx SpecContext) {
			remove(ctx, tenant)
			remove(ctx, server)
		}, NodeTimeout(specTimeout))
		policy = in(tenant, &networkingv1.NetworkPolicy{}, "allow-database")
	}, NodeTimeout(specTimeout))

	port := func() int32 { return int32(env.Postgres.Port) }
	egress := func(rules ...gomegatypes.GomegaMatcher) gomegatypes.GomegaMatcher {
		return HaveField("Spec.Egress", And(HaveLen(len(rules)), And(rules...)))
	}

	It("is asked for if it isn't there", func(ctx SpecContext) {
		Eventually(ctx, komega.Object(server)).Should(And(
			haveCondition(v1alpha1.ConditionNetworkPeersUnknown, metav1.ConditionTrue, v1alpha1.ReasonServiceNotFound,
				"the Service hosting/postgresql", "create it", "spec.networkPeers"),
			haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "spec.networkPeers"),
		))
	}, SpecTimeout(specTimeout))

	It("is reached at its pods and their port, and at the Service's own address", func(ctx SpecContext) {
		service.Spec = corev1.ServiceSpec{
			Selector: map[string]string{"app": "postgresql"},
			Ports:    []corev1.ServicePort{{Name: "postgresql", Port: port(), TargetPort: intstr.FromInt32(5432)}},
		}
		Expect(env.Client.Create(ctx, service)).To(Succeed())
		waitReady(ctx, tenant)
		Eventually(ctx, komega.Object(server)).WithTimeout(atOnce).Should(lack(v1alpha1.ConditionNetworkPeersUnknown))
		Eventually(ctx, komega.Object(policy)).WithTimeout(atOnce).Should(egress(
			openTCP(podsOf(namespace, service.Spec.Selector), 5432), openTCP(address(service.Spec.ClusterIP), port()),
		))
	}, SpecTimeout(specTimeout))

	It("is followed when it selects other pods", func(ctx SpecContext) {
		change(ctx, service, func() { service.Spec.Selector = map[string]string{"app": "pooler"} })
		Eventually(ctx, komega.Object(policy)).WithTimeout(atOnce).Should(egress(
			openTCP(podsOf(namespace, service.Spec.Selector), 5432), openTCP(address(service.Spec.ClusterIP), port()),
		))
	}, SpecTimeout(specTimeout))

	It("says that it lacks the port", func(ctx SpecContext) {
		change(ctx, service, func() { service.Spec.Ports[0].Port = 6432 })
		Eventually(ctx, komega.Object(server)).WithTimeout(atOnce).Should(haveCondition(v1alpha1.ConditionNetworkPeersUnknown,
			metav1.ConditionTrue, v1alpha1.ReasonServicePortNotFound, "which doesn't have the port"))
		change(ctx, service, func() { service.Spec.Ports[0].Port = port() })
		Eventually(ctx, komega.Object(server)).WithTimeout(atOnce).Should(lack(v1alpha1.ConditionNetworkPeersUnknown))
	}, SpecTimeout(specTimeout))

	It("is reached at the addresses of a Service without a selector", func(ctx SpecContext) {
		change(ctx, service, func() { service.Spec.Selector = nil })
		Eventually(ctx, komega.Object(server)).WithTimeout(atOnce).Should(haveCondition(v1alpha1.ConditionNetworkPeersUnknown,
			metav1.ConditionTrue, v1alpha1.ReasonNoEndpoints, "no EndpointSlice"))
		slice := endpointsOf(service, 5433, "192.0.2.7")
		Expect(env.Client.Create(ctx, slice)).To(Succeed())
		Eventually(ctx, komega.Object(policy)).WithTimeout(atOnce).Should(egress(
			openTCP(address("192.0.2.7"), 5433), openTCP(address(service.Spec.ClusterIP), port()),
		))
		change(ctx, slice, func() { slice.Endpoints[0].Addresses = []string{"192.0.2.8"} })
		Eventually(ctx, komega.Object(policy)).WithTimeout(atOnce).Should(egress(
			openTCP(address("192.0.2.8"), 5433), openTCP(address(service.Spec.ClusterIP), port()),
		))
		Eventually(ctx, komega.Object(server)).Should(lack(v1alpha1.ConditionNetworkPeersUnknown))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A database server that is registered by the address of a Service", Label("K13"), func() {
	It("is reached at the pods behind it", func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hosting-by-address"}}
		Expect(env.Client.Create(ctx, namespace)).To(Succeed())
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "postgresql"},
			Spec: corev1.ServiceSpec{
				Selector: map[string]string{"app": "postgresql"},
				Ports:    []corev1.ServicePort{{Port: 5432, TargetPort: intstr.FromInt32(15432)}},
			},
		}
		Expect(env.Client.Create(ctx, service)).To(Succeed())
		server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: "by-cluster-ip"}}
		server.Spec.Host = service.Spec.ClusterIP
		// Nobody can log in, and nobody needs to: the network must be open before.
		server.Spec.AdminSecretRef = v1alpha1.SecretReference{Namespace: namespace.Name, Name: "missing"}
		Expect(env.Client.Create(ctx, server)).To(Succeed())
		tenant := apply(ctx, bare("served-by-address").Database(server.Name))
		policy := in(tenant, &networkingv1.NetworkPolicy{}, "allow-database")
		Eventually(ctx, komega.Object(policy)).Should(HaveField("Spec.Egress", And(
			openTCP(podsOf(namespace.Name, service.Spec.Selector), 15432), openTCP(address(service.Spec.ClusterIP), 5432),
		)))
		remove(ctx, tenant)
		remove(ctx, server)
	}, SpecTimeout(specTimeout))
})

func endpointsOf(service *corev1.Service, port int32, addresses ...string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: service.Name + "-by-hand", Labels: map[string]string{discoveryv1.LabelServiceName: service.Name},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: addresses}},
		Ports:       []discoveryv1.EndpointPort{{Name: new(service.Spec.Ports[0].Name), Port: new(port)}},
	}
}

func podsOf(namespace string, labels map[string]string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: labels},
	}
}

func address(ip string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: ip + "/32"}}
}

// openTCP matches rules that allow TCP on the port of a peer.
func openTCP(peer networkingv1.NetworkPolicyPeer, port int32) gomegatypes.GomegaMatcher {
	return ContainElement(networkingv1.NetworkPolicyEgressRule{
		To:    []networkingv1.NetworkPolicyPeer{peer},
		Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(port))}},
	})
}
