package parts

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/workload"
)

// migration returns the objects of the migration that the app waits for: its Job, if that is to be created, and the
// ConfigMap with the config that it runs with. The app's own ConfigMap has that of the former release until then.
func migration(in Inputs) []desired.Object {
	next := in.Release.Next
	if next == nil || in.Release.Rollback || !connected(in) {
		return nil
	}
	name := in.Release.name
	config := &corev1.ConfigMap{ObjectMeta: meta(next, name), Data: next.Spec.Config}
	if !in.Release.Create {
		if in.Release.Job == nil {
			return nil
		}
		return []desired.Object{config}
	}
	return []desired.Object{config, migrationJob(in, name)}
}

func migrationJob(in Inputs, name string) *batchv1.Job {
	in.Tenant = in.Release.Next
	spec := jobSpec(in, migrating(in.Tenant))
	spec.BackoffLimit = in.Tenant.Spec.App.Migration.BackoffLimit
	spec.ActiveDeadlineSeconds = in.Tenant.Spec.App.Migration.ActiveDeadlineSeconds
	container := &spec.Template.Spec.Containers[0]
	for i, source := range container.EnvFrom {
		if source.ConfigMapRef != nil && source.ConfigMapRef.Name == naming.AppConfig {
			container.EnvFrom[i].ConfigMapRef = &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
		}
	}
	for _, volume := range spec.Template.Spec.Volumes {
		if volume.ConfigMap != nil && volume.ConfigMap.Name == naming.AppConfig {
			volume.ConfigMap.Name = name
		}
	}
	job := &batchv1.Job{ObjectMeta: meta(in.Tenant, name), Spec: spec}
	maps.Copy(job.Labels, migrating(in.Tenant).labels)
	job.Annotations = map[string]string{
		naming.AnnotationMigration: in.Release.wanted, naming.AnnotationImage: in.Tenant.Spec.App.Image,
	}
	return job
}

// migrating is the program that changes the database for a new version.
func migrating(tenant *effective.Tenant) program {
	spec := tenant.Spec.App.Migration
	return program{
		name:      naming.Migration,
		labels:    naming.ComponentLabels(tenant.Name, naming.ComponentMigration, naming.Migration),
		command:   spec.Command,
		args:      spec.Args,
		resources: spec.Resources,
	}
}

// releaseRecord returns the ConfigMap with what is released, to which the app of a tenant with a migration stays while
// the next release waits.
func releaseRecord(in Inputs) desired.Object {
	app := in.Tenant.Spec.App
	if app.Migration == nil || in.Release.revision == "" || !connected(in) {
		return nil
	}
	text, err := json.Marshal(former{in.Release.revision, app, in.Tenant.Spec.Config})
	if err != nil {
		panic(err) // It consists of what has just been read as JSON.
	}
	return &corev1.ConfigMap{ObjectMeta: meta(in.Tenant, naming.AppRelease), Data: map[string]string{formerKey: string(text)}}
}

// waitingFor returns the state of an app that waits for its migration, and what is wrong with that.
func waitingFor(o Observation) (state condition.State, troubles []problem.Problem) {
	release := o.Release
	next := release.Next.Spec.App
	now := untilThen(o)
	switch {
	case release.Rollback:
		return state, []problem.Problem{problem.RollbackOverMigration(o.Tenant.Name, next.Image, release.Record.Image)}
	case release.Create:
		return condition.Progressing("The migration of %s begins.%s", next.Image, now), nil
	case release.Job == nil && release.Before != "":
		return condition.Progressing("The migration of %s waits until %s has ended.%s", next.Image, release.Before, now), nil
	case release.Job == nil:
		return condition.Progressing("The migration of %s waits for the database.%s", next.Image, now), nil
	}
	job := release.Job
	if finish, finished := workload.FinishOf(job); finished && finish.Failed {
		found := problem.MigrationFailed(job.Namespace, job.Name, next.Image, workload.WhyFailed(job, o.Pods), finish.Reason == batchv1.JobReasonDeadlineExceeded)
		return state, []problem.Problem{found}
	}
	again := ""
	if why := workload.WhyFailed(job, o.Pods); job.Status.Failed > 0 && why != "" {
		again = fmt.Sprintf(" It has failed %s, and is tried again: %s.", times(job.Status.Failed), why)
	}
	return condition.Progressing("The migration of %s runs as Job %s since %s.%s%s",
		next.Image, job.Name, job.CreationTimestamp.UTC().Format(time.RFC3339), again, now), jobTroubles(o, problem.Migration, job)
}

// untilThen says what serves while a migration is awaited.
func untilThen(o Observation) string {
	switch {
	case o.Deployment != nil && IsHeld(o.Deployment):
		return " Until then, the app has no pods, since the tenant wakes."
	case !o.Release.Unknown:
		return fmt.Sprintf(" Until then, the app stays at %s.", o.Tenant.Spec.App.Image)
	default:
		return ""
	}
}

func times(n int32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
