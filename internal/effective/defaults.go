package effective

import (
	"cmp"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// The built-in defaults. The comments of the API's fields repeat them, which a test compares.
const (
	defaultNamespaceLimit    = 1
	defaultEnforcement       = v1alpha1.PolicyEnforce
	defaultPodSecurity       = v1alpha1.PodSecurityRestricted
	defaultServiceType       = corev1.ServiceTypeClusterIP
	defaultMaxTokenLifetime  = 24 * time.Hour
	defaultIsolation         = v1alpha1.DatabaseIsolationDatabase
	defaultSharedTables      = v1alpha1.SharedTablesUse
	defaultReclaimPolicy     = v1alpha1.ReclaimPolicyRetain
	defaultConnectionLimit   = 20
	defaultSecretName        = "database"
	defaultGracePeriod       = time.Hour
	defaultInstances         = 1
	defaultPostgreSQLVersion = "18"
	defaultReplicas          = 1
	defaultWorkers           = 1
	defaultTimeZone          = "UTC"
	defaultConcurrency       = batchv1.ForbidConcurrent
	defaultLateness          = 300 // seconds
	defaultJobRetries        = 2
	defaultMigrationDeadline = 1800 // seconds
	defaultReload            = v1alpha1.ReloadRestart
	defaultMinReplicas       = 1
	// Percent of what the pods request.
	defaultCPUUtilization = 80
	defaultAccessMode     = corev1.ReadWriteOnce
	defaultMaxSkew        = 1
	defaultCertificate    = "app-tls"
	// Seconds. A container has five minutes to start.
	defaultReadinessPeriod = 5
	defaultStartupPeriod   = 5
	defaultStartupTries    = 60
)

// defaultContainers returns the limits and requests of containers that have none.
func defaultContainers() *v1alpha1.ContainerLimits {
	return &v1alpha1.ContainerLimits{
		Default: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi"),
		},
		DefaultRequest: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi"),
		},
	}
}

// complete fills in the built-in defaults. Quantities have the form in which the API server stores them, so that
// writing out a default makes no difference.
func (s *Spec) complete() {
	s.Namespaces.Limit = cmp.Or(s.Namespaces.Limit, defaultNamespaceLimit+int32(len(s.Namespaces.Names)))
	if s.Containers == nil {
		s.Containers = defaultContainers()
	}
	completePolicy(&s.Policy)
	if s.Database != nil {
		completeDatabase(s.Database)
	}
	if s.App != nil {
		completeApp(s.App)
		completePods(&s.App.AppPods)
		if s.App.Expose != nil {
			completeExposure(s.App.Expose, &s.Policy)
		}
	}
	if s.Hibernation != nil {
		for i := range s.Hibernation.Schedules {
			schedule := &s.Hibernation.Schedules[i]
			schedule.TimeZone = cmp.Or(schedule.TimeZone, defaultTimeZone)
		}
	}
}

// completeExposure also gives the tenant the hostnames under which its app is exposed, unless its policy says which it
// has.
func completeExposure(expose *v1alpha1.AppExposure, policy *v1alpha1.PolicyRules) {
	if len(policy.Hostnames) == 0 {
		policy.Hostnames = slices.Clone(expose.Hostnames)
	}
	if policy.IngressClasses != nil && expose.GatewayRef == nil {
		expose.IngressClassName = cmp.Or(expose.IngressClassName, policy.IngressClasses.Default)
	}
	if expose.TLS != nil {
		expose.TLS.SecretName = cmp.Or(expose.TLS.SecretName, defaultCertificate)
	}
}

// completeApp sees to it that requests reach only containers that listen, and that a slow start isn't taken for a
// container that hangs.
func completeApp(app *v1alpha1.TenantApp) {
	app.Reload = cmp.Or(app.Reload, defaultReload)
	if app.Autoscaling != nil {
		completeAutoscaling(app.Autoscaling)
	} else if app.Replicas == nil {
		app.Replicas = new(int32(defaultReplicas))
	}
	if app.ReadinessProbe == nil && app.Port != 0 {
		app.ReadinessProbe = &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(app.Port)}},
			PeriodSeconds: defaultReadinessPeriod,
		}
	}
	app.StartupProbe = startup(app.StartupProbe, app.LivenessProbe)
	for i := range app.Workers {
		worker := &app.Workers[i]
		if worker.Autoscaling != nil {
			completeAutoscaling(worker.Autoscaling)
		} else if worker.Replicas == nil {
			worker.Replicas = new(int32(defaultWorkers))
		}
		worker.StartupProbe = startup(worker.StartupProbe, worker.LivenessProbe)
	}
	for i := range app.Schedules {
		completeSchedule(&app.Schedules[i])
	}
	if app.Migration != nil {
		completeMigration(app.Migration, app.Resources)
	}
}

