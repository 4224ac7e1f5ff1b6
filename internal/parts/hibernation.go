package parts

import (
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/workload"
)

// suspend has a CronJob begin no runs while the tenant is to sleep.
func suspend(in Inputs, cronJob *batchv1.CronJob) {
	if in.Asleep {
		cronJob.Annotations = map[string]string{naming.AnnotationAsleep: "true"}
		cronJob.Spec.Suspend = new(true)
	}
}

// IsSuspended reports whether a CronJob begins no runs since its tenant is to sleep.
func IsSuspended(cronJob *batchv1.CronJob) bool {
	_, suspended := cronJob.Annotations[naming.AnnotationAsleep]
	return suspended
}

// appAsleep returns the state of the app of a tenant that is to sleep.
func appAsleep(o Observation) condition.State {
	if o.AppEnded() {
		return asleep("The app has no pods while the tenant sleeps.")
	}
	ending := slices.DeleteFunc(slices.Clone(o.Pods), func(pod corev1.Pod) bool { return pod.DeletionTimestamp.IsZero() })
	if trouble, found := workload.Trouble(ending, "spec.app", o.Now); found {
		return condition.Of(trouble)
	}
	if runs := o.runs(); len(runs) > 0 {
		return condition.Progressing("The app ends, so that the tenant can sleep: Job %s goes on.", strings.Join(runs, ", "))
	}
	return condition.Progressing("The app ends, so that the tenant can sleep: %d of its pods are left.", len(o.Pods))
}

// awaitsFirstRelease reports whether an app that runs waits for its first migration. What there is of it stays until
// that has run, also if the tenant is to sleep.
func (o Observation) awaitsFirstRelease() bool {
	return o.Release.Held() && o.Release.Unknown && !o.AppEnded()
}

// AppEnded reports whether nothing of the app, its workers and their Jobs runs any more, also nothing that is about to
// end.
func (o Observation) AppEnded() bool {
	if slices.ContainsFunc(o.Pods, stillRuns) || len(o.runs()) > 0 {
		return false
	}
	return !slices.ContainsFunc(rollouts(o), func(r rollout) bool {
		return r.deployment != nil && (r.unobserved() || r.wanted() > 0 || r.deployment.Status.Replicas > 0)
	})
}

// runs returns the Jobs of the app that go on. What owners start while their tenant sleeps doesn't wake it.
func (o Observation) runs() (names []string) {
	if was := o.Tenant.Status.Hibernation; was != nil && was.State == v1alpha1.HibernationAsleep {
		return nil
	}
	for i := range o.Jobs {
		job := &o.Jobs[i]
		_, finished := workload.FinishOf(job)
		if owner := metav1.GetControllerOf(job); !finished && owner != nil && o.isSchedule(owner.UID) {
			names = append(names, job.Name)
		}
	}
	if job := o.Release.Job; job != nil && o.Release.MayComplete() {
		names = append(names, job.Name)
	}
	return names
}

func (o Observation) isSchedule(uid types.UID) bool {
	for _, cronJob := range o.CronJobs {
		if cronJob != nil && cronJob.UID == uid {
			return true
		}
	}
	return false
}

// stillRuns reports whether a pod is a Deployment's and has not ended. A tenant can make pods with the labels of its
// app, and hold those that have ended by a finalizer, and must not stay awake by that.
func stillRuns(pod corev1.Pod) bool {
	owner := metav1.GetControllerOf(&pod)
	return owner != nil && owner.Kind == "ReplicaSet" && !workload.Ended(&pod)
}

// databaseAsleep returns the state of the database of a tenant that is to sleep.
func databaseAsleep(o Observation) condition.State {
	switch {
	case !o.Database.Suspended:
		return condition.Progressing("Database %s keeps its logins until the app has ended.", o.Database.Name)
	case o.Tenant.Spec.Database.Isolation == v1alpha1.DatabaseIsolationDedicated:
		return asleep("Database %s keeps its data; its logins are disabled, and its server is stopped.", o.Database.Name)
	default:
		return asleep("Database %s on server %s keeps its data; its logins are disabled.", o.Database.Name, o.Database.Server)
	}
}

func asleep(format string, args ...any) condition.State {
	return condition.State{Status: "True", Reason: v1alpha1.ReasonHibernated, Message: fmt.Sprintf(format, args...)}
}
