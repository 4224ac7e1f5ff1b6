package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/workload"
)

// keptRuns is how many finished runs of a schedule stay of each outcome, with their logs. The cache has their pods.
const keptRuns = 1

// schedules returns the CronJobs of the programs that run at certain times.
func schedules(in Inputs) []desired.Object {
	if !connected(in) {
		return nil
	}
	var cronJobs []desired.Object
	for _, schedule := range in.Tenant.Spec.App.Schedules {
		cronJobs = append(cronJobs, cronJob(in, schedule))
	}
	return cronJobs
}

func cronJob(in Inputs, schedule v1alpha1.AppSchedule) *batchv1.CronJob {
	of := scheduled(in.Tenant.Name, schedule)
	spec := jobSpec(in, of)
	spec.BackoffLimit, spec.ActiveDeadlineSeconds = schedule.BackoffLimit, schedule.ActiveDeadlineSeconds
	result := &batchv1.CronJob{
		ObjectMeta: meta(in.Tenant, of.name),
		Spec: batchv1.CronJobSpec{
			Schedule:                   schedule.Schedule,
			TimeZone:                   &schedule.TimeZone,
			ConcurrencyPolicy:          schedule.ConcurrencyPolicy,
			StartingDeadlineSeconds:    schedule.StartingDeadlineSeconds,
			SuccessfulJobsHistoryLimit: new(int32(keptRuns)),
			FailedJobsHistoryLimit:     new(int32(keptRuns)),
			JobTemplate: batchv1.JobTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					// Not the label of what the operator manages: owners may start runs by
					// "kubectl create job --from=cronjob/…", and remove them.
					Labels:      of.labels,
					Annotations: map[string]string{naming.AnnotationProgram: programRevision(in, spec)},
				},
				Spec: spec,
			},
		},
	}
	suspend(in, result)
	return result
}

func scheduled(tenant string, schedule v1alpha1.AppSchedule) program {
	return program{
		name:      string(schedule.Name),
		labels:    naming.ComponentLabels(tenant, naming.ComponentSchedule, string(schedule.Name)),
		command:   schedule.Command,
		args:      schedule.Args,
		resources: schedule.Resources,
	}
}

// jobSpec returns what all Jobs of a tenant have in common. A container that says nothing as it ends is quoted by the
// end of its log. Pods that were evicted, or lost with their node, don't count as failures.
func jobSpec(in Inputs, of program) batchv1.JobSpec {
	template := podTemplate(in, of)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	template.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	return batchv1.JobSpec{
		PodReplacementPolicy: new(batchv1.Failed),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action: batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			}},
		}}},
		Template: template,
	}
}

// programRevision changes with what a Job does: with its spec and the tenant's config, but not with the login.
func programRevision(in Inputs, spec batchv1.JobSpec) string {
	spec.Template.Annotations = nil
	text, err := json.Marshal([]any{spec, in.Tenant.Spec.Config})
	if err != nil {
		panic(err) // It consists of what has just been read as JSON.
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:10]
}

// scheduleTroubles returns what is wrong with the last run of each schedule, and with one that goes on.
func scheduleTroubles(o Observation) []problem.Problem {
	if o.Tenant.Spec.App == nil {
		return nil
	}
	var troubles []problem.Problem
	for _, schedule := range o.Tenant.Spec.App.Schedules {
		if cronJob := o.CronJobs[string(schedule.Name)]; cronJob != nil {
			troubles = append(troubles, troublesOf(o, cronJob)...)
		}
	}
	return troubles
}

func troublesOf(o Observation, cronJob *batchv1.CronJob) []problem.Problem {
	of := problem.Schedule(cronJob.Name)
	var troubles []problem.Problem
	var last *batchv1.Job
	var lastFinish workload.Finish
	for i := range o.Jobs {
		job := &o.Jobs[i]
		if !metav1.IsControlledBy(job, cronJob) {
			continue
		}
		finish, finished := workload.FinishOf(job)
		switch {
		case !finished:
			troubles = append(troubles, jobTroubles(o, of, job)...)
		case last == nil || finish.At.After(lastFinish.At):
			last, lastFinish = job, finish
		}
	}
	// What ran something else may not fail any more.
	if last != nil && lastFinish.Failed && last.Annotations[naming.AnnotationProgram] == cronJob.Spec.JobTemplate.Annotations[naming.AnnotationProgram] {
		why := workload.WhyFailed(last, o.Pods)
		troubles = append(troubles, of.RunFailed(last.Namespace, last.Name, why, lastFinish.At.UTC().Format(time.RFC3339)))
	}
	refusal, found := o.Refusals[cronJob.UID]
	if begun := cronJob.Status.LastScheduleTime; found && (begun == nil || refusal.At.After(begun.Time)) {
		troubles = append(troubles, refused(o, of, refusal.Message))
	}
	return troubles
}

// jobTroubles returns what keeps the pods of a Job from running.
func jobTroubles(o Observation, of problem.Workload, job *batchv1.Job) []problem.Problem {
	if refusal, found := o.Refusals[job.UID]; found && job.Status.Active == 0 {
		return []problem.Problem{refused(o, of, refusal.Message)}
	}
	if trouble, found := workload.Trouble(workload.Pending(job, o.Pods), of.Field, o.Now); found {
		return []problem.Problem{trouble}
	}
	return nil
}
