package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
}

// podTemplate returns the template of the pods that run a program.
func podTemplate(in Inputs, of program) corev1.PodTemplateSpec {
	labels := naming.ManagedLabels(in.Tenant.Name)
	maps.Copy(labels, of.labels)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      labels,
			Annotations: map[string]string{naming.AnnotationSettings: settingsRevision(in, of)},
		},
		Spec: podSpec(in, of),
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
		SecurityContext:              podSecurityContext(in.Tenant.Spec.App.SecurityContext),
		Containers:                   []corev1.Container{container(in, of)},
		Volumes:                      volumes(in),
	}
}

func volumes(in Inputs) []corev1.Volume {
	settings, _ := settingsVolumes(in)
	return append(caVolumes(in), settings...)
}

func podSecurityContext(spec v1alpha1.AppSecurityContext) *corev1.PodSecurityContext {
	result := &corev1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		RunAsGroup:     spec.RunAsGroup,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if spec.RunAsUser != 0 {
		result.RunAsUser = &spec.RunAsUser
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
		Name:           of.name,
		Image:          in.Tenant.Spec.App.Image,
		Command:        of.command,
		Args:           of.args,
		Env:            env(in, of),
		EnvFrom:        envFrom(in.Tenant),
		Resources:      of.resources,
		LivenessProbe:  of.liveness,
		ReadinessProbe: of.readiness,
		StartupProbe:   of.startup,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	if of.port != 0 {
		result.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: farewell}}}
		result.Ports = []corev1.ContainerPort{{
			Name: naming.AppPort, ContainerPort: of.port, Protocol: corev1.ProtocolTCP,
		}}
	}
	if len(caVolumes(in)) > 0 {
		result.VolumeMounts = []corev1.VolumeMount{{Name: caVolume, MountPath: caMountPath, ReadOnly: true}}
	}
	_, settings := settingsVolumes(in)
	result.VolumeMounts = append(result.VolumeMounts, settings...)
	return result
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
	variables = append(variables, settingsVariables(tenant)...)
	variables = slices.DeleteFunc(variables, func(variable corev1.EnvVar) bool {
		return slices.ContainsFunc(tenant.Spec.App.Env, func(own corev1.EnvVar) bool { return own.Name == variable.Name })
	})
	return append(variables, tenant.Spec.App.Env...)
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
