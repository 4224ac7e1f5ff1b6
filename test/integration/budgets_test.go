package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// ledger is the history of a tenant's ResourceQuotas and of the pods in its namespaces, as seen by two watches.
type ledger struct {
	mutex sync.Mutex
	// granted, enforced and used are spec.hard, status.hard and status.used by namespace; pods are the existing pods.
	granted, enforced, used map[string]int64
	pods                    map[string]struct{}
	// mostGranted, mostEnforced and mostPods are the greatest sums seen.
	mostGranted, mostEnforced int64
	mostPods                  int
	quotaEvents               int
}

// keepLedger watches the quotas and pods of a tenant from now on.
func keepLedger(ctx context.Context, tenant string) *ledger {
	GinkgoHelper()
	l := &ledger{granted: map[string]int64{}, enforced: map[string]int64{}, used: map[string]int64{}, pods: map[string]struct{}{}}
	quotas := watchOn(ctx, &corev1.ResourceQuotaList{}, client.MatchingLabels(of(tenant)))
	pods := watchOn(ctx, &corev1.PodList{}, client.MatchingLabels{"budget-of": tenant})
	var group sync.WaitGroup
	group.Go(func() {
		for event := range quotas.ResultChan() {
			l.quota(event)
		}
	})
	group.Go(func() {
		for event := range pods.ResultChan() {
			l.pod(event)
		}
	})
	DeferCleanup(func() {
		quotas.Stop()
		pods.Stop()
		group.Wait()
	})
	return l
}

// watchOn watches objects from now on. The API server ends watches that can't keep up; this one then continues
// where it was, and misses nothing.
func watchOn(ctx context.Context, list client.ObjectList, selector client.MatchingLabels) watch.Interface {
	GinkgoHelper()
	Expect(env.Client.List(ctx, list, selector)).To(Succeed())
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return env.Client.Watch(ctx, list, selector, &client.ListOptions{Raw: &options})
		},
	})
	Expect(err).NotTo(HaveOccurred())
	return watcher
}

func sum(amounts map[string]int64) (total int64) {
	for _, amount := range amounts {
		total += amount
	}
	return total
}

func (l *ledger) quota(event watch.Event) {
	quota, ok := event.Object.(*corev1.ResourceQuota)
	if !ok {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.quotaEvents++
	l.granted[quota.Namespace] = quota.Spec.Hard.Pods().Value()
	l.enforced[quota.Namespace] = quota.Status.Hard.Pods().Value()
	l.used[quota.Namespace] = quota.Status.Used.Pods().Value()
	if event.Type == watch.Deleted {
		delete(l.granted, quota.Namespace)
		delete(l.enforced, quota.Namespace)
		delete(l.used, quota.Namespace)
	}
	l.mostGranted = max(l.mostGranted, sum(l.granted))
	l.mostEnforced = max(l.mostEnforced, sum(l.enforced))
}

func (l *ledger) pod(event watch.Event) {
	pod, ok := event.Object.(*corev1.Pod)
	if !ok {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.pods[pod.Namespace+"/"+pod.Name] = struct{}{}
	if event.Type == watch.Deleted {
		delete(l.pods, pod.Namespace+"/"+pod.Name)
	}
	l.mostPods = max(l.mostPods, len(l.pods))
}

// expectWithin checks that no sum was ever above the budget.
func (l *ledger) expectWithin(budget int64) {
	GinkgoHelper()
	l.mutex.Lock()
	defer l.mutex.Unlock()
	Expect(l.mostGranted).To(BeNumerically("<=", budget), "the sum of spec.hard")
	Expect(l.mostEnforced).To(BeNumerically("<=", budget), "the sum of status.hard")
	Expect(l.mostPods).To(BeNumerically("<=", budget), "pods")
	Expect(l.quotaEvents).To(BeNumerically(">", 0))
}

func (l *ledger) slices() map[string]int64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return maps.Clone(l.enforced)
}

// spacious applies a tenant with a budget of pods, and creates further namespaces as its owner.
func spacious(ctx context.Context, name, budget string, namespaces int) (tenant *v1alpha1.Tenant, names []string) {
	GinkgoHelper()
	tenant = applyReady(ctx, roomy(name, int32(namespaces)).Quota("pods", budget))
	names = []string{name}
	for number := 1; number < namespaces; number++ {
		names = append(names, fmt.Sprint(name, "-", number))
		Expect(as("admin@"+name).Create(ctx, named(names[number], of(name)))).To(Succeed())
	}
	Eventually(ctx, komega.Object(tenant)).Should(And(HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(namespaces)))), beReady()))
	return tenant, names
}

// counted returns a pod with the label that the ledger selects pods by.
func counted(tenant, namespace, name string) *corev1.Pod {
	pod := pod(namespace, name)
	pod.Labels = map[string]string{"budget-of": tenant}
	return pod
}

