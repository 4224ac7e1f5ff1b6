package parts_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/diff"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/test/builders"
)

// busy returns the inputs of a tenant whose app has a worker and a schedule.
func busy(t *testing.T, changes ...func(*builders.TenantBuilder)) parts.Inputs {
	t.Helper()
	tenant := builders.Tenant("acme").Config("LOG_LEVEL", "info").Database("shared").App(image).Port(8080).
		Command("/shop").Env("GREETING", "hello").Request(corev1.ResourceCPU, "100m").RunAs(1000, 2000).
		Worker("mail", 2, "/worker").Schedule("bill", "0 3 * * *", "/bill")
	for _, change := range changes {
		change(tenant)
	}
	return withDatabase(t, tenant, server().CABundle("PEM"))
}

func workerOf(t *testing.T, in parts.Inputs) *appsv1.Deployment {
	t.Helper()
	return findNamed[*appsv1.Deployment](t, parts.App, in, "mail")
}

func cronJobOf(t *testing.T, in parts.Inputs) *batchv1.CronJob {
	t.Helper()
	return find[*batchv1.CronJob](t, parts.App, in)
}

func TestWhatRunsBesideTheAppHasItsImageSettingsLoginAndUser(t *testing.T) {
	in := busy(t)
	app := findNamed[*appsv1.Deployment](t, parts.App, in, "app").Spec.Template
	for name, template := range map[string]corev1.PodTemplateSpec{
		"mail": workerOf(t, in).Spec.Template, "bill": cronJobOf(t, in).Spec.JobTemplate.Spec.Template,
	} {
		container := template.Spec.Containers[0]
		want := app.Spec.Containers[0].DeepCopy()
		// These are each program's own. The app's port is nobody else's.
		want.Name, want.Command, want.Resources, want.ReadinessProbe = name, container.Command, corev1.ResourceRequirements{}, nil
		want.Ports, want.Lifecycle, want.TerminationMessagePolicy = nil, nil, container.TerminationMessagePolicy
		want.Env = slices.DeleteFunc(want.Env, func(variable corev1.EnvVar) bool { return variable.Name == "PORT" })
		if !equality.Semantic.DeepEqual(container, *want) {
			t.Errorf("the container of %s differs from the app's:\n%s", name, diff.Diff(*want, container))
		}
		if !equality.Semantic.DeepEqual(template.Spec.SecurityContext, app.Spec.SecurityContext) || template.Spec.ServiceAccountName != "app" {
			t.Errorf("%s runs as %v of %s", name, template.Spec.SecurityContext, template.Spec.ServiceAccountName)
		}
		if *template.Spec.AutomountServiceAccountToken || template.Labels["app.kubernetes.io/managed-by"] != "tenantry" {
			t.Errorf("%s has a token, or the cache lacks its pods: %v", name, template.Labels)
		}
	}
}

func TestNoWorkloadSelectsThePodsOfAnother(t *testing.T) {
	in := busy(t)
	service := find[*corev1.Service](t, parts.App, in)
	worker := workerOf(t, in)
	all := map[string]map[string]string{
		"app":  findNamed[*appsv1.Deployment](t, parts.App, in, "app").Spec.Template.Labels,
		"mail": worker.Spec.Template.Labels, "bill": cronJobOf(t, in).Spec.JobTemplate.Spec.Template.Labels,
	}
	for name, selector := range map[string]map[string]string{"app": service.Spec.Selector, "mail": worker.Spec.Selector.MatchLabels} {
		for pod, labels := range all {
			selected := true
			for key, value := range selector {
				selected = selected && labels[key] == value
			}
			if selected != (pod == name) {
				t.Errorf("%v selects the pods of %s: %t", selector, pod, selected)
			}
		}
	}
}

func TestWhatRunsBesideTheAppMeetsTheRestrictedStandard(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := busy(t)
	for _, template := range []corev1.PodTemplateSpec{workerOf(t, in).Spec.Template, cronJobOf(t, in).Spec.JobTemplate.Spec.Template} {
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(
			podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}, &template.ObjectMeta, &template.Spec))
		if !result.Allowed {
			t.Error(result.ForbiddenDetail())
		}
	}
}

