package builders

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// TenantBuilder builds a Tenant.
type TenantBuilder struct {
	tenant v1alpha1.Tenant
}

// Tenant begins a Tenant with an empty spec, which has only its namespace.
func Tenant(name string) *TenantBuilder {
	return &TenantBuilder{tenant: v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}}}
}

// Build returns the Tenant as a user writes it.
func (b *TenantBuilder) Build() *v1alpha1.Tenant { return b.tenant.DeepCopy() }

// Finalizers sets the Tenant's finalizers.
func (b *TenantBuilder) Finalizers(finalizers ...string) *TenantBuilder {
	b.tenant.Finalizers = finalizers
	return b
}

// Generation sets the generation of the spec.
func (b *TenantBuilder) Generation(generation int64) *TenantBuilder {
	b.tenant.Generation = generation
	return b
}

// DisplayName sets the human-readable name.
func (b *TenantBuilder) DisplayName(name string) *TenantBuilder {
	b.tenant.Spec.DisplayName = name
	return b
}

// Owner adds a user or a group.
func (b *TenantBuilder) Owner(kind v1alpha1.OwnerKind, name string, role v1alpha1.OwnerRole) *TenantBuilder {
	b.tenant.Spec.Owners = append(b.tenant.Spec.Owners, v1alpha1.Owner{Kind: kind, Name: name, Role: role})
	return b
}

// ServiceAccountOwner adds a ServiceAccount as an owner.
func (b *TenantBuilder) ServiceAccountOwner(namespace, name string, role v1alpha1.OwnerRole) *TenantBuilder {
	b.tenant.Spec.Owners = append(b.tenant.Spec.Owners, v1alpha1.Owner{
		Kind: v1alpha1.OwnerKindServiceAccount, Namespace: namespace, Name: name, Role: role,
	})
	return b
}

// TrustNamespace gives the owner that was added last its rights regardless of who has its namespace.
func (b *TenantBuilder) TrustNamespace() *TenantBuilder {
	b.tenant.Spec.Owners[len(b.tenant.Spec.Owners)-1].TrustNamespace = true
	return b
}

// ClusterRoles sets further ClusterRoles of the owner that was added last.
func (b *TenantBuilder) ClusterRoles(names ...string) *TenantBuilder {
	b.tenant.Spec.Owners[len(b.tenant.Spec.Owners)-1].ClusterRoles = names
	return b
}

// Namespaces sets further namespaces that the operator creates.
func (b *TenantBuilder) Namespaces(names ...string) *TenantBuilder {
	b.tenant.Spec.Namespaces.Names = names
	return b
}

// NamespaceLimit sets how many namespaces the tenant may use.
func (b *TenantBuilder) NamespaceLimit(limit int32) *TenantBuilder {
	b.tenant.Spec.Namespaces.Limit = limit
	return b
}

// AllowedNames sets names that further namespaces may have, in addition to those that begin with the tenant's.
func (b *TenantBuilder) AllowedNames(names ...v1alpha1.NamespacePattern) *TenantBuilder {
	b.tenant.Spec.Namespaces.AllowedNames = names
	return b
}

// ReclaimNamespaces sets what happens to the tenant's namespaces when it is deleted.
func (b *TenantBuilder) ReclaimNamespaces(policy v1alpha1.NamespaceReclaimPolicy) *TenantBuilder {
	b.tenant.Spec.Namespaces.ReclaimPolicy = policy
	return b
}

// Quota limits a resource; the amount is a quantity.
func (b *TenantBuilder) Quota(name corev1.ResourceName, amount string) *TenantBuilder {
	setQuantity(&b.tenant.Spec.Quota, name, amount)
	return b
}

// ContainerDefault sets the limit of a container that states none.
func (b *TenantBuilder) ContainerDefault(name corev1.ResourceName, amount string) *TenantBuilder {
	setQuantity(&b.containers().Default, name, amount)
	return b
}

// ContainerDefaultRequest sets the request of a container that states none.
func (b *TenantBuilder) ContainerDefaultRequest(name corev1.ResourceName, amount string) *TenantBuilder {
	setQuantity(&b.containers().DefaultRequest, name, amount)
	return b
}

// ContainerMax sets the highest limit that a container may state.
func (b *TenantBuilder) ContainerMax(name corev1.ResourceName, amount string) *TenantBuilder {
	setQuantity(&b.containers().Max, name, amount)
	return b
}

