package integration

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// The images of three releases. The nodes here run any image.
const (
	release1 = "registry.example/shop:1"
	release2 = "registry.example/shop:2"
	release3 = "registry.example/shop:3"
)

// chronicle has what happened to the pods and Jobs of a tenant, in the order of the resourceVersions.
type chronicle struct {
	mutex sync.Mutex
	// made has, by image, when the first pod of the app or a worker was made, and complete when its migration was.
	made, complete map[string]uint64
	// jobs are the names of all Jobs that there were.
	jobs []string
	// active and most are how many migrations run, and how many ever ran at once.
	active map[string]bool
	most   int
}

func keepChronicle(ctx context.Context, tenant string) *chronicle {
	GinkgoHelper()
	c := &chronicle{made: map[string]uint64{}, complete: map[string]uint64{}, active: map[string]bool{}}
	selector := client.MatchingLabels{"tenantry.dev/tenant": tenant}
	pods, jobs := watchOn(ctx, &corev1.PodList{}, selector), watchOn(ctx, &batchv1.JobList{}, selector)
	group := sync.WaitGroup{}
	for _, watcher := range []watch.Interface{pods, jobs} {
		group.Go(func() {
			for event := range watcher.ResultChan() {
				c.note(event)
			}
		})
	}
	DeferCleanup(func() {
		pods.Stop()
		jobs.Stop()
		group.Wait()
	})
	return c
}

func (c *chronicle) note(event watch.Event) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	switch object := event.Object.(type) {
	case *corev1.Pod:
		c.notePod(event.Type, object)
	case *batchv1.Job:
		image := object.Annotations["tenantry.dev/image"]
		if event.Type == watch.Added {
			c.jobs = append(c.jobs, object.Name)
		}
		for _, condition := range object.Status.Conditions {
			if condition.Type == batchv1.JobComplete && c.complete[image] == 0 {
				c.complete[image] = version(object)
			}
		}
	}
}

func (c *chronicle) notePod(kind watch.EventType, pod *corev1.Pod) {
	if pod.Labels["app.kubernetes.io/component"] == "migration" {
		ended := kind == watch.Deleted || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		c.active[pod.Name] = !ended
		running := 0
		for _, active := range c.active {
			if active {
				running++
			}
		}
		c.most = max(c.most, running)
		return
	}
	if image := pod.Spec.Containers[0].Image; kind == watch.Added && c.made[image] == 0 {
		c.made[image] = version(pod)
	}
}

func version(object client.Object) uint64 {
	number, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		panic(err)
	}
	return number
}

// expectInOrder fails if a pod of one of the images was made before its migration was complete, or if two migrations ran
// at once.
func (c *chronicle) expectInOrder(ctx context.Context, images ...string) {
	GinkgoHelper()
	Eventually(ctx, func() error {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		for _, image := range images {
			if c.made[image] == 0 || c.complete[image] == 0 {
				return fmt.Errorf("of %s nothing is known yet: %v, %v", image, c.made, c.complete)
			}
		}
		return nil
	}).Should(Succeed())
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, image := range images {
		Expect(c.made[image]).To(BeNumerically(">", c.complete[image]), "a pod of %s was there before its migration was complete", image)
	}
	Expect(c.most).To(BeNumerically("<=", 1), "two migrations ran at once")
}

func (c *chronicle) jobsSoFar() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Clone(c.jobs)
}

// slow makes the pods of a migration wait for a node, until the spec lets them end.
func slow(migration *v1alpha1.AppMigration) {
	much := corev1.ResourceList{"cpu": resource.MustParse("5000")}
	migration.Resources = corev1.ResourceRequirements{Requests: much, Limits: much}
}

// migrating waits until a migration has a pod that has not ended, and returns it.
func migrating(ctx context.Context, tenant *v1alpha1.Tenant) *corev1.Pod {
	GinkgoHelper()
	var found *corev1.Pod
	Eventually(ctx, func() error {
		pods, err := podsBeside(ctx, tenant, "migration")()
		if err != nil {
			return err
		}
		for i := range pods {
			if pods[i].DeletionTimestamp.IsZero() && pods[i].Status.Phase == corev1.PodPending {
				found = &pods[i]
				return nil
			}
		}
		return fmt.Errorf("of %d pods, none waits", len(pods))
	}).Should(Succeed())
	return found
}

// at matches a tenant whose app runs an image.
func at(image string) OmegaMatcher { return HaveField("Status.App.Image", Equal(image)) }

