package parts

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;update;patch;delete

// maxReplicas returns how many pods the app may have; negative if that isn't known.
func (in Inputs) maxReplicas() int32 {
	switch app := in.Tenant.Spec.App; {
	case app.Autoscaling != nil:
		return cmp.Or(app.Autoscaling.MaxReplicas, -1)
	case in.Autoscaled.Has(naming.App):
		return -1
	default:
		return *app.Replicas
	}
}

// autoscalers returns the HorizontalPodAutoscalers that the spec asks for: of the app, and of its workers.
func autoscalers(in Inputs) (objects []desired.Object) {
	for _, of := range allReplicas(in.Tenant.Spec.App) {
		objects = append(objects, present(autoscaler(in, of))...)
	}
	return objects
}

func autoscaler(in Inputs, of replicas) desired.Object {
	if of.autoscaling == nil || in.Asleep && ptr.Deref(of.autoscaling.MinReplicas, 1) == 0 {
		// What an autoscaler has scaled to zero it scales up again, whatever its minimum is by then. So it isn't there
		// while the tenant sleeps.
		return nil
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: meta(in.Tenant, of.name),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: of.name,
			},
			MinReplicas: of.autoscaling.MinReplicas,
			MaxReplicas: of.autoscaling.MaxReplicas,
			Metrics:     of.autoscaling.Metrics,
		},
	}
}

// autoscalerPatience is how long an autoscaler may go without metrics. Those of new pods take a while.
const autoscalerPatience = time.Minute

// withAutoscaling adds to the state of an app that runs what is wrong with its autoscaling, or that of its workers. The
// app is Ready nevertheless: it serves, and if what serves the metrics is down, no tenant has anything to change.
func withAutoscaling(o Observation, all []rollout, state condition.State) condition.State {
	if state.Status != metav1.ConditionTrue {
		return state
	}
	if limited := beyondQuota(o, all); limited != "" {
		state.Reason = v1alpha1.ReasonAutoscalingLimited
		state.Message += " " + limited
	}
	for _, each := range all {
		if idle := each.withoutAutoscaling(o.Now); idle != "" {
			state.Reason = v1alpha1.ReasonAutoscalingInactive
			state.Message += " " + idle
		}
	}
	return state
}

// withoutAutoscaling returns why no autoscaler changes the number of replicas, although the spec has one; empty if it
// does, or may not know yet.
func (r rollout) withoutAutoscaling(now time.Time) string {
	idle := notScaling(r.autoscaler)
	if r.autoscaling == nil || idle == nil || patience(idle, now) > 0 {
		return ""
	}
	whose := "Their number does not change, since the autoscaler"
	if r.of != problem.App {
		whose = fmt.Sprintf("The number of replicas of %s does not change, since its autoscaler", r.of.Name)
	}
	switch {
	case idle.Reason != disabled:
		return fmt.Sprintf("%s has no metrics: %s. Correct %s.autoscaling.metrics, or have the cluster serve these metrics, for example with metrics-server.",
			whose, strings.TrimSuffix(idle.Message, "."), r.of.Field)
	case r.wanted() == 0:
		return fmt.Sprintf("%s leaves %s without replicas alone if it has not scaled it to zero itself. For it to begin, run kubectl scale --replicas=1 deployment/%s --namespace %s as a cluster admin.",
			whose, r.of.Name, r.deployment.Name, r.deployment.Namespace)
	default:
		return "" // It hasn't seen yet that there are replicas.
	}
}

// disabled is the reason of an autoscaler that leaves a target without replicas alone.
const disabled = "ScalingDisabled"

// notScaling returns the condition of an autoscaler that says why it doesn't scale; nil if it does, or doesn't know yet.
func notScaling(autoscaler *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerCondition {
	if autoscaler == nil {
		return nil
	}
	for i := range autoscaler.Status.Conditions {
		found := &autoscaler.Status.Conditions[i]
		if found.Type == autoscalingv2.ScalingActive && found.Status == corev1.ConditionFalse {
			return found
		}
	}
	return nil
}

// patience returns for how long an autoscaler that doesn't scale is not reported yet. One that leaves its target alone
// waits for nothing.
func patience(idle *autoscalingv2.HorizontalPodAutoscalerCondition, now time.Time) time.Duration {
	if idle.Reason == disabled {
		return 0
	}
	return max(0, idle.LastTransitionTime.Add(autoscalerPatience).Sub(now))
}

// AutoscalerPatience returns after which time the next autoscaler that doesn't scale is reported; zero if there is none.
func AutoscalerPatience(o Observation) (soonest time.Duration) {
	for _, each := range o.Autoscalers {
		if idle := notScaling(each); idle != nil {
			if wait := patience(idle, o.Now); wait > 0 && (soonest == 0 || wait < soonest) {
				soonest = wait
			}
		}
	}
	return soonest
}

// usedBy returns what a pod uses of a quota, by the quota's names: what its containers and sidecars have together, or
// what an init container has beside the sidecars that have started before it, if that is more.
func usedBy(pod corev1.PodSpec, defaults *v1alpha1.ContainerLimits) corev1.ResourceList {
	used, most := corev1.ResourceList{}, corev1.ResourceList{}
	for _, container := range pod.InitContainers {
		with := together(used, usedByContainer(container, defaults))
		if ptr.Deref(container.RestartPolicy, "") == corev1.ContainerRestartPolicyAlways {
			used = with
		} else {
			most = greatest(most, with)
		}
	}
	for _, container := range pod.Containers {
		used = together(used, usedByContainer(container, defaults))
	}
	used = greatest(used, most)
	used[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return used
}

func usedByContainer(container corev1.Container, defaults *v1alpha1.ContainerLimits) corev1.ResourceList {
	limits := over(over(defaults.Max, defaults.Default), container.Resources.Limits)
	requests := over(over(limits, defaults.DefaultRequest), container.Resources.Requests)
	for name, limit := range container.Resources.Limits {
		if _, requested := container.Resources.Requests[name]; !requested {
			requests[name] = limit // The request of a container with only a limit is the limit.
		}
	}
	used := corev1.ResourceList{}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		used[name], used["requests."+name], used["limits."+name] = requests[name], requests[name], limits[name]
	}
	return used
}

// together returns the sums of the entries of two lists.
func together(a, b corev1.ResourceList) corev1.ResourceList {
	result := over(nil, a)
	for name, amount := range b {
		total := result[name].DeepCopy()
		total.Add(amount)
		result[name] = total
	}
	return result
}

// greatest returns the greater of the entries of two lists.
func greatest(a, b corev1.ResourceList) corev1.ResourceList {
	result := over(nil, a)
	for name, amount := range b {
		if has, found := result[name]; !found || has.Cmp(amount) < 0 {
			result[name] = amount
		}
	}
	return result
}
