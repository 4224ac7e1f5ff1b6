package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// AppPods says what an app's pods have beside the app's own container. All of their containers run under the same
// restrictions as that. Workers, and runs of schedules and migrations, have the volumes, too, but no further containers.
type AppPods struct {
	// volumes are what volumeMounts can mount: storage that stays, and the content of ConfigMaps and Secrets of the
	// primary namespace. An entry replaces the one of the class with its name as a whole.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=12
	Volumes []AppVolume `json:"volumes,omitempty"`

	// volumeMounts say where the app's container has the volumes, and those of workers, schedules and the migration.
	// They have no storage that only one pod or node can mount.
	// +optional
	// +listType=map
	// +listMapKey=mountPath
	// +kubebuilder:validation:MaxItems=32
	VolumeMounts []AppVolumeMount `json:"volumeMounts,omitempty"`

	// initContainers run one after the other, to their end, before the app's container starts. An entry replaces the
	// one of the class with its name as a whole.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	InitContainers []AppContainer `json:"initContainers,omitempty"`

	// sidecars run beside the app's container. They start before the initContainers, and end after the app. An entry
	// replaces the one of the class with its name as a whole.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Sidecars []AppSidecar `json:"sidecars,omitempty"` //nolint:kubeapilinter // What is required is in AppContainer.

	// topologySpread are the node labels over whose values the pods are spread, such as topology.kubernetes.io/zone.
	// Left out, pods are spread over nodes and zones as far as there is room.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	// +kubebuilder:validation:MaxItems=8
	TopologySpread []AppTopologySpread `json:"topologySpread,omitempty"`

	// terminationGracePeriodSeconds is how long containers have to end after SIGTERM, in all. Left out, it is 30.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"` //nolint:kubeapilinter // As in a Pod.

	// rollout says how pods are replaced by others.
	// +optional
	Rollout AppRollout `json:"rollout,omitzero"`

	// podLabels are further labels of the pods of the app and its workers, for example for a service mesh. Those of the
	// operator, whose keys belong to tenantry.dev or app.kubernetes.io, can't be set.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([a-z0-9-]+[.])*(tenantry[.]dev|app[.]kubernetes[.]io)/'))",message="podLabels has a key of the operator, by which it finds the pods; choose one without tenantry.dev/ or app.kubernetes.io/"
	PodLabels map[string]string `json:"podLabels,omitempty"`

	// podAnnotations are further annotations of the pods of the app and its workers, for example for a scraper of
	// metrics. Those of the operator, whose keys belong to tenantry.dev, can't be set.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([a-z0-9-]+[.])*tenantry[.]dev/'))",message="podAnnotations has a key of the operator; choose one without tenantry.dev/"
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`

	// serviceAnnotations are annotations of the Service app.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([a-z0-9-]+[.])*tenantry[.]dev/'))",message="serviceAnnotations has a key of the operator; choose one without tenantry.dev/"
	ServiceAnnotations map[string]string `json:"serviceAnnotations,omitempty"`
}

// AppVolume is a volume of an app's pods.
// +structType=atomic
// +kubebuilder:validation:XValidation:rule="self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && !self.name.matches('^(database-ca|app-settings|app-config|secret-[0-9a-f]{10})$')",message="the name of a volume is at most 50 lower-case letters, digits and dashes, and database-ca, app-settings, app-config and those like secret-0123456789 are the operator's; write another one",fieldPath=".name"
// +kubebuilder:validation:XValidation:rule="[has(self.storage), has(self.emptyDir), has(self.configMap), has(self.secret)].filter(s, s).size() == 1",message="a volume is one of storage, emptyDir, configMap and secret; write exactly one of them"
type AppVolume struct {
	// name is what volumeMounts call it. It is also part of the name of the PersistentVolumeClaim of storage.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	Name string `json:"name,omitempty"`

	// storage is a PersistentVolumeClaim, named app- and the volume's name, that the operator creates. It can grow if
	// the StorageClass allows that, and can't shrink. It stays when the volume is left out later, and until the Tenant
	// is deleted.
	// +optional
	Storage *AppStorage `json:"storage,omitempty"`

	// emptyDir is an empty folder that ends with the pod.
	// +optional
	EmptyDir *AppEmptyDir `json:"emptyDir,omitempty"`

	// configMap has the keys of a ConfigMap of the primary namespace as files.
	// +optional
	ConfigMap *AppFiles `json:"configMap,omitempty"`

	// secret has the keys of a Secret of the primary namespace as files.
	// +optional
	Secret *AppFiles `json:"secret,omitempty"`
}

// AppStorage is storage that outlives pods.
type AppStorage struct {
	// size is how much there is room for, such as 10Gi.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) == string && quantity(self).isGreaterThan(quantity('0'))",message="storage must have a size; write for example 10Gi"
	// +kubebuilder:validation:XValidation:rule="quantity(self).compareTo(quantity(oldSelf)) >= 0",message="a volume can not shrink; write the size that it has, or more"
	Size resource.Quantity `json:"size,omitzero"`

	// storageClassName is the StorageClass. It is fixed once the volume is there. Left out, it is the default of
	// policy.storageClasses, or the cluster's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`

	// accessMode says who can mount it: the pods of one node (ReadWriteOnce), one pod (ReadWriteOncePod), or all pods
	// (ReadWriteMany), which few StorageClasses offer. It is fixed once the volume is there. Left out, it is
	// ReadWriteOnce. With that or ReadWriteOncePod an app can have one replica.
	// +optional
	// +kubebuilder:validation:Enum=ReadWriteOnce;ReadWriteOncePod;ReadWriteMany
	AccessMode corev1.PersistentVolumeAccessMode `json:"accessMode,omitempty"`
}

