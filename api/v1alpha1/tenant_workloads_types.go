package v1alpha1

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkloadName is the name of a worker or schedule of an app.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=52
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="the name of a worker or schedule is also that of its Deployment or CronJob and container; write at most 52 lower-case letters, digits and dashes, with a letter or digit at both ends"
// +kubebuilder:validation:XValidation:rule="!(self in ['app', 'migration'])",message="app and migration are the names of the app itself and of its migration; choose another name for the worker or schedule"
type WorkloadName string

// AppWorker is a program that runs beside the app, for example a consumer of a queue: a Deployment with the app's
// image, settings, login and user.
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="the worker has replicas and autoscaling, which both say how many pods it has; leave one of them out"
type AppWorker struct {
	// name is the name of the worker, and of its Deployment. No other worker or schedule has it.
	// +required
	Name WorkloadName `json:"name,omitempty"`

	// replicas is the number of pods. Left out, it is 1. If a HorizontalPodAutoscaler in the tenant's primary
	// namespace targets the worker's Deployment, it sets the number instead. It excludes autoscaling.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Replicas *int32 `json:"replicas,omitempty"`

	// autoscaling has a HorizontalPodAutoscaler with the worker's name set the number of pods. It excludes replicas: if
	// the class has the one and the Tenant the other, that of the Tenant holds.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// command replaces the image's entrypoint. A worker needs command or args, here or in the class.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=65536
	Command []string `json:"command,omitempty"`

	// args replaces the image's arguments.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=65536
	Args []string `json:"args,omitempty"`

	// resources are the container's requests and limits. Left out, they are the tenant's defaults.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// livenessProbe restarts the container when it fails.
	// +optional
	LivenessProbe *corev1.Probe `json:"livenessProbe,omitempty"`

	// readinessProbe says when a pod counts as available. Left out, that is when its container runs.
	// +optional
	ReadinessProbe *corev1.Probe `json:"readinessProbe,omitempty"`

	// startupProbe holds the other probes back until it succeeds. Left out, a worker with a livenessProbe has 5
	// minutes to start, in which that probe must succeed once.
	// +optional
	StartupProbe *corev1.Probe `json:"startupProbe,omitempty"`
}

