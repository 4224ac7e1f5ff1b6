package v1alpha1

// Condition types of a Tenant and of a DatabaseServer. They follow the kstatus conventions
// (https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus): Ready is always there,
// Reconciling and Stalled only while they are true.
const (
	// ConditionReady is True when everything the spec asks for is in place and works.
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
	// ConditionAppReady is True when all replicas of the app are available with the current settings. It
	// is absent if the tenant has no app.
	ConditionAppReady = "AppReady"

	// ConditionDeletionBlocked is True while a DatabaseServer is being deleted and still has tenants. It
	// is absent otherwise.
	ConditionDeletionBlocked = "DeletionBlocked"
	// ConditionUnexpectedAccess is True on a Tenant while other roles are members of its database roles,
	// or its roles are members of others, and on a DatabaseServer while it has superusers that it didn't
	// have when it was prepared. The message says how to end that. It is absent otherwise.
	ConditionUnexpectedAccess = "UnexpectedAccess"
	// ConditionNetworkPeersUnknown is True on a DatabaseServer while its host stands for a Service, and the
	// operator can't find out what is behind that, so that the pods of tenants may not reach the server. The
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
	// ReasonReady : everything is as the spec asks.
	ReasonReady = "Ready"
	// ReasonPending : the operator has not looked at the object yet.
	ReasonPending = "Pending"
	// ReasonProgressing : work is under way, and nothing is wrong.
	ReasonProgressing = "Progressing"
	// ReasonConflict : an object with that name exists and isn't this tenant's; it is not touched.
	ReasonConflict = "Conflict"
	// ReasonInvalid : the API server or the database server refuses what the spec asks for.
	ReasonInvalid = "Invalid"
	// ReasonFailed : a request failed, took too long, or found that something keeps changing; it is
	// tried again.
	ReasonFailed = "Failed"
	// ReasonTerminating : the object is being deleted.
	ReasonTerminating = "Terminating"

	// ReasonNamespaceLimitExceeded : the tenant has more namespaces than its limit allows.
	ReasonNamespaceLimitExceeded = "NamespaceLimitExceeded"
	// ReasonUntrustedOwner : an owner is a ServiceAccount whose namespace doesn't exist or is another
	// tenant's, and so has no rights.
	ReasonUntrustedOwner = "UntrustedOwner"
	// ReasonQuotaBelowUse : more is in use than the quota allows, because it was lowered.
	ReasonQuotaBelowUse = "QuotaBelowUse"

	// ReasonServerNotFound : the spec names a DatabaseServer that doesn't exist.
	ReasonServerNotFound = "ServerNotFound"
	// ReasonServerNotReady : the DatabaseServer is there but can't be used now.
	ReasonServerNotReady = "ServerNotReady"
	// ReasonServerFull : the DatabaseServer has as many tenants as its capacity allows.
	ReasonServerFull = "ServerFull"
	// ReasonIsolationNotOffered : the DatabaseServer doesn't offer the isolation the spec asks for.
	ReasonIsolationNotOffered = "IsolationNotOffered"
	// ReasonExtensionNotOffered : the DatabaseServer doesn't list an extension that the spec asks for.
	ReasonExtensionNotOffered = "ExtensionNotOffered"
	// ReasonServerUnschedulable : the DatabaseServer is unschedulable, so it takes no new tenants.
	ReasonServerUnschedulable = "ServerUnschedulable"
	// ReasonNoSuitableServer : none of the DatabaseServers that the selector finds takes the tenant.
	ReasonNoSuitableServer = "NoSuitableServer"
	// ReasonInUse : tenants have their database on the DatabaseServer.
	ReasonInUse = "InUse"
	// ReasonUnexpectedMember : a database role of a tenant has members, or memberships, that the
	// operator has not made.
	ReasonUnexpectedMember = "UnexpectedMember"
	// ReasonUnexpectedSuperuser : the server has superusers that it didn't have when it was prepared.
	ReasonUnexpectedSuperuser = "UnexpectedSuperuser"
	// ReasonServiceNotFound : the DatabaseServer's host names a Service that doesn't exist.
	ReasonServiceNotFound = "ServiceNotFound"
	// ReasonServicePortNotFound : the Service doesn't have the DatabaseServer's port.
	ReasonServicePortNotFound = "ServicePortNotFound"
	// ReasonNoEndpoints : nothing is behind the Service.
	ReasonNoEndpoints = "NoEndpoints"
	// ReasonUnreachable : the database server doesn't answer.
	ReasonUnreachable = "Unreachable"
	// ReasonAuthenticationFailed : the database server refuses the admin's username or password.
	ReasonAuthenticationFailed = "AuthenticationFailed"
	// ReasonSecretNotFound : a Secret that the spec refers to is missing, or lacks a key.
	ReasonSecretNotFound = "SecretNotFound"

	// ReasonQuotaExceeded : the app, or an object of the tenant, asks for more than a quota leaves.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonForbidden : the API server refuses the app's pods or an object of the tenant, by Pod Security,
	// container limits, or a policy or webhook of the cluster, or since the operator lacks a right.
	ReasonForbidden = "Forbidden"
	// ReasonScaledToZero : the app has zero replicas, as the spec asks.
	ReasonScaledToZero = "ScaledToZero"
)