func TestASchedule(t *testing.T) {
	cronJob := cronJobOf(t, busy(t))
	spec := cronJob.Spec
	if spec.Schedule != "0 3 * * *" || *spec.TimeZone != "UTC" || spec.ConcurrencyPolicy != batchv1.ForbidConcurrent || *spec.StartingDeadlineSeconds != 300 {
		t.Errorf("it runs at %s %s, %s, at most %d s late", spec.Schedule, *spec.TimeZone, spec.ConcurrencyPolicy, *spec.StartingDeadlineSeconds)
	}
	job := spec.JobTemplate
	if *job.Spec.BackoffLimit != 2 || job.Spec.ActiveDeadlineSeconds != nil || job.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("its Jobs are %+v", job.Spec)
	}
	if _, managed := job.Labels["app.kubernetes.io/managed-by"]; managed {
		t.Error("owners could not start a run by hand")
	}
	if job.Labels["tenantry.dev/tenant"] != "acme" || job.Labels["app.kubernetes.io/component"] != "schedule" {
		t.Errorf("the cache lacks its Jobs: %v", job.Labels)
	}
}

func TestAPodThatOutlivesAChangeOfItsSettings(t *testing.T) {
	in := busy(t)
	templates := []corev1.PodTemplateSpec{
		findNamed[*appsv1.Deployment](t, parts.App, in, "app").Spec.Template,
		workerOf(t, in).Spec.Template, cronJobOf(t, in).Spec.JobTemplate.Spec.Template,
	}
	var pods []corev1.Pod
	for _, template := range templates {
		pods = append(pods, corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy()})
	}
	if parts.Outlive(in, pods) {
		t.Error("pods with the current settings count")
	}
	rotated := busy(t)
	rotated.Login.Password = "0aP1sG6fD4jH7cW5nB8yT2rL9mQ3vXZk"
	for i := range pods {
		former := pods[i : i+1]
		if !parts.Outlive(rotated, former) {
			t.Errorf("a pod with the labels %v and a former password does not count", former[0].Labels)
		}
		former[0].Status.Phase = corev1.PodSucceeded
		if parts.Outlive(rotated, former) {
			t.Errorf("a pod with the labels %v that has ended counts", former[0].Labels)
		}
	}
	foreign := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(pods[0].Labels)}}
	if parts.Outlive(rotated, []corev1.Pod{foreign}) {
		t.Error("a pod that the operator has not made counts")
	}
	gone := busy(t, func(*builders.TenantBuilder) {})
	gone.Tenant.Spec.App.Workers = nil
	worker := corev1.Pod{ObjectMeta: *templates[1].ObjectMeta.DeepCopy()}
	if !parts.Outlive(gone, []corev1.Pod{worker}) {
		t.Error("a pod of a worker that was taken away does not count")
	}
}

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// observed returns what is seen of a tenant with a worker and a schedule, where all is well.
func observed(t *testing.T) parts.Observation {
	t.Helper()
	in := busy(t)
	cronJob := cronJobOf(t, in)
	cronJob.UID = "bill"
	return parts.Observation{
		Tenant: in.Tenant, Problems: map[string]problem.Problem{}, Now: noon, TroubledSince: noon,
		Deployment: builders.Deployment("acme", "app", 1).Pods(1, 1, 1).Build(),
		Workers:    map[string]*appsv1.Deployment{"mail": builders.Deployment("acme", "mail", 2).Pods(2, 2, 2).Build()},
		CronJobs:   map[string]*batchv1.CronJob{"bill": cronJob},
		Refusals:   map[types.UID]parts.Refusal{},
	}
}

// run returns a Job of the schedule, as it is or was at some time after noon.
func run(o parts.Observation, name string, outcome batchv1.JobConditionType, after time.Duration) batchv1.Job {
	cronJob := o.CronJobs["bill"]
	job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "acme", Name: name, UID: types.UID(name), Annotations: maps.Clone(cronJob.Spec.JobTemplate.Annotations),
		OwnerReferences: []metav1.OwnerReference{{Kind: "CronJob", Name: cronJob.Name, UID: cronJob.UID, Controller: new(true)}},
	}}
	if outcome != "" {
		job.Status.Conditions = []batchv1.JobCondition{{
			Type: outcome, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonBackoffLimitExceeded,
			Message: "Job has reached the specified backoff limit", LastTransitionTime: metav1.NewTime(noon.Add(after)),
		}}
	}
	return job
}

