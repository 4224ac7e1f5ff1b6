package parts_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

// settled returns inputs with files and Secrets.
func settled(t *testing.T, tenant *builders.TenantBuilder) parts.Inputs {
	t.Helper()
	in := inputsOf(t, tenant)
	in.Files = parts.Files{Features: "{}", CustomFields: "{}"}
	in.Secrets = map[string]string{"stripe": "1"}
	return in
}

func TestSettingsRestartAppsOrChangeInTheirFiles(t *testing.T) {
	for _, test := range []struct {
		reload   v1alpha1.Reload
		restarts bool
	}{{"", true}, {v1alpha1.ReloadRestart, true}, {v1alpha1.ReloadWatch, false}} {
		tenant := func() *builders.TenantBuilder {
			return builders.Tenant("acme").App(image).Reload(test.reload).Config("A", "b").SecretRefs("stripe").Feature("new", "true").CustomFields("order", "{}")
		}
		before := settled(t, tenant())
		for name, change := range map[string]func(*parts.Inputs){
			"a setting":     func(in *parts.Inputs) { in.Tenant.Spec.Config["A"] = "c" },
			"a feature":     func(in *parts.Inputs) { in.Files.Features = "{ }" },
			"custom fields": func(in *parts.Inputs) { in.Files.CustomFields = "{ }" },
			"a Secret":      func(in *parts.Inputs) { in.Secrets["stripe"] = "2" },
		} {
			after := settled(t, tenant())
			change(&after)
			restarts := deploymentOf(t, before).Spec.Template.Annotations["tenantry.dev/settings"] != deploymentOf(t, after).Spec.Template.Annotations["tenantry.dev/settings"]
			shows := parts.FilesRevision(before) != parts.FilesRevision(after)
			if restarts != test.restarts || shows == test.restarts {
				t.Errorf("reload %q: when %s changes, it restarts: %t, and the pods are told: %t", test.reload, name, restarts, shows)
			}
		}
	}
}

func TestAnAppWithoutSuchSettingsIsAsItWas(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image).Config("A", "b"))
	pod := deploymentOf(t, in).Spec.Template
	if got := pod.Annotations["tenantry.dev/settings"]; got != "5dd999393b584bb5" {
		t.Errorf("the settings of apps of before were 5dd999393b584bb5, and are %s, which restarts all of them", got)
	}
	if len(pod.Spec.Volumes)+len(pod.Spec.Containers[0].VolumeMounts)+len(pod.Spec.Containers[0].Env) > 0 || len(pod.Spec.Containers[0].EnvFrom) != 1 {
		t.Errorf("the pod has more than before: %+v", pod.Spec)
	}
}

func TestNoMountOfASettingIsInAnother(t *testing.T) {
	in := settled(t, builders.Tenant("acme").App(image).Reload(v1alpha1.ReloadWatch).SecretRefs("stripe", "stripe.v2").Feature("new", "true"))
	mounts := containerOf(t, in).VolumeMounts
	if len(mounts) != 4 {
		t.Fatalf("there are %d mounts: %+v", len(mounts), mounts)
	}
	for _, one := range mounts {
		for _, other := range mounts {
			if one.Name != other.Name && strings.HasPrefix(one.MountPath+"/", other.MountPath+"/") {
				t.Errorf("%s is in %s", one.MountPath, other.MountPath)
			}
		}
	}
}

func TestAutoscaling(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image).MaxReplicas(1))
	if app := deploymentOf(t, in); app.Spec.Replicas != nil {
		t.Errorf("the operator insists on %d replicas", *app.Spec.Replicas)
	}
	for _, object := range all(in) {
		if kindOf(t, object) == "PodDisruptionBudget" {
			t.Error("an app that never has more than one pod has a PodDisruptionBudget")
		}
	}
	in.Tenant.Spec.App.Autoscaling.MinReplicas, in.Asleep = ptr.To[int32](0), true
	if names := autoscalersOf(in); len(names) > 0 {
		t.Errorf("an app that sleeps may be woken by an autoscaler that had scaled it to zero: %v", names)
	}
}

func TestTheReplicasOfATenantThatSleepsAndWakes(t *testing.T) {
	fixed := func() *builders.TenantBuilder { return builders.Tenant("acme").App(image).Replicas(3) }
	scaled := func() *builders.TenantBuilder { return builders.Tenant("acme").App(image).MaxReplicas(5) }
	for _, test := range []struct {
		name            string
		tenant          *builders.TenantBuilder
		asleep, waking  bool
		awake           int32
		replicas, noted int32 // -1 for none
	}{
		{"it is awake", fixed(), false, false, 3, 3, -1},
		{"it sleeps", fixed(), true, true, 3, 0, 3},
		{"it wakes", fixed(), false, true, 3, 3, -1},
		{"it scales, and is awake", scaled(), false, false, 4, -1, -1},
		{"it scales, and falls asleep", scaled(), true, false, 4, 0, 4},
		{"it scales, and sleeps", scaled(), true, true, 4, 0, 4},
		{"it scales, and wakes", scaled(), false, true, 4, 4, -1},
		{"it scales, and was made asleep", scaled(), false, true, 0, 1, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inputsOf(t, test.tenant)
			in.Asleep, in.Scales = test.asleep, map[string]parts.Scale{"app": {Held: test.waking, Awake: test.awake}}
			if in.Waking() != test.waking {
				t.Errorf("it wakes: %t", in.Waking())
			}
			app := deploymentOf(t, in)
			noted := int32(-1)
			if parts.IsHeld(app) {
				noted = parts.Awake(app)
			}
			if got := ptr.Deref(app.Spec.Replicas, -1); got != test.replicas || noted != test.noted {
				t.Errorf("it has %d replicas, and notes %d; want %d and %d", got, noted, test.replicas, test.noted)
			}
		})
	}
}

