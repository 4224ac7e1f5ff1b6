package v1alpha1

// Condition types of a Tenant and of a DatabaseServer. They follow the kstatus conventions
// (https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus): Ready is always there,
// Reconciling and Stalled only while they are true.
const (
	// ConditionReady is True when everything that the spec asks for exists and works.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the operator is still working towards the spec.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when the operator can't continue until somebody changes something.
	ConditionStalled = "Stalled"

	// ConditionNamespaceReady is True when the tenant's namespaces exist, belong to it, and are within its
	// limit.
	ConditionNamespaceReady = "NamespaceReady"
	// ConditionQuotaReady is True when quota and container limits are in force.
	ConditionQuotaReady = "QuotaReady"
	// ConditionNetworkReady is True when the tenant's network policies are in place.
	ConditionNetworkReady = "NetworkReady"
	// ConditionAccessReady is True when the owners' rights are in place.
	ConditionAccessReady = "AccessReady"
	// ConditionDatabaseReady is True when the database accepts the login in the tenant's Secret. It is
	// absent if the tenant has no database.
	ConditionDatabaseReady = "DatabaseReady"
	// ConditionObjectsReady is True when the objects and copies that the tenant has from its class are in place, and the
	// objects are ready by the rules of kstatus. It is absent if the class has none.
	ConditionObjectsReady = "ObjectsReady"
	// ConditionAppReady is True when all replicas of the app are available with the current settings. It
	// is absent if the tenant has no app.
	ConditionAppReady = "AppReady"

	// ConditionHeldBack is True on a Tenant while its class says something else about what is fixed once a database
	// is placed. The message says what. It is absent otherwise.
	ConditionHeldBack = "HeldBack"

	// ConditionDeletionBlocked is True while a DatabaseServer or a TenantClass is being deleted and still has tenants.
	// It is absent otherwise.
	ConditionDeletionBlocked = "DeletionBlocked"
	// ConditionUnexpectedAccess is True on a Tenant while other roles are members of its database roles,
	// or its roles are members of others, and on a DatabaseServer while it has superusers that it didn't
	// have when it was prepared. The message says how to end that. It is absent otherwise.
	ConditionUnexpectedAccess = "UnexpectedAccess"
	// ConditionNetworkPeersUnknown is True on a DatabaseServer while its host names a Service and the operator can't
	// find the Service's endpoints. The tenants' network policies may then keep their pods from the server. The
	// message says what to set. It is absent otherwise.
	ConditionNetworkPeersUnknown = "NetworkPeersUnknown"
	// ConditionUpkeepFailed is True on a DatabaseServer that answers while the operator can't do something on
	// it that no single tenant waits for, as locking out tenants that no longer exist. The message says what,
	// and why. It is absent otherwise.
	ConditionUpkeepFailed = "UpkeepFailed"
)

