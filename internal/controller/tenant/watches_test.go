package tenant

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
)

// updated returns the event of a change. It doesn't modify the given object.
func updated[T client.Object](object T, change func(T)) event.UpdateEvent {
	was, is := object.DeepCopyObject().(T), object.DeepCopyObject().(T)
	was.SetResourceVersion("1")
	is.SetResourceVersion("2")
	change(is)
	return event.UpdateEvent{ObjectOld: was, ObjectNew: is}
}

// resynced returns the event of a resync of an object that has not changed.
func resynced(object client.Object) event.UpdateEvent {
	object.SetResourceVersion("1")
	return event.UpdateEvent{ObjectOld: object, ObjectNew: object}
}

// enqueued returns the requests that are added to a queue, and after what time.
func enqueued(t *testing.T, act func(queue)) map[string]time.Duration {
	t.Helper()
	result := map[string]time.Duration{}
	synctest.Test(t, func(*testing.T) {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		start := time.Now()
		go func() {
			for {
				request, shutdown := q.Get()
				if shutdown {
					return
				}
				result[request.Name] = time.Since(start)
				q.Done(request)
			}
		}()
		act(q)
		<-time.After(time.Hour) // No real one passes in here.
		q.ShutDown()
		synctest.Wait()
	})
	return result
}

func TestWhichChangesOfATenantAreLookedAt(t *testing.T) {
	tenant := builders.Tenant("acme").Finalizers(naming.FinalizerTenant).Generation(1).Build()
	for _, test := range []struct {
		name  string
		event event.UpdateEvent
		want  bool
	}{
		{"a resync", resynced(tenant.DeepCopy()), true},
		{"another one of the same name, just like it", updated(tenant, func(is *v1alpha1.Tenant) { is.UID = "another" }), true},
		{"the spec", updated(tenant, func(is *v1alpha1.Tenant) { is.Generation = 2 }), true},
		{"the deletion", updated(tenant, func(is *v1alpha1.Tenant) { is.DeletionTimestamp = new(metav1.Now()) }), true},
		{"a finalizer", updated(tenant, func(is *v1alpha1.Tenant) { is.Finalizers = nil }), true},
		{"a label", updated(tenant, func(is *v1alpha1.Tenant) { is.Labels = map[string]string{"a": "b"} }), true},
		{"an annotation", updated(tenant, func(is *v1alpha1.Tenant) { is.Annotations = map[string]string{"a": "b"} }), true},
		{"an owner reference", updated(tenant, func(is *v1alpha1.Tenant) { is.OwnerReferences = []metav1.OwnerReference{{UID: "x"}} }), true},
		{"the status, which the operator writes itself", updated(tenant, func(is *v1alpha1.Tenant) { is.Status.ObservedGeneration = 7 }), false},
		{"who owns which field", updated(tenant, func(is *v1alpha1.Tenant) {
			is.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
		}), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := tenantChanged(test.event); got != test.want {
				t.Errorf("it is looked at: %t, want %t", got, test.want)
			}
		})
	}
}

func TestWhichChangesOfAPodAreLookedAt(t *testing.T) {
	fine := builders.Pod("acme", "app-1").Waiting("app", "ContainerCreating", "").Build()
	trouble := builders.Pod("acme", "app-1").Waiting("app", "ImagePullBackOff", "Back-off").Build()
	for _, test := range []struct {
		name string
		got  bool
		want bool
	}{
		{"a new pod", podSignsChanged.Create(event.CreateEvent{Object: fine}), false},
		{"a pod that was in trouble before the operator started", podSignsChanged.Create(event.CreateEvent{Object: trouble}), true},
		{"a pod gets into trouble", podSignsChanged.Update(event.UpdateEvent{ObjectOld: fine, ObjectNew: trouble}), true},
		{"a pod is out of trouble", podSignsChanged.Update(event.UpdateEvent{ObjectOld: trouble, ObjectNew: fine}), true},
		{
			"a pod is in another trouble",
			podSignsChanged.Update(updated(trouble, func(is *corev1.Pod) { is.Status.ContainerStatuses[0].State.Waiting.Reason = "ErrImagePull" })), true,
		},
		{
			"a pod says the same trouble in other words",
			podSignsChanged.Update(updated(trouble, func(is *corev1.Pod) { is.Status.ContainerStatuses[0].State.Waiting.Message = "back-off 20s" })), false,
		},
		{"a pod gets on", podSignsChanged.Update(updated(fine, func(is *corev1.Pod) { is.Status.Phase = corev1.PodRunning })), false},
		{"a pod is gone, as its Deployment tells", podSignsChanged.Delete(event.DeleteEvent{Object: trouble}), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("it is looked at: %t, want %t", test.got, test.want)
			}
		})
	}
}