// NoContainerLimits sets neither bounds nor defaults for containers.
func (b *TenantBuilder) NoContainerLimits() *TenantBuilder {
	b.tenant.Spec.Containers = &v1alpha1.ContainerLimits{}
	return b
}

// Ingress adds a rule of spec.network.ingress.
func (b *TenantBuilder) Ingress(rule networkingv1.NetworkPolicyIngressRule) *TenantBuilder {
	b.tenant.Spec.Network.Ingress = append(b.tenant.Spec.Network.Ingress, rule)
	return b
}

// Egress adds a rule of spec.network.egress.
func (b *TenantBuilder) Egress(rule networkingv1.NetworkPolicyEgressRule) *TenantBuilder {
	b.tenant.Spec.Network.Egress = append(b.tenant.Spec.Network.Egress, rule)
	return b
}

// PodSecurity sets the Pod Security Standard of the namespace.
func (b *TenantBuilder) PodSecurity(standard v1alpha1.PodSecurityStandard) *TenantBuilder {
	b.tenant.Spec.Policy.PodSecurity = standard
	return b
}

// Policy changes the rules of spec.policy.
func (b *TenantBuilder) Policy(change func(*v1alpha1.PolicyRules)) *TenantBuilder {
	change(&b.tenant.Spec.Policy)
	return b
}

// Cordoned freezes the tenant.
func (b *TenantBuilder) Cordoned() *TenantBuilder {
	b.tenant.Spec.Cordoned = true
	return b
}

// DeletionProtection keeps the tenant from being deleted.
func (b *TenantBuilder) DeletionProtection() *TenantBuilder {
	b.tenant.Spec.DeletionProtection = true
	return b
}

// Config adds a setting of the app.
func (b *TenantBuilder) Config(key, value string) *TenantBuilder {
	if b.tenant.Spec.Config == nil {
		b.tenant.Spec.Config = map[string]string{}
	}
	b.tenant.Spec.Config[key] = value
	return b
}

// Feature adds a feature flag of the app, as JSON.
func (b *TenantBuilder) Feature(name, value string) *TenantBuilder {
	setJSON(&b.tenant.Spec.Features, name, value)
	return b
}

// CustomFields adds the schema of an entity's custom fields, as JSON.
func (b *TenantBuilder) CustomFields(entity, schema string) *TenantBuilder {
	setJSON(&b.tenant.Spec.CustomFields, entity, schema)
	return b
}

// SecretRefs adds Secrets with settings of the app.
func (b *TenantBuilder) SecretRefs(names ...string) *TenantBuilder {
	for _, name := range names {
		b.tenant.Spec.SecretRefs = append(b.tenant.Spec.SecretRefs, v1alpha1.SettingsSecret{Name: name})
	}
	return b
}

// Reload sets how settings of the running app change.
func (b *TenantBuilder) Reload(reload v1alpha1.Reload) *TenantBuilder {
	b.app().Reload = reload
	return b
}

// Database asks for a database on the DatabaseServer.
func (b *TenantBuilder) Database(server string) *TenantBuilder {
	b.database().ServerRef.Name = server
	return b
}

// Isolation sets the isolation of the database.
func (b *TenantBuilder) Isolation(isolation v1alpha1.DatabaseIsolation) *TenantBuilder {
	b.database().Isolation = isolation
	return b
}

// Dedicated gives the tenant a dedicated server, changed by the function.
func (b *TenantBuilder) Dedicated(change func(*v1alpha1.DedicatedServer)) *TenantBuilder {
	database := b.database()
	database.Isolation = v1alpha1.DatabaseIsolationDedicated
	if database.Dedicated == nil {
		database.Dedicated = &v1alpha1.DedicatedServer{}
	}
	change(database.Dedicated)
	return b
}

// ManagesTables lets the tenant create and change shared tables.
func (b *TenantBuilder) ManagesTables() *TenantBuilder {
	b.database().SharedTables = v1alpha1.SharedTablesManage
	return b
}

// SharedTables sets what the tenant may do with shared tables.
func (b *TenantBuilder) SharedTables(use v1alpha1.SharedTables) *TenantBuilder {
	b.database().SharedTables = use
	return b
}

// Extensions sets the extensions of PostgreSQL that the tenant's database has.
func (b *TenantBuilder) Extensions(names ...string) *TenantBuilder {
	b.database().Extensions = names
	return b
}

// TempFileLimit sets the limit for temporary files of a session.
func (b *TenantBuilder) TempFileLimit(size string) *TenantBuilder {
	b.database().TempFileLimit = new(resource.MustParse(size))
	return b
}