// ofRun returns the first pod of a run, to be changed further.
func ofRun(job string, pod *builders.PodBuilder) corev1.Pod {
	built := pod.Build()
	built.Labels = map[string]string{
		"batch.kubernetes.io/job-name": job, "app.kubernetes.io/component": "schedule", "app.kubernetes.io/name": "bill",
	}
	return *built
}

func TestWhatIsSaidOfWorkersAndSchedules(t *testing.T) {
	const (
		overQuota = `pods "bill-1-x" is forbidden: exceeded quota: tenant, requested: pods=1, used: pods=3, limited: pods=3`
		failed    = `The last run of the schedule bill has failed at 2026-03-01T12:00:00Z: container "bill" has ended with exit code 1 (Error): KeyError: 'RATE'. ` +
			`"kubectl logs --namespace acme job/bill-1" has its last words; correct spec.app.schedules[bill]. The next run that succeeds ends this, and so does deleting the Job.`
	)
	failure := func(o *parts.Observation) {
		o.Jobs = []batchv1.Job{run(*o, "bill-1", batchv1.JobFailed, 0)}
		pod := builders.Pod("acme", "bill-1-x").Failed("", "").Ended("bill", 1, "Error").Saying("Traceback:\nKeyError: 'RATE'")
		o.Pods = []corev1.Pod{ofRun("bill-1", pod)}
	}
	for _, test := range []struct {
		name    string
		change  func(*parts.Observation)
		reason  string
		message string
	}{
		{"all runs", func(*parts.Observation) {}, "Ready", "1 of 1 replicas are available, and 2 of 2 of its workers."},
		{"a worker is not there yet", func(o *parts.Observation) { delete(o.Workers, "mail") }, "Progressing", "The worker mail is being rolled out."},
		{
			"a worker rolls out", func(o *parts.Observation) {
				o.Workers["mail"] = builders.Deployment("acme", "mail", 2).Pods(3, 1, 2).Build()
			}, "Progressing", "1 of 2 replicas of the worker mail are available.",
		},
		{
			"a worker crashes", func(o *parts.Observation) {
				o.Workers["mail"] = builders.Deployment("acme", "mail", 2).Pods(2, 2, 1).Build()
				pod := builders.Pod("acme", "mail-1").Waiting("mail", "CrashLoopBackOff", "back-off 40s").Restarted(4, 1, "Error").Saying("no broker").Build()
				pod.Labels = map[string]string{"app.kubernetes.io/component": "worker", "app.kubernetes.io/name": "mail"}
				o.Pods = []corev1.Pod{*pod}
			}, "CrashLoopBackOff", `Pod mail-1 does not run: back-off 40s; container "mail" has ended 4 times, the last time with exit code 1 (Error): no broker. ` +
				`"kubectl logs --namespace acme mail-1 --container mail --previous" has its last words; correct spec.app.workers[mail].`,
		},
		{
			"a worker's image is missing", func(o *parts.Observation) {
				o.Workers["mail"] = builders.Deployment("acme", "mail", 2).Pods(2, 2, 1).Build()
				pod := builders.Pod("acme", "mail-1").Waiting("mail", "ErrImagePull", "there is none").Build()
				pod.Labels = map[string]string{"app.kubernetes.io/component": "worker", "app.kubernetes.io/name": "mail"}
				o.Pods = []corev1.Pod{*pod}
			}, "ErrImagePull", "Pod mail-1 does not run: there is none. Correct spec.app.image, or see that the registry answers and lets its nodes in.",
		},
		{
			"a worker needs more than the quota leaves", func(o *parts.Observation) {
				o.Workers["mail"] = builders.Deployment("acme", "mail", 2).Condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", overQuota).Build()
			}, "QuotaExceeded", "The worker mail's pods need more than the quota leaves: requested: pods=1, used: pods=3, limited: pods=3. " +
				"Raise spec.quota, or lower spec.app.workers[mail].resources or spec.app.workers[mail].replicas.",
		},
		{"the last run has failed", failure, "JobFailed", failed},
		{
			"a run has failed, and a later one goes on", func(o *parts.Observation) {
				failure(o)
				o.Jobs = append(o.Jobs, run(*o, "bill-2", "", 0))
			}, "JobFailed", failed,
		},
		{
			"a run has failed, and a later one succeeded", func(o *parts.Observation) {
				failure(o)
				o.Jobs = append(o.Jobs, run(*o, "bill-2", batchv1.JobComplete, time.Minute))
			}, "Ready", "1 of 1 replicas are available, and 2 of 2 of its workers.",
		},
		{
			"what has failed ran something else", func(o *parts.Observation) {
				failure(o)
				o.Jobs[0].Annotations["tenantry.dev/program"] = "other"
			}, "Ready", "1 of 1 replicas are available, and 2 of 2 of its workers.",
		},
		{
			"what has failed is none of the schedule's", func(o *parts.Observation) {
				failure(o)
				o.Jobs[0].OwnerReferences = nil
			}, "Ready", "1 of 1 replicas are available, and 2 of 2 of its workers.",
		},
		{
			"a run took too long, and nothing is left of its pods", func(o *parts.Observation) {
				failure(o)
				o.Pods = nil
				o.Jobs[0].Status.Conditions[0].Message = "Job was active longer than specified deadline"
			}, "JobFailed", `The last run of the schedule bill has failed at 2026-03-01T12:00:00Z: Job was active longer than specified deadline. ` +
				`"kubectl logs --namespace acme job/bill-1" has its last words; correct spec.app.schedules[bill]. The next run that succeeds ends this, and so does deleting the Job.`,
		},
		{
			"a run that goes on has failed once", func(o *parts.Observation) {
				failure(o)
				o.Jobs[0].Status = batchv1.JobStatus{Active: 1, Failed: 1}
			}, "Ready", "1 of 1 replicas are available, and 2 of 2 of its workers.",
		},
		{
			"a run does not start", func(o *parts.Observation) {
				o.Jobs = []batchv1.Job{run(*o, "bill-1", "", 0)}
				o.Jobs[0].Status.Active = 1
				o.Pods = []corev1.Pod{ofRun("bill-1", builders.Pod("acme", "bill-1-x").NotScheduled("Unschedulable", "no node"))}
			}, "Unschedulable", "Pod bill-1-x does not run: no node. Lower spec.app.schedules[bill].resources, or have the cluster's administrator make room on its nodes.",
		},
		{
			"a run needs more than the quota leaves", func(o *parts.Observation) {
				o.Jobs = []batchv1.Job{run(*o, "bill-1", "", 0)}
				o.Refusals["bill-1"] = parts.Refusal{Message: overQuota, At: noon}
			}, "QuotaExceeded", "The schedule bill's pods need more than the quota leaves: requested: pods=1, used: pods=3, limited: pods=3. Raise spec.quota, or lower spec.app.schedules[bill].resources.",
		},
		{
			"a run has got its pod at last", func(o *parts.Observation) {
				o.Jobs = []batchv1.Job{run(*o, "bill-1", "", 0)}
				o.Jobs[0].Status.Active = 1
				o.Refusals["bill-1"] = parts.Refusal{Message: overQuota, At: noon}
			}, "Ready", "1 of 1 replicas are available, and 2 of 2 of its workers.",
		},
		{
			"no replicas, but workers", func(o *parts.Observation) { o.Deployment = builders.Deployment("acme", "app", 0).Build() },
			"ScaledToZero", "The app has zero replicas; 2 of 2 of its workers are available.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := observed(t)
			test.change(&o)
			if state := parts.App.State(o); state.Reason != test.reason || state.Message != test.message {
				t.Errorf("it says %s\n%q\nwant %s\n%q", state.Reason, state.Message, test.reason, test.message)
			}
		})
	}
}