func TestWhichChangesOfATenantsObjectsAreLookedAt(t *testing.T) {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "app-config"}}
	deployment := builders.Deployment("acme", "app", 2).Build()
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "app", Generation: 1}}
	ten := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "tenant"},
		Spec:       corev1.ResourceQuotaSpec{Hard: ten},
		Status:     corev1.ResourceQuotaStatus{Hard: ten, Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}},
	}
	atOnce := map[string]time.Duration{"acme": 0}
	for _, test := range []struct {
		name  string
		event event.UpdateEvent
		want  map[string]time.Duration
	}{
		{"a resync of a Deployment", resynced(deployment.DeepCopy()), nil},
		{"a resync of a ConfigMap", resynced(config.DeepCopy()), nil},
		{"a resync of a quota", resynced(quota.DeepCopy()), nil},
		{"a setting", updated(config, func(is *corev1.ConfigMap) { is.Data = map[string]string{"X": "y"} }), atOnce},
		{"a label of a ConfigMap", updated(config, func(is *corev1.ConfigMap) { is.Labels = map[string]string{"a": "b"} }), atOnce},
		{"the spec of a Deployment", updated(deployment, func(is *appsv1.Deployment) { is.Generation = 2 }), atOnce},
		{"a label of a Deployment", updated(deployment, func(is *appsv1.Deployment) { is.Labels = map[string]string{"a": "b"} }), atOnce},
		{"the status of a Deployment", updated(deployment, func(is *appsv1.Deployment) { is.Status.ReadyReplicas = 2 }), atOnce},
		{"who owns which field of a Deployment", updated(deployment, func(is *appsv1.Deployment) {
			is.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
		}), nil},
		{"the spec of a PodDisruptionBudget", updated(budget, func(is *policyv1.PodDisruptionBudget) {
			is.Generation, is.Spec.MaxUnavailable = 2, new(intstr.FromInt32(2))
		}), atOnce},
		{"the status of a PodDisruptionBudget, which nobody reads", updated(budget, func(is *policyv1.PodDisruptionBudget) {
			is.Status.CurrentHealthy = 2
		}), nil},
		{"the spec of a quota", updated(quota, func(is *corev1.ResourceQuota) {
			is.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("99")}
		}), atOnce},
		{"a quota comes into force", updated(quota, func(is *corev1.ResourceQuota) {
			is.Status.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("20")}
		}), atOnce},
		{"the usage of a quota", updated(quota, func(is *corev1.ResourceQuota) {
			is.Status.Used = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}
		}), map[string]time.Duration{"acme": fleet.UsageInterval}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := enqueued(t, func(q queue) { (&Reconciler{Fleet: &fleet.Fleet{}}).objectUpdated(t.Context(), test.event, q) })
			if !maps.Equal(got, test.want) {
				t.Errorf("it is looked at: %v, want %v", got, test.want)
			}
		})
	}
}

func TestATenantThatIsAboutToBeReadyComesBeforeThoseThatAreNew(t *testing.T) {
	rolling := builders.Deployment("acme", "app", 2).Pods(2, 2, 1).Build()
	for _, test := range []struct {
		name  string
		event event.UpdateEvent
		want  string
	}{
		{"its app is rolled out", updated(rolling, func(is *appsv1.Deployment) { is.Status.AvailableReplicas = 2 }), "acme"},
		{"its app gets on", updated(rolling, func(is *appsv1.Deployment) { is.Status.ReadyReplicas = 2 }), "new"},
		{"its app was rolled out before", updated(builders.Deployment("acme", "app", 2).Pods(2, 2, 2).Build(),
			func(is *appsv1.Deployment) { is.Labels = map[string]string{"a": "b"} }), "new"},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := priorityqueue.New[reconcile.Request]("test")
			defer q.ShutDown()
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: "new"}})
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: "acme"}})
			(&Reconciler{}).objectUpdated(t.Context(), test.event, q)
			if first, _ := q.Get(); first.Name != test.want {
				t.Errorf("%s is looked at first, want %s", first.Name, test.want)
			}
		})
	}
}

