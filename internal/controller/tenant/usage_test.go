package tenant

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
)

// usageOf returns the usage of that many pods.
func usageOf(pods string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}
}

// usageTest has a tenant whose status says that it uses one pod, the queue of its controller, and the results of
// its passes.
type usageTest struct {
	*Reconciler
	ctx     context.Context
	queue   priorityqueue.PriorityQueue[reconcile.Request]
	tenant  *v1alpha1.Tenant
	quota   *corev1.ResourceQuota
	began   time.Time
	failure error
	// written is when the status was written, since the test began.
	written []time.Duration
}

func newUsageTest(ctx context.Context) *usageTest {
	u := &usageTest{ctx: ctx, Reconciler: &Reconciler{Fleet: &fleet.Fleet{}}, began: time.Now()}
	// After many failed passes, the next retry is far away.
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Hour, time.Hour)
	u.queue = priorityqueue.New("tenant", func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter })
	u.tenant = &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: "acme", UID: "acme"}}
	u.tenant.Status = v1alpha1.TenantStatus{
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}},
		Usage:      &v1alpha1.TenantUsage{Used: usageOf("1")},
	}
	u.quota = slice("", "9", "1")
	u.quota.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(u.tenant, v1alpha1.GroupVersion.WithKind("Tenant"))}
	u.Fleet.SawTenant("acme", "acme")
	return u
}

// use reports a change of the quota: the tenant uses that many pods.
func (u *usageTest) use(pods string) {
	e := updated(u.quota, func(is *corev1.ResourceQuota) { is.Status.Used = usageOf(pods) })
	u.quota = e.ObjectNew.(*corev1.ResourceQuota)
	u.objectUpdated(u.ctx, e, u.queue)
}

// work runs passes. Each ends as report does, some time after it has read the quota.
func (u *usageTest) work(lasts time.Duration) {
	for {
		request, shutdown := u.queue.Get()
		if shutdown {
			return
		}
		now, next := time.Now(), *u.tenant.Status.DeepCopy()
		next.Usage.Used = u.quota.Status.Used
		<-time.After(lasts)
		wait := u.mayWait(effective.Of(u.tenant), next, now, u.failure)
		if wait == 0 {
			u.written = append(u.written, time.Since(u.began))
			u.tenant.Status = next
			u.Fleet.StatusWritten(u.tenant.UID, now)
		}
		switch {
		case u.failure != nil:
			u.queue.AddRateLimited(request)
		case wait > 0:
			u.queue.AddAfter(request, wait)
		}
		u.queue.Done(request)
	}
}

// TestAUsageIsWrittenInTime tries different orders of changes of a quota and passes of its tenant.
func TestAUsageIsWrittenInTime(t *testing.T) {
	const lasts = 100 * time.Millisecond // A pass. There may be one on the way, and one that writes.
	acme := reconcile.Request{}
	acme.Name = "acme"
	for _, test := range []struct {
		name string
		act  func(*usageTest)
		want string
		by   time.Duration
	}{
		{"nothing else happens", func(u *usageTest) {
			u.use("2")
		}, "2", fleet.UsageInterval},
		{"a pass comes meanwhile", func(u *usageTest) {
			u.use("2")
			u.queue.AddAfter(acme, 3*time.Second)
		}, "2", fleet.UsageInterval},
		{"a pass was to come later", func(u *usageTest) {
			u.queue.AddAfter(acme, time.Hour)
			u.use("2")
		}, "2", fleet.UsageInterval},
		{"it changes while a pass is under way that has looked before", func(u *usageTest) {
			u.use("2")
			<-time.After(fleet.UsageInterval + lasts/2)
			u.use("3")
		}, "3", 2*fleet.UsageInterval + lasts},
		{"a pass fails", func(u *usageTest) {
			u.failure = errors.New("something")
			u.use("2")
		}, "2", fleet.UsageInterval},
		{"a pass that comes meanwhile fails", func(u *usageTest) {
			u.failure = errors.New("something")
			u.queue.AddAfter(acme, 3*time.Second)
			u.use("2")
		}, "2", fleet.UsageInterval},
		{"it changes all the time", func(u *usageTest) {
			for _, pods := range []string{"2", "3", "4", "5", "6", "7", "8"} {
				u.use(pods)
				<-time.After(fleet.UsageInterval / 8)
			}
		}, "8", fleet.UsageInterval},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUsageTest(t.Context())
				go u.work(lasts)
				test.act(u)
				<-time.After(time.Until(u.began.Add(time.Minute)))
				u.queue.ShutDown()
				synctest.Wait()
				if got := u.tenant.Status.Usage.Used; !got.Pods().Equal(resource.MustParse(test.want)) {
					t.Fatalf("the status says %s pods, want %s", got.Pods(), test.want)
				}
				if last := u.written[len(u.written)-1]; last > test.by+2*lasts {
					t.Errorf("it was written after %v, want no more than %v", last, test.by+2*lasts)
				}
			})
		})
	}
}
