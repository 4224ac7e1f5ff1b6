package controller

import (
	"errors"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/controller/tenant"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/intern"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/workload"
)

// CacheOptions returns options for a cache that holds only what the controllers read: managed objects, namespaces,
// of pods their metadata and what keeps them from running, and of autoscalers their target. The cache holds equal
// values of several objects once. Objects from the cache must not be changed.
func CacheOptions() cache.Options {
	pool := &intern.Pool{}
	managed := cache.ByObject{
		Label:                 labels.SelectorFromSet(labels.Set{naming.LabelManagedBy: naming.ManagedBy}),
		Transform:             sharing(pool, trim),
		UnsafeDisableDeepCopy: new(true),
	}
	options := cache.Options{DefaultTransform: tenant.TrimRoute, ByObject: map[client.Object]cache.ByObject{
		&v1alpha1.Tenant{}:  {Transform: sharing(pool, cache.TransformStripManagedFields())},
		&corev1.Pod{}:       managed,
		&corev1.Namespace{}: {Transform: sharing(pool, trim), UnsafeDisableDeepCopy: new(true)},
		&corev1.Event{}: {
			Field:     fields.OneTermEqualSelector("reason", tenant.ReasonRefused),
			Transform: tenant.TrimEvent, UnsafeDisableDeepCopy: new(true),
		},
	}}
	for _, kind := range append(parts.Kinds(), &corev1.PersistentVolumeClaim{}, &appsv1.StatefulSet{}) {
		options.ByObject[kind] = managed
		if _, isJob := kind.(*batchv1.Job); isJob {
			options.ByObject[kind] = cache.ByObject{Label: jobs(), Transform: managed.Transform, UnsafeDisableDeepCopy: new(true)}
		}
		if _, isAutoscaler := kind.(*autoscalingv2.HorizontalPodAutoscaler); isAutoscaler {
			// Those of tenants count, too.
			options.ByObject[kind] = cache.ByObject{Transform: sharing(pool, trimAutoscaler), UnsafeDisableDeepCopy: new(true)}
		}
	}
	return options
}

// jobs selects the Jobs of tenants' schedules and migrations. The former lack the operator's label, since owners may
// create and delete them.
func jobs() labels.Selector {
	ofTenant, err := labels.NewRequirement(naming.LabelTenant, selection.Exists, nil)
	component, invalid := labels.NewRequirement(naming.LabelAppComponent, selection.In, []string{naming.ComponentSchedule, naming.ComponentMigration})
	if err := errors.Join(err, invalid); err != nil {
		panic(err) // It is the same each time.
	}
	return labels.NewSelector().Add(*ofTenant, *component)
}

// sharing makes the results of a transformation share equal values through the pool.
func sharing(pool *intern.Pool, transform toolscache.TransformFunc) toolscache.TransformFunc {
	return func(object any) (any, error) {
		transformed, err := transform(object)
		if object, ok := transformed.(client.Object); ok && err == nil {
			pool.Share(object)
		}
		return transformed, err
	}
}

// trim drops what nobody reads: the entries of metadata.managedFields for the status, those of others for objects
// of which the operator owns fields, the operator's own for objects that it owns as a whole, and what trimContent
// drops.
func trim(object any) (any, error) {
	if object, ok := object.(client.Object); ok {
		own := desired.OwningOf(object).Fields
		var entries []metav1.ManagedFieldsEntry
		for _, entry := range object.GetManagedFields() {
			if (entry.Manager == naming.FieldOwner) == own && entry.Subresource == "" {
				entries = append(entries, entry)
			}
		}
		object.SetManagedFields(entries)
		trimContent(object)
	}
	return object, nil
}

// trimAutoscaler drops everything from an autoscaler that isn't the operator's but its target.
func trimAutoscaler(object any) (any, error) {
	if autoscaler, ok := object.(*autoscalingv2.HorizontalPodAutoscaler); ok && naming.IsManaged(autoscaler.Labels) {
		return trim(object)
	}
	return tenant.TrimAutoscaler(object)
}

// trimContent drops
//   - of pods: the spec but for the node and the restart policy, the annotations but for those of their settings, and
//     the status of those that are settled or have succeeded
//   - of Jobs: the spec
//   - of CronJobs: the status but for when they began their last run
//   - of Deployments: the conditions that report no trouble
//   - of HorizontalPodAutoscalers: the status but for what keeps them from scaling
//   - of PodDisruptionBudgets: the status
//   - of claims: the managed fields, since the operator removes nothing that the cluster has added
func trimContent(object client.Object) {
	switch object := object.(type) {
	case *corev1.Pod:
		object.Spec, object.ManagedFields = corev1.PodSpec{NodeName: object.Spec.NodeName, RestartPolicy: object.Spec.RestartPolicy}, nil
		maps.DeleteFunc(object.Annotations, func(key, _ string) bool { return key != naming.AnnotationSettings && key != naming.AnnotationFiles })
		switch {
		case workload.Settled(object):
			object.Status = corev1.PodStatus{}
		case object.Status.Phase == corev1.PodSucceeded:
			object.Status = corev1.PodStatus{Phase: corev1.PodSucceeded}
		}
	case *batchv1.Job:
		object.Spec, object.ManagedFields = batchv1.JobSpec{}, nil
	case *batchv1.CronJob:
		object.Status = batchv1.CronJobStatus{LastScheduleTime: object.Status.LastScheduleTime}
	case *appsv1.Deployment:
		object.Status.Conditions = slices.DeleteFunc(object.Status.Conditions, isGood)
	case *autoscalingv2.HorizontalPodAutoscaler:
		object.Status = autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: slices.DeleteFunc(object.Status.Conditions, isScaling)}
	case *policyv1.PodDisruptionBudget:
		object.Status = policyv1.PodDisruptionBudgetStatus{}
	case *corev1.PersistentVolumeClaim:
		object.ManagedFields = nil
	}
}

// isScaling reports whether a condition of an autoscaler says nothing that keeps it from scaling.
func isScaling(condition autoscalingv2.HorizontalPodAutoscalerCondition) bool {
	return condition.Type != autoscalingv2.ScalingActive || condition.Status != corev1.ConditionFalse
}

// isGood reports whether a condition of a Deployment reports no trouble.
func isGood(condition appsv1.DeploymentCondition) bool {
	switch condition.Type {
	case appsv1.DeploymentReplicaFailure:
		return condition.Status != corev1.ConditionTrue
	case appsv1.DeploymentProgressing:
		return condition.Status != corev1.ConditionFalse
	default:
		return true
	}
}
