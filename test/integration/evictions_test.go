package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

var _ = Describe("A node", Label("K9"), func() {
	It("can be drained of the pods of an app that crashes", func(ctx SpecContext) {
		tenant := apply(ctx, builders.Tenant("undrained").App("crashing.invalid/shop:1").Replicas(2))
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "False", "CrashLoopBackOff"))
		Eventually(ctx, komega.Object(in(tenant, &policyv1.PodDisruptionBudget{}, "app"))).Should(HaveField("Status.ExpectedPods", Equal(int32(2))))
		for _, pod := range appPodsOf(ctx, tenant) {
			eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
			Expect(env.Client.SubResource("eviction").Create(ctx, &pod, eviction, &client.SubResourceCreateOptions{})).To(Succeed())
		}
	}, SpecTimeout(specTimeout))
})
