package parts

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/budget"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/workload"
)

func appInPlace(o Observation) condition.State {
	deployment := o.Deployment
	if _, missing := o.Problems[v1alpha1.ConditionDatabaseReady]; missing && deployment == nil {
		return condition.Progressing("The app waits for its database.")
	}
	if deployment == nil || deployment.Status.ObservedGeneration < deployment.Generation {
		return condition.Progressing("The app is being rolled out.")
	}
	want, have := ptr.Deref(deployment.Spec.Replicas, 1), deployment.Status
	if want == 0 && have.Replicas == 0 {
		return condition.State{Status: "True", Reason: v1alpha1.ReasonScaledToZero, Message: "The app has zero replicas."}
	}
	if workload.RolledOut(deployment) {
		return condition.Ready("%d of %d replicas are available.", want, want)
	}
	if trouble, found := AppTrouble(o); found {
		return condition.Of(trouble.Lasting(o.TroubledSince, o.Now))
	}
	return rollout(want, have)
}

// AppTrouble returns what is wrong with the app's rollout. It returns false if nothing is, or if the rollout only
// takes time.
func AppTrouble(o Observation) (problem.Problem, bool) {
	if o.Deployment == nil || o.Deployment.Status.ObservedGeneration < o.Deployment.Generation || workload.RolledOut(o.Deployment) {
		return problem.Problem{}, false
	}
	var troubles []problem.Problem
	for _, find := range []func(Observation) (problem.Problem, bool){refused, podTrouble} {
		if trouble, found := find(o); found {
			troubles = append(troubles, trouble)
		}
	}
	if len(troubles) == 0 {
		return deadlineExceeded(o)
	}
	return problem.Together(troubles...), true
}

// rollout returns the progress of the app's rollout.
func rollout(want int32, have appsv1.DeploymentStatus) condition.State {
	available := min(have.UpdatedReplicas, have.AvailableReplicas)
	if former := have.Replicas - want; available >= want && former > 0 {
		return condition.Progressing("%d of %d replicas are available, with %d more to end.", want, want, former)
	}
	return condition.Progressing("%d of %d replicas are available.", available, want)
}

// refused returns a problem if the API server refuses to create the app's pods.
func refused(o Observation) (problem.Problem, bool) {
	failure := deploymentCondition(o.Deployment, appsv1.DeploymentReplicaFailure)
	if failure == nil || failure.Status != corev1.ConditionTrue {
		return problem.Problem{}, false
	}
	requested, used, overQuota := budget.ParseRefusal(failure.Message, naming.Quota)
	if overQuota && len(o.Namespaces) > 1 && o.Quota != nil {
		// The Deployment still reports a refusal for a moment after the pods were created.
		in := budget.Refusal{Requested: requested, Used: used}.In(o.Slice)
		if in || budget.Fits(requested, o.Tenant.Spec.Quota, o.Quota.Status.Used) {
			return problem.WaitsForShare(), true
		}
	}
	return problem.PodsRefused(failure.Message), true
}

func podTrouble(o Observation) (problem.Problem, bool) {
	return workload.Trouble(o.Pods, "spec.app", o.Now)
}

func deadlineExceeded(o Observation) (problem.Problem, bool) {
	rollout := deploymentCondition(o.Deployment, appsv1.DeploymentProgressing)
	if rollout == nil || rollout.Status != corev1.ConditionFalse {
		return problem.Problem{}, false
	}
	return problem.RolloutStuck(rollout.Reason, rollout.Message), true
}

func deploymentCondition(deployment *appsv1.Deployment, kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range deployment.Status.Conditions {
		if deployment.Status.Conditions[i].Type == kind {
			return &deployment.Status.Conditions[i]
		}
	}
	return nil
}
