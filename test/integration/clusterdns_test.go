package integration

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
)

var _ = Describe("The way to the cluster's DNS", Label("K12"), func() {
	It("is that of the Service kube-dns, and follows it", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("resolving"))
		policy := in(tenant, &networkingv1.NetworkPolicy{}, "allow-dns")
		usual := map[string]string{"k8s-app": "kube-dns"}
		Expect(read(ctx, policy)).To(HaveField("Spec.Egress", open(metav1.NamespaceSystem, usual, 53)))

		service := dnsService(metav1.NamespaceSystem, "kube-dns", usual, 8053)
		service.Labels = usual
		Expect(env.Client.Create(ctx, service)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { remove(ctx, service) }, NodeTimeout(specTimeout))
		Eventually(ctx, komega.Object(policy)).WithTimeout(atOnce).Should(HaveField("Spec.Egress", And(
			open(metav1.NamespaceSystem, usual, 8053), Not(open(metav1.NamespaceSystem, usual, 53)),
			open(service.Spec.ClusterIP, nil, 53),
		)))
		change(ctx, service, func() { service.Spec.Selector = map[string]string{"app": "coredns"} })
		Eventually(ctx, komega.Object(policy)).WithTimeout(atOnce).Should(HaveField("Spec.Egress", open(metav1.NamespaceSystem, service.Spec.Selector, 8053)))
	}, SpecTimeout(specTimeout))

	It("is that of the Service whose address pods have as their nameserver", func(ctx SpecContext) {
		if os.Geteuid() != 0 {
			Skip("Only root can give the operator the /etc/resolv.conf of a pod.")
		}
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "openshift-dns"}}
		Expect(env.Client.Create(ctx, namespace)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { remove(ctx, namespace) }, NodeTimeout(specTimeout))
		selector := map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}
		service := dnsService(namespace.Name, "dns-default", selector, 5353)
		Expect(env.Client.Create(ctx, service)).To(Succeed())

		restartAsPod(ctx, "169.254.20.10", service.Spec.ClusterIP)
		tenant := applyReady(ctx, bare("resolving-openly"))
		policy := in(tenant, &networkingv1.NetworkPolicy{}, "allow-dns")
		Expect(read(ctx, policy)).To(HaveField("Spec.Egress", And(
			open(namespace.Name, selector, 5353), open("169.254.20.10", nil, 53), open(service.Spec.ClusterIP, nil, 53),
		)))
	}, SpecTimeout(specTimeout))

	It("is where an admin says, for all tenants", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("resolving-as-told"))
		Expect(env.RestartOperator(ctx, "--cluster-dns=169.254.25.10")).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(env.RestartOperator(ctx)).To(Succeed()) }, NodeTimeout(specTimeout))
		policy := in(tenant, &networkingv1.NetworkPolicy{}, "allow-dns")
		Eventually(ctx, komega.Object(policy)).WithTimeout(atOnce).Should(HaveField("Spec.Egress", And(HaveLen(1), open("169.254.25.10", nil, 53))))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})

// restartAsPod restarts the operator, for the rest of the spec, with these nameservers in its /etc/resolv.conf, as
// in a pod.
func restartAsPod(ctx context.Context, nameservers ...string) {
	GinkgoHelper()
	content := "search tenantry-system.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
	for _, nameserver := range nameservers {
		content += "nameserver " + nameserver + "\n"
	}
	env.ResolvConfPath = filepath.Join(GinkgoT().TempDir(), "resolv.conf")
	Expect(os.WriteFile(env.ResolvConfPath, []byte(content), 0o644)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		env.ResolvConfPath = ""
		Expect(env.RestartOperator(ctx)).To(Succeed())
	}, NodeTimeout(specTimeout))
	Expect(env.RestartOperator(ctx)).To(Succeed())
}

// dnsService returns a Service of a cluster's DNS whose pods listen on another port.
func dnsService(namespace, name string, selector map[string]string, target int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{
			{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, TargetPort: intstr.FromInt32(target)},
			{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: 53, TargetPort: intstr.FromInt32(target)},
		}},
	}
}

// open matches rules that allow UDP and TCP on a port of the pods with these labels in a namespace, or, without
// labels, of an address.
func open(where string, labels map[string]string, port int32) gomegatypes.GomegaMatcher {
	peer := address(where)
	if labels != nil {
		peer = podsOf(where, labels)
	}
	return ContainElement(networkingv1.NetworkPolicyEgressRule{
		To: []networkingv1.NetworkPolicyPeer{peer},
		Ports: []networkingv1.NetworkPolicyPort{
			{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(port))},
			{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(port))},
		},
	})
}
