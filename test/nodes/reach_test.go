package nodes

import (
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/test/builders"
)

// podsOf returns the running pods of a tenant's app, without those that end.
func podsOf(ctx SpecContext, tenant string) []corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(cl.List(ctx, pods, client.InNamespace(tenant))).To(Succeed())
	running := slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool {
		return pod.Status.Phase != corev1.PodRunning || !pod.DeletionTimestamp.IsZero()
	})
	Expect(running).NotTo(BeEmpty())
	return running
}

// dial tries to connect from a pod, and returns the addresses that it has reached.
func dial(ctx SpecContext, from corev1.Pod, addresses ...string) (reached []string) {
	GinkgoHelper()
	output, err := kubectl(ctx, append([]string{"exec", "--namespace=" + from.Namespace, from.Name, "--", "/peer", "dial"}, addresses...)...)
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(output) {
		if address, found := strings.CutSuffix(strings.TrimSpace(line), " reached"); found {
			reached = append(reached, address)
		}
	}
	return reached
}

func ready() OmegaMatcher {
	return HaveField("Status.Conditions", ContainElement(And(
		HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionTrue))))
}

var _ = Describe("Pods of two tenants", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		for _, name := range []string{"north", "south"} {
			tenant := builders.Tenant(name).Database(shared).App(peer).Command("/peer", "serve").Port(8080).Replicas(2).Build()
			Expect(cl.Create(ctx, tenant)).To(Succeed())
		}
		for _, name := range []string{"north", "south"} {
			tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}}
			Eventually(ctx, komega.Object(tenant)).Should(ready())
		}
	}, NodeTimeout(specTimeout))

	It("reach nothing new while nothing enforces network policies on their node", func(ctx SpecContext) {
		own := podsOf(ctx, "north")
		for _, n := range kubernetes.Nodes() {
			Expect(n.Kill(node.NetworkPolicies)).To(Succeed())
			DeferCleanup(n.Restart, node.NetworkPolicies)
		}
		Expect(dial(ctx, own[0], own[1].Status.PodIP+":8080", podsOf(ctx, "south")[0].Status.PodIP+":8080")).To(BeEmpty())

		By("and all that they may, once something does")
		for _, n := range kubernetes.Nodes() {
			Expect(n.Restart(node.NetworkPolicies)).To(Succeed())
		}
		Eventually(ctx, func() []string { return dial(ctx, own[0], own[1].Status.PodIP+":8080") }).Should(HaveLen(1))
		Expect(dial(ctx, own[0], podsOf(ctx, "south")[0].Status.PodIP+":8080")).To(BeEmpty())
	}, SpecTimeout(specTimeout))
})
