package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HibernationSchedule says when a tenant falls asleep and when it wakes.
type HibernationSchedule struct {
	// sleep is when the tenant falls asleep, as a schedule of cron (https://en.wikipedia.org/wiki/Cron), for example
	// "0 20 * * 1-5".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Sleep string `json:"sleep,omitempty"`

	// wake is when the tenant wakes, for example "0 7 * * 1-5".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Wake string `json:"wake,omitempty"`

	// timeZone is the time zone of both, for example Europe/Berlin
	// (https://en.wikipedia.org/wiki/List_of_tz_database_time_zones). Left out, it is UTC.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TimeZone string `json:"timeZone,omitempty"`
}

// TenantHibernation says when a tenant sleeps: its app and workers have no pods, its schedules don't run, its logins to
// the database are disabled, and a database server of its own is stopped. Its data stays.
type TenantHibernation struct {
	// suspended puts the tenant to sleep until it is set to false. Left out, it is false.
	// +optional
	Suspended *bool `json:"suspended,omitempty"`

	// wakeUntil keeps the tenant awake until this time, whatever suspended and schedules say.
	// +optional
	WakeUntil *metav1.Time `json:"wakeUntil,omitempty"`

	// schedules say when the tenant falls asleep and wakes by itself. It sleeps while any of them says so.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Schedules []HibernationSchedule `json:"schedules,omitempty"`
}

// HibernationState says whether a tenant sleeps.
// +kubebuilder:validation:Enum=Awake;FallingAsleep;Asleep;Waking
// +kubebuilder:validation:MaxLength=13
type HibernationState string

// The states of hibernation.
const (
	// HibernationAwake means that the tenant has all that its spec asks for.
	HibernationAwake HibernationState = "Awake"
	// HibernationFallingAsleep means that something of it still runs.
	HibernationFallingAsleep HibernationState = "FallingAsleep"
	// HibernationAsleep means that nothing of it runs.
	HibernationAsleep HibernationState = "Asleep"
	// HibernationWaking means that it sleeps no more, and is not Ready yet.
	HibernationWaking HibernationState = "Waking"
)

// TenantHibernationStatus is the observed state of a tenant's hibernation.
type TenantHibernationStatus struct {
	// state is Awake, FallingAsleep, Asleep or Waking.
	// +required
	State HibernationState `json:"state,omitempty"`

	// nextSleep is when the tenant falls asleep by itself. It is absent while it is to sleep.
	// +optional
	NextSleep *metav1.Time `json:"nextSleep,omitempty"`

	// nextWake is when the tenant wakes by itself. It is absent while it is to be awake.
	// +optional
	NextWake *metav1.Time `json:"nextWake,omitempty"`
}
