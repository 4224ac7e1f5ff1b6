// Package naming has all names that the operator gives: labels, annotations, finalizers, and the names of objects.
package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

const (
	// FieldOwner is the operator's manager name in metadata.managedFields.
	FieldOwner = "tenantry"
	// FieldOwnerClass is that for the objects that tenants have from their classes.
	FieldOwnerClass = "tenantry-class"
	// IndexClass is the index of the cache for the Tenants of a TenantClass.
	IndexClass = "class"
	// IndexRevision is the index of the cache for the TenantClassRevisions of a TenantClass.
	IndexRevision = "revisionOfClass"
	// IndexPlaced is the index of the cache for the Tenants that have, or may have, something on a DatabaseServer.
	IndexPlaced = "placedOnDatabaseServer"

	// LabelManagedBy is on every object that the operator manages, with the value ManagedBy. The operator watches
	// objects by it. See https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "tenantry"
	// LabelTenant is on every object of a tenant, including its namespaces and pods. Its value is the tenant's name.
	LabelTenant = "tenantry.dev/tenant"
	// LabelEnforcement is on the namespaces of tenants whose policies only warn, with the value Audit.
	LabelEnforcement = "tenantry.dev/enforcement"
	// LabelCordoned is on the namespaces of cordoned tenants, with the value true.
	LabelCordoned = "tenantry.dev/cordoned"
	// LabelUsable is on the namespaces of tenants. Its value is true if the namespace has a TenantPolicy, and false
	// if it has none because the tenant has too many namespaces. The admission policies read it.
	LabelUsable = "tenantry.dev/usable"
	// LabelPodDefaults is on the namespaces of tenants whose policies have defaults for pods, with the
	// value true, so that all others don't pay for them.
	LabelPodDefaults = "tenantry.dev/pod-defaults"
	// LabelIngressDefaults is the same for Ingresses.
	LabelIngressDefaults = "tenantry.dev/ingress-defaults"
	// LabelClaimDefaults is the same for PersistentVolumeClaims.
	LabelClaimDefaults = "tenantry.dev/persistentvolumeclaim-defaults"
	// LabelAppName is on the pods of a tenant's app, and distinguishes them from other pods of the tenant.
	LabelAppName = "app.kubernetes.io/name"

	// LabelClassObject is on the objects that tenants have from their classes. Its value is the tenant's name. They don't
	// have LabelManagedBy, since those who work on them must be able to change their finalizers and status.
	LabelClassObject = "tenantry.dev/class-object"
	// LabelAggregateToClassObjects is on the ClusterRoles with the rights that the operator has for those objects.
	LabelAggregateToClassObjects = "tenantry.dev/aggregate-to-class-objects"

	// LabelServer is on all objects of a server that the operator runs, including its pods. Its value is the name of
	// the DatabaseServer.
	LabelServer = "tenantry.dev/database-server"

	// LabelAppComponent names the component that a pod of the operator belongs to, and of the tenants' pods what runs
	// beside the app: one of the following components. The app's own pods have none.
	LabelAppComponent = "app.kubernetes.io/component"
	// ComponentWorker is the value of LabelAppComponent for a worker, whose name is in LabelAppName.
	ComponentWorker = "worker"
	// ComponentSchedule is that for a schedule, whose name is in LabelAppName.
	ComponentSchedule = "schedule"
	// ComponentMigration is that for a migration, with Migration in LabelAppName.
	ComponentMigration = "migration"

	// AnnotationDisplayName is on a tenant's namespaces, with its display name.
	AnnotationDisplayName = "tenantry.dev/display-name"
	// AnnotationSettings is on the app's pods. It changes with the ConfigMap and the Secret that the app gets its
	// environment from, which restarts the app.
	AnnotationSettings = "tenantry.dev/settings"

	// AnnotationProgram is on the Jobs of a schedule. It changes with what they run, but not with the login.
	AnnotationProgram = "tenantry.dev/program"

	// AnnotationMigration is on the Job of a migration, with the revision of the migration.
	AnnotationMigration = "tenantry.dev/migration"
	// AnnotationImage is on the Job of a migration, with its image.
	AnnotationImage = "tenantry.dev/image"

	// AnnotationFiles is on the app's pods if they watch the files with their settings. It changes with the files, which
	// makes the kubelet update them at once, and not only within a minute or two.
	AnnotationFiles = "tenantry.dev/files"

	// AnnotationAwakeReplicas is on the Deployments of the app and its workers while the tenant is to sleep, with the
	// number of replicas that they had before.
	AnnotationAwakeReplicas = "tenantry.dev/awake-replicas"

	// AnnotationAsleep is on the CronJobs of schedules while the tenant is to sleep, with the value true. Owners may
	// suspend a CronJob, too, which stays so.
	AnnotationAsleep = "tenantry.dev/asleep"

	// AnnotationRestartsApp is on the LimitRange of the primary namespace, with the value true, if the app restarts
	// when the container defaults change. A LimitRange of an older version lacks it until its defaults change, so
	// that an upgrade doesn't restart the app.
	AnnotationRestartsApp = "tenantry.dev/restarts-app"

	// AnnotationTenantUID is on a dedicated DatabaseServer, and on the PersistentVolumeClaims of an app's storage, with
	// the UID of the Tenant, since several Tenants may have had the name.
	AnnotationTenantUID = "tenantry.dev/tenant-uid"
	// AnnotationDatabase is on the volume or Cluster with the data of a dedicated server, which outlives it. Its
	// value is the name of the tenant's database, which says whose data it is.
	AnnotationDatabase = "tenantry.dev/database"
	// AnnotationStorageClass is on such a volume, with the name of the requested StorageClass. It is absent if none
	// was requested and the cluster's default applies.
	AnnotationStorageClass = "tenantry.dev/storage-class"

	// AnnotationSecrets is on the pods of a server that the operator runs. It changes with the Secrets that the
	// server reads when it starts, which restarts it.
	AnnotationSecrets = "tenantry.dev/secrets" //nolint:gosec // It is a name and no credential.

	// AnnotationRotatedAt is on the Secret with a tenant's login, with the time at which its password was generated.
	// The Secret also has AnnotationRotateCredentials of package v1alpha1, with the last request that the password
	// has fulfilled.
	AnnotationRotatedAt = "tenantry.dev/rotated-at"

	// AnnotationUsable is on a namespace that its tenant uses, other than the primary one. It keeps an older
	// namespace that is moved in later from taking this one's place.
	AnnotationUsable = "tenantry.dev/usable"
	// AnnotationMovedIn is on a namespace that existed before it became the tenant's, with the value true.
	AnnotationMovedIn = "tenantry.dev/moved-in"
	// AnnotationReclaimPolicy is on a namespace that is kept when its Tenant is deleted, with the value Release. An
	// admission policy keeps the garbage collector from deleting such a namespace by its owner reference.
	AnnotationReclaimPolicy = "tenantry.dev/reclaim-policy"
	// AnnotationSlice is on a ResourceQuota that is a slice of a budget over several namespaces, with the Note of
	// package budget.
	AnnotationSlice = "tenantry.dev/slice"

	// FinalizerTenant is on a Tenant while its namespaces may exist.
	FinalizerTenant = "tenantry.dev/tenant"

	// FinalizerRights is on the RoleBindings of owners in the namespaces that they can delete, while anything else is
	// left there, so that owners can see and release what keeps the namespace from being deleted.
	FinalizerRights = "tenantry.dev/rights"

	// FinalizerServer is on a DatabaseServer while tenants may have something on it.
	FinalizerServer = "tenantry.dev/tenants"

	// FinalizerClass is on a TenantClass while tenants may have it.
	FinalizerClass = "tenantry.dev/tenants"

	// finalizerDatabasePrefix and a server's name make the finalizer that is on a Tenant while anything of it may be
	// on that server. It also records where the tenant's database was placed, before the first SQL statement is sent.
	finalizerDatabasePrefix = "database.tenantry.dev/"
)