func TestWhichServersATenantIsLookedAtFor(t *testing.T) {
	onShared := naming.DatabaseFinalizer("shared")
	placed := func(tenant *v1alpha1.Tenant) *v1alpha1.Tenant {
		tenant.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionDatabaseReady, Status: metav1.ConditionTrue, ObservedGeneration: 1,
		}}
		return tenant
	}
	deleted := func(tenant *v1alpha1.Tenant) *v1alpha1.Tenant {
		tenant.DeletionTimestamp = new(metav1.Now())
		return tenant
	}
	for _, test := range []struct {
		name           string
		tenant         *v1alpha1.Tenant
		servers, waits []string
	}{
		{"no database", builders.Tenant("acme").Build(), nil, nil},
		{"to be placed", builders.Tenant("acme").Database("shared").Build(), []string{"shared"}, []string{"shared"}},
		{
			"being placed", builders.Tenant("acme").Finalizers(naming.FinalizerTenant, onShared).Database("shared").Build(),
			[]string{"shared"}, []string{"shared"},
		},
		{
			"placed", placed(builders.Tenant("acme").Generation(1).Finalizers(naming.FinalizerTenant, onShared).Database("shared").Build()),
			[]string{"shared"}, nil,
		},
		{
			"placed, and changed since", placed(builders.Tenant("acme").Generation(2).Finalizers(onShared).Database("shared").Build()),
			[]string{"shared"}, []string{"shared"},
		},
		{
			"placed on another server than the spec says", builders.Tenant("acme").Finalizers(onShared).Database("other").Build(),
			[]string{"shared", "other"}, []string{"shared", "other"},
		},
		{
			"placed, and being deleted", deleted(placed(builders.Tenant("acme").Finalizers(onShared).Database("shared").Build())),
			[]string{"shared"}, []string{"shared"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := serversOf(effective.Of(test.tenant)); !slices.Equal(got, test.servers) {
				t.Errorf("it has to do with %q, want %q", got, test.servers)
			}
			if got := serversWaitedFor(effective.Of(test.tenant)); !slices.Equal(got, test.waits) {
				t.Errorf("it waits for %q, want %q", got, test.waits)
			}
		})
	}
}

func TestWhichChangesOfAServerConcernItsTenants(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.DatabaseServer)
		want   bool
	}{
		"the number of its tenants":      {func(s *v1alpha1.DatabaseServer) { s.Status.Tenants = new(int32(2)) }, false},
		"its spec":                       {func(s *v1alpha1.DatabaseServer) { s.Generation++ }, true},
		"its authorities":                {func(s *v1alpha1.DatabaseServer) { s.Status.CABundle = "other" }, true},
		"the same storage, written else": {func(s *v1alpha1.DatabaseServer) { s.Status.Storage = new(resource.MustParse("1024Mi")) }, false},
		"its storage":                    {func(s *v1alpha1.DatabaseServer) { s.Status.Storage = new(resource.MustParse("2Gi")) }, true},
		"its version":                    {func(s *v1alpha1.DatabaseServer) { s.Status.Version = "15.19" }, true},
		"the version of a shared one":    {func(s *v1alpha1.DatabaseServer) { s.Status.Version, s.Spec.Dedicated = "15.19", nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			was := &v1alpha1.DatabaseServer{Spec: v1alpha1.DatabaseServerSpec{Dedicated: &v1alpha1.DatabaseServerDedication{}}}
			was.Status.Version, was.Status.Storage = "15.18", new(resource.MustParse("1Gi"))
			is := was.DeepCopy()
			test.change(is)
			if got := concernsTenants(was, is); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func autoscaler(target autoscalingv2.CrossVersionObjectReference) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "any", Labels: map[string]string{"team": "blue"}},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: target, MaxReplicas: 9},
	}
}