func TestTheReplicasOfAWorker(t *testing.T) {
	fixed := func() *builders.TenantBuilder { return builders.Tenant("acme").App(image).Worker("mail", 3, "/worker") }
	scaled := func() *builders.TenantBuilder {
		return builders.Tenant("acme").App(image).ScaledWorker("mail", 5, "/worker")
	}
	toZero := func() *builders.TenantBuilder {
		return scaled().Workloads(func(app *v1alpha1.TenantApp) { app.Workers[0].Autoscaling.MinReplicas = ptr.To[int32](0) })
	}
	for _, test := range []struct {
		name            string
		tenant          *builders.TenantBuilder
		owners          string // what an owner's autoscaler scales
		asleep          bool
		was             parts.Scale
		replicas, noted int32 // -1 for none
	}{
		{"it is awake", fixed(), "", false, parts.Scale{Awake: 3}, 3, -1},
		{"it falls asleep", fixed(), "", true, parts.Scale{Awake: 3}, 0, 3},
		{"it wakes", fixed(), "", false, parts.Scale{Held: true, Awake: 2}, 3, -1},
		{"an owner's autoscaler scales the app", fixed(), "app", false, parts.Scale{Awake: 4}, 3, -1},
		{"an owner's autoscaler scales it", fixed(), "mail", false, parts.Scale{Awake: 4}, -1, -1},
		{"an owner's autoscaler scales it, and it falls asleep", fixed(), "mail", true, parts.Scale{Awake: 4}, 0, 4},
		{"it scales, and is awake", scaled(), "", false, parts.Scale{Awake: 4}, -1, -1},
		{"it scales, and falls asleep", scaled(), "", true, parts.Scale{Awake: 4}, 0, 4},
		{"it scales, and sleeps", scaled(), "", true, parts.Scale{Held: true, Awake: 4}, 0, 4},
		{"it scales, and wakes", scaled(), "", false, parts.Scale{Held: true, Awake: 4}, 4, -1},
		{"it scales, and was made asleep", scaled(), "", false, parts.Scale{Held: true}, 1, -1},
		{"it scales to zero, and wakes with some", toZero(), "", false, parts.Scale{Held: true, Awake: 2}, 2, -1},
		{"it had scaled to zero, and wakes with one for its new autoscaler", toZero(), "", false, parts.Scale{Held: true}, 1, -1},
		{"an owner's autoscaler had scaled it to zero", fixed(), "mail", false, parts.Scale{Held: true}, 1, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inputsOf(t, test.tenant)
			in.Asleep, in.Autoscaled, in.Scales = test.asleep, sets.New(test.owners), map[string]parts.Scale{"mail": test.was, "app": {Awake: 7}}
			worker, noted := workerOf(t, in), int32(-1)
			if parts.IsHeld(worker) {
				noted = parts.Awake(worker)
			}
			if got := ptr.Deref(worker.Spec.Replicas, -1); got != test.replicas || noted != test.noted {
				t.Errorf("it has %d replicas, and notes %d; want %d and %d", got, noted, test.replicas, test.noted)
			}
			live := worker.DeepCopy()
			live.Spec.Replicas = new(ptr.Deref(worker.Spec.Replicas, 9))
			if got := parts.ScaleOf(live); got.Held != test.asleep || test.asleep && got.Awake != test.noted || !test.asleep && got.Awake != *live.Spec.Replicas {
				t.Errorf("%+v is read from it", got)
			}
		})
	}
}

func TestTheAutoscalersOfAnAppAndItsWorkers(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image).MaxReplicas(2).Worker("pdf", 1, "/pdf").ScaledWorker("mail", 5, "/worker"))
	found := map[string]int32{}
	for _, object := range parts.App.Objects(in) {
		if scaler, isScaler := object.(*autoscalingv2.HorizontalPodAutoscaler); isScaler {
			found[scaler.Name] = scaler.Spec.MaxReplicas
			if target := scaler.Spec.ScaleTargetRef; target.Name != scaler.Name || target.Kind != "Deployment" || *scaler.Spec.MinReplicas != 1 || len(scaler.Spec.Metrics) != 1 {
				t.Errorf("%s is %+v", scaler.Name, scaler.Spec)
			}
		}
	}
	if len(found) != 2 || found["app"] != 2 || found["mail"] != 5 {
		t.Errorf("there are %v", found)
	}
	in.Tenant.Spec.App.Workers[1].Autoscaling.MinReplicas, in.Asleep = ptr.To[int32](0), true
	if names := autoscalersOf(in); !slices.Equal(names, []string{"app"}) {
		t.Errorf("of the app and a worker that scales to zero, which sleep, these have an autoscaler: %v", names)
	}
	if worker := findNamed[*appsv1.Deployment](t, parts.App, in, "pdf"); parts.Awake(worker) != 1 {
		t.Errorf("a worker with replicas notes %v", worker.Annotations)
	}
}

