package problem

import (
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// WaitsForNamespace means that the part needs the tenant's primary namespace, which doesn't exist.
func WaitsForNamespace() Problem { return progressing("It waits for the namespace.") }

// WaitsForQuotaToBeInPlace means that the part needs the quota, which isn't in place.
func WaitsForQuotaToBeInPlace() Problem {
	return progressing("It waits for the quota; QuotaReady says what keeps that from being in place.")
}

// WaitsForQuota means that the cluster has not begun to enforce the quota of a namespace.
func WaitsForQuota(namespace string) Problem {
	return progressing("It waits until the cluster enforces ResourceQuota %q in namespace %q; if that takes more than some seconds, see whether the quota controller of kube-controller-manager runs.",
		naming.Quota, namespace)
}

// NamespaceConflict means that a namespace has the tenant's label and can't belong to it. why is a sentence.
func NamespaceConflict(namespace, why string) Problem {
	return stalled(v1alpha1.ReasonConflict, OnChange, "The namespace %s can't be the tenant's. %s", namespace, why)
}

// NamespaceLimitExceeded means that more namespaces have the tenant's label than it may use. waiting are those
// that nobody can use.
func NamespaceLimitExceeded(limit int32, waiting string) Problem {
	return stalled(v1alpha1.ReasonNamespaceLimitExceeded, OnChange,
		"The tenant may use %d namespaces, so that nobody can use %s; delete namespaces until no more than %d are left, or raise spec.namespaces.limit.",
		limit, waiting, limit)
}

// UntrustedOwners means that owners are ServiceAccounts of namespaces that don't exist or are another tenant's.
// Each entry includes the reason.
func UntrustedOwners(owners []string) Problem {
	return stalled(v1alpha1.ReasonUntrustedOwner, OnChange,
		"These owners have no rights, which others would have through them: %s. Create the namespace, name another owner, or set the owner's trustNamespace to true.",
		strings.Join(owners, "; "))
}

// NamespaceTaken means that the tenant's primary namespace belongs to another tenant.
func NamespaceTaken(namespace, other string) Problem {
	return stalled(v1alpha1.ReasonConflict, Later,
		"Namespace %q belongs to Tenant %q and is left as it is. Give this Tenant another name, delete the namespace, or hand it over with all that is in it: kubectl label namespace %s %s=%s --overwrite",
		namespace, other, namespace, naming.LabelTenant, namespace)
}

// QuotaBelowUse means that more is in use than the quota allows. overuse says what and how much.
func QuotaBelowUse(overuse string) Problem {
	return stalled(v1alpha1.ReasonQuotaBelowUse, OnChange,
		"More is in use than the quota allows: %s. What runs goes on, and nothing is added; raise spec.quota, or end something.", overuse)
}

// QuotaBelowNeeds means that the operator's own objects don't fit into the quota. shortage says what and how much.
func QuotaBelowNeeds(shortage string) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"The quota has no room for what the operator itself puts into the tenant's namespaces, which is %s. Until spec.quota is raised, or leaves that out, nothing runs where a part of it is missing.", shortage)
}

// WaitsForWalls means that the part must wait, since the namespace lacks a wall.
func WaitsForWalls(namespace string) Problem {
	return progressing("It waits for the walls of namespace %q; QuotaReady and NetworkReady say what keeps those from being in place.", namespace)
}

// HostnamesTaken means that older tenants have some of the hostnames. Each entry includes the Tenant that has it.
func HostnamesTaken(hostnames []string) Problem {
	return stalled(v1alpha1.ReasonConflict, OnChange,
		"An older tenant has these hostnames, or some below them, already: %s; take them out of spec.policy.hostnames, or spec.app.expose.hostnames, of either.",
		strings.Join(hostnames, ", "))
}

// ClusterRolesMissing means that the spec gives owners ClusterRoles that don't exist.
func ClusterRolesMissing(names []string) Problem {
	return stalled(v1alpha1.ReasonForbidden, Later, "There is no ClusterRole %s; create it, or leave it out of spec.owners.",
		strings.Join(names, " and no ClusterRole "))
}

// ClusterRolesForbidden means that the spec gives owners ClusterRoles that the operator may not bind.
func ClusterRolesForbidden(names []string) Problem {
	name := "tenantry-bind-" + names[0]
	return stalled(v1alpha1.ReasonForbidden, Later, "The operator may not give away the ClusterRole %s. To allow it: "+
		"kubectl create clusterrole %s --verb=bind --resource=clusterroles.rbac.authorization.k8s.io --resource-name=%s && "+
		"kubectl create clusterrolebinding %s --clusterrole=%s --serviceaccount=%s:%s",
		strings.Join(names, ", "), name, strings.Join(names, " --resource-name="),
		name, name, naming.ManagerNamespace, naming.Manager)
}

// WaitsForShare means that the app's pods fit into what is free of the tenant's quota, but not yet into the share
// of their namespace.
func WaitsForShare() Problem {
	return progressing("The app's pods need more of the quota than their namespace has; it gets that from the tenant's other namespaces, and Kubernetes then tries again.")
}

// RolloutStuck means that the pods of the app have not become ready in time. reason and message are the
// Deployment's.
func RolloutStuck(reason, message string) Problem {
	return temporary(reason, OnChange, "The app's pods do not become ready: %s", message)
}

// KeepsChanging means that an object was changed between reading and writing it, too often in a row. writer is the
// field manager that changed it last; empty if that isn't known.
func KeepsChanging(object, writer string) Problem {
	if writer == "" {
		return temporary(v1alpha1.ReasonFailed, Again,
			"%s keeps changing while the operator brings it in line with the spec; it is tried again, less and less often. Find out what else writes it, and have that leave it alone.", object)
	}
	return temporary(v1alpha1.ReasonFailed, Again,
		"%s keeps changing while the operator brings it in line with the spec; it is tried again, less and less often. It was last changed by %q; if that lasts, have %q leave it alone.", object, writer, writer)
}

// HibernationInvalid means that the spec doesn't say when the tenant sleeps. what says what is wrong and what to write.
func HibernationInvalid(what string) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange, "The tenant neither falls asleep nor wakes: %s.", what)
}

// SettingsInvalid means that the spec has settings that no app could read. what says what is wrong and what to write.
func SettingsInvalid(what string) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange, "The app stays as it is, since its settings are wrong: %s.", what)
}

// SettingsSecretsMissing means that the spec names Secrets with settings that don't exist.
func SettingsSecretsMissing(namespace string, names []string) Problem {
	return stalled(v1alpha1.ReasonSecretNotFound, OnChange,
		"The app stays as it is, since spec.secretRefs names Secrets that do not exist in namespace %s: %s. Create them, or leave them out.",
		namespace, strings.Join(names, ", "))
}
