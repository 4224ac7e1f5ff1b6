package parts

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

const caVolume = "database-ca"

// program is what the pods of one workload run. Everything else is the same in all of a tenant's workloads: the image,
// the settings, the login, the user, the volumes.
type program struct {
	// name is the name of the container.
	name string
	// labels select the pods. No two workloads of a tenant have the same.
	labels map[string]string
	// command and args replace those of the image.
	command, args []string
	// port is the TCP port that it listens on; 0 for none.
	port      int32
	resources corev1.ResourceRequirements
	// liveness, readiness and startup are the probes; nil for none.
	liveness, readiness, startup *corev1.Probe
	// goesOn says that the program doesn't end by itself. What podLabels and podAnnotations ask for, such as the sidecar
	// of a mesh, could keep the pods of others from ending.
	goesOn bool
	// isApp says that the pods are those that answer requests. Only they have further containers, and the storage that
	// the pods of one node, or one pod, can mount.
	isApp bool
	// spread says that the pods are spread over nodes and zones.
	spread bool
}

// podTemplate returns the template of the pods that run a program.
func podTemplate(in Inputs, of program) corev1.PodTemplateSpec {
	labels, annotations := map[string]string{}, map[string]string{}
	if of.goesOn {
		maps.Copy(labels, in.Tenant.Spec.App.PodLabels)
		maps.Copy(annotations, in.Tenant.Spec.App.PodAnnotations)
	}
	maps.Copy(labels, naming.ManagedLabels(in.Tenant.Name))
	maps.Copy(labels, of.labels)
	annotations[naming.AnnotationSettings] = settingsRevision(in, of)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
		Spec:       podSpec(in, of),
	}
}

// podSpec meets the Pod Security Standard Restricted
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted).
func podSpec(in Inputs, of program) corev1.PodSpec {
	return corev1.PodSpec{
		ServiceAccountName:           naming.App,
		ImagePullSecrets:             pullSecrets(in.Tenant.Spec.App),
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		SecurityContext:              podSecurityContext(in, of),
		InitContainers:               further(in, of),
		Containers:                   []corev1.Container{container(in, of)},
		Volumes:                      volumes(in, of),
		TopologySpreadConstraints:    topologySpread(in, of),

		TerminationGracePeriodSeconds: in.Tenant.Spec.App.TerminationGracePeriodSeconds,
	}
}

// further returns the containers that start before the program: the sidecars, which go on, and then the init
// containers.
func further(in Inputs, of program) []corev1.Container {
	if !of.isApp {
		return nil
	}
	var result []corev1.Container
	for _, sidecar := range in.Tenant.Spec.App.Sidecars {
		container := beside(in, of, sidecar.AppContainer)
		container.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		container.StartupProbe, container.ReadinessProbe, container.LivenessProbe = sidecar.StartupProbe, sidecar.ReadinessProbe, sidecar.LivenessProbe
		result = append(result, container)
	}
	for _, spec := range in.Tenant.Spec.App.InitContainers {
		result = append(result, beside(in, of, spec))
	}
	return result
}

// beside returns a further container. It has the settings of the program, and runs under the same restrictions.
func beside(in Inputs, of program, spec v1alpha1.AppContainer) corev1.Container {
	result := corev1.Container{
		Name:            spec.Name,
		Image:           cmp.Or(spec.Image, in.Tenant.Spec.App.Image),
		Command:         spec.Command,
		Args:            spec.Args,
		Env:             overriding(env(in, of), spec.Env),
		EnvFrom:         envFrom(in.Tenant),
		Resources:       spec.Resources,
		VolumeMounts:    volumeMounts(in, of, spec.VolumeMounts),
		SecurityContext: securityContext(),
	}
	if spec.RunAsUser != 0 {
		result.SecurityContext.RunAsUser = &spec.RunAsUser
	}
	return result
}

func securityContext() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// topologySpread returns over which node labels the pods of a program are spread.
func topologySpread(in Inputs, of program) []corev1.TopologySpreadConstraint {
	if !of.spread {
		return nil
	}
	wanted := in.Tenant.Spec.App.TopologySpread
	if len(wanted) == 0 {
		for _, key := range []string{corev1.LabelHostname, corev1.LabelTopologyZone} {
			wanted = append(wanted, v1alpha1.AppTopologySpread{TopologyKey: key, MaxSkew: 1, WhenUnsatisfiable: corev1.ScheduleAnyway})
		}
	}
	var result []corev1.TopologySpreadConstraint
	for _, spread := range wanted {
		result = append(result, corev1.TopologySpreadConstraint{
			TopologyKey: spread.TopologyKey, MaxSkew: spread.MaxSkew, WhenUnsatisfiable: spread.WhenUnsatisfiable,
			LabelSelector: &metav1.LabelSelector{MatchLabels: of.labels},
			// Pods of the former version are about to end.
			MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
		})
	}
	return result
}

// storageGroup is the group of an app's storage if the spec names none. Any will do, since it is added to the groups of
// all containers, but it must stay the same.
const storageGroup = 65532