// completeMigration gives the migration the resources of the app.
func completeMigration(migration *v1alpha1.AppMigration, resources corev1.ResourceRequirements) {
	if migration.ActiveDeadlineSeconds == nil {
		migration.ActiveDeadlineSeconds = new(int64(defaultMigrationDeadline))
	}
	if migration.BackoffLimit == nil {
		migration.BackoffLimit = new(int32(defaultJobRetries))
	}
	if own := migration.Resources; len(own.Limits)+len(own.Requests)+len(own.Claims) == 0 {
		migration.Resources = *resources.DeepCopy()
	}
}

// startup returns the startup probe of a container.
func startup(own, liveness *corev1.Probe) *corev1.Probe {
	if own != nil || liveness == nil {
		return own
	}
	return &corev1.Probe{
		ProbeHandler:     *liveness.ProbeHandler.DeepCopy(),
		TimeoutSeconds:   liveness.TimeoutSeconds,
		PeriodSeconds:    defaultStartupPeriod,
		FailureThreshold: defaultStartupTries,
	}
}

func completeSchedule(schedule *v1alpha1.AppSchedule) {
	schedule.TimeZone = cmp.Or(schedule.TimeZone, defaultTimeZone)
	schedule.ConcurrencyPolicy = cmp.Or(schedule.ConcurrencyPolicy, defaultConcurrency)
	if schedule.StartingDeadlineSeconds == nil {
		schedule.StartingDeadlineSeconds = new(int64(defaultLateness))
	}
	if schedule.BackoffLimit == nil {
		schedule.BackoffLimit = new(int32(defaultJobRetries))
	}
}

func completeAutoscaling(autoscaling *v1alpha1.Autoscaling) {
	if autoscaling.MinReplicas == nil {
		autoscaling.MinReplicas = new(int32(defaultMinReplicas))
	}
	if len(autoscaling.Metrics) == 0 {
		autoscaling.Metrics = []autoscalingv2.MetricSpec{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{
				Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(defaultCPUUtilization)),
			}},
		}}
	}
}

// completePods makes sure that pods with storage that only one of them can mount don't wait for each other.
func completePods(pods *v1alpha1.AppPods) {
	for i := range pods.Volumes {
		storage := pods.Volumes[i].Storage
		if storage == nil {
			continue
		}
		storage.AccessMode = cmp.Or(storage.AccessMode, defaultAccessMode)
		if storage.AccessMode != corev1.ReadWriteMany {
			pods.Rollout.Type = cmp.Or(pods.Rollout.Type, v1alpha1.AppRecreate)
		}
	}
	for i := range pods.TopologySpread {
		spread := &pods.TopologySpread[i]
		spread.MaxSkew = cmp.Or(spread.MaxSkew, defaultMaxSkew)
		spread.WhenUnsatisfiable = cmp.Or(spread.WhenUnsatisfiable, corev1.ScheduleAnyway)
	}
}

func completePolicy(rules *v1alpha1.PolicyRules) {
	rules.Enforcement = cmp.Or(rules.Enforcement, defaultEnforcement)
	rules.PodSecurity = cmp.Or(rules.PodSecurity, defaultPodSecurity)
	if len(rules.ServiceTypes) == 0 {
		rules.ServiceTypes = []corev1.ServiceType{defaultServiceType}
	}
	if rules.MaxTokenLifetime == nil {
		rules.MaxTokenLifetime = &metav1.Duration{Duration: defaultMaxTokenLifetime}
	}
}

func completeDatabase(database *v1alpha1.TenantDatabase) {
	database.Isolation = cmp.Or(database.Isolation, defaultIsolation)
	database.SharedTables = cmp.Or(database.SharedTables, defaultSharedTables)
	database.ReclaimPolicy = cmp.Or(database.ReclaimPolicy, defaultReclaimPolicy)
	database.ConnectionLimit = cmp.Or(database.ConnectionLimit, defaultConnectionLimit)
	credentials := &database.Credentials
	credentials.SecretName = cmp.Or(credentials.SecretName, defaultSecretName)
	if credentials.Rotation.GracePeriod == nil {
		credentials.Rotation.GracePeriod = &metav1.Duration{Duration: defaultGracePeriod}
	}
	if server := database.Dedicated; server != nil {
		server.Instances = cmp.Or(server.Instances, defaultInstances)
		server.Version = cmp.Or(server.Version, defaultPostgreSQLVersion)
	}
}
