package parts

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
)

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;update;patch;delete

// App is the part with the tenant's app.
var App = &Part{
	Condition: v1alpha1.ConditionAppReady,
	Opens:     true,
	Kinds: []desired.Object{
		&corev1.ServiceAccount{}, &corev1.ConfigMap{}, &corev1.Service{}, &policyv1.PodDisruptionBudget{}, &appsv1.Deployment{},
		&batchv1.CronJob{}, &batchv1.Job{}, &autoscalingv2.HorizontalPodAutoscaler{}, &networkingv1.Ingress{},
	},
	Others:  []desired.Object{&gatewayv1.HTTPRoute{}, &corev1.PersistentVolumeClaim{}},
	applies: func(tenant *effective.Tenant) bool { return tenant.Spec.App != nil },
	missing: (*effective.Spec).MissingForApp,
	objects: app,
	inPlace: appInPlace,
}

func app(in Inputs) []desired.Object {
	tenant := in.Tenant
	if tenant.Spec.App == nil {
		return nil
	}
	if in.Release.Held() && in.Release.Unknown {
		// The migration's pod has the files, too.
		return slices.Concat(present(serviceAccount(tenant), settingsFiles(in)), WaysIn(in), migration(in))
	}
	return slices.Concat(
		present(serviceAccount(tenant), configMap(tenant), settingsFiles(in), service(tenant), podDisruptionBudget(in), deployment(in), releaseRecord(in)),
		workers(in), autoscalers(in), schedules(in), migration(in), WaysIn(in))
}

// connected reports whether pods can connect to what they need. They can't until the tenant's database is in place for
// the first time, or while its server doesn't exist. Running pods then stay as they are, since they would restart without
// their connection settings, or without the database that these lead to; new ones wait.
func connected(in Inputs) bool {
	return in.Tenant.Spec.Database == nil || in.Login != nil && !in.Unplaced
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
		ObjectMeta: annotated(meta(tenant, naming.App), tenant.Spec.App.ServiceAnnotations),
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

func annotated(meta metav1.ObjectMeta, annotations map[string]string) metav1.ObjectMeta {
	meta.Annotations = annotations
	return meta
}

// podDisruptionBudget returns nil for an app that never has more than one pod.
func podDisruptionBudget(in Inputs) desired.Object {
	tenant := in.Tenant
	if most := in.maxReplicas(); most >= 0 && most < 2 {
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

func deployment(in Inputs) desired.Object {
	tenant := in.Tenant
	if !connected(in) {
		return nil
	}
	program := web(tenant)
	program.spread = spreads(in, program)
	result := &appsv1.Deployment{
		ObjectMeta: meta(tenant, naming.App),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: naming.AppLabels(tenant.Name)},
			Template: podTemplate(in, program),
			Strategy: strategy(tenant.Spec.App.Rollout),
		},
	}
	in.setReplicas(appReplicas(tenant.Spec.App), result)
	return result
}

// web is the program that answers the app's port.
func web(tenant *effective.Tenant) program {
	spec := tenant.Spec.App
	return program{
		name:      naming.App,
		labels:    naming.AppLabels(tenant.Name),
		command:   spec.Command,
		args:      spec.Args,
		port:      spec.Port,
		resources: spec.Resources,
		liveness:  spec.LivenessProbe,
		readiness: spec.ReadinessProbe,
		startup:   spec.StartupProbe,

		goesOn: true,
		isApp:  true,
	}
}

// spreads reports whether the app's pods are to be spread by default. Those of a version before that was so go on
// until they are replaced for another reason.
func spreads(in Inputs, of program) bool {
	running := in.Running
	if running == nil || len(running.Spec.TopologySpreadConstraints) > 0 || len(in.Tenant.Spec.App.TopologySpread) > 0 {
		return true
	}
	at := slices.IndexFunc(running.Spec.Containers, func(container corev1.Container) bool { return container.Name == of.name })
	return at < 0 || running.Spec.Containers[at].Image != in.Tenant.Spec.App.Image ||
		running.Annotations[naming.AnnotationSettings] != settingsRevision(in, of)
}

// strategy returns how pods are replaced; nothing is what Kubernetes does by default.
func strategy(rollout v1alpha1.AppRollout) appsv1.DeploymentStrategy {
	switch {
	case rollout.Type == v1alpha1.AppRecreate:
		return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	case rollout == v1alpha1.AppRollout{}:
		return appsv1.DeploymentStrategy{}
	default:
		result := appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}
		if rollout.MaxSurge != nil || rollout.MaxUnavailable != nil {
			result.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: rollout.MaxSurge, MaxUnavailable: rollout.MaxUnavailable}
		}
		return result
	}
}
