package problem

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// Workload is what runs pods for a tenant.
type Workload struct {
	// Name is what users call it, such as "the app".
	Name string
	// Field is the field of the Tenant that describes it, such as spec.app.
	Field string
	// Number is the field in it with the number of its pods, or the highest one; empty if there is none.
	Number string
}

// App is the tenant's app.
var App = Workload{Name: "the app", Field: "spec.app", Number: "replicas"}

// Worker returns a worker of the app.
func Worker(name string) Workload {
	return Workload{Name: "the worker " + name, Field: fmt.Sprintf("spec.app.workers[%s]", name), Number: "replicas"}
}

// Schedule returns a schedule of the app.
func Schedule(name string) Workload {
	return Workload{Name: "the schedule " + name, Field: fmt.Sprintf("spec.app.schedules[%s]", name)}
}

// Migration is the migration of the app.
var Migration = Workload{Name: "the migration", Field: "spec.app.migration"}

// Scaled returns the workload as one of which an autoscaler chooses the number of pods.
func (w Workload) Scaled() Workload {
	w.Number = "autoscaling.maxReplicas"
	return w
}

// Subject returns the name as the beginning of a sentence.
func (w Workload) Subject() string { return strings.ToUpper(w.Name[:1]) + w.Name[1:] }

// less returns what to lower so that it uses less.
func (w Workload) less() string {
	if w.Number != "" {
		return fmt.Sprintf("%[1]s.resources or %[1]s.%[2]s", w.Field, w.Number)
	}
	return w.Field + ".resources"
}

// objectOf matches what the API server calls the objects of workloads in its errors.
var objectOf = regexp.MustCompile(`^(Deployment\.apps|HorizontalPodAutoscaler\.autoscaling|CronJob\.batch|Job\.batch) "([^"]+)"`)

// workloadOf returns the workload that an error of the API server is about.
func workloadOf(message string) (Workload, bool) {
	found := objectOf.FindStringSubmatch(message)
	switch {
	case found == nil:
		return Workload{}, false
	case found[1] == "CronJob.batch":
		return Schedule(found[2]), true
	case found[1] == "Job.batch":
		return Migration, true
	case found[2] == naming.App:
		return App, true
	default:
		return Worker(found[2]), true
	}
}

// PodsRefused means that the API server refuses to create the workload's pods. message is its answer.
func (w Workload) PodsRefused(message string) Problem {
	switch by, details := refusedBy(message); by {
	case uncounted:
		return progressing("%s waits until the cluster has counted the new quota.", w.Subject())
	case quota:
		raise := "spec.quota"
		if details[0] != naming.Quota {
			raise = fmt.Sprintf("the ResourceQuota %s, which is not the operator's", details[0])
		}
		return temporary(v1alpha1.ReasonQuotaExceeded, OnChange,
			"%s's pods need more than the quota leaves: %s. Raise %s, or lower %s.", w.Subject(), details[1], raise, w.less())
	case podSecurity, policy, webhook:
		return temporary(v1alpha1.ReasonForbidden, OnChange,
			"The API server refuses %s's pods: %s. Change %s so that it complies, or %s.", w.Name, strings.TrimSuffix(message, "."), w.Field, orElse(by, details[0]))
	default:
		found := temporary(v1alpha1.ReasonForbidden, OnChange, "The API server refuses %s's pods: %s.", w.Name, strings.TrimSuffix(message, "."))
		if advice := w.inFields(message); advice != "" {
			found.Message += " " + advice
		}
		return found
	}
}

// RunFailed means that a run of a schedule has failed. job is the name of its Job, and why is what is known about that.
func (w Workload) RunFailed(namespace, job, why, since string) Problem {
	return stalled(v1alpha1.ReasonJobFailed, OnChange,
		"The last run of %s has failed at %s: %s. \"kubectl logs --namespace %s job/%s\" has its last words; correct %s. The next run that succeeds ends this, and so does deleting the Job.",
		w.Name, since, strings.TrimSuffix(why, "."), namespace, job, w.Field)
}

// MigrationFailed means that the migration of an image has failed. tooLong says that it took too long.
func MigrationFailed(namespace, job, image, why string, tooLong bool) Problem {
	remedy := "correct spec.app.migration or the image"
	if tooLong {
		remedy = "raise spec.app.migration.activeDeadlineSeconds, or correct the image"
	}
	return stalled(v1alpha1.ReasonMigrationFailed, OnChange,
		"The migration of %s has failed in Job %s: %s. The app stays as it was. \"kubectl logs --namespace %s job/%s\" has its last words; %s. To try it again as it is, delete the Job.",
		image, job, strings.TrimSuffix(why, "."), namespace, job, remedy)
}

// RollbackOverMigration means that the app is to return to an image although the migration of a newer one has run.
func RollbackOverMigration(tenant, image, newer string) Problem {
	return stalled(v1alpha1.ReasonRollbackOverMigration, OnChange,
		"The migration of %s has run since that of %s, and the older image may not know what it has changed in the database; the app stays as it is. "+
			"If the older image works with that, say so by \"kubectl annotate tenant %s --overwrite %s=%s\"; otherwise, write a newer image.",
		newer, image, tenant, v1alpha1.AnnotationRollback, image)
}
