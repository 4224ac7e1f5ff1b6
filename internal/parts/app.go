package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;update;patch;delete

// App is the part with the tenant's app.
var App = &Part{
	Condition: v1alpha1.ConditionAppReady,
	Opens:     true,
	Kinds: []desired.Object{
		&corev1.ServiceAccount{}, &corev1.ConfigMap{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}, &appsv1.Deployment{},
	},
	applies: func(spec effective.Spec) bool { return spec.App != nil },
	missing: (*effective.Spec).MissingForApp,
	objects: app,
	inPlace: appInPlace,
}

const caVolume = "database-ca"

func app(in Inputs) []desired.Object {
	tenant := in.Tenant
	if tenant.Spec.App == nil {
		return nil
	}
	return present(
		serviceAccount(tenant), configMap(tenant), service(tenant), podDisruptionBudget(in), deployment(in))
}

func serviceAccount(tenant *effective.Tenant) desired.Object {
	return &corev1.ServiceAccount{
		ObjectMeta:                   meta(tenant, naming.App),
		AutomountServiceAccountToken: new(false),
	}
}

func configMap(tenant *effective.Tenant) desired.Object {
	return &corev1.ConfigMap{ObjectMeta: meta(tenant, naming.AppConfig), Data: tenant.Spec.Config}
}

func service(tenant *effective.Tenant) desired.Object {
	if tenant.Spec.App.Port == 0 {
		return nil
	}
	return &corev1.Service{
		ObjectMeta: meta(tenant, naming.App),
		Spec: corev1.ServiceSpec{
			Selector: naming.AppLabels(tenant.Name),
			Ports: []corev1.ServicePort{{
				Name:       naming.AppPort,
				Protocol:   corev1.ProtocolTCP,
				Port:       tenant.Spec.App.Port,
				TargetPort: intstr.FromString(naming.AppPort),
			}},
		},
	}
}

// podDisruptionBudget returns nil for an app that never has more than one pod.
func podDisruptionBudget(in Inputs) desired.Object {
	tenant := in.Tenant
	if !in.Autoscaled && *tenant.Spec.App.Replicas < 2 {
		return nil
	}
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: meta(tenant, naming.App),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt32(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: naming.AppLabels(tenant.Name)},
			// Pods that serve nobody must not keep a node from being drained.
			UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow),
		},
	}
}

// deployment returns nil while the tenant's database server doesn't exist. A running app then stays as it is,
// since it would restart without its connection settings; a new one would lack its Secret.
func deployment(in Inputs) desired.Object {
	tenant := in.Tenant
	if tenant.Spec.Database != nil && in.Login == nil {
		return nil
	}
	podLabels := naming.ManagedLabels(tenant.Name)
	maps.Copy(podLabels, naming.AppLabels(tenant.Name))
	result := &appsv1.Deployment{
		ObjectMeta: meta(tenant, naming.App),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: naming.AppLabels(tenant.Name)},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels:      podLabels,
					Annotations: map[string]string{naming.AnnotationSettings: settingsRevision(in)},
				},
				Spec: podSpec(in),
			},
		},
	}
	if !in.Autoscaled {
		result.Spec.Replicas = tenant.Spec.App.Replicas
	}
	return result
}

// podSpec meets the Pod Security Standard Restricted
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted).
func podSpec(in Inputs) corev1.PodSpec {
	return corev1.PodSpec{
		ServiceAccountName:           naming.App,
		ImagePullSecrets:             pullSecrets(in.Tenant.Spec.App),
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		SecurityContext:              podSecurityContext(in.Tenant.Spec.App.SecurityContext),
		Containers:                   []corev1.Container{container(in)},
		Volumes:                      caVolumes(in),
	}
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

func container(in Inputs) corev1.Container {
	spec := in.Tenant.Spec.App
	result := corev1.Container{
		Name:           naming.App,
		Image:          spec.Image,
		Command:        spec.Command,
		Args:           spec.Args,
		Env:            env(in),
		EnvFrom:        envFrom(in.Tenant),
		Resources:      spec.Resources,
		LivenessProbe:  spec.LivenessProbe,
		ReadinessProbe: spec.ReadinessProbe,
		StartupProbe:   spec.StartupProbe,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	if spec.Port != 0 {
		result.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: farewell}}}
		result.Ports = []corev1.ContainerPort{{
			Name: naming.AppPort, ContainerPort: spec.Port, Protocol: corev1.ProtocolTCP,
		}}
	}
	if len(caVolumes(in)) > 0 {
		result.VolumeMounts = []corev1.VolumeMount{{Name: caVolume, MountPath: caMountPath, ReadOnly: true}}
	}
	return result
}

// env returns the variables for port and database, and then those of the spec, which take precedence.
func env(in Inputs) []corev1.EnvVar {
	tenant := in.Tenant
	var variables []corev1.EnvVar
	if port := tenant.Spec.App.Port; port != 0 {
		variables = append(variables, corev1.EnvVar{Name: "PORT", Value: fmt.Sprint(port)})
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
	variables = slices.DeleteFunc(variables, func(variable corev1.EnvVar) bool {
		return slices.ContainsFunc(tenant.Spec.App.Env, func(own corev1.EnvVar) bool { return own.Name == variable.Name })
	})
	return append(variables, tenant.Spec.App.Env...)
}

func envFrom(tenant *effective.Tenant) []corev1.EnvFromSource {
	config := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: naming.AppConfig},
	}}
	return append([]corev1.EnvFromSource{config}, tenant.Spec.App.EnvFrom...)
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

// settingsRevision changes with everything in the app's environment, and with the defaults for resources that its
// container doesn't state.
func settingsRevision(in Inputs) string {
	hash := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(in.Tenant.Spec.Config)) {
		fmt.Fprintf(hash, "%q=%q\n", key, in.Tenant.Spec.Config[key])
	}
	if database, ok := secret(in).(*corev1.Secret); ok {
		delete(database.Data, SecretKeyNextPassword)
		delete(database.Data, secretKeySchema) // Apps from before there was this key go on.
		for _, key := range slices.Sorted(maps.Keys(database.Data)) {
			fmt.Fprintf(hash, "%q=%q\n", key, database.Data[key])
		}
	}
	hash.Write([]byte(limitsRevision(in)))
	return hex.EncodeToString(hash.Sum(nil))[:16]
}
