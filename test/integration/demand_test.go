package integration

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// sums are the greatest sums of a resource that a tenant's ResourceQuotas ever granted and enforced.
type sums struct {
	name          corev1.ResourceName
	mutex         sync.Mutex
	now           map[string]*corev1.ResourceQuota
	most, counted resource.Quantity
}

// keepSums watches a tenant's ResourceQuotas from now on.
func keepSums(ctx context.Context, tenant string, name corev1.ResourceName) *sums {
	GinkgoHelper()
	s := &sums{name: name, now: map[string]*corev1.ResourceQuota{}}
	quotas := watchOn(ctx, &corev1.ResourceQuotaList{}, client.MatchingLabels(of(tenant)))
	var group sync.WaitGroup
	group.Go(func() {
		for event := range quotas.ResultChan() {
			s.note(event)
		}
	})
	DeferCleanup(func() {
		quotas.Stop()
		group.Wait()
	})
	return s
}

func (s *sums) note(event watch.Event) {
	quota, ok := event.Object.(*corev1.ResourceQuota)
	if !ok {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.now[quota.Namespace] = quota
	if event.Type == watch.Deleted {
		delete(s.now, quota.Namespace)
	}
	var granted, enforced resource.Quantity
	for _, quota := range s.now {
		granted.Add(quota.Spec.Hard[s.name])
		enforced.Add(quota.Status.Hard[s.name])
	}
	if granted.Cmp(s.most) > 0 {
		s.most = granted
	}
	if enforced.Cmp(s.counted) > 0 {
		s.counted = enforced
	}
}

// expectWithin checks that no sum was ever above the budget, and that all of it was granted.
func (s *sums) expectWithin(budget string) {
	GinkgoHelper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	Expect(s.most.Cmp(resource.MustParse(budget))).To(BeZero(), "granted: "+s.most.String())
	Expect(s.counted.Cmp(resource.MustParse(budget))).To(BeNumerically("<=", 0), "enforced: "+s.counted.String())
}

// template returns the template of pods that request that much CPU.
func template(cpu string) corev1.PodTemplateSpec {
	pod := pod("", "")
	want := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: want, Limits: want}
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "large"}}, Spec: pod.Spec}
}

var _ = Describe("A request larger than a namespace's part of the quota", Label("K6"), func() {
	// split applies a tenant with that many namespaces, over which a resource is split equally.
	split := func(ctx context.Context, name string, namespaces int, of corev1.ResourceName, budget string) (*v1alpha1.Tenant, []string, *sums) {
		GinkgoHelper()
		sums := keepSums(ctx, name, of)
		tenant := applyReady(ctx, roomy(name, int32(namespaces)).Quota(of, budget))
		names := []string{name}
		for number := 1; number < namespaces; number++ {
			names = append(names, fmt.Sprint(name, "-", number))
			Expect(as("admin@"+name).Create(ctx, named(names[number], map[string]string{"tenantry.dev/tenant": name}))).To(Succeed())
		}
		Eventually(ctx, komega.Object(tenant)).Should(And(HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(namespaces)))), beReady()))
		for _, namespace := range names {
			quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenant"}}
			Eventually(ctx, func() (bool, error) {
				err := env.Client.Get(ctx, client.ObjectKeyFromObject(quota), quota)
				enforced := quota.Status.Hard[of]
				return enforced.Sign() > 0 && enforced.Cmp(quota.Spec.Hard[of]) == 0, err
			}).Should(BeTrue(), namespace)
		}
		return tenant, names, sums
	}
	labels := map[string]string{"app": "large"}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	// getsIn waits until the first pod of a workload was created.
	getsIn := func(ctx context.Context, namespace string) {
		GinkgoHelper()
		begun := time.Now()
		Eventually(ctx, func() ([]corev1.Pod, error) {
			pods := &corev1.PodList{}
			err := env.Client.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels(labels))
			return pods.Items, err
		}).WithTimeout(30 * time.Second).Should(HaveLen(1))
		AddReportEntry("seconds until it got in", time.Since(begun).Seconds())
	}

	It("gets in, of a Deployment, if it fits what is free in the tenant", func(ctx SpecContext) {
		tenant, names, sums := split(ctx, "large", 2, corev1.ResourceRequestsCPU, "8")
		Expect(as("editor@large").Create(ctx, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: names[1], Name: "large"},
			Spec:       appsv1.DeploymentSpec{Selector: selector, Template: template("5")},
		})).To(Succeed())
		getsIn(ctx, names[1])

		By("flowing back to another namespace, where a Job wants it")
		Expect(as("editor@large").Delete(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: names[1], Name: "large"}})).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage.Used", HaveKeyWithValue(corev1.ResourceRequestsCPU, resource.MustParse("0"))))
		job := template("7")
		job.Spec.RestartPolicy = corev1.RestartPolicyNever
		Expect(as("editor@large").Create(ctx, &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: names[0], Name: "large"}, Spec: batchv1.JobSpec{Template: job},
		})).To(Succeed())
		getsIn(ctx, names[0])
		sums.expectWithin("8")
	}, SpecTimeout(specTimeout))

	It("gets in, of a claim of a StatefulSet", func(ctx SpecContext) {
		_, names, sums := split(ctx, "bulky", 3, corev1.ResourceRequestsStorage, "100Gi")
		Expect(as("editor@bulky").Create(ctx, &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: names[2], Name: "bulky"},
			Spec: appsv1.StatefulSetSpec{
				Selector: selector, Template: template("100m"), ServiceName: "bulky",
				VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
					ObjectMeta: metav1.ObjectMeta{Name: "data"},
					Spec: corev1.PersistentVolumeClaimSpec{
						AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
						Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("60Gi")}},
					},
				}},
			},
		})).To(Succeed())
		getsIn(ctx, names[2])
		sums.expectWithin("100Gi")
	}, SpecTimeout(specTimeout))

	It("of the app gets in without a word about a quota that is free", func(ctx SpecContext) {
		tenant, _, sums := split(ctx, "central", 2, corev1.ResourceRequestsCPU, "8")
		diary := follow(ctx, tenant.Name)
		change(ctx, tenant, func() {
			tenant.Spec.App = &v1alpha1.TenantApp{Image: image, Resources: template("6").Spec.Containers[0].Resources}
		})
		waitReady(ctx, tenant)
		diary.until(ctx, tenant)
		for _, moment := range diary.seen {
			Expect(moment).NotTo(haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonQuotaExceeded))
		}
		sums.expectWithin("8")
	}, SpecTimeout(specTimeout))
})
