package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Reasons of the condition Ready of a TenantClass while a revision has not reached all tenants, and of Events on it.
const (
	// ReasonReleaseStarted means that a new revision goes out to the tenants.
	ReasonReleaseStarted = "ReleaseStarted"
	// ReasonReleaseStopped means that more tenants have failed than the class tolerates, and that no others are told.
	ReasonReleaseStopped = "ReleaseStopped"
	// ReasonReleaseResumed means that so few tenants are failing that others are told again.
	ReasonReleaseResumed = "ReleaseResumed"
	// ReasonReleaseCompleted means that a revision has reached all tenants that take part.
	ReasonReleaseCompleted = "ReleaseCompleted"
	// ReasonPaused means that spec.rollout.paused is set.
	ReasonPaused = "Paused"
	// ReasonWindowClosed means that none of spec.rollout.windows is open.
	ReasonWindowClosed = "WindowClosed"
)

// MaxInFlight is how many tenants of a class are on their way to a revision at a time, however many its rollout allows,
// since each has an entry in the status of the class.
const MaxInFlight = 500

// TenantClassRollout says how a change of a class reaches its tenants.
type TenantClassRollout struct {
	// paused says that no tenant is told to change. Those that were told before go on.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// canarySelector selects the tenants that change first. The others wait until all of these have been Ready for
	// minReadySeconds, and none of them may fail. Left out, no tenant is a canary.
	// +optional
	CanarySelector *metav1.LabelSelector `json:"canarySelector,omitempty"`

	// maxUnavailable is how many tenants may be on their way at a time, as a number or as a percentage of all that
	// take part, rounded down; it is one at least, and 500 at most. A tenant is on its way from the moment in which it
	// is told to change until it has been Ready for minReadySeconds. Left out, it is 1.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="write a number of tenants from 1, or a percentage from 1% to 100%; to stop a release, set paused"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// maxFailures is how many tenants may fail before the release stops; none of the canaries may. A tenant fails if it
	// is not Ready within progressDeadlineSeconds, or as soon as it is Stalled. Left out, it is 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxFailures *int32 `json:"maxFailures,omitempty"`

	// minReadySeconds is how long a tenant must be Ready before it counts as updated and the next one is told to
	// change. Left out, it is 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=604800
	MinReadySeconds *int32 `json:"minReadySeconds,omitempty"`

	// progressDeadlineSeconds is how long a tenant may take to become Ready. Left out, it is 600.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"` //nolint:kubeapilinter // As in a Deployment.

	// windows are when tenants may be told to change. Those that were told before go on when a window closes. Left
	// out, it is always.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Windows []TenantClassWindow `json:"windows,omitempty"`
}

// TenantClassWindow is a time that comes again and again.
type TenantClassWindow struct {
	// schedule is when the window opens, as in a CronJob: minute, hour, day of the month, month and day of the week,
	// for example 0 22 * * 1-4.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.contains('TZ')",message="write the time zone in timeZone"
	Schedule string `json:"schedule,omitempty"`

	// duration is how long it stays open, for example 4h.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('1s') && duration(self) <= duration('744h')",message="write a duration such as 4h or 90m, of 744h at most"
	Duration string `json:"duration,omitempty"`

	// timeZone is the name of the time zone of the schedule, for example Europe/Berlin. Left out, it is UTC.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TimeZone string `json:"timeZone,omitempty"`
}

// TenantClassAssignment is a tenant that was told to change. The operator writes it before it changes anything of the
// tenant.
type TenantClassAssignment struct {
	// name is the name of the Tenant.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// revision is the TenantClassRevision that the tenant changes to.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Revision string `json:"revision,omitempty"`

	// assignedAt is when it was told so.
	// +required
	AssignedAt metav1.Time `json:"assignedAt,omitzero"`

	// exempt says that the tenant was not Ready beforehand. It doesn't count against maxUnavailable and maxFailures.
	// +optional
	Exempt bool `json:"exempt,omitempty"`
}

// TenantClassRelease is how far a class has reached its tenants. It is a part of the class's status.
type TenantClassRelease struct {
	// stableRevision is the newest TenantClassRevision that all tenants have reached but those that don't take part.
	// New tenants get it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	StableRevision string `json:"stableRevision,omitempty"`

	// inFlight are the tenants that were told to change and have not been Ready for long enough since.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=1000
	InFlight []TenantClassAssignment `json:"inFlight,omitempty"`

	// updated is how many tenants are at the current revision, or have nothing to change for it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Updated *int32 `json:"updated,omitempty"`

	// failed is how many of those in flight have failed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed *int32 `json:"failed,omitempty"`

	// failing are the first 20 of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Failing []string `json:"failing,omitempty"` //nolint:kubeapilinter // They are names of Tenants.
}
