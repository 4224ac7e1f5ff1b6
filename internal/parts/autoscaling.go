package parts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
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
)

// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;update;patch;delete

// autoscaled reports whether an autoscaler sets how many replicas the app has.
func (in Inputs) autoscaled() bool { return in.Autoscaled || in.Tenant.Spec.App.Autoscaling != nil }

// maxReplicas returns how many pods the app may have; negative if that isn't known.
func (in Inputs) maxReplicas() int32 {
	switch app := in.Tenant.Spec.App; {
	case app.Autoscaling != nil:
		return cmp.Or(app.Autoscaling.MaxReplicas, -1)
	case in.Autoscaled:
		return -1
	default:
		return *app.Replicas
	}
}

// autoscaler returns the app's HorizontalPodAutoscaler; nil if the spec asks for none.
func autoscaler(in Inputs) desired.Object {
	spec := in.Tenant.Spec.App.Autoscaling
	if spec == nil {
		return nil
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: meta(in.Tenant, naming.App),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: naming.App,
			},
			MinReplicas: leastReplicas(in),
			MaxReplicas: spec.MaxReplicas,
			Metrics:     spec.Metrics,
		},
	}
}

// autoscalerPatience is how long an autoscaler may go without metrics. Those of new pods take a while.
const autoscalerPatience = time.Minute

// withAutoscaling adds to the state of an app that runs what is wrong with its autoscaling. The app is Ready
// nevertheless: it serves, and if what serves the metrics is down, no tenant has anything to change.
func withAutoscaling(o Observation, state condition.State) condition.State {
	spec := o.Tenant.Spec.App.Autoscaling
	if spec == nil || state.Status != metav1.ConditionTrue {
		return state
	}
	if most, name := room(o); most < spec.MaxReplicas {
		amount := o.Tenant.Spec.Quota[name]
		state.Reason = v1alpha1.ReasonAutoscalingLimited
		state.Message += fmt.Sprintf(" spec.app.autoscaling.maxReplicas is %d, and a quota of %s %s has room for %d; lower the first or raise spec.quota.",
			spec.MaxReplicas, name, amount.String(), most)
	}
	if idle := inactive(o.Autoscaler); idle != nil && AutoscalerPatience(o) == 0 {
		state.Reason = v1alpha1.ReasonAutoscalingInactive
		state.Message += fmt.Sprintf(" Their number does not change, since the autoscaler has no metrics: %s. Correct spec.app.autoscaling.metrics, or have the cluster serve these metrics, for example with metrics-server.",
			strings.TrimSuffix(idle.Message, "."))
	}
	return state
}

// inactive returns the condition of an autoscaler that says why it doesn't scale; nil if it does, or doesn't know yet.
func inactive(autoscaler *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscalerCondition {
	if autoscaler == nil {
		return nil
	}
	for i := range autoscaler.Status.Conditions {
		found := &autoscaler.Status.Conditions[i]
		if found.Type == autoscalingv2.ScalingActive && found.Status == corev1.ConditionFalse && found.Reason != "ScalingDisabled" {
			return found
		}
	}
	return nil
}

// AutoscalerPatience returns after which time an autoscaler that doesn't scale is reported; zero if there is none, or
// if it is now.
func AutoscalerPatience(o Observation) time.Duration {
	idle := inactive(o.Autoscaler)
	if idle == nil {
		return 0
	}
	return max(0, idle.LastTransitionTime.Add(autoscalerPatience).Sub(o.Now))
}

// room returns how many of the app's pods fit into the tenant's quota, and the entry of the quota that limits them.
func room(o Observation) (most int32, limiting corev1.ResourceName) {
	most = o.Tenant.Spec.App.Autoscaling.MaxReplicas
	if o.Deployment == nil {
		return most, ""
	}
	pod := usedBy(o.Deployment.Spec.Template.Spec, o.Tenant.Spec.Containers)
	for _, name := range slices.Sorted(maps.Keys(o.Tenant.Spec.Quota)) {
		of, amount := o.Tenant.Spec.Quota[name], pod[name]
		if amount.Sign() <= 0 {
			continue
		}
		if fit := of.AsApproximateFloat64() / amount.AsApproximateFloat64(); fit < float64(most) {
			most, limiting = int32(fit), name
		}
	}
	return most, limiting
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
