// Package status says what a tenant's status is. It is pure: an Observation goes in, a status comes
// out, and the time is part of the Observation.
package status

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/budget"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// Observation is all that a tenant's status depends on.
type Observation struct {
	// Tenant is the tenant, with its effective spec and the status that it has so far.
	Tenant *effective.Tenant
	// Problems say, by condition type, what keeps a part from being in place. A part without a
	// problem is in place.
	Problems map[string]problem.Problem
	// Failure is what kept the operator from all that isn't about one part; nil if nothing did.
	Failure *problem.Problem
	// Database is where the tenant's database is; nil while it has none.
	Database *v1alpha1.TenantDatabaseStatus
	// Memberships are what the database server has of those that the operator has not made in or of the
	// tenant's roles; nil if it was not asked.
	Memberships *[]database.Membership
	// Namespaces are the tenant's namespaces; left out, there is only the primary one.
	Namespaces []v1alpha1.TenantNamespace
	// Quota is the tenant's ResourceQuota as the cluster has it, or what its ResourceQuotas are
	// together; nil if it has none.
	Quota *corev1.ResourceQuota
	// Deployment is the tenant's app as the cluster has it; nil if it has none.
	Deployment *appsv1.Deployment
	// Pods are the app's pods as the cluster has them.
	Pods []corev1.Pod
	// Now is the time of the observation.
	Now time.Time
}

// parts are the conditions of a tenant's parts, in the order in which they are put in place; the
// first one that isn't True explains why the tenant isn't Ready.
var parts = []part{
	{v1alpha1.ConditionNamespaceReady, always, namespaceInPlace},
	{v1alpha1.ConditionQuotaReady, always, quotaInPlace},
	{v1alpha1.ConditionNetworkReady, always, networkInPlace},
	{v1alpha1.ConditionAccessReady, always, accessInPlace},
	{v1alpha1.ConditionDatabaseReady, hasDatabase, databaseInPlace},
	{v1alpha1.ConditionAppReady, hasApp, appInPlace},
}

// part is what a condition of its own is about.
type part struct {
	condition string
	applies   func(effective.Spec) bool
	inPlace   func(Observation) state
}

func always(effective.Spec) bool           { return true }
func hasDatabase(spec effective.Spec) bool { return spec.Database != nil }
func hasApp(spec effective.Spec) bool      { return spec.App != nil }

// state is what a condition says.
type state struct {
	status  metav1.ConditionStatus
	reason  string
	message string
	stalled bool
}

func ready(format string, args ...any) state {
	return state{status: metav1.ConditionTrue, reason: v1alpha1.ReasonReady, message: fmt.Sprintf(format, args...)}
}

func progressing(format string, args ...any) state {
	return state{status: metav1.ConditionFalse, reason: v1alpha1.ReasonProgressing, message: fmt.Sprintf(format, args...)}
}

// Of is the status of the tenant that was observed.
func Of(o Observation) v1alpha1.TenantStatus {
	result := v1alpha1.TenantStatus{
		ObservedGeneration: o.Tenant.Generation,
		Conditions:         o.Tenant.Status.DeepCopy().Conditions,
		Namespaces:         namespaces(o),
		UsableNamespaces:   new(usableNamespaces(o)),
		Database:           o.Database,
		App:                appStatus(o),
		Usage:              usage(o),
	}
	summary := ready("Everything is in place.")
	if o.Tenant.Spec.Cordoned {
		summary = ready("Everything is in place, and the tenant is cordoned.")
	}
	for _, part := range parts {
		if !part.applies(o.Tenant.Spec) {
			meta.RemoveStatusCondition(&result.Conditions, part.condition)
			continue
		}
		current := part.state(o)
		set(&result.Conditions, o.Tenant.Generation, o.Now, part.condition, current)
		if outranks(current, summary) {
			summary = current
		}
	}
	if o.Failure != nil {
		if failure := stateOf(*o.Failure); outranks(failure, summary) {
			summary = failure
		}
	}
	tellOfMembers(&result.Conditions, o)
	summarize(&result.Conditions, o.Tenant.Generation, o.Now, summary)
	return result
}

func (p part) state(o Observation) state {
	found, isProblem := o.Problems[p.condition]
	if !isProblem {
		return p.inPlace(o)
	}
	return stateOf(found)
}

// stateOf is what a condition says of a problem.
func stateOf(p problem.Problem) state {
	return state{status: metav1.ConditionFalse, reason: p.Reason, message: p.Message, stalled: p.Stalled}
}

// Failing is the status of a tenant whose parts could not be looked at: they stay as they were.
func Failing(o Observation, found problem.Problem) v1alpha1.TenantStatus {
	return withSummary(o, stateOf(found))
}

// withSummary is the status that a tenant has so far, with another summary.
func withSummary(o Observation, summary state) v1alpha1.TenantStatus {
	result := *o.Tenant.Status.DeepCopy()
	result.ObservedGeneration = o.Tenant.Generation
	summarize(&result.Conditions, o.Tenant.Generation, o.Now, summary)
	return result
}