// autoscalersOf returns the names of the autoscalers of an app and its workers.
func autoscalersOf(in parts.Inputs) (names []string) {
	for _, object := range parts.App.Objects(in) {
		if scaler, isScaler := object.(*autoscalingv2.HorizontalPodAutoscaler); isScaler {
			names = append(names, scaler.Name)
		}
	}
	return names
}

// ofApp returns a pod of the app.
func ofApp(phase corev1.PodPhase) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "app-1", OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "app-1", Controller: new(true)}}},
		Status:     corev1.PodStatus{Phase: phase},
	}
}

func TestWhatRunsBesideAnAppThatSleeps(t *testing.T) {
	awake := busy(t)
	if cronJob := cronJobOf(t, awake); cronJob.Spec.Suspend != nil || parts.IsSuspended(cronJob) {
		t.Error("the operator insists on running a schedule that an owner may have suspended")
	}
	asleep := busy(t)
	asleep.Asleep = true
	if worker := workerOf(t, asleep); *worker.Spec.Replicas != 0 {
		t.Errorf("a worker has %d pods", *worker.Spec.Replicas)
	}
	if cronJob := cronJobOf(t, asleep); !*cronJob.Spec.Suspend || !parts.IsSuspended(cronJob) {
		t.Error("the schedule goes on, or nobody can tell that it was suspended for this")
	}
}

// withRun returns an observation of an app without pods, and with a run of its schedule.
func withRun(state v1alpha1.HibernationState, finished bool) parts.Observation {
	job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "bill-1", OwnerReferences: []metav1.OwnerReference{{UID: "bill", Controller: new(true)}}}}
	if finished {
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
	}
	stranger := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "not-ours"}}
	tenant := &effective.Tenant{}
	tenant.Status.Hibernation = &v1alpha1.TenantHibernationStatus{State: state}
	return parts.Observation{
		Tenant: tenant, Jobs: []batchv1.Job{stranger, job},
		CronJobs: map[string]*batchv1.CronJob{"bill": {ObjectMeta: metav1.ObjectMeta{Name: "bill", UID: "bill"}}},
	}
}

func TestWhatRunsOfAnAppThatEnds(t *testing.T) {
	busy := &effective.Tenant{}
	busy.Spec.App = &v1alpha1.TenantApp{Workers: []v1alpha1.AppWorker{{Name: "mail"}}}
	worker := func(replicas, left int32) map[string]*appsv1.Deployment {
		return map[string]*appsv1.Deployment{"mail": builders.Deployment("acme", "mail", replicas).Pods(left, left, left).Build()}
	}
	gone := builders.Deployment("acme", "app", 0).Build()
	for _, test := range []struct {
		name  string
		in    parts.Observation
		ended bool
	}{
		{"there is none", parts.Observation{}, true},
		{"it has no replicas", parts.Observation{Deployment: gone}, true},
		{"it still has one", parts.Observation{Deployment: builders.Deployment("acme", "app", 0).Pods(1, 1, 1).Build()}, false},
		{"it is to have one", parts.Observation{Deployment: builders.Deployment("acme", "app", 1).Build()}, false},
		{"nobody has seen that it is to have none", parts.Observation{Deployment: builders.Deployment("acme", "app", 0).Unobserved().Build()}, false},
		{"a pod is about to end", parts.Observation{Deployment: gone, Pods: []corev1.Pod{ofApp("")}}, false},
		{"a pod has ended, and somebody holds it", parts.Observation{Deployment: gone, Pods: []corev1.Pod{ofApp(corev1.PodSucceeded)}}, true},
		{"the tenant has made a pod that looks like one", parts.Observation{Deployment: gone, Pods: []corev1.Pod{{}}}, true},
		{"a worker is drained", parts.Observation{Tenant: busy, Deployment: gone, Workers: worker(0, 0)}, true},
		{"a worker ends", parts.Observation{Tenant: busy, Deployment: gone, Workers: worker(0, 1)}, false},
		{"a worker is to run", parts.Observation{Tenant: busy, Deployment: gone, Workers: worker(1, 0)}, false},
		{"a run goes on", withRun(v1alpha1.HibernationFallingAsleep, false), false},
		{"a run has finished", withRun(v1alpha1.HibernationFallingAsleep, true), true},
		{"somebody has begun a run while it sleeps", withRun(v1alpha1.HibernationAsleep, false), true},
	} {
		if test.in.Tenant == nil {
			test.in.Tenant = &effective.Tenant{}
		}
		if got := test.in.AppEnded(); got != test.ended {
			t.Errorf("%s: it has ended: %t, want %t", test.name, got, test.ended)
		}
	}
}
