package v1alpha1

// Reload says how the settings of a running app change.
// +kubebuilder:validation:Enum=Restart;Watch
// +kubebuilder:validation:MaxLength=7
type Reload string

// The ways in which settings change.
const (
	// ReloadRestart replaces the app's pods when any setting changes.
	ReloadRestart Reload = "Restart"
	// ReloadWatch changes the files with the settings in the running pods.
	ReloadWatch Reload = "Watch"
)

// SettingsSecret names a Secret with settings of the app.
// +kubebuilder:validation:XValidation:rule="self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="an entry of secretRefs needs the name of a Secret, such as stripe"
type SettingsSecret struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"` //nolint:kubeapilinter // An empty name is sent, and refused in a sentence.

	// namespace is the tenant's primary namespace. Left out, it is that, too.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}
