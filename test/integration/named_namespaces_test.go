package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

var _ = Describe("The namespaces that a Tenant names", func() {
	It("are made by the operator, for the tenant's own GitOps to apply to", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("named").Owner(v1alpha1.OwnerKindUser, "flux@named", v1alpha1.OwnerRoleAdmin).Namespaces("named-dev", "named-test"))
		Expect(read(ctx, tenant).Status.Namespaces).To(ConsistOf(
			HaveField("Name", "named"), HaveField("Name", "named-dev"), HaveField("Name", "named-test")))
		for _, name := range tenant.Spec.Namespaces.Names {
			namespace := read(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
			Expect(metav1.IsControlledBy(namespace, tenant)).To(BeTrue())
			Expect(read(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "deny-all"}})).NotTo(BeNil())
			kubectl(ctx, "apply", "--server-side", "--as", "flux@named", "--as-group", "system:authenticated", "--filename", manifest(`
apiVersion: v1
kind: ConfigMap
metadata: {name: of-flux, namespace: `+name+`}
data: {key: value}
`))
		}

		By("making one again that was deleted")
		dev := read(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "named-dev"}})
		former := dev.UID
		kubectl(ctx, "delete", "namespace", dev.Name, "--wait=false", "--as", "flux@named", "--as-group", "system:authenticated")
		Eventually(ctx, komega.Object(dev)).Should(And(
			HaveField("UID", Not(Equal(former))), HaveField("DeletionTimestamp", BeNil()), HaveField("Labels", HaveKeyWithValue("tenantry.dev/usable", "true"))))
		waitReady(ctx, tenant)

		By("leaving one alone that is no longer named")
		change(ctx, tenant, func() {
			tenant.Spec.Namespaces.Names = []string{"named-dev"}
			tenant.Spec.Namespaces.Limit = 3
		})
		waitReady(ctx, tenant)
		Expect(read(ctx, tenant).Status.UsableNamespaces).To(HaveValue(Equal(int32(3))))
		Expect(read(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "named-test"}})).To(HaveField("DeletionTimestamp", BeNil()))
	}, SpecTimeout(specTimeout))

	It("are left alone where they are somebody else's, and the Tenant says so", func(ctx SpecContext) {
		taken := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "taken-before"}}
		Expect(env.Client.Create(ctx, taken)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { remove(ctx, taken) }, NodeTimeout(specTimeout))
		tenant := apply(ctx, bare("taking").Namespaces(taken.Name))
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionNamespaceReady, metav1.ConditionFalse, v1alpha1.ReasonConflict,
			"taken-before", "spec.namespaces.names", "choose another name"))
		Expect(read(ctx, taken).Labels).NotTo(HaveKey("tenantry.dev/tenant"))
		kubectl(ctx, "label", "namespace", taken.Name, "tenantry.dev/tenant=taking")
		waitReady(ctx, tenant)
		Expect(read(ctx, taken).Labels).To(HaveKeyWithValue("tenantry.dev/usable", "true"))
	}, SpecTimeout(specTimeout))

	DescribeTable("are refused with what to write instead:", func(ctx SpecContext, limit int32, name, text string) {
		Expect(env.Client.Create(ctx, bare("misnamed").Namespaces(name, "misnamed-test").NamespaceLimit(limit).Build())).
			To(MatchError(ContainSubstring(text)))
	},
		Entry("more than the limit", int32(2), "misnamed-dev", "raise limit, leave it out, or take names away"),
		Entry("no name of a namespace", int32(0), "Misnamed", "names has an entry that is no name of a namespace"),
		Entry("one of the cluster", int32(0), "kube-system", "names has a namespace of the cluster itself"),
	)
})

var _ = Describe("A namespace that is labeled before its Tenant exists", func() {
	It("refuses pods, claims and Services in words that say so, and opens with the Tenant", func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hasty-dev", Labels: map[string]string{"tenantry.dev/tenant": "hasty"}}}
		Expect(env.Client.Create(ctx, namespace)).To(Succeed())
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "early"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}
		// The API server may not have the policies yet when the first spec runs.
		Eventually(ctx, func() error { return env.Client.Create(ctx, service.DeepCopy(), client.DryRunAll) }).
			Should(MatchError(ContainSubstring("the Tenant hasty does not exist")))
		tenant := applyReady(ctx, bare("hasty").NamespaceLimit(2))
		Expect(read(ctx, tenant).Status.UsableNamespaces).To(HaveValue(Equal(int32(2))))
		Expect(env.Client.Create(ctx, service.DeepCopy())).To(Succeed())
	}, SpecTimeout(specTimeout))
})