func TestAnAutoscalerIsNewsWhenItBeginsOrEndsToScaleADeployment(t *testing.T) {
	app := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "app"}
	for name, other := range map[string]autoscalingv2.CrossVersionObjectReference{
		"a StatefulSet": {APIVersion: "apps/v1", Kind: "StatefulSet", Name: "app"},
		"another group": {APIVersion: "example.com/v1", Kind: "Deployment", Name: "app"},
		"no group":      {APIVersion: "a/b/c", Kind: "Deployment", Name: "app"},
	} {
		if scaledBy(autoscaler(other)) != "" {
			t.Errorf("one that scales %s is taken for a Deployment's", name)
		}
		retarget := func(to autoscalingv2.CrossVersionObjectReference) func(*autoscalingv2.HorizontalPodAutoscaler) {
			return func(a *autoscalingv2.HorizontalPodAutoscaler) { a.Spec.ScaleTargetRef = to }
		}
		if !autoscalerTargetChanged.Update(updated(autoscaler(other), retarget(app))) || !autoscalerTargetChanged.Update(updated(autoscaler(app), retarget(other))) {
			t.Errorf("that it scales the app rather than %s, or the other way round, is no news", name)
		}
	}
	worker := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "mail"}
	if scaledBy(autoscaler(app)) != "app" || scaledBy(autoscaler(worker)) != "mail" {
		t.Errorf("they scale %s and %s", scaledBy(autoscaler(app)), scaledBy(autoscaler(worker)))
	}
	if !autoscalerTargetChanged.Update(updated(autoscaler(app), func(a *autoscalingv2.HorizontalPodAutoscaler) { a.Spec.ScaleTargetRef = worker })) {
		t.Error("that one scales a worker rather than the app is no news")
	}
	if !autoscalerTargetChanged.Create(event.CreateEvent{Object: autoscaler(app)}) || !autoscalerTargetChanged.Delete(event.DeleteEvent{Object: autoscaler(app)}) {
		t.Error("that one comes or goes is no news")
	}
	status := updated(autoscaler(app), func(a *autoscalingv2.HorizontalPodAutoscaler) { a.Status.CurrentReplicas = 3 })
	if autoscalerTargetChanged.Update(status) {
		t.Error("its status is news")
	}
}

func TestTheCacheKeepsOfAnAutoscalerWhatItScales(t *testing.T) {
	whole := autoscaler(autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "app"})
	kept, err := TrimAutoscaler(whole)
	if err != nil {
		t.Fatal(err)
	}
	trimmed := kept.(*autoscalingv2.HorizontalPodAutoscaler)
	if scaledBy(trimmed) != "app" || trimmed.Namespace != "acme" || trimmed.Name != "any" || trimmed.Spec.MaxReplicas != 0 || len(trimmed.Labels) > 0 {
		t.Errorf("it keeps %+v", trimmed)
	}
	if object, err := TrimAutoscaler("something else"); err != nil || object != "something else" {
		t.Errorf("of something else it makes %v, %v", object, err)
	}
}

// What a class says isn't in the Tenant, so its tenants wait for any server while they may have to wait for one.
func TestWhichServersTenantsOfAClassWaitFor(t *testing.T) {
	is := func(condition string, status metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: condition, Status: status, ObservedGeneration: 1}
	}
	own, placed := naming.DedicatedServer("acme"), &v1alpha1.TenantDatabaseStatus{Server: "shared"}
	for _, test := range []struct {
		name       string
		conditions []metav1.Condition
		database   *v1alpha1.TenantDatabaseStatus
		waits      []string
	}{
		{"it is new", nil, nil, []string{own, anyServer}},
		{"it is Ready without a database", []metav1.Condition{is(v1alpha1.ConditionReady, "True")}, nil, nil},
		{"it isn't Ready", []metav1.Condition{is(v1alpha1.ConditionReady, "False")}, nil, []string{own, anyServer}},
		{"its database isn't", []metav1.Condition{is(v1alpha1.ConditionReady, "False"), is(v1alpha1.ConditionDatabaseReady, "False")}, nil, []string{own, anyServer}},
		{"its database was", []metav1.Condition{is(v1alpha1.ConditionReady, "False"), is(v1alpha1.ConditionDatabaseReady, "False")}, placed, []string{own}},
		{"its database is", []metav1.Condition{is(v1alpha1.ConditionReady, "True"), is(v1alpha1.ConditionDatabaseReady, "True")}, placed, nil},
	} {
		for _, class := range []struct {
			name     string
			spec     *string
			recorded *v1alpha1.TenantStatusClass
		}{{"that it names", new("gold"), nil}, {"that it got", nil, &v1alpha1.TenantStatusClass{Name: "gold"}}} {
			t.Run(test.name+", of a class "+class.name, func(t *testing.T) {
				tenant := builders.Tenant("acme").Generation(1).Build()
				tenant.Spec.ClassName = class.spec
				tenant.Status = v1alpha1.TenantStatus{Conditions: test.conditions, Database: test.database, Class: class.recorded}
				if got := serversWaitedFor(effective.Of(tenant)); !slices.Equal(got, test.waits) {
					t.Errorf("it waits for %v, want %v", got, test.waits)
				}
			})
		}
	}
}