// outranks says whether a tells more about why a tenant isn't ready than b: what waits for
// somebody, then what is wrong, then what merely takes its time, and the earlier of equals.
func outranks(a, b state) bool { return rank(a) > rank(b) }

func rank(s state) int {
	switch {
	case s.status == metav1.ConditionTrue:
		return 0
	case s.reason == v1alpha1.ReasonProgressing:
		return 1
	case !s.stalled:
		return 2
	default:
		return 3
	}
}

// summarize sets Ready, and Reconciling and Stalled as kstatus wants them.
func summarize(conditions *[]metav1.Condition, generation int64, now time.Time, summary state) {
	set(conditions, generation, now, v1alpha1.ConditionReady, summary)
	abnormal := state{status: metav1.ConditionTrue, reason: summary.reason, message: summary.message}
	for _, condition := range []struct {
		name string
		when bool
	}{
		{v1alpha1.ConditionReconciling, summary.status != metav1.ConditionTrue && !summary.stalled},
		{v1alpha1.ConditionStalled, summary.stalled},
	} {
		if condition.when {
			set(conditions, generation, now, condition.name, abnormal)
		} else {
			meta.RemoveStatusCondition(conditions, condition.name)
		}
	}
}

// maxNamespaces is how many namespaces a status takes.
const maxNamespaces = 256

// maxMessage is what the API server takes as the message of a condition.
const maxMessage = 32768

func set(conditions *[]metav1.Condition, generation int64, now time.Time, condition string, s state) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: condition, Status: s.status, Reason: s.reason, Message: s.message[:min(len(s.message), maxMessage)],
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now),
	})
}

func networkInPlace(Observation) state { return ready("The network policies are in place.") }

func namespaceInPlace(o Observation) state {
	usable, limit := usableNamespaces(o), o.Tenant.Spec.Namespaces.Limit
	for _, namespace := range o.Namespaces {
		if namespace.State == v1alpha1.NamespaceConflict {
			return stateOf(problem.NamespaceConflict(namespace.Name, namespace.Message))
		}
	}
	if waiting := membership.Names(o.Namespaces, v1alpha1.NamespaceOverLimit); waiting != "" {
		return stateOf(problem.NamespaceLimitExceeded(limit, waiting))
	}
	if usable > 1 {
		return ready("%d namespaces are in place.", usable)
	}
	return ready("The namespace is in place.")
}

func accessInPlace(o Observation) state {
	if len(o.Tenant.Spec.Owners) == 0 {
		return ready("The tenant has no owners.")
	}
	return ready("The owners' rights are in place.")
}

func quotaInPlace(o Observation) state {
	if len(o.Tenant.Spec.Quota) == 0 {
		return ready("The tenant has no quota.")
	}
	if o.Quota != nil {
		if over := overuse(o.Tenant.Spec.Quota, o.Quota.Status.Used); over != "" {
			return stateOf(problem.QuotaBelowUse(over))
		}
	}
	return ready("Quota and container limits are in force.")
}

func databaseInPlace(o Observation) state {
	return ready("Database %s on server %s is open for the login in Secret %s.",
		o.Database.Name, o.Database.Server, o.Database.SecretName)
}

func namespaces(o Observation) []v1alpha1.TenantNamespace {
	if _, missing := o.Problems[v1alpha1.ConditionNamespaceReady]; missing && len(o.Namespaces) < 2 {
		return nil
	}
	if len(o.Namespaces) == 0 {
		return []v1alpha1.TenantNamespace{{Name: o.Tenant.Name, Primary: true, State: v1alpha1.NamespaceUsable}}
	}
	return o.Namespaces[:min(len(o.Namespaces), maxNamespaces)]
}

func usableNamespaces(o Observation) int32 {
	usable := int32(0)
	for _, namespace := range namespaces(o) {
		if namespace.State == v1alpha1.NamespaceUsable {
			usable++
		}
	}
	return usable
}

// overuse is what is used beyond the quota, in words; empty if nothing is.
func overuse(quota, used corev1.ResourceList) string {
	var words []string
	for _, name := range budget.Overused(quota, used) {
		in, of := used[name], quota[name]
		words = append(words, fmt.Sprintf("%s %s of %s", name, in.String(), of.String()))
	}
	return strings.Join(words, ", ")
}

func usage(o Observation) *v1alpha1.TenantUsage {
	if o.Quota == nil || len(o.Quota.Status.Hard) == 0 {
		return nil
	}
	return &v1alpha1.TenantUsage{Hard: o.Quota.Status.Hard, Used: o.Quota.Status.Used}
}

func appStatus(o Observation) *v1alpha1.TenantAppStatus {
	spec := o.Tenant.Spec.App
	if spec == nil || o.Deployment == nil {
		return nil
	}
	result := &v1alpha1.TenantAppStatus{
		Image:         spec.Image,
		Replicas:      o.Deployment.Spec.Replicas,
		ReadyReplicas: new(o.Deployment.Status.ReadyReplicas),
	}
	if spec.Port != 0 {
		result.URL = fmt.Sprintf("http://%s.%s.svc:%d", naming.App, o.Tenant.Name, spec.Port)
	}
	return result
}
