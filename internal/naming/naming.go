// Package naming is where every name that the operator gives stands: labels, annotations,
// finalizers, and the names of a tenant's objects.
package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	// FieldOwner is the name under which the operator's writes stand in metadata.managedFields.
	FieldOwner = "tenantry"
	// IndexPlaced is the index of the cache that finds the Tenants that have, or may have, something on a
	// DatabaseServer.
	IndexPlaced = "placedOnDatabaseServer"

	// LabelManagedBy is on every object that the operator manages, with the value ManagedBy; the
	// operator watches by it. See
	// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "tenantry"
	// LabelTenant is on every object of a tenant, its namespace and pods included; its value is the
	// tenant's name.
	LabelTenant = "tenantry.dev/tenant"
	// LabelEnforcement is on the namespaces of tenants whose policies warn and refuse nothing, with
	// the value Audit.
	LabelEnforcement = "tenantry.dev/enforcement"
	// LabelCordoned is on the namespaces of cordoned tenants, with the value true.
	LabelCordoned = "tenantry.dev/cordoned"
	// LabelUsable is on the namespaces of tenants, with the value true where there is a TenantPolicy and
	// false where there is none since the tenant has too many namespaces. Policies go by it.
	LabelUsable = "tenantry.dev/usable"
	// LabelPodDefaults is on the namespaces of tenants whose policies have defaults for pods, with the
	// value true, so that all others don't pay for them.
	LabelPodDefaults = "tenantry.dev/pod-defaults"
	// LabelIngressDefaults is the same for Ingresses.
	LabelIngressDefaults = "tenantry.dev/ingress-defaults"
	// LabelClaimDefaults is the same for PersistentVolumeClaims.
	LabelClaimDefaults = "tenantry.dev/persistentvolumeclaim-defaults"
	// LabelAppName tells the parts of a tenant's app from other pods of the tenant.
	LabelAppName = "app.kubernetes.io/name"

	// LabelServer is on all that makes up a server that the operator runs, its pods included; its value
	// is the name of the DatabaseServer.
	LabelServer = "tenantry.dev/database-server"

	// LabelAppComponent tells the parts of the operator from each other.
	LabelAppComponent = "app.kubernetes.io/component"

	// AnnotationDisplayName carries the tenant's display name on its namespace.
	AnnotationDisplayName = "tenantry.dev/display-name"
	// AnnotationSettings is on the app's pods; it changes with the ConfigMap and the Secret that the
	// app gets its environment from, and so restarts the app.
	AnnotationSettings = "tenantry.dev/settings"

	// AnnotationRestartsApp is on the LimitRange of the primary namespace, with the value true, if the app
	// restarts when what it gives to containers changes. Those from before it did so lack it until then.
	AnnotationRestartsApp = "tenantry.dev/restarts-app"

	// AnnotationTenantUID is on the DatabaseServer that a tenant has to itself, and tells which tenant
	// that is, of those that have had the name.
	AnnotationTenantUID = "tenantry.dev/tenant-uid"
	// AnnotationDatabase is on what holds the data of such a server and outlives it: its volume or
	// Cluster. Its value is the name of the tenant's database, which tells whose the data is.
	AnnotationDatabase = "tenantry.dev/database"
	// AnnotationStorageClass is on such a volume, with the name of the StorageClass that was asked for;
	// it is missing where that was to be the cluster's default one.
	AnnotationStorageClass = "tenantry.dev/storage-class"

	// AnnotationSecrets is on the pods of a server that the operator runs; it changes with the Secrets
	// that the server has read at its start, and so restarts it.
	AnnotationSecrets = "tenantry.dev/secrets" //nolint:gosec // It is a name and no credential.

	// AnnotationRotatedAt is on the Secret with a tenant's login: when its password was made. Beside it
	// stands AnnotationRotateCredentials of package v1alpha1, with the request that the password came
	// after.
	AnnotationRotatedAt = "tenantry.dev/rotated-at"

	// AnnotationUsable is on a namespace that its tenant uses, other than the primary one, so that an
	// older one that comes in later doesn't push it over the limit.
	AnnotationUsable = "tenantry.dev/usable"
	// AnnotationMovedIn is on a namespace of a tenant that was there before it was the tenant's, with the
	// value true.
	AnnotationMovedIn = "tenantry.dev/moved-in"
	// AnnotationReclaimPolicy is on a namespace that stays when its Tenant is deleted, with the value
	// Release. The garbage collector can't delete it by its owner reference.
	AnnotationReclaimPolicy = "tenantry.dev/reclaim-policy"
	// AnnotationSlice is on a ResourceQuota that is part of a budget over several namespaces, with
	// what its next split depends on.
	AnnotationSlice = "tenantry.dev/slice"

	// FinalizerTenant stays on a Tenant as long as its namespaces may exist.
	FinalizerTenant = "tenantry.dev/tenant"

	// FinalizerRights stays on the RoleBindings of owners in the namespaces that they can delete, as long as
	// anything but those is left there, so that owners can see and release what keeps the namespace.
	FinalizerRights = "tenantry.dev/rights"

	// FinalizerServer stays on a DatabaseServer as long as tenants may have something on it.
	FinalizerServer = "tenantry.dev/tenants"

	// finalizerDatabasePrefix and a server's name make the finalizer that stays on a Tenant as long
	// as anything of it may be on that server. It is thus also the record of where the tenant's
	// database was placed, written before the first SQL statement.
	finalizerDatabasePrefix = "database.tenantry.dev/"
)