// StatementTimeoutSeconds sets how long a statement may take.
func (b *TenantBuilder) StatementTimeoutSeconds(seconds int32) *TenantBuilder {
	b.database().StatementTimeoutSeconds = seconds
	return b
}

// DatabaseSelector asks for a database on a DatabaseServer that has this label.
func (b *TenantBuilder) DatabaseSelector(label, value string) *TenantBuilder {
	b.database().ServerSelector = &metav1.LabelSelector{MatchLabels: map[string]string{label: value}}
	return b
}

// Rotation sets when the password changes, zero for no schedule, and how long the former login keeps working.
func (b *TenantBuilder) Rotation(interval, gracePeriod time.Duration) *TenantBuilder {
	rotation := &b.database().Credentials.Rotation
	rotation.Interval, rotation.GracePeriod = nil, &metav1.Duration{Duration: gracePeriod}
	if interval > 0 {
		rotation.Interval = &metav1.Duration{Duration: interval}
	}
	return b
}

// Rotate sets when the password changes.
func (b *TenantBuilder) Rotate(interval time.Duration) *TenantBuilder {
	b.database().Credentials.Rotation.Interval = &metav1.Duration{Duration: interval}
	return b
}

// ReclaimPolicy sets what happens to the database when the Tenant is deleted.
func (b *TenantBuilder) ReclaimPolicy(policy v1alpha1.ReclaimPolicy) *TenantBuilder {
	b.database().ReclaimPolicy = policy
	return b
}

// Adopt names the retained database to take over.
func (b *TenantBuilder) Adopt(name string) *TenantBuilder {
	b.database().Adopt = name
	return b
}

// ConnectionLimit sets the maximum number of concurrent connections.
func (b *TenantBuilder) ConnectionLimit(limit int32) *TenantBuilder {
	b.database().ConnectionLimit = limit
	return b
}

// DatabaseSecret names the Secret with the login.
func (b *TenantBuilder) DatabaseSecret(name string) *TenantBuilder {
	b.database().Credentials.SecretName = name
	return b
}

// App asks for an app of this image.
func (b *TenantBuilder) App(image string) *TenantBuilder {
	b.app().Image = image
	return b
}

// ImagePullSecrets sets the Secrets with the credentials for pulling the app's image.
func (b *TenantBuilder) ImagePullSecrets(names ...string) *TenantBuilder {
	for _, name := range names {
		b.app().ImagePullSecrets = append(b.app().ImagePullSecrets, v1alpha1.PullSecret{Name: name})
	}
	return b
}

// Replicas sets the number of the app's pods.
func (b *TenantBuilder) Replicas(replicas int32) *TenantBuilder {
	b.app().Replicas = new(replicas)
	return b
}

// Autoscaling has an autoscaler set the number of the app's pods, by the given metrics or else by their CPU time.
func (b *TenantBuilder) Autoscaling(atLeast, atMost int32, metrics ...autoscalingv2.MetricSpec) *TenantBuilder {
	b.app().Autoscaling = &v1alpha1.Autoscaling{MinReplicas: &atLeast, MaxReplicas: atMost, Metrics: metrics}
	return b
}

// MaxReplicas has an autoscaler set the number of the app's pods, up to this one.
func (b *TenantBuilder) MaxReplicas(atMost int32) *TenantBuilder {
	b.app().Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: atMost}
	return b
}

// Hibernation says when the tenant sleeps.
func (b *TenantBuilder) Hibernation(hibernation v1alpha1.TenantHibernation) *TenantBuilder {
	b.tenant.Spec.Hibernation = &hibernation
	return b
}

// Port sets the port that the app listens on.
func (b *TenantBuilder) Port(port int32) *TenantBuilder {
	b.app().Port = port
	return b
}

// Expose has the app exposed under hostnames, in a way that change sets; nil leaves that to the cluster.
func (b *TenantBuilder) Expose(change func(*v1alpha1.AppExposure), hostnames ...v1alpha1.HostnamePattern) *TenantBuilder {
	b.app().Expose = &v1alpha1.AppExposure{Hostnames: hostnames}
	if change != nil {
		change(b.app().Expose)
	}
	return b
}

// Pods changes what the app's pods have beside its container.
func (b *TenantBuilder) Pods(change func(*v1alpha1.AppPods)) *TenantBuilder {
	change(&b.app().AppPods)
	return b
}

