package integration

import (
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

// harass changes an object as fast as it can until stop is called, like a controller that disagrees.
func harass(ctx context.Context, object client.Object, patch func(round int) string) (stop func()) {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(ctx)
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for round := writer; ctx.Err() == nil; round += 4 {
				target := object.DeepCopyObject().(client.Object)
				err := env.Client.Patch(ctx, target, client.RawPatch("application/merge-patch+json", []byte(patch(round))), client.FieldOwner("quota-syncer"))
				if err != nil && ctx.Err() == nil {
					GinkgoWriter.Println(err)
				}
			}
		})
	}
	stop = func() {
		cancel()
		writers.Wait()
	}
	DeferCleanup(stop)
	return stop
}

// refuseServices makes the API server refuse all Services in a tenant's namespace.
func refuseServices(ctx context.Context, tenant string) client.Object {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Name: "no-services.example.com"}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: new(admissionregistrationv1.Fail),
		MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			},
		}}},
		Validations: []admissionregistrationv1.Validation{{
			Expression: fmt.Sprintf("object.metadata.namespace != '%s'", tenant), Message: "Services are made by the mesh.",
		}},
	}}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: meta.Name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
	}}
	for _, object := range []client.Object{policy, binding} {
		Expect(env.Client.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, object)) })
	}
	probe := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "probe"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	Eventually(ctx, func() error {
		return env.Client.Create(ctx, probe.DeepCopy(), client.DryRunAll)
	}).Should(MatchError(ContainSubstring("denied request: Services are made by the mesh.")))
	return binding
}

var _ = Describe("What the operator tries again shows", func() {
	It("when an object keeps changing: which, and who changes it", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("pestered").Quota(corev1.ResourcePods, "10").Database(shared))
		quota := in(tenant, &corev1.ResourceQuota{}, naming.Quota)
		stop := harass(ctx, quota, func(round int) string {
			return fmt.Sprintf(`{"spec":{"hard":{"pods":"%d"}}}`, 100+round%100)
		})
		Eventually(ctx, komega.Object(tenant)).Should(And(
			haveCondition(v1alpha1.ConditionQuotaReady, "False", v1alpha1.ReasonFailed,
				`ResourceQuota "tenant" in namespace "pestered" keeps changing while the operator brings it in line with the spec`, `It was last changed by "quota-syncer"`),
			haveCondition(v1alpha1.ConditionReconciling, "True", v1alpha1.ReasonFailed),
			haveCondition(v1alpha1.ConditionDatabaseReady, "True", v1alpha1.ReasonReady)))
		stop()
		waitReady(ctx, tenant)
		Expect(read(ctx, quota).Spec.Hard).To(HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("10")))
	}, SpecTimeout(specTimeout))

	It("when nothing can be decided: why", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("illegible").Quota(corev1.ResourcePods, "10"))
		quota := read(ctx, in(tenant, &corev1.ResourceQuota{}, naming.Quota))
		change(ctx, quota, func() { quota.Annotations = map[string]string{naming.AnnotationSlice: "scribbles"} })
		Eventually(ctx, komega.Object(tenant)).Should(And(
			haveCondition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonFailed,
				`the annotation tenantry.dev/slice of ResourceQuota "tenant" in namespace "illegible" can't be read; remove it`),
			haveCondition(v1alpha1.ConditionQuotaReady, "True", v1alpha1.ReasonReady)))
		change(ctx, quota, func() { delete(quota.Annotations, naming.AnnotationSlice) })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A request of the operator that the API server forbids is told by its cause:", func() {
	It("a quota, until there is room", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("serviceless").Quota(corev1.ResourceServices, "1").App(image))
		Expect(env.Client.Create(ctx, in(tenant, &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, "own"))).To(Succeed())
		change(ctx, tenant, func() { tenant.Spec.App.Port = 8080 })
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonQuotaExceeded,
			`The quota leaves no room for services "app": requested: services=1, used: services=1, limited: services=1. Raise spec.quota, or remove what uses it up.`))
		change(ctx, tenant, func() { tenant.Spec.Quota[corev1.ResourceServices] = resource.MustParse("2") })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("a policy of the cluster, until it goes", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("overruled").App(image))
		binding := refuseServices(ctx, tenant.Name)
		change(ctx, tenant, func() { tenant.Spec.App.Port = 8080 })
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonForbidden,
			`The admission policy no-services.example.com of this cluster refuses services "app": Services are made by the mesh. Change the spec so that it complies`))
		remove(ctx, binding)
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})
