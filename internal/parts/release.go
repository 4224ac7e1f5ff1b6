package parts

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/workload"
)

// Migrating is all that the release of an app with a migration depends on.
type Migrating struct {
	// Tenant is the tenant with the app that its spec asks for.
	Tenant *effective.Tenant
	// Database is the name of its database; empty if it has none.
	Database string
	// Former is the ConfigMap with what was released last; nil if there is none.
	Former *corev1.ConfigMap
	// Jobs are the live Jobs of its migrations, and Pods their live pods.
	Jobs []batchv1.Job
	Pods []corev1.Pod
}

// Release is what becomes of an app with a migration. The zero value is that of an app without one.
type Release struct {
	// Next is the tenant with the app that waits for its migration; nil if none waits. Until then, the tenant stays at
	// what was released last.
	Next *effective.Tenant
	// Unknown says that it isn't known what was released last, since nothing was, or by an app without a migration. What
	// there is of the app then stays as it is.
	Unknown bool
	// Rollback says that Next waits since a migration has run that is newer than its own.
	Rollback bool
	// Record is the record of the migrations that have run; nil if none has.
	Record *v1alpha1.AppMigrationStatus
	// Job is the live Job of Next's migration; nil if there is none.
	Job *batchv1.Job
	// Before is what must end before the migration can begin, such as the Job of an earlier one; empty for nothing.
	Before string
	// Create says that the Job is to be created.
	Create bool
	// Keep are the names of the Jobs that stay, and of their ConfigMaps.
	Keep []string

	// revision is that of the migration of the tenant's app, and wanted that of the app that its spec asks for.
	revision, wanted string
	// name is that of the Job of Next's migration.
	name string
}

// Held reports whether an app waits for its migration.
func (r Release) Held() bool { return r.Next != nil }

// MayComplete reports whether an app waits for a migration that goes on, or begins by itself.
func (r Release) MayComplete() bool {
	if !r.Held() || r.Rollback || r.Job == nil {
		return r.Held() && !r.Rollback
	}
	_, finished := workload.FinishOf(r.Job)
	return !finished
}

// former is the content of the ConfigMap with what was released last.
type former struct {
	Revision string              `json:"revision"`
	App      *v1alpha1.TenantApp `json:"app"`
	Config   map[string]string   `json:"config,omitempty"`
}

const formerKey = "release.json"

// ReleaseOf decides whether an app must wait for its migration, and returns the tenant with the app that it may have
// now. A migration that has begun is never ended, and no other one begins before it has.
func ReleaseOf(m Migrating) (*effective.Tenant, Release) {
	tenant, release := decide(m)
	for i := range m.Jobs {
		if isNew(&m.Jobs[i], m.Tenant.Status.App) {
			release.Keep = append(release.Keep, m.Jobs[i].Name)
		}
	}
	return tenant, release
}

// isNew reports whether a Job has completed a migration that the status doesn't have yet.
func isNew(job *batchv1.Job, status *v1alpha1.TenantAppStatus) bool {
	revision := job.Annotations[naming.AnnotationMigration]
	return workload.Completed(job) && (status == nil || status.Migration == nil ||
		status.Migration.Revision != revision && !slices.Contains(status.Migration.Earlier, revision))
}

func decide(m Migrating) (*effective.Tenant, Release) {
	app := m.Tenant.Spec.App
	release := Release{Record: recordOf(m), Keep: begun(m)}
	if app.Migration == nil {
		return m.Tenant, release
	}
	release.wanted = revisionOf(app, m.Database)
	last := readFormer(m.Former)
	if release.may(m, last) {
		release.revision = release.wanted
		release.Keep = append(release.Keep, completed(m, release.wanted)...)
		return m.Tenant, release
	}
	release.Next = m.Tenant
	if release.isEarlier() {
		release.Rollback = true
	} else {
		release.attempt(m)
	}
	if last == nil {
		release.Unknown = true
		return m.Tenant, release
	}
	release.revision = last.Revision
	last.App.Expose = app.Expose // Its hostnames are the tenant's, or no longer, whatever the app's version is.
	return m.Tenant.At(last.App, last.Config), release
}

// may reports whether the app needs no migration to run: its own has run last, or it runs already, or somebody has said
// that it works without.
func (r *Release) may(m Migrating, last *former) bool {
	return r.Record != nil && r.Record.Revision == r.wanted || last != nil && last.Revision == r.wanted ||
		r.isEarlier() && m.Tenant.Annotations[v1alpha1.AnnotationRollback] == m.Tenant.Spec.App.Image
}

// isEarlier reports whether a newer migration has run since that of the app.
func (r *Release) isEarlier() bool {
	return r.Record != nil && slices.Contains(r.Record.Earlier, r.wanted)
}