// Names of the objects in a tenant's namespaces.
const (
	// App names the app's Deployment, Service, ServiceAccount, PodDisruptionBudget, Ingress, HTTPRoute and container.
	App = "app"
	// AppConfig names the ConfigMap with the tenant's config, and its volume.
	AppConfig = "app-config"
	// AppRelease names the ConfigMap with the app and config that were released last, of an app with a migration.
	AppRelease = "app-release"
	// Migration names the container of a migration, and begins the names of its Job and ConfigMap.
	Migration = "migration"

	// AppSettings names the ConfigMap with the files of the app's settings, and its volume.
	AppSettings = "app-settings"
	// AppPort names the app's port.
	AppPort = "http"
	// Policy names the TenantPolicy.
	Policy = "tenant"
	// Quota names the ResourceQuota.
	Quota = "tenant"
	// ContainerLimits names the LimitRange.
	ContainerLimits = "containers"
	// NamespaceList names the ConfigMap in the primary namespace that lists the tenant's namespaces.
	NamespaceList = "tenant-namespaces"
	// MoreNamespaces is the key in that ConfigMap with the number of namespaces that are not listed. It can't be the
	// name of a namespace.
	MoreNamespaces = "_more"
	// TenantUser names the RoleBinding that lets owners create namespaces of the tenant.
	TenantUser = "tenant-user"
	// TenantNames names the Role with spec.namespaces.allowedNames, and its RoleBinding.
	TenantNames = "tenant-names"
	// TenantAuditor names the RoleBinding that tells the admission policies that the tenant's policies only warn.
	TenantAuditor = "tenant-auditor"
	// NamespaceOwner names the RoleBinding that lets owners change and delete a namespace.
	NamespaceOwner = "tenant-namespace"
	// ownerRolePrefix and a ClusterRole's name make the name of the RoleBinding for it.
	ownerRolePrefix = "tenant-role-"
	// PolicyDenyAll names the NetworkPolicy that denies all traffic that no other one allows.
	PolicyDenyAll = "deny-all"
	// PolicyAllowDNS names the NetworkPolicy that allows egress to the cluster's DNS.
	PolicyAllowDNS = "allow-dns"
	// PolicyAllowTenant names the NetworkPolicy that lets the tenant's pods reach each other.
	PolicyAllowTenant = "allow-tenant"
	// PolicyAllowDatabase names the NetworkPolicy that allows egress to the tenant's database.
	PolicyAllowDatabase = "allow-database"
	// PolicyAllowIngress names the NetworkPolicy that lets those who serve an exposed app's hostnames reach it.
	PolicyAllowIngress = "allow-ingress"
	// PolicyAllowSolver names the NetworkPolicy that lets them reach the pods by which cert-manager proves whose the
	// hostnames are.
	PolicyAllowSolver = "allow-http01"
	// PolicyAllowSpec names the NetworkPolicy with the rules of the tenant's spec.network.
	PolicyAllowSpec = "allow-spec"
)