func podSecurityContext(in Inputs, of program) *corev1.PodSecurityContext {
	spec := in.Tenant.Spec.App.SecurityContext
	result := &corev1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		RunAsGroup:     spec.RunAsGroup,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if spec.RunAsUser != 0 {
		result.RunAsUser = &spec.RunAsUser
	}
	if hasStorage(in, of) {
		// A new file system is root's, and nothing of an app runs as root.
		result.FSGroup = new(ptr.Deref(spec.RunAsGroup, storageGroup))
		result.FSGroupChangePolicy = new(corev1.FSGroupChangeOnRootMismatch)
	}
	return result
}

func pullSecrets(app *v1alpha1.TenantApp) []corev1.LocalObjectReference {
	var references []corev1.LocalObjectReference
	for _, secret := range app.ImagePullSecrets {
		references = append(references, corev1.LocalObjectReference{Name: secret.Name})
	}
	return references
}

// farewell is how many seconds a container serves on after its pod has begun to end, until all nodes and gateways
// have learned that, and send it no more requests.
const farewell = 5

func container(in Inputs, of program) corev1.Container {
	result := corev1.Container{
		Name:            of.name,
		Image:           in.Tenant.Spec.App.Image,
		Command:         of.command,
		Args:            of.args,
		Env:             env(in, of),
		EnvFrom:         envFrom(in.Tenant),
		Resources:       of.resources,
		LivenessProbe:   of.liveness,
		ReadinessProbe:  of.readiness,
		StartupProbe:    of.startup,
		VolumeMounts:    volumeMounts(in, of, in.Tenant.Spec.App.VolumeMounts),
		SecurityContext: securityContext(),
	}
	if of.port != 0 {
		result.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: goodbye(in.Tenant.Spec.App)}}}
		result.Ports = []corev1.ContainerPort{{
			Name: naming.AppPort, ContainerPort: of.port, Protocol: corev1.ProtocolTCP,
		}}
	}
	return result
}

// goodbye returns the farewell of an app, which can't take longer than its end as a whole.
func goodbye(app *v1alpha1.TenantApp) int64 {
	if grace := app.TerminationGracePeriodSeconds; grace != nil {
		return min(farewell, *grace)
	}
	return farewell
}

// env returns the variables for port, database and settings, and then those of the spec, which take precedence.
func env(in Inputs, of program) []corev1.EnvVar {
	tenant := in.Tenant
	var variables []corev1.EnvVar
	if of.port != 0 {
		variables = append(variables, corev1.EnvVar{Name: "PORT", Value: fmt.Sprint(of.port)})
	}
	if tenant.Spec.Database != nil {
		for _, name := range libpqVariables {
			variables = append(variables, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
				SecretKeyRef: &corev1.SecretKeySelector{
					LocalObjectReference: corev1.LocalObjectReference{Name: tenant.Spec.Database.Credentials.SecretName},
					Key:                  name,
				},
			}})
		}
	}
	if len(caVolumes(in)) > 0 {
		variables = append(variables, corev1.EnvVar{Name: "PGSSLROOTCERT", Value: caMountPath + "/" + secretKeyCA})
	}
	return overriding(append(variables, settingsVariables(tenant)...), tenant.Spec.App.Env)
}

// overriding returns variables with others, which replace those of their name.
func overriding(variables, by []corev1.EnvVar) []corev1.EnvVar {
	variables = slices.DeleteFunc(variables, func(variable corev1.EnvVar) bool {
		return slices.ContainsFunc(by, func(own corev1.EnvVar) bool { return own.Name == variable.Name })
	})
	return append(variables, by...)
}

func envFrom(tenant *effective.Tenant) []corev1.EnvFromSource {
	return append(settingsSources(tenant), tenant.Spec.App.EnvFrom...)
}

func caVolumes(in Inputs) []corev1.Volume {
	if in.Login == nil || in.Server.Status.CABundle == "" {
		return nil
	}
	return []corev1.Volume{{
		Name: caVolume,
		VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: in.Tenant.Spec.Database.Credentials.SecretName,
			Items:      []corev1.KeyToPath{{Key: secretKeyCA, Path: secretKeyCA}},
		}},
	}}
}

// settingsRevision changes with everything that restarts a program: its settings, unless it watches them, its login, and
// the defaults for resources that it doesn't state.
func settingsRevision(in Inputs, of program) string {
	hash := sha256.New()
	restarts := !watchesFiles(in.Tenant.Spec.App)
	if restarts {
		writeConfig(hash, in)
	}
	if database, ok := secret(in).(*corev1.Secret); ok {
		delete(database.Data, SecretKeyNextPassword)
		delete(database.Data, secretKeySchema) // Apps from before there was this key go on.
		for _, key := range slices.Sorted(maps.Keys(database.Data)) {
			fmt.Fprintf(hash, "%q=%q\n", key, database.Data[key])
		}
	}
	hash.Write([]byte(limitsRevision(in, of)))
	if restarts {
		writeFiles(hash, in)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}