// attempt decides about the Job of the migration.
func (r *Release) attempt(m Migrating) {
	name := naming.MigrationJob(attemptOf(m.Tenant, r.wanted))
	r.name = name
	r.Keep = slices.DeleteFunc(r.Keep, func(other string) bool { return other == name })
	if len(r.Keep) > 0 {
		r.Before = fmt.Sprintf("Job %s of an earlier migration", r.Keep[0])
	}
	r.Keep = append(r.Keep, name)
	for i := range m.Jobs {
		switch job := &m.Jobs[i]; {
		case job.Name != name:
		case job.DeletionTimestamp.IsZero():
			r.Job = job
		default:
			r.Before = cmp.Or(r.Before, fmt.Sprintf("Job %s, which is being deleted,", name))
		}
	}
	for i := range m.Pods {
		pod := &m.Pods[i]
		if of := pod.Labels[batchv1.JobNameLabel]; !workload.Ended(pod) && (r.Job == nil || of != name) {
			r.Before = cmp.Or(r.Before, fmt.Sprintf("pod %s of an earlier migration", pod.Name))
		}
	}
	r.Create = r.Job == nil && r.Before == ""
}

// begun returns the names of the Jobs that have begun and go on.
func begun(m Migrating) (names []string) {
	for i := range m.Jobs {
		job := &m.Jobs[i]
		if _, finished := workload.FinishOf(job); !finished && hasBegun(job, m.Pods) {
			names = append(names, job.Name)
		}
	}
	return names
}

func hasBegun(job *batchv1.Job, pods []corev1.Pod) bool {
	return slices.ContainsFunc(workload.PodsOf(job, pods), func(pod corev1.Pod) bool { return workload.Begun(&pod) })
}

// completed returns the names of the Jobs that have completed a migration.
func completed(m Migrating, revision string) (names []string) {
	for i := range m.Jobs {
		job := &m.Jobs[i]
		if workload.Completed(job) && job.Annotations[naming.AnnotationMigration] == revision {
			names = append(names, job.Name)
		}
	}
	return names
}

// maxEarlier is how many earlier migrations a record has.
const maxEarlier = 10

// recordOf returns the record in the status, with the migrations that have completed since. A Job may be complete
// without being in the record, if the operator ended in between.
func recordOf(m Migrating) *v1alpha1.AppMigrationStatus {
	var record *v1alpha1.AppMigrationStatus
	if status := m.Tenant.Status.App; status != nil && status.Migration != nil {
		record = status.Migration.DeepCopy()
	}
	jobs := slices.Clone(m.Jobs)
	slices.SortFunc(jobs, func(a, b batchv1.Job) int {
		first, _ := workload.FinishOf(&a)
		second, _ := workload.FinishOf(&b)
		return cmp.Or(first.At.Compare(second.At), cmp.Compare(a.Name, b.Name))
	})
	for i := range jobs {
		finish, _ := workload.FinishOf(&jobs[i])
		if revision := jobs[i].Annotations[naming.AnnotationMigration]; workload.Completed(&jobs[i]) && revision != "" {
			record = ran(record, revision, jobs[i].Annotations[naming.AnnotationImage], finish.At)
		}
	}
	return record
}

// ran returns a record with one more migration.
func ran(record *v1alpha1.AppMigrationStatus, revision, image string, at time.Time) *v1alpha1.AppMigrationStatus {
	next := &v1alpha1.AppMigrationStatus{Image: image, Revision: revision, CompletedAt: new(metav1.NewTime(at))}
	if record == nil {
		return next
	}
	if record.Revision == revision || record.CompletedAt != nil && !at.After(record.CompletedAt.Time) {
		return record
	}
	next.Earlier = slices.DeleteFunc(append([]string{record.Revision}, record.Earlier...), func(earlier string) bool { return earlier == revision })
	next.Earlier = next.Earlier[:min(len(next.Earlier), maxEarlier)]
	return next
}

// revisionOf identifies a migration: by its image, its command, and the database that it changes.
func revisionOf(app *v1alpha1.TenantApp, database string) string {
	return digest(app.Image, app.Migration.Command, app.Migration.Args, database)
}

// attemptOf identifies an attempt at a migration. What can mend one that has failed makes another attempt: its program,
// settings and limits. The login doesn't.
func attemptOf(tenant *effective.Tenant, revision string) string {
	app := *tenant.Spec.App
	app.Workers, app.Schedules, app.Replicas, app.Command, app.Args = nil, nil, nil, nil, nil
	app.Expose, app.Autoscaling, app.InitContainers, app.Sidecars, app.TopologySpread, app.Rollout = nil, nil, nil, nil, nil, v1alpha1.AppRollout{}
	app.PodLabels, app.PodAnnotations, app.ServiceAnnotations = nil, nil, nil
	app.LivenessProbe, app.ReadinessProbe, app.StartupProbe, app.Reload = nil, nil, nil, ""
	return digest(revision, app, tenant.Spec.Config, tenant.Spec.Quota, tenant.Spec.Containers)
}

// digest returns a short name for content.
func digest(content ...any) string {
	text, err := json.Marshal(content)
	if err != nil {
		panic(err) // It consists of what has just been read as JSON.
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:10]
}

// readFormer returns what was released last; nil if that isn't known.
func readFormer(object *corev1.ConfigMap) *former {
	if object == nil {
		return nil
	}
	read := &former{}
	if err := json.Unmarshal([]byte(object.Data[formerKey]), read); err != nil || read.App == nil {
		return nil
	}
	return read
}

// StayAsItIs returns the release of an app that lacks something: nothing begins, and nothing is removed.
func StayAsItIs(m Migrating) Release {
	release := Release{Record: recordOf(m)}
	for _, job := range m.Jobs {
		release.Keep = append(release.Keep, job.Name)
	}
	return release
}