// ClusterRoles and the ServiceAccount that config/ installs.
const (
	// RoleTenantUser is the ClusterRole with the verb use on tenants. Subjects that have it in a tenant's primary
	// namespace may create namespaces of that tenant.
	RoleTenantUser = "tenantry-tenant-user"
	// RoleNamespaceOwner is the ClusterRole with the rights to change and delete namespaces.
	RoleNamespaceOwner = "tenantry-namespace-owner"
	// RoleTenantAuditor is the ClusterRole with the verb audit on tenants. The operator has it in the primary
	// namespaces of tenants whose policies only warn; the policy unusable checks for it.
	RoleTenantAuditor = "tenantry-tenant-auditor"
	// Manager is the operator's ServiceAccount, and ManagerNamespace its namespace.
	Manager          = "tenantry-manager"
	ManagerNamespace = "tenantry-system"
	// ManagerAppName and ManagerComponent are the labels app.kubernetes.io/name and
	// app.kubernetes.io/component of the operator's pods.
	ManagerAppName   = "tenantry"
	ManagerComponent = "manager"
	// DatabasesNamespace is the namespace of the servers that the operator runs.
	DatabasesNamespace = "tenantry-databases"
)

// AppClaim names the PersistentVolumeClaim of a volume of the app.
func AppClaim(volume string) string { return App + "-" + volume }

// OwnerRole names the RoleBinding that gives owners a further ClusterRole.
func OwnerRole(clusterRole string) string { return ownerRolePrefix + clusterRole }

// maxServer is the maximum length of the name of a server that the operator runs. CloudNativePG and StatefulSets
// append to it in the names of pods and the values of labels.
const maxServer = 50

