package v1alpha1

import corev1 "k8s.io/api/core/v1"

// TenantApp is an app that the operator runs for the tenant: a Deployment, a Service and, with more
// than one replica, a PodDisruptionBudget. All are named app.
// +kubebuilder:validation:XValidation:rule="!has(self.workers) || !has(self.schedules) || self.workers.all(w, self.schedules.all(s, s.name != w.name))",message="a worker and a schedule have the same name; give each a name of its own",fieldPath=".schedules"
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="the app has replicas and autoscaling, which both say how many pods it has; leave one of them out"
type TenantApp struct {
	// image is the container image. It must not run as root. It is required here or in the class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`

	// imagePullSecrets are the Secrets in the tenant's primary namespace with the credentials for pulling the image
	// from a private registry. Their type is kubernetes.io/dockerconfigjson. Left out, pods use the pull secrets of
	// the ServiceAccount app, which a cluster admin can set.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	ImagePullSecrets []PullSecret `json:"imagePullSecrets,omitempty"`

	// replicas is the number of pods. Left out, it is 1. If a HorizontalPodAutoscaler in the tenant's primary
	// namespace targets the Deployment app, it sets the number instead. It excludes autoscaling.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Replicas *int32 `json:"replicas,omitempty"`

	// autoscaling has a HorizontalPodAutoscaler set the number of pods. It excludes replicas: if the class has the one
	// and the Tenant the other, that of the Tenant holds.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// port is the TCP port that the app listens on. It is also in the environment variable PORT, and is
	// the port of the Service app. Left out, the app has no Service.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// expose makes the app reachable from outside of the cluster. It needs a port. Left out, only the tenant's own pods
	// reach the app.
	// +optional
	Expose *AppExposure `json:"expose,omitempty"`

	// command replaces the image's entrypoint.
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

	// env are environment variables. They override all others of the same name: PORT, those of the
	// database (DATABASE_URL, PGHOST and so on), and those of the tenant's config. An entry replaces the one of the
	// class with its name as a whole.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Env []corev1.EnvVar `json:"env,omitempty"`

	// envFrom are ConfigMaps and Secrets in the namespace whose keys become environment variables. They
	// override the tenant's config, and are overridden by env, PORT and those of the database.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	EnvFrom []corev1.EnvFromSource `json:"envFrom,omitempty"`

	// resources are the container's requests and limits. Left out, they are the tenant's defaults.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// livenessProbe restarts the container when it fails.
	// +optional
	LivenessProbe *corev1.Probe `json:"livenessProbe,omitempty"`

	// readinessProbe takes the pod out of the Service while it fails. Left out, an app with a port is ready while
	// that port accepts connections, which is tried every 5 seconds.
	// +optional
	ReadinessProbe *corev1.Probe `json:"readinessProbe,omitempty"`

	// startupProbe holds the other probes back until it succeeds. Left out, an app with a livenessProbe has 5
	// minutes to start, in which that probe must succeed once.
	// +optional
	StartupProbe *corev1.Probe `json:"startupProbe,omitempty"`

	// securityContext says which user and group the app runs as.
	// +optional
	SecurityContext AppSecurityContext `json:"securityContext,omitzero"`

	// workers are programs that run beside the app, such as consumers of a queue.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Workers []AppWorker `json:"workers,omitempty"`

	// schedules are programs that run at certain times.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Schedules []AppSchedule `json:"schedules,omitempty"`

	// migration changes the database before a new version of the app starts. Left out, new versions start at once.
	// +optional
	Migration *AppMigration `json:"migration,omitempty"`

	// reload says what becomes of running pods when config, secretRefs, features or customFields change. Restart
	// replaces the pods. Watch changes the files with these settings in the running pods, and gives config as files
	// in /etc/tenantry/config, too; environment variables keep their values until the pods are restarted. A new login
	// for the database always replaces the pods. Left out, it is Restart.
	// +optional
	Reload Reload `json:"reload,omitempty"`

	AppPods `json:",inline"`
}

// AppSecurityContext says which user and group an app runs as. An app never runs as root, whatever its image says.
type AppSecurityContext struct {
	// runAsUser is the ID of the user. Left out, the image decides, which must then name its user by ID, and not as
	// root.
	// +optional
	// +kubebuilder:validation:Minimum=1
	RunAsUser int64 `json:"runAsUser,omitempty"`

	// runAsGroup is the ID of the group. Left out, it is the user's group by the image's /etc/passwd, or group 0 if
	// that doesn't name the user.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RunAsGroup *int64 `json:"runAsGroup,omitempty"`
}

// PullSecret names a Secret with the credentials for pulling an image.
// +kubebuilder:validation:XValidation:rule="size(self.name) > 0",message="an entry of imagePullSecrets needs the name of a Secret; set name"
type PullSecret struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"` //nolint:kubeapilinter // An empty name is sent, and refused in a sentence.
}

// TenantAppStatus is the observed state of a tenant's app.
type TenantAppStatus struct {
	// url is the public address of the app. It is empty while the app isn't exposed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url,omitempty"`

	// internalURL is the address of the app for other pods of the tenant.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	InternalURL string `json:"internalURL,omitempty"`

	// image is the image of the app's Deployment.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`

	// replicas is the desired number of pods.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// readyReplicas is the number of ready pods.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ReadyReplicas *int32 `json:"readyReplicas,omitempty"`

	// workers are the app's workers.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Workers []AppWorkerStatus `json:"workers,omitempty"`

	// migration is the record of the migrations that have run. It is absent if none has.
	// +optional
	Migration *AppMigrationStatus `json:"migration,omitempty"`
}