// Names of the objects in a tenant's namespaces.
const (
	// App names the app's Deployment, Service, ServiceAccount, PodDisruptionBudget and container.
	App = "app"
	// AppConfig names the ConfigMap with the tenant's config.
	AppConfig = "app-config"
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
	// MoreNamespaces is the key of that ConfigMap that says how many more there are. No namespace has a
	// name like it.
	MoreNamespaces = "_more"
	// TenantUser names the RoleBinding by which owners may create namespaces of the tenant.
	TenantUser = "tenant-user"
	// TenantNames names the Role, and its RoleBinding, with the names that owners may give to namespaces
	// beside those that begin with the tenant's.
	TenantNames = "tenant-names"
	// TenantAuditor names the RoleBinding that says that the tenant's policies only warn.
	TenantAuditor = "tenant-auditor"
	// NamespaceOwner names the RoleBinding by which owners may change and delete a namespace.
	NamespaceOwner = "tenant-namespace"
	// ownerRolePrefix and a ClusterRole's name make the name of the RoleBinding for it.
	ownerRolePrefix = "tenant-role-"
	// PolicyDenyAll names the NetworkPolicy that forbids all that no other one allows.
	PolicyDenyAll = "deny-all"
	// PolicyAllowDNS names the NetworkPolicy that opens the way to the cluster's DNS.
	PolicyAllowDNS = "allow-dns"
	// PolicyAllowTenant names the NetworkPolicy that lets the tenant's pods reach each other.
	PolicyAllowTenant = "allow-tenant"
	// PolicyAllowDatabase names the NetworkPolicy that opens the way to the tenant's database.
	PolicyAllowDatabase = "allow-database"
	// PolicyAllowSpec names the NetworkPolicy with the rules of the tenant's spec.network.
	PolicyAllowSpec = "allow-spec"
)

// ClusterRoles and the ServiceAccount that config/ installs.
const (
	// RoleTenantUser is the ClusterRole with the verb use on tenants. Whoever has it in the namespace
	// that is named after a tenant may create namespaces of that tenant.
	RoleTenantUser = "tenantry-tenant-user"
	// RoleNamespaceOwner is the ClusterRole to change and delete namespaces.
	RoleNamespaceOwner = "tenantry-namespace-owner"
	// RoleTenantAuditor is the ClusterRole with the verb audit on tenants. The operator has it in the
	// primary namespaces of tenants whose policies only warn, where the policy unusable asks for it.
	RoleTenantAuditor = "tenantry-tenant-auditor"
	// Manager is the operator's ServiceAccount, and ManagerNamespace the namespace it is in.
	Manager          = "tenantry-manager"
	ManagerNamespace = "tenantry-system"
	// ManagerAppName and ManagerComponent are the labels app.kubernetes.io/name and
	// app.kubernetes.io/component of the operator's pods.
	ManagerAppName   = "tenantry"
	ManagerComponent = "manager"
	// DatabasesNamespace is where the servers are that the operator runs.
	DatabasesNamespace = "tenantry-databases"
)

// OwnerRole names the RoleBinding by which owners have a further ClusterRole.
func OwnerRole(clusterRole string) string { return ownerRolePrefix + clusterRole }

// maxServer is how long the name of a server may be that the operator runs: CloudNativePG and
// StatefulSets append to it what makes up the names of pods and the values of labels.
const maxServer = 50

// DedicatedServer names the DatabaseServer of a tenant that has one of its own, and what makes it up.
func DedicatedServer(tenant string) string {
	name := "dedicated-" + tenant
	if len(name) <= maxServer {
		return name
	}
	sum := sha256.Sum256([]byte(tenant))
	hash := hex.EncodeToString(sum[:4])
	return strings.TrimRight(name[:maxServer-len(hash)-1], "-") + "-" + hash
}

// ServerService names the Service of a server that the operator runs. This and the names of its Secrets
// are those that CloudNativePG gives (https://cloudnative-pg.io/documentation/current/applications/),
// whoever runs it.
func ServerService(server string) string { return server + "-rw" }

// ServerHost returns the host name of the server inside the cluster.
func ServerHost(server string) string {
	return ServerService(server) + "." + DatabasesNamespace + ".svc"
}

// ServerSuperuser names the Secret with the login of the server's superuser.
func ServerSuperuser(server string) string { return server + "-superuser" }

// ServerAuthority names the Secret with the authority that has signed the server's certificate.
func ServerAuthority(server string) string { return server + "-ca" }

// ServerCertificate names the Secret with the server's certificate and key.
func ServerCertificate(server string) string { return server + "-server" }

// ServerLogin names the Secret, in ManagerNamespace, with the login that a server has accepted last, so that
// tenants can be removed from it when the Secret that its spec names is gone.
func ServerLogin(server string) string { return "database-server-" + server }

// ServerVolume names the PersistentVolumeClaim of a server without CloudNativePG.
func ServerVolume(server string) string { return server + "-data" }

// DatabaseFinalizer returns the finalizer of a tenant that has, or may have, something on a server.
func DatabaseFinalizer(server string) string {
	return finalizerDatabasePrefix + server
}

// DatabaseServers returns the servers that the given finalizers say a tenant may have something on.
func DatabaseServers(finalizers []string) []string {
	var servers []string
	for _, finalizer := range finalizers {
		if server, found := strings.CutPrefix(finalizer, finalizerDatabasePrefix); found {
			servers = append(servers, server)
		}
	}
	return servers
}

// ManagedLabels returns the labels of an object that is managed for a tenant.
func ManagedLabels(tenant string) map[string]string {
	return map[string]string{LabelManagedBy: ManagedBy, LabelTenant: tenant}
}

// AppLabels returns the labels that select the pods of a tenant's app.
func AppLabels(tenant string) map[string]string {
	return map[string]string{LabelAppName: App, LabelTenant: tenant}
}
