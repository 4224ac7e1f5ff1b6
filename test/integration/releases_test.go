package integration

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	firstImage, secondImage, thirdImage = "registry.example/shop:1", "registry.example/shop:2", "registry.example/shop:3"
	// badImage is one that no registry has.
	badImage = "missing.invalid/shop:2"
	// soak keeps a tenant on its way until the spec lets it go.
	soak = 3600
)

// wave is a class with tenants that all have its app.
type wave struct {
	class *v1alpha1.TenantClass
	names []string
}

// beginWave creates a class and its tenants, waits until all are Ready, and deletes them at the end of the spec. The
// first of them are canaries.
func beginWave(ctx context.Context, name string, tenants, canaries int, rollout string) *wave {
	GinkgoHelper()
	w := &wave{class: class(ctx, name, fmt.Sprintf(`{tenant: {app: {image: %q}}, rollout: %s}`, firstImage, rollout))}
	for i := range tenants {
		tenant := member(fmt.Sprintf("%s-%02d", name, i), name)
		// The last ones by name go first.
		if i >= tenants-canaries {
			tenant.Labels = map[string]string{"ring": "canary"}
		}
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		w.names = append(w.names, tenant.Name)
	}
	DeferCleanup(w.remove, NodeTimeout(specTimeout))
	for _, name := range w.names {
		Eventually(ctx, w.tenant).WithArguments(ctx, name).Should(serves(firstImage))
	}
	Eventually(ctx, w.state).WithArguments(ctx).Should(And(haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
		HaveField("Status.Updated", HaveValue(Equal(int32(tenants)))), HaveField("Status.Ready", HaveValue(Equal(int32(tenants))))))
	return w
}

// remove deletes the tenants that are left.
func (w *wave) remove(ctx SpecContext) {
	var left []*v1alpha1.Tenant
	for _, name := range w.names {
		tenant := w.tenant(ctx, name)
		if tenant.Name != "" && env.Client.Delete(ctx, tenant) == nil {
			left = append(left, tenant)
		}
	}
	for _, tenant := range left {
		waitGone(ctx, tenant)
	}
}

func (w *wave) tenant(ctx context.Context, name string) *v1alpha1.Tenant {
	found := &v1alpha1.Tenant{}
	if err := env.Client.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
		return &v1alpha1.Tenant{}
	}
	return found
}

func (w *wave) state(ctx context.Context) *v1alpha1.TenantClass { return classState(ctx, w.class.Name) }

// release gives the class another image.
func (w *wave) release(ctx context.Context, image string, others ...func(*v1alpha1.TenantClassSpec)) {
	GinkgoHelper()
	changeClass(ctx, w.class, func(spec *v1alpha1.TenantClassSpec) {
		spec.Tenant.App.Image = image
		for _, other := range others {
			other(spec)
		}
	})
}

// steer changes how the class is released.
func (w *wave) steer(ctx context.Context, change func(*v1alpha1.TenantClassRollout)) {
	GinkgoHelper()
	changeClass(ctx, w.class, func(spec *v1alpha1.TenantClassSpec) { change(&spec.Rollout) })
}

// completed waits until the current revision has reached all, of which so many are updated.
func (w *wave) completed(ctx context.Context, updated int) {
	GinkgoHelper()
	Eventually(ctx, w.state).WithArguments(ctx).Should(And(
		haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
		WithTransform(func(class *v1alpha1.TenantClass) bool {
			return class.Status.ObservedGeneration == class.Generation && class.Status.StableRevision == class.Status.CurrentRevision
		}, BeTrue()),
		HaveField("Status.Updated", HaveValue(BeEquivalentTo(updated))), HaveField("Status.InFlight", BeEmpty())))
}

// flying waits until these tenants are on their way to the current revision, and no others are.
func (w *wave) flying(ctx context.Context, names ...string) {
	GinkgoHelper()
	Eventually(ctx, w.flights).WithArguments(ctx).Should(ConsistOf(names))
}

func (w *wave) flights(ctx context.Context) (names []string) {
	state := w.state(ctx)
	for _, entry := range state.Status.InFlight {
		if entry.Revision == state.Status.CurrentRevision && state.Status.ObservedGeneration == state.Generation {
			names = append(names, entry.Name)
		}
	}
	return names
}