// DedicatedServer names the dedicated DatabaseServer of a tenant, and the objects that run it.
func DedicatedServer(tenant string) string {
	name := "dedicated-" + tenant
	if len(name) <= maxServer {
		return name
	}
	sum := sha256.Sum256([]byte(tenant))
	hash := hex.EncodeToString(sum[:4])
	return strings.TrimRight(name[:maxServer-len(hash)-1], "-") + "-" + hash
}

// ServerService names the Service of a server that the operator runs. This and the names of its Secrets are those
// that CloudNativePG gives (https://cloudnative-pg.io/documentation/current/applications/), also if a StatefulSet
// runs the server.
func ServerService(server string) string { return server + "-rw" }

// ServerHost returns the host name of the server inside the cluster.
func ServerHost(server string) string {
	return ServerService(server) + "." + DatabasesNamespace + ".svc"
}

// ServerSuperuser names the Secret with the login of the server's superuser.
func ServerSuperuser(server string) string { return server + "-superuser" }

// ServerAuthority names the Secret with the certificate authority that has signed the server's certificate.
func ServerAuthority(server string) string { return server + "-ca" }

// ServerCertificate names the Secret with the server's certificate and key.
func ServerCertificate(server string) string { return server + "-server" }

// ServerLogin names the Secret, in ManagerNamespace, with the admin login that a server has accepted last. With
// it, tenants can be removed from the server when the Secret in its spec is gone.
func ServerLogin(server string) string { return "database-server-" + server }

// ServerVolume names the PersistentVolumeClaim of a server that a StatefulSet runs.
func ServerVolume(server string) string { return server + "-data" }

// DatabaseFinalizer returns the finalizer of a tenant that has, or may have, something on a server.
func DatabaseFinalizer(server string) string {
	return finalizerDatabasePrefix + server
}

// DatabaseServers returns the servers on which a tenant with these finalizers may have something.
func DatabaseServers(finalizers []string) []string {
	var servers []string
	for _, finalizer := range finalizers {
		if server, found := strings.CutPrefix(finalizer, finalizerDatabasePrefix); found {
			servers = append(servers, server)
		}
	}
	return servers
}

// ManagedLabels returns the labels of an object that the operator manages for a tenant.
func ManagedLabels(tenant string) map[string]string {
	return map[string]string{LabelManagedBy: ManagedBy, LabelTenant: tenant}
}

// IsManaged reports whether an object with these labels is one that the operator manages.
func IsManaged(labels map[string]string) bool { return labels[LabelManagedBy] == ManagedBy }

// AppLabels returns the labels that select the pods of a tenant's app.
func AppLabels(tenant string) map[string]string {
	return map[string]string{LabelAppName: App, LabelTenant: tenant}
}

// ComponentLabels returns the labels that select the pods of what runs beside a tenant's app.
func ComponentLabels(tenant, component, name string) map[string]string {
	return map[string]string{LabelAppName: name, LabelAppComponent: component, LabelTenant: tenant}
}

// MigrationJob names the Job of an attempt at a migration, and the ConfigMap with the config that it runs with.
func MigrationJob(attempt string) string { return Migration + "-" + attempt }

// ClassOf returns the name of a tenant's class; empty if it has none, or has not got one yet.
func ClassOf(tenant *v1alpha1.Tenant) string {
	switch {
	case tenant.Spec.ClassName != nil:
		return *tenant.Spec.ClassName
	case tenant.Status.Class != nil:
		return tenant.Status.Class.Name
	default:
		return ""
	}
}

// AppURL returns the URL of a tenant's app inside the cluster.
func AppURL(tenant string, port int32) string {
	return fmt.Sprintf("http://%s.%s.svc:%d", App, tenant, port)
}

// SecretVolume names the volume with a Secret of the app's settings. The name of a Secret may be longer than that of a
// volume, and have dots.
func SecretVolume(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "secret-" + hex.EncodeToString(sum[:])[:10]
}

// Revision returns the name of the TenantClassRevision of a class with this content.
func Revision(class string, content []byte) string {
	sum := sha256.Sum256(content)
	return class + "-" + hex.EncodeToString(sum[:])[:10]
}