// crowd creates pods in the namespaces concurrently, and retries each until it is created or done, which gets the
// number of refusals of the pod, returns true. It returns how many were created. If anything but the quota refuses
// a pod, the spec fails.
func crowd(ctx context.Context, tenant string, namespaces []string, count int, done func(refusals int) bool) int {
	GinkgoHelper()
	editor := as("editor@" + tenant)
	var created, refused atomic.Int32
	unexpected := make(chan error, count)
	var group sync.WaitGroup
	for number := range count {
		group.Go(func() {
			for refusals := 0; !done(refusals) && ctx.Err() == nil; {
				namespace := namespaces[number%len(namespaces)]
				err := editor.Create(ctx, counted(tenant, namespace, fmt.Sprint("crowd-", number)))
				switch {
				case err == nil:
					created.Add(1)
					return
				case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: tenant"):
					refusals++
					refused.Add(1)
				case apierrors.IsConflict(err): // Quota admission gave up after several others were faster.
				case apierrors.IsInternalError(err) && strings.Contains(err.Error(), "resource quota evaluation timed out"): // It let nothing in.
				case ctx.Err() == nil:
					unexpected <- err
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(retryPause):
				}
			}
		})
	}
	group.Wait()
	close(unexpected)
	for err := range unexpected {
		Expect(err).NotTo(HaveOccurred(), "only the quota keeps a pod out")
	}
	if int(created.Load()) < count {
		Expect(refused.Load()).To(BeNumerically(">", 0), "some were refused by the quota")
	}
	return int(created.Load())
}

// retryPause is the pause before a refused request is retried.
const retryPause = 250 * time.Millisecond

// never is for pods that must be created before the spec times out.
func never(int) bool { return false }

// refusedTwice is for pods that must not be created: between two refusals there was time for the operator to make
// room by mistake.
func refusedTwice(refusals int) bool { return refusals > 1 }

// full returns a function that is true once there are that many pods in all namespaces.
func (l *ledger) full(pods int) func(int) bool {
	return func(int) bool { return len(l.podsNow()) >= pods }
}