// Reasons of conditions. If a pod reports why it doesn't run, AppReady has the pod's own reason
// (ErrImagePull, CrashLoopBackOff, Unschedulable, …).
const (
	// ReasonReady means that everything is as the spec asks.
	ReasonReady = "Ready"
	// ReasonPending means that the operator hasn't seen the object yet.
	ReasonPending = "Pending"
	// ReasonProgressing means that the operator is still working and nothing is wrong.
	ReasonProgressing = "Progressing"
	// ReasonConflict means that an object with the name exists and isn't this tenant's. The operator doesn't touch
	// it.
	ReasonConflict = "Conflict"
	// ReasonInvalid means that the API server or the database server refuses what the spec asks for.
	ReasonInvalid = "Invalid"
	// ReasonFailed means that a request failed, timed out, or kept meeting conflicting changes. The operator retries
	// it.
	ReasonFailed = "Failed"
	// ReasonTerminating means that the object is being deleted.
	ReasonTerminating = "Terminating"

	// ReasonNamespaceLimitExceeded means that the tenant has more namespaces than its limit allows.
	ReasonNamespaceLimitExceeded = "NamespaceLimitExceeded"
	// ReasonUntrustedOwner means that an owner has no rights, because it is a ServiceAccount whose namespace doesn't
	// exist or belongs to another tenant.
	ReasonUntrustedOwner = "UntrustedOwner"
	// ReasonQuotaBelowUse means that more is in use than the quota allows, because the quota was lowered.
	ReasonQuotaBelowUse = "QuotaBelowUse"

	// ReasonClassNotFound means that the spec names a TenantClass that doesn't exist.
	ReasonClassNotFound = "ClassNotFound"
	// ReasonRevisionNotFound means that the class has no TenantClassRevision of the name in the spec.
	ReasonRevisionNotFound = "RevisionNotFound"
	// ReasonImmutable means that something is fixed once the database is placed, or once a volume of the app is there.
	ReasonImmutable = "Immutable"

	// ReasonKindNotFound means that the class has an object of a kind that the cluster doesn't know.
	ReasonKindNotFound = "KindNotFound"
	// ReasonSourceNotFound means that the class has a copy of a Secret or ConfigMap that doesn't exist.
	ReasonSourceNotFound = "SourceNotFound"
	// ReasonObjectFailed means that an object from the class has failed, according to its status.
	ReasonObjectFailed = "ObjectFailed"

	// ReasonServerNotFound means that the spec names a DatabaseServer that doesn't exist.
	ReasonServerNotFound = "ServerNotFound"
	// ReasonServerNotReady means that the DatabaseServer exists but can't be used now.
	ReasonServerNotReady = "ServerNotReady"
	// ReasonServerFull means that the DatabaseServer has as many tenants as its capacity allows.
	ReasonServerFull = "ServerFull"
	// ReasonIsolationNotOffered means that the DatabaseServer doesn't offer the isolation that the spec asks for.
	ReasonIsolationNotOffered = "IsolationNotOffered"
	// ReasonExtensionNotOffered means that the DatabaseServer doesn't list an extension that the spec asks for.
	ReasonExtensionNotOffered = "ExtensionNotOffered"
	// ReasonServerUnschedulable means that the DatabaseServer is unschedulable and takes no new tenants.
	ReasonServerUnschedulable = "ServerUnschedulable"
	// ReasonNoSuitableServer means that none of the DatabaseServers that the selector matches can take the tenant.
	ReasonNoSuitableServer = "NoSuitableServer"
	// ReasonInUse means that tenants have their database on the DatabaseServer.
	ReasonInUse = "InUse"
	// ReasonUnexpectedMember means that a database role of a tenant has members or memberships that the operator
	// didn't grant.
	ReasonUnexpectedMember = "UnexpectedMember"
	// ReasonUnexpectedSuperuser means that the server has superusers that it didn't have when it was prepared.
	ReasonUnexpectedSuperuser = "UnexpectedSuperuser"
	// ReasonServiceNotFound means that the DatabaseServer's host names a Service that doesn't exist.
	ReasonServiceNotFound = "ServiceNotFound"
	// ReasonServicePortNotFound means that the Service doesn't have the DatabaseServer's port.
	ReasonServicePortNotFound = "ServicePortNotFound"
	// ReasonNoEndpoints means that the Service has no endpoints.
	ReasonNoEndpoints = "NoEndpoints"
	// ReasonUnreachable means that the database server doesn't answer.
	ReasonUnreachable = "Unreachable"
	// ReasonDiskFull means that the database server answers, but can't write, since its disk or volume is full.
	ReasonDiskFull = "DiskFull"
	// ReasonAuthenticationFailed means that the database server refuses the admin's username or password.
	ReasonAuthenticationFailed = "AuthenticationFailed"
	// ReasonSecretNotFound means that a Secret that the spec refers to is missing or lacks a key.
	ReasonSecretNotFound = "SecretNotFound"

	// ReasonQuotaExceeded means that the app or another object of the tenant needs more than a quota leaves.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonForbidden means that the API server refuses the app's pods or another object of the tenant: Pod Security,
	// container limits, or a policy or webhook of the cluster forbids it, or the operator lacks a right.
	ReasonForbidden = "Forbidden"
	// ReasonJobFailed means that the last run of a schedule has failed.
	ReasonJobFailed = "JobFailed"
	// ReasonMigrationFailed means that the migration of a new version of the app has failed, so that the old one stays.
	ReasonMigrationFailed = "MigrationFailed"
	// ReasonRollbackOverMigration means that the app can't return to an older image by itself, since a newer migration
	// has run.
	ReasonRollbackOverMigration = "RollbackOverMigration"
	// ReasonAutoscalingInactive means that the app runs, and its autoscaler or that of a worker doesn't change how many
	// pods there are, since it gets no metrics.
	ReasonAutoscalingInactive = "AutoscalingInactive"
	// ReasonAutoscalingLimited means that the app runs, and it and its workers can't have as many pods as their
	// autoscalers may choose, since the quota has no room for them.
	ReasonAutoscalingLimited = "AutoscalingLimited"
	// ReasonHibernated means that the tenant sleeps, as the spec asks.
	ReasonHibernated = "Hibernated"
	// ReasonIngressClassNotFound means that there is no IngressClass for the app.
	ReasonIngressClassNotFound = "IngressClassNotFound"
	// ReasonGatewayNotFound means that the Gateway that is to serve the app doesn't exist, or no Gateway API at all.
	ReasonGatewayNotFound = "GatewayNotFound"
	// ReasonGatewayNotReady means that nobody serves the app's Gateway.
	ReasonGatewayNotReady = "GatewayNotReady"
	// ReasonNetworkPeersUnknown means that it isn't known where an app's requests come from.
	ReasonNetworkPeersUnknown = "NetworkPeersUnknown"
	// ReasonScaledToZero means that the app has zero replicas, as the spec asks.
	ReasonScaledToZero = "ScaledToZero"
)