// serves matches a tenant that is Ready with an image.
func serves(image string) gomegatypes.GomegaMatcher {
	return And(haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady), HaveField("Status.App.Image", image))
}

func announced(ctx context.Context, class string) (reasons []string) {
	list := &eventsv1.EventList{}
	if err := env.Client.List(ctx, list, client.InNamespace(metav1.NamespaceDefault)); err != nil {
		return nil
	}
	slices.SortStableFunc(list.Items, func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	for _, event := range list.Items {
		if event.Regarding.Kind == "TenantClass" && event.Regarding.Name == class {
			reasons = append(reasons, event.Reason)
		}
	}
	return reasons
}

var _ = Describe("A release of a TenantClass", func() {
	It("goes to the canaries first and then to the others, at no moment to more than it may", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-plain", 10, 2, `{canarySelector: {matchLabels: {ring: canary}}, maxUnavailable: 30%}`)
		moves := env.FollowMoves("wave-plain-")
		former := w.state(ctx).Status.CurrentRevision
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		began := time.Now()
		w.release(ctx, secondImage)
		w.completed(ctx, 10)
		took := time.Since(began)

		for _, name := range w.names {
			Eventually(ctx, w.tenant).WithArguments(ctx, name).Should(serves(secondImage))
			Expect(w.tenant(ctx, name).Status.Class.Revision).To(Equal(w.state(ctx).Status.CurrentRevision))
			Expect(w.tenant(ctx, name).Status.Class.ReadyAt.Time).To(BeTemporally(">=", began.Truncate(time.Second)))
		}
		moved, most := moves.Replay()
		order := moved[secondImage]
		Expect(order).To(HaveLen(10))
		Expect(order[:2]).To(ConsistOf("wave-plain-08", "wave-plain-09"))
		Expect(most).To(And(BeNumerically(">", 1), BeNumerically("<=", 3)))
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		var ofClass int
		for _, request := range requests {
			if request.Resource == "tenantclasses/status" && request.Name == "wave-plain" {
				ofClass++
			}
		}
		Expect(ofClass).To(BeNumerically("<=", 2+int(took.Seconds())))
		AddReportEntry("release", fmt.Sprintf("10 tenants in %s with %d writes of the status of the class", took.Round(time.Millisecond), ofClass))
		Expect(w.state(ctx).Status.StableRevision).NotTo(Equal(former))
		Expect(kubectl(ctx, "get", "tnc", "wave-plain")).To(MatchRegexp(
			`NAME +REVISION +TENANTS +UPDATED +READY +FAILED +STATUS +AGE\nwave-plain +wave-plain-\w+ +10 +10 +10 +0 +10 of 10 tenants are ready\.`))
		Eventually(ctx, announced).WithArguments(ctx, "wave-plain").Should(Equal([]string{v1alpha1.ReasonReleaseStarted, v1alpha1.ReasonReleaseCompleted}))
	}, SpecTimeout(specTimeout))

	It("with a bad image stops after the canaries, leaves the others untouched, and the old one brings all back", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-bad", 5, 1, `{canarySelector: {matchLabels: {ring: canary}}, maxUnavailable: 100%, progressDeadlineSeconds: 3}`)
		former := w.state(ctx).Status.CurrentRevision
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		w.release(ctx, badImage)
		Eventually(ctx, w.state).WithArguments(ctx).Should(And(
			stalled(v1alpha1.ReasonReleaseStopped, "The release has stopped: wave-bad-", " has reached 1 of 5 tenants, and 1 of them is on the way, and 1 has failed. "+
				"It goes on once they are Ready; to take it back, give spec.tenant its former content. wave-bad-04: Pod app-", "missing.invalid/shop:2"),
			HaveField("Status.Failing", Equal([]string{"wave-bad-04"})), HaveField("Status.Failed", HaveValue(Equal(int32(1)))),
			HaveField("Status.StableRevision", former)))
		Eventually(ctx, announced).WithArguments(ctx, "wave-bad").Should(Equal([]string{v1alpha1.ReasonReleaseStarted, v1alpha1.ReasonReleaseStopped}))
		for _, name := range w.names[:4] {
			Expect(requestsOn(mark, name)).To(BeEmpty())
		}
		By("giving a new tenant the revision that works")
		create(ctx, member("wave-bad-new", "wave-bad"))
		Eventually(ctx, w.tenant).WithArguments(ctx, "wave-bad-new").Should(serves(firstImage))

		w.release(ctx, firstImage)
		w.completed(ctx, 6)
		Eventually(ctx, w.tenant).WithArguments(ctx, "wave-bad-04").Should(serves(firstImage))
		Expect(w.state(ctx).Status.CurrentRevision).To(Equal(former))
		for _, name := range w.names[:4] {
			Expect(requestsOn(mark, name)).To(BeEmpty())
		}
	}, SpecTimeout(specTimeout))

	It("that is superseded on its way goes on with the next one, those first that hold a slot", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-next", 5, 1, `{canarySelector: {matchLabels: {ring: canary}}, maxUnavailable: 2}`)
		moves := env.FollowMoves("wave-next-")
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) {
			rollout.MinReadySeconds = new(int32(soak))
			rollout.CanarySelector = nil
		})
		w.release(ctx, secondImage)
		w.flying(ctx, "wave-next-00", "wave-next-01")
		Eventually(ctx, w.tenant).WithArguments(ctx, "wave-next-01").Should(serves(secondImage))
		w.release(ctx, thirdImage)
		w.flying(ctx, "wave-next-00", "wave-next-01")
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.MinReadySeconds = nil })
		w.completed(ctx, 5)
		moved, most := moves.Replay()
		order := moved[thirdImage]
		Expect(order).To(HaveLen(5))
		Expect(order[:2]).To(ConsistOf("wave-next-00", "wave-next-01"))
		Expect(most).To(BeNumerically("<=", 2))
		second := moved[secondImage]
		Expect(second).To(ConsistOf("wave-next-00", "wave-next-01"))
	}, SpecTimeout(specTimeout))

	It("goes last to a tenant that was not Ready beforehand, which takes no slot and doesn't stop it", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-broken", 3, 0, `{progressDeadlineSeconds: 2}`)
		broken := w.tenant(ctx, "wave-broken-00")
		change(ctx, broken, func() { broken.Spec.App = &v1alpha1.TenantApp{Image: badImage} })
		Eventually(ctx, w.tenant).WithArguments(ctx, broken.Name).Should(haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, "ImagePullBackOff"))
		moves := env.FollowMoves("wave-broken-")
		w.release(ctx, secondImage, func(spec *v1alpha1.TenantClassSpec) { spec.Tenant.App.Port = 8080 })
		w.completed(ctx, 3)
		moved, most := moves.Replay()
		order := moved[secondImage]
		Expect(order).To(Equal([]string{"wave-broken-01", "wave-broken-02"}))
		Expect(most).To(Equal(1))
		Eventually(ctx, w.tenant).WithArguments(ctx, broken.Name).Should(And(haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, "ImagePullBackOff"),
			HaveField("Status.Class.Revision", w.state(ctx).Status.CurrentRevision)))
		Eventually(ctx, w.state).WithArguments(ctx).Should(haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "2 of 3 tenants are ready."))
	}, SpecTimeout(specTimeout))

	It("skips tenants that are pinned, cordoned or deleted on its way", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-skipping", 5, 0, `{maxUnavailable: 2}`)
		former := w.state(ctx).Status.CurrentRevision
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.MinReadySeconds = new(int32(soak)) })
		w.release(ctx, secondImage)
		w.flying(ctx, "wave-skipping-00", "wave-skipping-01")
		Eventually(ctx, w.tenant).WithArguments(ctx, "wave-skipping-00").Should(serves(secondImage))

		remove(ctx, w.tenant(ctx, "wave-skipping-00"))
		w.flying(ctx, "wave-skipping-01", "wave-skipping-02")
		pinned := w.tenant(ctx, "wave-skipping-01")
		change(ctx, pinned, func() { pinned.Spec.ClassRevision = former })
		w.flying(ctx, "wave-skipping-02", "wave-skipping-03")
		cordoned := w.tenant(ctx, "wave-skipping-04")
		change(ctx, cordoned, func() { cordoned.Spec.Cordoned = true })
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.MinReadySeconds = nil })
		w.completed(ctx, 2)
		Eventually(ctx, w.tenant).WithArguments(ctx, pinned.Name).Should(serves(firstImage))
		Expect(w.tenant(ctx, cordoned.Name)).To(serves(firstImage))
		Expect(w.state(ctx).Status.Pinned).To(HaveValue(Equal(int32(1))))

		By("giving them the revision that works when they take part again")
		change(ctx, cordoned, func() { cordoned.Spec.Cordoned = false })
		change(ctx, pinned, func() { pinned.Spec.ClassRevision = "" })
		w.completed(ctx, 4)
		Eventually(ctx, w.tenant).WithArguments(ctx, cordoned.Name).Should(serves(secondImage))
		Eventually(ctx, w.tenant).WithArguments(ctx, pinned.Name).Should(serves(secondImage))
	}, SpecTimeout(specTimeout))

	It("waits while it is paused, and lets those go on that are on their way", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-paused", 3, 0, `{minReadySeconds: 3600}`)
		w.release(ctx, secondImage)
		w.flying(ctx, "wave-paused-00")
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.Paused = true; rollout.MinReadySeconds = nil })
		Eventually(ctx, w.state).WithArguments(ctx).Should(haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPaused,
			"has reached 1 of 3 tenants. It is paused; it goes on without spec.rollout.paused."))
		Expect(w.tenant(ctx, "wave-paused-00")).To(serves(secondImage))
		Expect(w.tenant(ctx, "wave-paused-01")).To(serves(firstImage))
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.Paused = false })
		w.completed(ctx, 3)
	}, SpecTimeout(specTimeout))

	It("waits for its next window, and lets those go on that are on their way when one closes", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-window", 3, 0, `{minReadySeconds: 3600}`)
		w.release(ctx, secondImage)
		w.flying(ctx, "wave-window-00")
		// The window opens with the next minute but one, so that it is closed now and opens while the spec waits.
		opens := time.Now().UTC().Add(time.Minute).Truncate(time.Minute).Add(time.Minute)
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) {
			rollout.MinReadySeconds = nil
			rollout.Windows = []v1alpha1.TenantClassWindow{{
				Schedule: fmt.Sprintf("%d %d * * *", opens.Minute(), opens.Hour()), Duration: "1s",
			}}
		})
		Eventually(ctx, w.state).WithArguments(ctx).Should(haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWindowClosed,
			"has reached 1 of 3 tenants. It goes on at "+opens.Format(time.RFC3339)+", when its next window opens."))
		Expect(w.tenant(ctx, "wave-window-00")).To(serves(secondImage))
		By("opening for a second, in which one tenant is told")
		Eventually(ctx, w.state).WithArguments(ctx).WithTimeout(2 * time.Minute).Should(HaveField("Status.Updated", HaveValue(Equal(int32(2)))))
		Eventually(ctx, w.state).WithArguments(ctx).Should(And(
			haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWindowClosed, opens.AddDate(0, 0, 1).Format(time.RFC3339)),
			HaveField("Status.InFlight", BeEmpty()), HaveField("Status.Updated", HaveValue(Equal(int32(2))))))
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.Windows = nil })
		w.completed(ctx, 3)
	}, SpecTimeout(5*time.Minute))

	It("counts a tenant as updated that it changes nothing for, without a write to it", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-same", 2, 0, `{}`)
		own := member("wave-same-own", "wave-same")
		own.Spec.App = &v1alpha1.TenantApp{Image: thirdImage}
		create(ctx, own)
		Eventually(ctx, w.tenant).WithArguments(ctx, own.Name).Should(serves(thirdImage))
		w.completed(ctx, 3)
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		w.release(ctx, secondImage, func(spec *v1alpha1.TenantClassSpec) { spec.Rollout.Paused = true })
		Eventually(ctx, w.state).WithArguments(ctx).Should(And(
			haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPaused, "has reached 1 of 3 tenants"),
			HaveField("Status.Updated", HaveValue(Equal(int32(1))))))
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.Paused = false })
		w.completed(ctx, 3)
		Expect(requestsOn(mark, own.Name)).To(BeEmpty())

		By("following the class from then on")
		change(ctx, own, func() { own.Spec.App = nil })
		Eventually(ctx, w.tenant).WithArguments(ctx, own.Name).Should(serves(secondImage))
	}, SpecTimeout(specTimeout))

	It("goes on where it was when the operator is restarted", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-restart", 4, 0, `{minReadySeconds: 3600, maxUnavailable: 2}`)
		w.release(ctx, secondImage)
		w.flying(ctx, "wave-restart-00", "wave-restart-01")
		Eventually(ctx, w.tenant).WithArguments(ctx, "wave-restart-01").Should(serves(secondImage))
		before := w.state(ctx).Status.InFlight
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		Expect(env.RestartOperator(ctx)).To(Succeed())
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.MaxUnavailable = new(intstr.FromInt32(3)) })
		w.flying(ctx, "wave-restart-00", "wave-restart-01", "wave-restart-02")
		Expect(w.state(ctx).Status.InFlight[:2]).To(Equal(before))
		requests := slices.DeleteFunc(requestsOn(mark, "wave-restart-00"), func(request environment.Request) bool { return !request.Writes() })
		Expect(requests).To(BeEmpty())
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.MinReadySeconds = nil })
		w.completed(ctx, 4)
	}, SpecTimeout(specTimeout))

	DescribeTable("is refused", func(ctx SpecContext, rollout, want string) {
		refused := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "wave-refused"}}
		output, err := env.Kubernetes.Kubectl(ctx, "apply", "--server-side", "-f", manifest(fmt.Sprintf(
			"apiVersion: tenantry.dev/v1alpha1\nkind: TenantClass\nmetadata: {name: wave-refused}\nspec: {rollout: %s}\n", rollout)))
		Expect(err).To(MatchError(ContainSubstring(want)), output)
		Expect(client.IgnoreNotFound(env.Client.Delete(ctx, refused))).To(Succeed())
	},
		Entry("with nobody unavailable", `{maxUnavailable: 0}`, "write a number of tenants from 1, or a percentage from 1% to 100%"),
		Entry("with a percentage of nothing", `{maxUnavailable: 0%}`, "write a number of tenants from 1, or a percentage from 1% to 100%"),
		Entry("with more than all", `{maxUnavailable: 101%}`, "write a number of tenants from 1, or a percentage from 1% to 100%"),
		Entry("with a share that is none", `{maxUnavailable: half}`, "write a number of tenants from 1, or a percentage from 1% to 100%"),
		Entry("with an unlimited deadline", `{progressDeadlineSeconds: 0}`, "should be greater than or equal to 1"),
		Entry("with negative failures", `{maxFailures: -1}`, "should be greater than or equal to 0"),
		Entry("with a window that never stays open", `{windows: [{schedule: "0 22 * * *", duration: 0s}]}`, "write a duration such as 4h or 90m, of 744h at most"),
		Entry("with a window of no length", `{windows: [{schedule: "0 22 * * *"}]}`, "Required value"),
		Entry("with no windows at all", `{windows: []}`, "should have at least 1 items"),
		Entry("with a time zone in the schedule", `{windows: [{schedule: "TZ=UTC 0 22 * * *", duration: 1h}]}`, "write the time zone in timeZone"),
	)

	DescribeTable("tells nobody to change and says why", func(ctx SpecContext, name, rollout, want string) {
		class(ctx, name, fmt.Sprintf(`{tenant: {quota: {pods: "3"}}, rollout: %s}`, rollout))
		Eventually(ctx, func() *v1alpha1.TenantClass { return classState(ctx, name) }).Should(stalled(v1alpha1.ReasonInvalid, want))
	},
		Entry("with a window that never comes", "wave-never", `{windows: [{schedule: "0 0 30 2 *", duration: 1h}]}`,
			`No tenant is told to change until this is corrected: spec.rollout.windows[0].schedule is "0 0 30 2 *", a time that never comes; write one such as 0 22 * * 1-4.`),
		Entry("with what is no schedule", "wave-no-schedule", `{windows: [{schedule: nightly, duration: 1h}]}`,
			`spec.rollout.windows[0].schedule is "nightly", which is no schedule (expected exactly 5 fields, found 1: [nightly]); write one such as 0 22 * * 1-4.`),
		Entry("with an unknown time zone", "wave-mars", `{windows: [{schedule: "0 22 * * *", duration: 1h, timeZone: Mars/Olympus}]}`,
			`spec.rollout.windows[0].timeZone is "Mars/Olympus", which is no time zone; write one such as Europe/Berlin.`),
		Entry("with a selector that can't be", "wave-selector", `{canarySelector: {matchExpressions: [{key: ring, operator: Like}]}}`,
			`spec.rollout.canarySelector: "Like" is not a valid label selector operator.`),
	)
})
