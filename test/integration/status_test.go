package integration

import (
	"context"
	"encoding/json"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// diary is everything that a watch has seen of one tenant.
type diary struct {
	events watch.Interface
	seen   []*v1alpha1.Tenant
}

// follow watches the tenant of that name from now on.
func follow(ctx context.Context, name string) *diary {
	GinkgoHelper()
	events, err := env.Client.Watch(ctx, &v1alpha1.TenantList{}, client.MatchingFields{"metadata.name": name})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(events.Stop)
	return &diary{events: events}
}

// until reads the watch until it has seen this state of the tenant, or its deletion.
func (d *diary) until(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	for {
		var event watch.Event
		Eventually(ctx, d.events.ResultChan()).Should(Receive(&event))
		d.seen = append(d.seen, event.Object.(*v1alpha1.Tenant))
		if event.Type == watch.Deleted || event.Object.(*v1alpha1.Tenant).ResourceVersion == tenant.ResourceVersion {
			return
		}
	}
}

// kstatusOf returns the status that pipelines compute for a tenant.
func kstatusOf(tenant *v1alpha1.Tenant) status.Status {
	GinkgoHelper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(tenant)
	Expect(err).NotTo(HaveOccurred())
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	Expect(err).NotTo(HaveOccurred())
	return result.Status
}

// expectConformant checks one observed state of a tenant by the rules of kstatus, and against the
// state before.
func expectConformant(tenant, before *v1alpha1.Tenant) {
	GinkgoHelper()
	text, err := json.Marshal(tenant.Status)
	Expect(err).NotTo(HaveOccurred())
	because := string(text)

	ready := meta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionReady)
	reconciling := meta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionReconciling)
	stalled := meta.FindStatusCondition(tenant.Status.Conditions, v1alpha1.ConditionStalled)
	Expect(ready).NotTo(BeNil(), because)
	Expect(reconciling).To(Or(BeNil(), HaveField("Status", metav1.ConditionTrue)), because)
	Expect(stalled).To(Or(BeNil(), HaveField("Status", metav1.ConditionTrue)), because)
	switch ready.Status {
	case metav1.ConditionTrue:
		Expect(tenant.Status.Conditions).To(HaveEach(HaveField("Status", metav1.ConditionTrue)), because)
		Expect([]any{reconciling, stalled}).To(HaveEach(BeNil()), because)
	case metav1.ConditionFalse:
		Expect([]any{reconciling, stalled}).To(ContainElement(BeNil()), because)
		Expect([]any{reconciling, stalled}).To(ContainElement(Not(BeNil())), because)
	default:
		Expect(tenant.Status.ObservedGeneration).To(Equal(int64(-1)), because)
	}

	switch kstatus := kstatusOf(tenant); {
	case tenant.DeletionTimestamp != nil:
		Expect(kstatus).To(Equal(status.TerminatingStatus), because)
	case behind(tenant) > 0:
		Expect(kstatus).To(Equal(status.InProgressStatus), because)
	case stalled != nil:
		Expect(kstatus).To(Equal(status.FailedStatus), because)
	case ready.Status == metav1.ConditionTrue:
		Expect(kstatus).To(Equal(status.CurrentStatus), because)
	default:
		Expect(kstatus).To(Equal(status.InProgressStatus), because)
	}

	for _, condition := range tenant.Status.Conditions {
		Expect(condition.Reason).NotTo(BeEmpty(), because)
		Expect(condition.Message).NotTo(BeEmpty(), because)
		Expect(condition.ObservedGeneration).To(BeNumerically("<=", tenant.Generation), because)
		if before == nil {
			continue
		}
		if was := meta.FindStatusCondition(before.Status.Conditions, condition.Type); was != nil && was.Status == condition.Status {
			Expect(condition.LastTransitionTime.Time).To(BeTemporally("==", was.LastTransitionTime.Time), condition.Type+" in "+because)
		}
	}
}

// eventsOf returns how often each reason was given in an Event about the object.
func eventsOf(ctx context.Context, object client.Object) (map[string]int32, error) {
	events := &eventsv1.EventList{}
	if err := env.Client.List(ctx, events); err != nil {
		return nil, err
	}
	counts := map[string]int32{}
	for _, event := range events.Items {
		if event.Regarding.UID != object.GetUID() {
			continue
		}
		count := int32(1)
		if event.Series != nil {
			count = event.Series.Count
		}
		counts[event.Reason] += count
	}
	return counts, nil
}

var _ = Describe("The status of a tenant", func() {
	It("says what kstatus expects at every moment, from its creation to its end", func(ctx SpecContext) {
		diary := follow(ctx, "diary")
		tenant := apply(ctx, whole("diary").ReclaimPolicy(v1alpha1.ReclaimPolicyDelete))
		waitReady(ctx, tenant)
		diary.until(ctx, tenant)
		Expect(diary.seen[0].Status.Conditions).To(ConsistOf(And(
			HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", metav1.ConditionUnknown),
			HaveField("Reason", v1alpha1.ReasonPending), HaveField("Message", "Waiting for the operator."))))

		By("an image that is missing")
		change(ctx, tenant, func() { tenant.Spec.App.Image = "missing.invalid/shop:1" })
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionReady, "False", "ImagePullBackOff"))
		diary.until(ctx, tenant)
		change(ctx, tenant, func() { tenant.Spec.App.Image = image })
		waitReady(ctx, tenant)
		diary.until(ctx, tenant)

		By("a quota that is impossible")
		change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("1500m") })
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonInvalid))
		diary.until(ctx, tenant)
		change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("10") })
		waitReady(ctx, tenant)
		diary.until(ctx, tenant)

		By("its deletion")
		remove(ctx, tenant)
		diary.until(ctx, tenant)
		var before *v1alpha1.Tenant
		for _, moment := range diary.seen {
			expectConformant(moment, before)
			before = moment
		}
		Expect(before.DeletionTimestamp).NotTo(BeNil())
	}, SpecTimeout(specTimeout))

	It("is told by Events when something goes wrong and when it is right again, and then only", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("told"))
		change(ctx, tenant, func() { tenant.Spec.Owners = nil })
		waitReady(ctx, tenant)
		kubectl(ctx, "delete", "service", "app", "--namespace", "told")
		kubectl(ctx, "annotate", "tenant", "told", "note=1")
		for range 2 {
			change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("1500m") })
			Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonInvalid))
			change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("10") })
			waitReady(ctx, tenant)
		}
		// Events are written in the order of the transitions, so the last one proves that there was no other.
		Eventually(ctx, func() (map[string]int32, error) { return eventsOf(ctx, tenant) }).Should(HaveKeyWithValue("Ready", int32(2)))
		Expect(eventsOf(ctx, tenant)).To(Equal(map[string]int32{"Ready": 2, "Invalid": 2}))
		Expect(kubectl(ctx, "describe", "tenant", "told")).To(And(
			MatchRegexp(`Normal +Ready .* Everything is in place\.`), MatchRegexp(`Warning +Invalid .*must be an integer`)))
	}, SpecTimeout(specTimeout))
})