// Command replaces the image's entrypoint, and its arguments if any are given.
func (b *TenantBuilder) Command(command string, args ...string) *TenantBuilder {
	b.app().Command, b.app().Args = []string{command}, args
	return b
}

// Env adds an environment variable of the app.
func (b *TenantBuilder) Env(name, value string) *TenantBuilder {
	b.app().Env = append(b.app().Env, corev1.EnvVar{Name: name, Value: value})
	return b
}

// EnvFromConfigMap adds a ConfigMap whose keys become environment variables of the app.
func (b *TenantBuilder) EnvFromConfigMap(name string) *TenantBuilder {
	b.app().EnvFrom = append(b.app().EnvFrom, corev1.EnvFromSource{
		ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}},
	})
	return b
}

// Request sets a request of the app's container.
func (b *TenantBuilder) Request(name corev1.ResourceName, amount string) *TenantBuilder {
	setQuantity(&b.app().Resources.Requests, name, amount)
	return b
}

// Limit sets a limit of the app's container.
func (b *TenantBuilder) Limit(name corev1.ResourceName, amount string) *TenantBuilder {
	setQuantity(&b.app().Resources.Limits, name, amount)
	return b
}

// Probes sets the app's probes; nil means none.
func (b *TenantBuilder) Probes(liveness, readiness, startup *corev1.Probe) *TenantBuilder {
	b.app().LivenessProbe, b.app().ReadinessProbe, b.app().StartupProbe = liveness, readiness, startup
	return b
}

// RunAs sets the IDs of the app's user and group.
func (b *TenantBuilder) RunAs(user, group int64) *TenantBuilder {
	b.app().SecurityContext = v1alpha1.AppSecurityContext{RunAsUser: user, RunAsGroup: &group}
	return b
}

func (b *TenantBuilder) containers() *v1alpha1.ContainerLimits {
	if b.tenant.Spec.Containers == nil {
		b.tenant.Spec.Containers = &v1alpha1.ContainerLimits{}
	}
	return b.tenant.Spec.Containers
}

func (b *TenantBuilder) database() *v1alpha1.TenantDatabase {
	if b.tenant.Spec.Database == nil {
		b.tenant.Spec.Database = &v1alpha1.TenantDatabase{}
	}
	return b.tenant.Spec.Database
}

func (b *TenantBuilder) app() *v1alpha1.TenantApp {
	if b.tenant.Spec.App == nil {
		b.tenant.Spec.App = &v1alpha1.TenantApp{}
	}
	return b.tenant.Spec.App
}

func setJSON(values *map[string]apiextensionsv1.JSON, name, value string) { //nolint:gocritic // It makes the map.
	if *values == nil {
		*values = map[string]apiextensionsv1.JSON{}
	}
	(*values)[name] = apiextensionsv1.JSON{Raw: []byte(value)}
}

func setQuantity(list *corev1.ResourceList, name corev1.ResourceName, amount string) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = resource.MustParse(amount)
}

// Worker adds a worker of the app, and lets change further fields of it.
func (b *TenantBuilder) Worker(name string, replicas int32, command ...string) *TenantBuilder {
	b.app().Workers = append(b.app().Workers, v1alpha1.AppWorker{
		Name: v1alpha1.WorkloadName(name), Replicas: &replicas, Command: command,
	})
	return b
}

// ScaledWorker adds a worker of the app that an autoscaler scales, up to a number of pods.
func (b *TenantBuilder) ScaledWorker(name string, atMost int32, command ...string) *TenantBuilder {
	b.app().Workers = append(b.app().Workers, v1alpha1.AppWorker{
		Name: v1alpha1.WorkloadName(name), Autoscaling: &v1alpha1.Autoscaling{MaxReplicas: atMost}, Command: command,
	})
	return b
}

// Schedule adds a schedule of the app.
func (b *TenantBuilder) Schedule(name, schedule string, command ...string) *TenantBuilder {
	b.app().Schedules = append(b.app().Schedules, v1alpha1.AppSchedule{
		Name: v1alpha1.WorkloadName(name), Schedule: schedule, Command: command,
	})
	return b
}

// Migration sets the command of the app's migration.
func (b *TenantBuilder) Migration(command ...string) *TenantBuilder {
	b.app().Migration = &v1alpha1.AppMigration{Command: command}
	return b
}

// Workloads changes what the builder has no method for.
func (b *TenantBuilder) Workloads(change func(*v1alpha1.TenantApp)) *TenantBuilder {
	change(b.app())
	return b
}