var _ = Describe("A tenant's quota over five namespaces", func() {
	It("is never exceeded by 200 pods at once, and all of it is used", func(ctx SpecContext) {
		ledger := keepLedger(ctx, "thronged")
		_, names := spacious(ctx, "thronged", "20", 5)
		begun := time.Now()
		Expect(crowd(ctx, "thronged", names, 200, ledger.full(20))).To(BeNumerically("<=", 20))
		AddReportEntry("seconds until 20 of 20 pods in 5 namespaces", time.Since(begun).Seconds())
		Eventually(ctx, ledger.podsNow).Should(HaveLen(20))
		Expect(crowd(ctx, "thronged", names, 200, refusedTwice)).To(BeZero())
		ledger.expectWithin(20)
	}, SpecTimeout(specTimeout))

	It("goes to the one that has all the demand, and flows back when that falls", func(ctx SpecContext) {
		ledger := keepLedger(ctx, "lopsided")
		tenant, names := spacious(ctx, "lopsided", "20", 5)
		Eventually(ctx, ledger.slices).Should(HaveEach(Equal(int64(4))))
		begun := time.Now()
		Expect(crowd(ctx, "lopsided", names[2:3], 200, ledger.full(20))).To(Equal(20))
		AddReportEntry("seconds until 20 of 20 pods are in one namespace of five", time.Since(begun).Seconds())
		Eventually(ctx, ledger.slices).Should(HaveKeyWithValue(names[2], int64(20)))
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage", HaveValue(And(
			HaveField("Hard", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("20"))),
			HaveField("Used", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("20")))))))

		ledger.deletePods(ctx, names[2])
		Eventually(ctx, ledger.slices).Should(HaveEach(BeNumerically(">=", 1)))
		Expect(crowd(ctx, "lopsided", names[4:5], 20, never)).To(Equal(20))
		ledger.expectWithin(20)
	}, SpecTimeout(specTimeout))

	It("is never exceeded while the operator is killed again and again", func(ctx SpecContext) {
		ledger := keepLedger(ctx, "haunted")
		_, names := spacious(ctx, "haunted", "20", 5)
		done := make(chan int)
		go func() {
			defer GinkgoRecover()
			done <- crowd(ctx, "haunted", names[1:2], 200, ledger.full(20))
		}()
		for range 3 {
			events := ledger.events()
			Eventually(ctx, ledger.events).WithPolling(5 * time.Millisecond).Should(Or(BeNumerically(">", events+3), BeNumerically(">", 60)))
			Expect(env.Operator.Kill()).To(Succeed())
			Expect(env.StartOperator(ctx)).To(Succeed())
		}
		Expect(<-done).To(Equal(20))
		ledger.deletePods(ctx, names[1])
		Expect(crowd(ctx, "haunted", names, 200, ledger.full(20))).To(BeNumerically("<=", 20))
		ledger.expectWithin(20)
	}, SpecTimeout(specTimeout))

	It("lets nobody and nothing in before it counts", func(ctx SpecContext) {
		resume, err := env.Kubernetes.Halt("kube-controller-manager")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(resume)
		tenant := apply(ctx, roomy("unmetered", 2).Quota("pods", "10").App(image).Replicas(2))
		Expect(env.Client.Create(ctx, named("unmetered-1", of("unmetered")))).To(Succeed())
		waits := `It waits until the cluster enforces ResourceQuota "tenant" in namespace "unmetered"`
		Eventually(ctx, komega.Object(tenant)).Should(And(
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonProgressing, waits),
			haveCondition(v1alpha1.ConditionAccessReady, "False", v1alpha1.ReasonProgressing, waits),
			haveCondition(v1alpha1.ConditionNetworkReady, "True", v1alpha1.ReasonReady, "")))
		for _, namespace := range []string{"unmetered", "unmetered-1"} {
			Eventually(ctx, komega.Get(&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenant"}})).Should(Succeed())
			bindings := &rbacv1.RoleBindingList{}
			Expect(env.Client.List(ctx, bindings, client.InNamespace(namespace), client.MatchingLabels(of("unmetered")))).To(Succeed())
			Expect(bindings.Items).NotTo(ContainElement(HaveField("RoleRef.Name", "edit")), namespace)
		}
		Expect(apierrors.IsNotFound(komega.Get(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "unmetered", Name: "app"}})())).To(BeTrue())

		Expect(resume()).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), HaveField("Status.UsableNamespaces", HaveValue(Equal(int32(2)))),
			HaveField("Status.Usage.Used", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("2")))))
	}, SpecTimeout(specTimeout))

	It("costs no request at rest", func(ctx SpecContext) {
		ledger := keepLedger(ctx, "resting")
		_, names := spacious(ctx, "resting", "20", 3)
		Expect(crowd(ctx, "resting", names[1:2], 9, never)).To(Equal(9))
		// The last write is the usage in the status, some seconds later.
		tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "resting"}}
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage.Used", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("9"))))
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		kubectl(ctx, "annotate", "tenant", "resting", "look=again")
		Expect(env.RestartOperator(ctx)).To(Succeed())
		Consistently(ctx, func() ([]string, error) {
			requests, err := env.Audit.Since(mark)
			var writes []string
			for _, request := range requests {
				if request.Writes() && (slices.Contains(names, request.Namespace) || request.Name == "resting") {
					writes = append(writes, request.String())
				}
			}
			return writes, err
		}).WithTimeout(5 * time.Second).Should(BeEmpty())
		ledger.expectWithin(20)
	}, SpecTimeout(specTimeout))

	It("that is lowered below what is used stops nothing, lets nothing in, and says so", func(ctx SpecContext) {
		ledger := keepLedger(ctx, "shrunken")
		tenant, names := spacious(ctx, "shrunken", "20", 3)
		Expect(crowd(ctx, "shrunken", names, 12, never)).To(Equal(12))
		change(ctx, tenant, func() { tenant.Spec.Quota["pods"] = resource.MustParse("6") })
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonQuotaBelowUse,
			"More is in use than the quota allows: pods 12 of 6. What runs goes on, and nothing is added; raise spec.quota, or end something."))
		Eventually(ctx, func() int64 { return sum(ledger.slices()) }).Should(Equal(int64(6)))
		Expect(crowd(ctx, "shrunken", names, 20, refusedTwice)).To(BeZero())
		Eventually(ctx, ledger.podsNow).Should(HaveLen(12))

		By("until enough has ended")
		ledger.deletePods(ctx, names[0])
		ledger.deletePods(ctx, names[1])
		waitReady(ctx, tenant)
		Expect(crowd(ctx, "shrunken", names[:1], 20, ledger.full(6))).To(Equal(2))
		ledger.expectWithin(20)
	}, SpecTimeout(specTimeout))
})

func (l *ledger) podsNow() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Sorted(maps.Keys(l.pods))
}

// deletePods deletes the pods in a namespace and waits until the ledger has seen that: a watch that the API server
// ended is a second behind, and pods that are gone would still count. It also waits until Kubernetes has counted anew,
// since it may miss what is created meanwhile (docs/isolation.md).
func (l *ledger) deletePods(ctx context.Context, namespace string) {
	GinkgoHelper()
	Expect(env.Client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.GracePeriodSeconds(0))).To(Succeed())
	Eventually(ctx, l.podsNow).ShouldNot(ContainElement(HavePrefix(namespace + "/")))
	Eventually(ctx, l.usedIn).WithArguments(namespace).Should(BeZero())
}

func (l *ledger) usedIn(namespace string) int64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.used[namespace]
}

func (l *ledger) events() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.quotaEvents
}