// AppSchedule is a program that runs at certain times: a CronJob with the app's image, settings, login and user. It
// keeps the last run that succeeded and the last one that failed.
type AppSchedule struct {
	// name is the name of the schedule, and of its CronJob. No other worker or schedule has it.
	// +required
	Name WorkloadName `json:"name,omitempty"`

	// schedule says when it runs, as in a CronJob: minute, hour, day of the month, month and day of the week, such as
	// "0 3 * * *", or @hourly, @daily, @weekly, @monthly or @yearly. It is required here or in the class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.startsWith('@') ? self.matches('^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$') : self.split(' ').size() == 5",message="schedule must be five fields with one space between them, for minute, hour, day of the month, month and day of the week, such as '0 3 * * *', or one of @hourly, @daily, @weekly, @monthly and @yearly; the time zone is in timeZone"
	// +kubebuilder:validation:XValidation:rule="self.startsWith('@') || self.split(' ').size() != 5 || self.lowerAscii().split(' ')[0].matches('^([?*]|([0-5]?[0-9])(-([0-5]?[0-9]))?)(/0*[1-9][0-9]*)?(,([?*]|([0-5]?[0-9])(-([0-5]?[0-9]))?)(/0*[1-9][0-9]*)?)*$')",message="schedule has a wrong minute; write 0 to 59, ranges such as 1-5, steps such as */10, or lists of them with commas, without spaces"
	// +kubebuilder:validation:XValidation:rule="self.startsWith('@') || self.split(' ').size() != 5 || self.lowerAscii().split(' ')[1].matches('^([?*]|([01]?[0-9]|2[0-3])(-([01]?[0-9]|2[0-3]))?)(/0*[1-9][0-9]*)?(,([?*]|([01]?[0-9]|2[0-3])(-([01]?[0-9]|2[0-3]))?)(/0*[1-9][0-9]*)?)*$')",message="schedule has a wrong hour; write 0 to 23, ranges such as 1-5, steps such as */10, or lists of them with commas, without spaces"
	// +kubebuilder:validation:XValidation:rule="self.startsWith('@') || self.split(' ').size() != 5 || self.lowerAscii().split(' ')[2].matches('^([?*]|(0?[1-9]|[12][0-9]|3[01])(-(0?[1-9]|[12][0-9]|3[01]))?)(/0*[1-9][0-9]*)?(,([?*]|(0?[1-9]|[12][0-9]|3[01])(-(0?[1-9]|[12][0-9]|3[01]))?)(/0*[1-9][0-9]*)?)*$')",message="schedule has a wrong day of the month; write 1 to 31, ranges such as 1-5, steps such as */10, or lists of them with commas, without spaces"
	// +kubebuilder:validation:XValidation:rule="self.startsWith('@') || self.split(' ').size() != 5 || self.lowerAscii().split(' ')[3].matches('^([?*]|(0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(-(0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))?)(/0*[1-9][0-9]*)?(,([?*]|(0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(-(0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))?)(/0*[1-9][0-9]*)?)*$')",message="schedule has a wrong month; write 1 to 12 or jan to dec, ranges such as 1-5, steps such as */10, or lists of them with commas, without spaces"
	// +kubebuilder:validation:XValidation:rule="self.startsWith('@') || self.split(' ').size() != 5 || self.lowerAscii().split(' ')[4].matches('^([?*]|([0-6]|sun|mon|tue|wed|thu|fri|sat)(-([0-6]|sun|mon|tue|wed|thu|fri|sat))?)(/0*[1-9][0-9]*)?(,([?*]|([0-6]|sun|mon|tue|wed|thu|fri|sat)(-([0-6]|sun|mon|tue|wed|thu|fri|sat))?)(/0*[1-9][0-9]*)?)*$')",message="schedule has a wrong day of the week; write 0 to 6 or sun to sat, ranges such as 1-5, steps such as */10, or lists of them with commas, without spaces"
	Schedule string `json:"schedule,omitempty"`

	// timeZone is the time zone of schedule, such as Europe/Berlin. Left out, it is UTC.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][-A-Za-z0-9_+/]*$') && self.lowerAscii() != 'local' && timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0",message="timeZone must be the name of a time zone, such as Europe/Berlin or UTC"
	TimeZone string `json:"timeZone,omitempty"`

	// command replaces the image's entrypoint. A schedule needs command or args, here or in the class.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=65536
	Command []string `json:"command,omitempty"`

	// args replaces the image's arguments.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=65536
	Args []string `json:"args,omitempty"`

	// concurrencyPolicy says what happens if a run is due while the last one goes on: Allow runs both, Forbid skips the
	// new one, and Replace ends the old one. Left out, it is Forbid.
	// +optional
	// +kubebuilder:validation:Enum=Allow;Forbid;Replace
	ConcurrencyPolicy batchv1.ConcurrencyPolicy `json:"concurrencyPolicy,omitempty"`

	// startingDeadlineSeconds is how late a run may begin, for example since the cluster was down. After that it is
	// skipped. Left out, it is 300.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=604800
	StartingDeadlineSeconds *int64 `json:"startingDeadlineSeconds,omitempty"` //nolint:kubeapilinter // As in a Job.

	// activeDeadlineSeconds is how long a run may take, with all that is tried again. Then it is ended, and has failed.
	// Left out, it may take forever.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"` //nolint:kubeapilinter // As in a Job.

	// backoffLimit is how often a run is tried again after its program has failed. Left out, it is 2.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// resources are the container's requests and limits. Left out, they are the tenant's defaults.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`
}

// AppWorkerStatus is the observed state of a worker.
type AppWorkerStatus struct {
	// name is the name of the worker.
	// +required
	Name WorkloadName `json:"name,omitempty"`

	// replicas is the desired number of pods.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// readyReplicas is the number of ready pods.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ReadyReplicas *int32 `json:"readyReplicas,omitempty"`
}

// AnnotationRollback on a Tenant lets its app return to an older image although the migration of a newer one has run.
// Its value is that image. The database stays as the newer migration has left it.
const AnnotationRollback = "tenantry.dev/rollback"

// AppMigration is a program that changes the tenant's database for a new version of the app: a Job with the app's
// image, settings, login and user. It runs once for each image, command and database, before any pod of the new version
// starts; until it has succeeded, the old version stays.
type AppMigration struct {
	// command replaces the image's entrypoint. A migration needs command or args, here or in the class.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=65536
	Command []string `json:"command,omitempty"`

	// args replaces the image's arguments.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=65536
	Args []string `json:"args,omitempty"`

	// activeDeadlineSeconds is how long the migration may take, with all that is tried again. Then it is ended, and has
	// failed. Left out, it is 1800.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"` //nolint:kubeapilinter // As in a Job.

	// backoffLimit is how often the migration is tried again after its program has failed. Pods that were evicted, or
	// lost with their node, don't count. Left out, it is 2.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// resources are the container's requests and limits. Left out, they are those of the app.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`
}

// AppMigrationStatus is the record of the migrations that have run.
type AppMigrationStatus struct {
	// image is the image whose migration has run last.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`

	// revision identifies that migration: its image, command and database.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Revision string `json:"revision,omitempty"`

	// completedAt is when it was complete.
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`

	// earlier are the revisions of the migrations that have run before it, the newest first, at most 10.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Earlier []string `json:"earlier,omitempty"`
}
