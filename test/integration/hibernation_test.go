package integration

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// beAsleep matches a tenant that sleeps.
func beAsleep(texts ...string) gomegatypes.GomegaMatcher {
	return And(
		WithTransform(behind, BeZero()),
		haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonHibernated, texts...),
		lack(v1alpha1.ConditionReconciling), lack(v1alpha1.ConditionStalled),
		HaveField("Status.Hibernation.State", v1alpha1.HibernationAsleep),
	)
}

var _ = Describe("A tenant that hibernates", func() {
	appOf := func(tenant *v1alpha1.Tenant) *appsv1.Deployment { return in(tenant, &appsv1.Deployment{}, "app") }
	suspend := func(ctx context.Context, tenant *v1alpha1.Tenant, suspended bool) {
		GinkgoHelper()
		change(ctx, tenant, func() { tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Suspended: new(suspended)} })
	}
	password := func(ctx context.Context, tenant *v1alpha1.Tenant) string {
		GinkgoHelper()
		return string(read(ctx, in(tenant, &corev1.Secret{}, "database")).Data["password"])
	}
	pods := func(ctx context.Context, tenant *v1alpha1.Tenant) []corev1.Pod {
		GinkgoHelper()
		list := &corev1.PodList{}
		Expect(env.Client.List(ctx, list, client.InNamespace(tenant.Name))).To(Succeed())
		return list.Items
	}

	It("has no pods, keeps its data, and wakes with the same replicas and password", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("sleepy").Replicas(3))
		store(ctx, tenant, "kept")
		before, login := password(ctx, tenant), uri(ctx, tenant)
		open := session(ctx, tenant)

		By("putting it to sleep")
		suspend(ctx, tenant, true)
		Eventually(ctx, komega.Object(tenant)).Should(And(
			beAsleep("The tenant sleeps until spec.hibernation.suspended is false."),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonHibernated, "The app has no pods while the tenant sleeps."),
			haveCondition(v1alpha1.ConditionDatabaseReady, "True", v1alpha1.ReasonHibernated, "keeps its data; its logins are disabled.")))
		Expect(pods(ctx, tenant)).To(BeEmpty())
		Expect(logsIn(ctx, login)).To(MatchError(ContainSubstring("is not permitted to log in")))
		Expect(open.Ping(ctx)).NotTo(Succeed(), "a session that was open has ended")
		Expect(tenant.Spec).To(HaveField("App.Replicas", HaveValue(Equal(int32(3)))), "nothing is written into the spec")
		Expect(kubectl(ctx, "get", "tenant", "sleepy", "--output=wide", "--no-headers")).To(ContainSubstring("Asleep"))

		By("sleeping, which costs nothing")
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		change(ctx, tenant, func() { metav1.SetMetaDataAnnotation(&tenant.ObjectMeta, "example.com/looked-at", "1") })
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Sleepy" })
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		Expect(requests).NotTo(ContainElement(And(HaveField("Writes()", true), HaveField("Resource", Or(Equal("deployments"), Equal("secrets"))))))

		By("waking it")
		suspend(ctx, tenant, false)
		waitReady(ctx, tenant)
		Expect(podUIDs(ctx, tenant)).To(HaveLen(3))
		Expect(password(ctx, tenant)).To(Equal(before))
		Expect(uri(ctx, tenant)).To(Equal(login))
		Expect(stored(ctx, tenant)).To(Equal([]string{"kept"}))
		Expect(tenant.Status.Hibernation).To(HaveField("State", v1alpha1.HibernationAwake))
		change(ctx, tenant, func() { tenant.Spec.Hibernation = nil })
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Hibernation", BeNil()))
	}, SpecTimeout(specTimeout))

	It("wakes with as many replicas as its autoscaler had chosen, which stays as it is meanwhile", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("sleepy-scaled").App(image).Autoscaling(1, 5))
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 4}}
		Expect(env.Client.SubResource("scale").Update(ctx, read(ctx, appOf(tenant)), client.WithSubResourceBody(scale))).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.App.ReadyReplicas", HaveValue(Equal(int32(4)))))
		history := recordReplicas(ctx, tenant, "app")
		suspend(ctx, tenant, true)
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		Expect(pods(ctx, tenant)).To(BeEmpty())
		suspend(ctx, tenant, false)
		waitReady(ctx, tenant)
		Expect(podUIDs(ctx, tenant)).To(HaveLen(4))
		Eventually(ctx, komega.Object(appOf(tenant)), atOnce).Should(WithTransform(insistsOnReplicas, BeFalse()))
		Expect(history.seen()).To(Equal([]int32{4, 0, 4}), "all numbers that it ever had")
	}, SpecTimeout(specTimeout))

	It("falls asleep and wakes by its schedule, which writes nothing into its spec", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("sleepy-schedule"))
		at := time.Now().Add(4 * time.Second).Truncate(time.Second)
		generation := read(ctx, tenant).Generation
		By("being kept awake for some seconds")
		change(ctx, tenant, func() {
			tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Suspended: new(true), WakeUntil: &metav1.Time{Time: at}}
		})
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Hibernation.NextSleep", HaveValue(Equal(metav1.Time{Time: at}))))
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		Expect(time.Now()).To(BeTemporally(">=", at))
		Expect(tenant.Generation).To(Equal(generation + 1))

		By("having a schedule by which it sleeps now, and until the next new year")
		change(ctx, tenant, func() {
			tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Schedules: []v1alpha1.HibernationSchedule{{Sleep: "0 0 2 1 *", Wake: "0 0 1 1 *", TimeZone: "Europe/Berlin"}}}
		})
		Eventually(ctx, komega.Object(tenant)).Should(And(beAsleep("The tenant sleeps until "), HaveField("Status.Hibernation.NextWake", Not(BeNil()))))
		zone, err := time.LoadLocation("Europe/Berlin")
		Expect(err).NotTo(HaveOccurred())
		Expect(tenant.Status.Hibernation.NextWake.In(zone).Format("02.01. 15:04")).To(Equal("01.01. 00:00"))
		change(ctx, tenant, func() { tenant.Spec.Hibernation.WakeUntil = &metav1.Time{Time: time.Now().Add(time.Hour)} })
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("stays as it is while its schedule says nothing, and says why", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("sleepy-nonsense"))
		uids := podUIDs(ctx, tenant)
		for field, hibernation := range map[string]v1alpha1.HibernationSchedule{
			`spec.hibernation.schedules[0].sleep is "0 25 * * *", which is no schedule: `:                                                                {Sleep: "0 25 * * *", Wake: "0 7 * * *"},
			`spec.hibernation.schedules[0].timeZone is "Mars/Olympus", which is no time zone; write one such as Europe/Berlin, or leave it out for UTC.`: {Sleep: "0 20 * * *", Wake: "0 7 * * *", TimeZone: "Mars/Olympus"},
		} {
			change(ctx, tenant, func() {
				tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Suspended: new(true), Schedules: []v1alpha1.HibernationSchedule{hibernation}}
			})
			Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonInvalid, "The tenant neither falls asleep nor wakes: "+field))
			Expect(podUIDs(ctx, tenant)).To(ConsistOf(uids))
		}
		suspend(ctx, tenant, true)
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		change(ctx, tenant, func() {
			tenant.Spec.Hibernation.Schedules = []v1alpha1.HibernationSchedule{{Sleep: "never", Wake: "0 7 * * *"}}
		})
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonInvalid, `sleep is "never"`))
		Expect(pods(ctx, tenant)).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("changes its image and its password only when it wakes, and can be made asleep and deleted asleep", func(ctx SpecContext) {
		tenant := apply(ctx, whole("sleepy-from-birth").Hibernation(v1alpha1.TenantHibernation{Suspended: new(true)}))
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		Expect(pods(ctx, tenant)).To(BeEmpty())
		before := password(ctx, tenant)
		requestRotation(ctx, tenant, "asleep")
		change(ctx, tenant, func() { tenant.Spec.App.Image = "registry.example/shop:2" })
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		Expect(password(ctx, tenant)).To(Equal(before))
		suspend(ctx, tenant, false)
		waitReady(ctx, tenant)
		Eventually(ctx, func() string { return password(ctx, tenant) }).ShouldNot(Equal(before))
		waitReady(ctx, tenant)
		suspend(ctx, tenant, true)
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		remove(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("drains its workers, waits for runs that go on, and makes up for none that it has slept through", func(ctx SpecContext) {
		// It was due two minutes ago.
		due := time.Now().Add(-2 * time.Minute)
		tenant := applyReady(ctx, whole("sleepy-busy").Worker("mail", 2, "/worker").Schedule("bill", fmt.Sprintf("%d * * * *", due.Minute()), "/bill").
			Workloads(func(app *v1alpha1.TenantApp) {
				much := corev1.ResourceList{"cpu": resource.MustParse("5000")}
				app.Schedules[0].StartingDeadlineSeconds = new(int64(3000))
				app.Schedules[0].Resources = corev1.ResourceRequirements{Requests: much, Limits: much}
			}))
		login, bill := uri(ctx, tenant), in(tenant, &batchv1.CronJob{}, "bill")
		start := func(job string) *batchv1.Job {
			GinkgoHelper()
			kubectl(ctx, "create", "job", "--namespace", tenant.Name, "--from=cronjob/bill", job, "--as=alice@"+tenant.Name)
			Eventually(ctx, podsBeside(ctx, tenant, "bill")).Should(ContainElement(HaveField("Labels", HaveKeyWithValue(batchv1.JobNameLabel, job))))
			return in(tenant, &batchv1.Job{}, job)
		}

		By("falling asleep while a run goes on")
		start("running")
		suspend(ctx, tenant, true)
		Eventually(ctx, komega.Object(tenant)).Should(And(
			HaveField("Status.Hibernation.State", v1alpha1.HibernationFallingAsleep),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonProgressing, "The app ends, so that the tenant can sleep: Job running goes on.")))
		Eventually(ctx, podsBeside(ctx, tenant, "mail")).Should(BeEmpty())
		Expect(podUIDs(ctx, tenant)).To(BeEmpty())
		Expect(read(ctx, bill).Spec.Suspend).To(HaveValue(BeTrue()))
		Expect(logsIn(ctx, login)).To(Succeed())
		running, err := podsBeside(ctx, tenant, "bill")()
		Expect(err).NotTo(HaveOccurred())
		Expect(running).To(HaveLen(1))
		endPod(ctx, &running[0], 0, "")
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		Expect(logsIn(ctx, login)).NotTo(Succeed())

		By("not being woken by an owner who starts a run")
		late := start("late")
		change(ctx, tenant, func() { tenant.Spec.DisplayName = "Sleepy" })
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		Expect(logsIn(ctx, login)).NotTo(Succeed())
		Expect(env.Client.Delete(ctx, late, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		waitGone(ctx, late)

		By("waking beside a CronJob of the same, which runs at once")
		other := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Name, Name: "other"}, Spec: *read(ctx, bill).Spec.DeepCopy()}
		other.Spec.JobTemplate.ObjectMeta = metav1.ObjectMeta{}
		Expect(env.Client.Create(ctx, other)).To(Succeed())
		for _, each := range []*batchv1.CronJob{bill, other} {
			last := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status":{"lastScheduleTime":%q}}`, due.Add(-time.Hour).UTC().Format(time.RFC3339)))
			Expect(env.Client.Status().Patch(ctx, each, last)).To(Succeed())
		}
		suspend(ctx, tenant, false)
		waitReady(ctx, tenant)
		Expect(read(ctx, bill)).To(And(HaveField("Spec.Suspend", HaveValue(BeFalse())), HaveField("Status.LastScheduleTime.Time", BeTemporally(">", due))))
		Expect(podsBeside(ctx, tenant, "mail")()).To(HaveLen(2))
		Expect(env.Client.Patch(ctx, other, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":false}}`)))).To(Succeed())
		runs := func() (of []string, err error) {
			jobs := &batchv1.JobList{}
			err = env.Client.List(ctx, jobs, client.InNamespace(tenant.Name))
			for i := range jobs.Items {
				if owner := metav1.GetControllerOf(&jobs.Items[i]); owner != nil && jobs.Items[i].Name != "running" {
					of = append(of, owner.Name)
				}
			}
			return of, err
		}
		Eventually(ctx, runs).Should(ContainElement("other"))
		Expect(runs()).To(Equal([]string{"other"}))
	}, SpecTimeout(specTimeout))

	It("migrates when it wakes, and before anything serves", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("sleepy-migrated").App(release1).Worker("mail", 1, "/worker").Migration("/migrate"))
		suspend(ctx, tenant, true)
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		change(ctx, tenant, func() {
			tenant.Spec.App.Image = release2
			slow(tenant.Spec.App.Migration)
		})
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		Expect(pods(ctx, tenant)).To(Or(BeEmpty(), HaveEach(HaveField("Status.Phase", corev1.PodSucceeded))), "at most the pod of the former migration is left")
		suspend(ctx, tenant, false)
		pod := migrating(ctx, tenant)
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "False", corev1.PodReasonUnschedulable, "Pod migration-"))
		Expect(podUIDs(ctx, tenant)).To(BeEmpty())
		Expect(podsBeside(ctx, tenant, "mail")()).To(BeEmpty())
		Expect(tenant.Status.Hibernation).To(HaveField("State", v1alpha1.HibernationWaking))
		endPod(ctx, pod, 0, "")
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), at(release2)))
		Expect(podsBeside(ctx, tenant, "mail")()).To(HaveLen(1))
	}, SpecTimeout(specTimeout))

	It("takes no part in a release of its class, and wakes with what is proven", func(ctx SpecContext) {
		w := beginWave(ctx, "wave-asleep", 3, 0, `{maxUnavailable: 1}`)
		hibernate := func(suspended bool, names ...string) {
			GinkgoHelper()
			for _, name := range names {
				suspend(ctx, w.tenant(ctx, name), suspended)
			}
			for _, name := range names {
				want := beAsleep()
				if !suspended {
					want = haveCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
				}
				Eventually(ctx, w.tenant).WithArguments(ctx, name).Should(want)
			}
		}
		hibernate(true, w.names[0])
		w.release(ctx, secondImage)
		w.completed(ctx, 2)
		Expect(w.tenant(ctx, w.names[0])).To(beAsleep())
		hibernate(false, w.names[0])
		Eventually(ctx, w.tenant).WithArguments(ctx, w.names[0]).Should(serves(secondImage))
		w.completed(ctx, 3)

		By("proving nothing while all of them sleep")
		hibernate(true, w.names...)
		w.release(ctx, thirdImage, func(spec *v1alpha1.TenantClassSpec) { spec.Rollout.Paused = true })
		Eventually(ctx, w.state).WithArguments(ctx).Should(WithTransform(func(class *v1alpha1.TenantClass) bool {
			return class.Status.ObservedGeneration == class.Generation && class.Status.CurrentRevision != class.Status.StableRevision
		}, BeTrue()))
		hibernate(false, w.names[1])
		Expect(w.tenant(ctx, w.names[1])).To(serves(secondImage))
		w.steer(ctx, func(rollout *v1alpha1.TenantClassRollout) { rollout.Paused = false })
		Eventually(ctx, w.tenant).WithArguments(ctx, w.names[1]).Should(serves(thirdImage))
		w.completed(ctx, 1)
		hibernate(false, w.names[0], w.names[2])
		w.completed(ctx, 3)
	}, SpecTimeout(specTimeout))

	It("is one of ten, which sleep and wake together", func(ctx SpecContext) {
		const count = 10
		type known struct {
			tenant   *v1alpha1.Tenant
			password string
		}
		var all []known
		for i := range count {
			all = append(all, known{tenant: apply(ctx, whole(fmt.Sprintf("sleepy-%02d", i)).Replicas(int32(1+i%3)))})
		}
		for i := range all {
			waitReady(ctx, all[i].tenant)
			store(ctx, all[i].tenant, all[i].tenant.Name)
			all[i].password = password(ctx, all[i].tenant)
		}
		for _, one := range all {
			suspend(ctx, one.tenant, true)
		}
		for _, one := range all {
			Eventually(ctx, komega.Object(one.tenant)).Should(beAsleep())
		}
		for _, one := range all {
			Expect(pods(ctx, one.tenant)).To(BeEmpty())
		}
		for _, one := range all {
			suspend(ctx, one.tenant, false)
		}
		for _, one := range all {
			waitReady(ctx, one.tenant)
		}
		for i, one := range all {
			Expect(podUIDs(ctx, one.tenant)).To(HaveLen(1 + i%3))
			Expect(password(ctx, one.tenant)).To(Equal(one.password))
			Expect(stored(ctx, one.tenant)).To(Equal([]string{one.tenant.Name}))
		}
	}, SpecTimeout(specTimeout))
})
