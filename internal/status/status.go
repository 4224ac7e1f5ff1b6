// Package status computes the status of tenants and servers from observations. It is pure; the time is part of the
// observation.
package status

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

// Observation is all that a tenant's status depends on.
type Observation struct {
	parts.Observation
	// Failure is what kept the pass as a whole from finishing; nil if nothing did.
	Failure *problem.Problem
	// Memberships are the memberships of and in the tenant's database roles that the operator didn't grant; nil if
	// the server was not asked.
	Memberships *[]database.Membership
	// NotGone are the namespaces of a tenant that is being deleted; nil if they were not observed.
	NotGone []v1alpha1.TenantNamespace
}

// Of returns the status of a tenant from an observation.
func Of(o Observation) v1alpha1.TenantStatus {
	result := v1alpha1.TenantStatus{
		ObservedGeneration: o.Tenant.Generation,
		Conditions:         o.Tenant.Status.DeepCopy().Conditions,
		Namespaces:         o.TenantNamespaces(),
		UsableNamespaces:   new(o.UsableNamespaces()),
		Database:           o.Database,
		App:                appStatus(o),
		ObjectKinds:        o.ObjectKinds,
		Usage:              usage(o),
	}
	summary := condition.Ready("Everything is in place.")
	if o.Tenant.Spec.Cordoned {
		summary = condition.Ready("Everything is in place, and the tenant is cordoned.")
	}
	// What the pass has removed the last of is over, although the Tenant still has it.
	tenant := *o.Tenant
	tenant.Status.ObjectKinds = o.ObjectKinds
	if o.Asleep {
		summary = hibernated(o)
	}
	for _, part := range parts.All {
		if !part.Applies(&tenant) {
			meta.RemoveStatusCondition(&result.Conditions, part.Condition)
			continue
		}
		current := part.State(o.Observation)
		condition.Set(&result.Conditions, o.Tenant.Generation, o.Now, part.Condition, current)
		if outranks(current, summary) {
			summary = current
		}
	}
	if o.Failure != nil {
		if failure := condition.Of(*o.Failure); outranks(failure, summary) {
			summary = failure
		}
	}
	result.Hibernation = hibernation(o, summary)
	setUnexpectedMembers(&result.Conditions, o)
	setHeldBack(&result.Conditions, o)
	result.Class = classOf(o, summary)
	summarize(&result.Conditions, o.Tenant.Generation, o.Now, summary)
	return result
}

// Failing returns the status of a tenant whose parts could not be observed. Their conditions stay.
func Failing(o Observation, found problem.Problem) v1alpha1.TenantStatus {
	return withSummary(o, condition.Of(found))
}

// withSummary returns the current status of a tenant with another summary.
func withSummary(o Observation, summary condition.State) v1alpha1.TenantStatus {
	result := *o.Tenant.Status.DeepCopy()
	result.ObservedGeneration = o.Tenant.Generation
	if o.Tenant.Class != nil {
		result.Class = classOf(o, summary)
	}
	summarize(&result.Conditions, o.Tenant.Generation, o.Now, summary)
	return result
}

// outranks reports whether a explains better than b why a tenant isn't Ready: first what somebody must change,
// then what is wrong, then what only takes time. Of equals, the earlier one comes first.
func outranks(a, b condition.State) bool { return rank(a) > rank(b) }

func rank(s condition.State) int {
	switch {
	case s.Status == metav1.ConditionTrue:
		return 0
	case s.Reason == v1alpha1.ReasonProgressing:
		return 1
	case !s.Stalled:
		return 2
	default:
		return 3
	}
}

// summarize sets Ready, Reconciling and Stalled by the rules of kstatus.
func summarize(conditions *[]metav1.Condition, generation int64, now time.Time, summary condition.State) {
	condition.Set(conditions, generation, now, v1alpha1.ConditionReady, summary)
	abnormal := condition.State{Status: metav1.ConditionTrue, Reason: summary.Reason, Message: summary.Message}
	for _, kind := range []struct {
		name string
		when bool
	}{
		{v1alpha1.ConditionReconciling, summary.Status != metav1.ConditionTrue && !summary.Stalled},
		{v1alpha1.ConditionStalled, summary.Stalled},
	} {
		if kind.when {
			condition.Set(conditions, generation, now, kind.name, abnormal)
		} else {
			meta.RemoveStatusCondition(conditions, kind.name)
		}
	}
}

func usage(o Observation) *v1alpha1.TenantUsage {
	if o.Quota == nil || len(o.Quota.Status.Hard) == 0 {
		return nil
	}
	return &v1alpha1.TenantUsage{Hard: o.Quota.Status.Hard, Used: o.Quota.Status.Used}
}

func appStatus(o Observation) *v1alpha1.TenantAppStatus {
	spec := o.Tenant.Spec.App
	switch {
	case spec == nil:
		return nil
	case o.Deployment == nil && o.Release.Record == nil:
		return nil
	case o.Deployment == nil:
		return &v1alpha1.TenantAppStatus{Migration: o.Release.Record}
	}
	result := &v1alpha1.TenantAppStatus{
		Image:         spec.Image,
		Replicas:      o.Deployment.Spec.Replicas,
		ReadyReplicas: new(o.Deployment.Status.ReadyReplicas),
		URL:           o.PublicURL(),
		InternalURL:   o.InternalURL(),
		Workers:       workers(o),
		Migration:     o.Release.Record,
	}
	if o.Release.Unknown {
		result.Image = imageOf(o.Deployment)
	}
	return result
}

// workers returns the state of those of the app's workers that have a Deployment.
func workers(o Observation) []v1alpha1.AppWorkerStatus {
	var result []v1alpha1.AppWorkerStatus
	for _, worker := range o.Tenant.Spec.App.Workers {
		if deployment := o.Workers[string(worker.Name)]; deployment != nil {
			result = append(result, v1alpha1.AppWorkerStatus{
				Name: worker.Name, Replicas: deployment.Spec.Replicas, ReadyReplicas: new(deployment.Status.ReadyReplicas),
			})
		}
	}
	return result
}

// imageOf returns the image that a Deployment runs.
func imageOf(deployment *appsv1.Deployment) string {
	for _, container := range deployment.Spec.Template.Spec.Containers {
		if container.Name == deployment.Name {
			return container.Image
		}
	}
	return ""
}