// AppEmptyDir is an empty folder.
type AppEmptyDir struct {
	// medium is Memory for a folder that is in memory. Left out, it is on the node's disk.
	// +optional
	// +kubebuilder:validation:Enum=Memory
	Medium corev1.StorageMedium `json:"medium,omitempty"`

	// sizeLimit is how much may be in it. Left out, the pod's limits apply.
	// +optional
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
}

// AppFiles names a ConfigMap or Secret whose keys are files.
type AppFiles struct {
	// name is the name of the ConfigMap or Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// items are the keys to have as files. Left out, each key is a file of its name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Items []AppFile `json:"items,omitempty"`

	// optional lets pods start without it. Left out, it is false.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// AppFile is a key that is a file.
type AppFile struct {
	// key is the key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`

	// path is the path of the file in the volume.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.matches('^/|(^|/)[.][.](/|$)')",message="the path of a file is relative to its volume, and does not lead out of it; write for example certs/ca.crt"
	Path string `json:"path,omitempty"`
}

// AppVolumeMount says where a container has a volume.
// +structType=atomic
// +kubebuilder:validation:XValidation:rule="self.mountPath.matches('^/[^:]*$') && !self.mountPath.matches('^/+(etc/+tenantry|var/+run/+secrets/+tenantry[.]dev)(/|$)')",message="mountPath is the path of a folder in the container, and not one in which the operator's volumes are; write one such as /data",fieldPath=".mountPath"
type AppVolumeMount struct {
	// name is the name of the volume.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	Name string `json:"name,omitempty"`

	// mountPath is the path in the container.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	MountPath string `json:"mountPath,omitempty"`

	// subPath is the folder or file of the volume that is mounted. Left out, it is the whole volume.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.matches('^/|(^|/)[.][.](/|$)')",message="subPath is relative to the volume, and does not lead out of it; write for example uploads"
	SubPath string `json:"subPath,omitempty"`

	// readOnly keeps the container from writing there. Left out, it is false.
	// +optional
	ReadOnly bool `json:"readOnly,omitempty"`
}

// AppContainer is a further container of an app's pods.
// +structType=atomic
// +kubebuilder:validation:XValidation:rule="self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.name != 'app'",message="the name of a container is at most 63 lower-case letters, digits and dashes, and app is the app's own; write another one",fieldPath=".name"
type AppContainer struct {
	// name is the name of the container.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// image is the container image. It must not run as root. Left out, it is that of the app.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`

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

	// env are environment variables, beside those that the app has: the tenant's config and its database's. They
	// override these.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Env []corev1.EnvVar `json:"env,omitempty"`

	// resources are the container's requests and limits. Left out, they are the tenant's defaults.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// volumeMounts say where the container has the volumes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	VolumeMounts []AppVolumeMount `json:"volumeMounts,omitempty"`

	// runAsUser is the ID of the user. Left out, it is that of the app, or the image decides.
	// +optional
	// +kubebuilder:validation:Minimum=1
	RunAsUser int64 `json:"runAsUser,omitempty"`
}

// AppSidecar is a container that runs beside the app's.
// +structType=atomic
type AppSidecar struct {
	AppContainer `json:",inline"`

	// startupProbe holds back the containers that start later until it succeeds.
	// +optional
	StartupProbe *corev1.Probe `json:"startupProbe,omitempty"`

	// readinessProbe takes the pod out of the Service while it fails.
	// +optional
	ReadinessProbe *corev1.Probe `json:"readinessProbe,omitempty"`

	// livenessProbe restarts the container when it fails.
	// +optional
	LivenessProbe *corev1.Probe `json:"livenessProbe,omitempty"`
}

// AppTopologySpread spreads pods over the values of a node label.
// +structType=atomic
type AppTopologySpread struct {
	// topologyKey is the node label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	TopologyKey string `json:"topologyKey,omitempty"`

	// maxSkew is by how many pods two values may differ. Left out, it is 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxSkew int32 `json:"maxSkew,omitempty"`

	// whenUnsatisfiable is ScheduleAnyway or DoNotSchedule: what happens to pods that would differ by more. Left out,
	// it is ScheduleAnyway.
	// +optional
	// +kubebuilder:validation:Enum=ScheduleAnyway;DoNotSchedule
	WhenUnsatisfiable corev1.UnsatisfiableConstraintAction `json:"whenUnsatisfiable,omitempty"`
}

// AppRolloutType is a way to replace pods.
// +kubebuilder:validation:Enum=RollingUpdate;Recreate
type AppRolloutType string

// The ways to replace pods.
const (
	// AppRollingUpdate starts new pods before it ends old ones.
	AppRollingUpdate AppRolloutType = "RollingUpdate"
	// AppRecreate ends all old pods before it starts new ones.
	AppRecreate AppRolloutType = "Recreate"
)

// AppRollout says how an app's pods are replaced by others.
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'Recreate' || !has(self.maxSurge) && !has(self.maxUnavailable)",message="Recreate ends all pods at once; leave maxSurge and maxUnavailable out"
type AppRollout struct {
	// type is RollingUpdate, which starts new pods before it ends old ones, or Recreate, which ends all of them first.
	// Left out, it is RollingUpdate, or Recreate for an app with storage that only one pod or node can mount.
	// +optional
	Type AppRolloutType `json:"type,omitempty"`

	// maxSurge is how many pods more than replicas there may be during a RollingUpdate, as a number or in percent. Left
	// out, it is 25%.
	// +optional
	// +kubebuilder:validation:XIntOrString
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`

	// maxUnavailable is how many pods less than replicas may be ready during a RollingUpdate, as a number or in percent.
	// Left out, it is 25%.
	// +optional
	// +kubebuilder:validation:XIntOrString
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}
