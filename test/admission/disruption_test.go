package admission

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
)

// disruptionBudget returns a PodDisruptionBudget for all pods with a label.
func disruptionBudget(namespace, bound string) client.Object {
	return object(fmt.Sprintf(`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {namespace: %s, generateName: budget-},
		spec: {selector: {matchLabels: {app: shop}}, %s}}`, namespace, bound))
}

var _ = Describe("A PodDisruptionBudget of a tenant", Label("K9"), func() {
	const advice = "no pod may ever be evicted, so that its node can not be drained; write maxUnavailable 1, or have spec.policy.allowBlockedEvictions of the Tenant allow it"

	DescribeTable("that forbids all evictions is refused", func(ctx SpecContext, bound, reason string) {
		Expect(try(ctx, alice, disruptionBudget("acme", bound))).To(refuse(reason, advice))
	},
		Entry(nil, "maxUnavailable: 0", "with maxUnavailable 0"),
		Entry(nil, "maxUnavailable: '0%'", "with maxUnavailable 0%"),
		Entry(nil, "maxUnavailable: '00%'", "with maxUnavailable 00%"),
		Entry(nil, "minAvailable: '100%'", "with minAvailable 100%"),
		Entry(nil, "minAvailable: '0100%'", "with minAvailable 0100%"),
	)

	DescribeTable("that allows some is let through", func(ctx SpecContext, bound string) {
		Expect(try(ctx, alice, disruptionBudget("acme", bound))).To(Succeed())
	},
		Entry(nil, "maxUnavailable: 1"),
		Entry(nil, "maxUnavailable: '10%'"),
		Entry(nil, "minAvailable: 0"),
		Entry(nil, "minAvailable: 2"),
		Entry(nil, "minAvailable: '50%'"),
		Entry(nil, "unhealthyPodEvictionPolicy: AlwaysAllow"),
	)

	It("can't be changed into one that needs all the pods that there are", func(ctx SpecContext) {
		applyReady(ctx, tenant("drained"))
		replicas := object(`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {namespace: drained, name: shop}, spec: {replicas: 2,
			selector: {matchLabels: {app: shop}}, template: {metadata: {labels: {app: shop}}, spec: {
			securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{name: shop, image: registry.example/shop,
			securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}}}}`)
		Eventually(ctx, func() error { return alice.Create(ctx, replicas) }).Should(Succeed())
		budget := object(`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {namespace: drained, name: shop},
			spec: {selector: {matchLabels: {app: shop}}, minAvailable: 1}}`)
		Expect(alice.Create(ctx, budget)).To(Succeed())
		Eventually(ctx, komega.Object(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "drained", Name: "shop"}})).
			Should(HaveField("Status.ExpectedPods", Equal(int32(2))))
		Expect(patch(ctx, alice, budget, `{"spec": {"minAvailable": 2}}`)).To(refuse("with minAvailable 2 of 2 pods", advice))
		Expect(patch(ctx, alice, budget, `{"spec": {"minAvailable": "51%"}}`)).To(refuse("with minAvailable 51% of 2 pods", advice))
		Expect(patch(ctx, alice, budget, `{"spec": {"minAvailable": "50%"}}`)).To(Succeed())
		Expect(patch(ctx, alice, budget, `{"metadata": {"labels": {"a": "b"}}}`)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("may forbid all evictions if the Tenant says so", func(ctx SpecContext) {
		tenant := applyReady(ctx, tenant("fixed"))
		blocking := func() error { return try(ctx, alice, disruptionBudget("fixed", "maxUnavailable: 0")) }
		Eventually(ctx, blocking).Should(refuse(advice))
		change(ctx, tenant, func() { tenant.Spec.Policy.AllowBlockedEvictions = new(true) })
		Eventually(ctx, blocking).Should(Succeed())
	}, SpecTimeout(specTimeout))
})