var _ = Describe("A release with a migration", func() {
	withMigration := func(name string) *builders.TenantBuilder {
		return whole(name).App(release1).Worker("mail", 1, "/worker").Schedule("bill", "0 3 1 1 *", "/bill").Migration("/migrate")
	}

	It("starts no pod of its version before the migration has run, and runs it once", func(ctx SpecContext) {
		seen := keepChronicle(ctx, "migrated")
		tenant := applyReady(ctx, withMigration("migrated"))
		seen.expectInOrder(ctx, release1)
		Expect(tenant.Status.App.Migration).To(And(HaveField("Image", release1), HaveField("CompletedAt", Not(BeNil()))))

		By("staying at the old version while the migration runs, and scaling that")
		pods := podUIDs(ctx, tenant)
		change(ctx, tenant, func() {
			tenant.Spec.App.Image, tenant.Spec.App.Replicas = release2, new(int32(3))
			tenant.Spec.Config = map[string]string{"LOG_LEVEL": "debug"}
			slow(tenant.Spec.App.Migration)
		})
		pod := migrating(ctx, tenant)
		Eventually(ctx, komega.Object(tenant)).Should(And(at(release1), haveCondition(v1alpha1.ConditionAppReady, "False", corev1.PodReasonUnschedulable,
			"Pod migration-", "Lower spec.app.migration.resources")))
		Eventually(ctx, func() int { return len(podUIDs(ctx, tenant)) }).Should(Equal(3))
		Expect(podUIDs(ctx, tenant)).To(ContainElements(pods))
		Expect(read(ctx, in(tenant, &corev1.ConfigMap{}, "app-config")).Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
		Expect(read(ctx, in(tenant, &batchv1.CronJob{}, "bill")).Spec.JobTemplate.Spec.Template.Spec.Containers).To(HaveEach(HaveField("Image", release1)))

		By("releasing it when the migration is complete")
		endPod(ctx, pod, 0, "")
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), at(release2)))
		seen.expectInOrder(ctx, release1, release2)
		Expect(read(ctx, in(tenant, &corev1.ConfigMap{}, "app-config")).Data).To(HaveKeyWithValue("LOG_LEVEL", "debug"))

		By("running nothing more when nothing changes, the Job is deleted and another setting comes")
		job := seen.jobsSoFar()
		Expect(env.Client.DeleteAllOf(ctx, &batchv1.Job{}, client.InNamespace(tenant.Name), client.PropagationPolicy("Background"))).To(Succeed())
		change(ctx, tenant, func() { tenant.Spec.Config = map[string]string{"LOG_LEVEL": "warn"} })
		Eventually(ctx, komega.Object(in(tenant, &corev1.ConfigMap{}, "app-config"))).Should(HaveField("Data", HaveKeyWithValue("LOG_LEVEL", "warn")))
		waitReady(ctx, tenant)
		Expect(seen.jobsSoFar()).To(Equal(job))
		Expect(job).To(HaveLen(2))
	}, SpecTimeout(specTimeout))

	It("that fails leaves the old version as it is, says why, and goes through once it is mended", func(ctx SpecContext) {
		seen := keepChronicle(ctx, "unmigrated")
		tenant := applyReady(ctx, withMigration("unmigrated"))
		pods := podUIDs(ctx, tenant)
		change(ctx, tenant, func() {
			tenant.Spec.App.Image = release2
			tenant.Spec.App.Migration.BackoffLimit = new(int32(0))
			slow(tenant.Spec.App.Migration)
		})
		endPod(ctx, migrating(ctx, tenant), 1, "Traceback:\nProgrammingError: relation \"orders\" exists")
		Eventually(ctx, komega.Object(tenant)).Should(And(at(release1),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonMigrationFailed, "The migration of "+release2+" has failed in Job migration-",
				`container "migration" has ended with exit code 1 (Error): ProgrammingError: relation "orders" exists. The app stays as it was.`),
			haveCondition(v1alpha1.ConditionStalled, "True", v1alpha1.ReasonMigrationFailed)))
		Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods))

		By("giving the old version the next password")
		login := loginOf(ctx, tenant)
		requestRotation(ctx, tenant, "1")
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Database.Login", Not(Equal(login))))
		Eventually(ctx, komega.Object(in(tenant, &appsv1.Deployment{}, "app"))).Should(HaveField("Status.UpdatedReplicas", Equal(int32(2))))
		Eventually(ctx, func() []string { return imagesOf(ctx, tenant) }).Should(Equal([]string{release1}))
		Eventually(ctx, podsBeside(ctx, tenant, "app")).Should(withSettings(ctx, tenant))

		By("releasing the image that mends it")
		change(ctx, tenant, func() {
			tenant.Spec.App.Image = release3
			tenant.Spec.App.Migration.Resources = corev1.ResourceRequirements{}
		})
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), at(release3)))
		seen.expectInOrder(ctx, release1, release3)
	}, SpecTimeout(specTimeout))

	It("goes through although its pod is lost, its Job deleted and the operator killed in the middle", func(ctx SpecContext) {
		seen := keepChronicle(ctx, "bereft")
		tenant := applyReady(ctx, withMigration("bereft"))
		change(ctx, tenant, func() {
			tenant.Spec.App.Image = release2
			slow(tenant.Spec.App.Migration)
		})
		lost := migrating(ctx, tenant)
		Expect(env.Client.Delete(ctx, lost, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(ctx, func() string { return migrating(ctx, tenant).Name }).ShouldNot(Equal(lost.Name))
		second := migrating(ctx, tenant)
		kubectl(ctx, "delete", "job", "--namespace", tenant.Name, second.Labels[batchv1.JobNameLabel])
		Eventually(ctx, func() string { return string(migrating(ctx, tenant).UID) }).ShouldNot(Equal(string(second.UID)))
		Expect(env.Operator.Kill()).To(Succeed())
		endPod(ctx, migrating(ctx, tenant), 0, "")
		Expect(env.RestartOperator(ctx)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), at(release2)))
		seen.expectInOrder(ctx, release1, release2)
	}, Serial, SpecTimeout(specTimeout))

	It("waits for room in the quota, and says so", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("tight").App(release1).Migration("/migrate").Quota("pods", "2"))
		change(ctx, tenant, func() { tenant.Spec.App.Image = release2 })
		Eventually(ctx, komega.Object(tenant)).Should(And(at(release1), haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonQuotaExceeded,
			"The migration's pods need more than the quota leaves", "Raise spec.quota, or lower spec.app.migration.resources.")))
		change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("9") })
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), at(release2)))
	}, SpecTimeout(specTimeout))

	It("that never ends is ended at its deadline", func(ctx SpecContext) {
		tenant := applyReady(ctx, withMigration("endless"))
		change(ctx, tenant, func() {
			tenant.Spec.App.Image = release2
			tenant.Spec.App.Migration.ActiveDeadlineSeconds = new(int64(3))
			slow(tenant.Spec.App.Migration)
		})
		Eventually(ctx, komega.Object(tenant)).Should(And(at(release1), haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonMigrationFailed,
			"Job was active longer than specified deadline", "raise spec.app.migration.activeDeadlineSeconds")))
		change(ctx, tenant, func() {
			tenant.Spec.App.Migration.ActiveDeadlineSeconds, tenant.Spec.App.Migration.Resources = nil, corev1.ResourceRequirements{}
		})
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), at(release2)))
	}, SpecTimeout(specTimeout))

	It("is taken back only if somebody says that the older image works with the newer database", func(ctx SpecContext) {
		tenant := applyReady(ctx, withMigration("back"))
		change(ctx, tenant, func() { tenant.Spec.App.Image = release2 })
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), at(release2)))
		change(ctx, tenant, func() { tenant.Spec.App.Image = release1 })
		Eventually(ctx, komega.Object(tenant)).Should(And(at(release2), haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonRollbackOverMigration, release1)))
		kubectl(ctx, "annotate", "tenant", tenant.Name, "--overwrite", "tenantry.dev/rollback="+release1)
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), at(release1)))
		Expect(tenant.Status.App.Migration.Image).To(Equal(release2))
	}, SpecTimeout(specTimeout))
})

// imagesOf returns the images of the app's pods that are not being deleted, each once.
func imagesOf(ctx context.Context, tenant *v1alpha1.Tenant) []string {
	GinkgoHelper()
	pods, err := podsBeside(ctx, tenant, "app")()
	Expect(err).NotTo(HaveOccurred())
	var images []string
	for _, pod := range pods {
		if pod.DeletionTimestamp.IsZero() {
			images = append(images, strings.TrimSpace(pod.Spec.Containers[0].Image))
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}
