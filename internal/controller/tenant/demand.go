package tenant

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/internal/budget"
	"github.com/tenantry/tenantry/internal/naming"
)

// +kubebuilder:rbac:groups="",resources=events,verbs=list;watch

// ReasonRefused is the reason of the Events in which the controllers of ReplicaSets, StatefulSets, Jobs and
// DaemonSets report that the API server refused to create an object.
const ReasonRefused = "FailedCreate"

// refusalReported lets Events through that report that a slice has no room for an object.
var refusalReported = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return isRefusal(e.Object) },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() && isRefusal(e.ObjectNew)
	},
	DeleteFunc: func(event.DeleteEvent) bool { return false },
}

func isRefusal(object client.Object) bool {
	_, _, ok := budget.ParseRefusal(object.(*corev1.Event).Message, naming.Quota)
	return ok
}

// byRefusal returns the tenant of the namespace, if the namespace has only a slice of its quota.
func (r *Reconciler) byRefusal(ctx context.Context, object client.Object) []reconcile.Request {
	quota := &corev1.ResourceQuota{}
	found, err := r.read(ctx, types.NamespacedName{Namespace: object.GetNamespace(), Name: naming.Quota}, quota)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't read the quota of a namespace", "namespace", object.GetNamespace())
	}
	if _, isSlice := quota.Annotations[naming.AnnotationSlice]; !found || !isSlice {
		return nil
	}
	return byOwners(ctx, quota)
}

// refusals returns the requests that were refused in a namespace of the tenant because its slice was too small,
// and that have not been admitted since.
func (r *Reconciler) refusals(ctx context.Context, tenant types.UID, namespace string, inUse corev1.ResourceList) ([]budget.Refusal, error) {
	events := &corev1.EventList{}
	if err := r.List(ctx, events, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	var refusals []budget.Refusal
	for i := range events.Items {
		told := &events.Items[i]
		requested, used, ok := budget.ParseRefusal(told.Message, naming.Quota)
		refusal := budget.Refusal{Of: string(told.InvolvedObject.UID), Requested: requested, Used: used, At: lastSeen(told)}
		if ok && !r.Fleet.Served.Has(tenant, refusal.Of, refusal.At, refusal.In(inUse)) {
			refusals = append(refusals, refusal)
		}
	}
	return refusals, nil
}

// lastSeen returns when an Event was last reported.
func lastSeen(told *corev1.Event) time.Time {
	last := told.LastTimestamp.Time
	if told.EventTime.After(last) {
		last = told.EventTime.Time
	}
	if told.Series != nil && told.Series.LastObservedTime.After(last) {
		last = told.Series.LastObservedTime.Time
	}
	return last
}

// TrimEvent drops the fields of an Event that the controller doesn't read, and its message if that is neither about a
// quota nor about a Job.
func TrimEvent(object any) (any, error) {
	whole, ok := object.(*corev1.Event)
	if !ok {
		return object, nil
	}
	trimmed := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: whole.Namespace, Name: whole.Name, UID: whole.UID, ResourceVersion: whole.ResourceVersion,
		},
		InvolvedObject: corev1.ObjectReference{UID: whole.InvolvedObject.UID},
		LastTimestamp:  whole.LastTimestamp, EventTime: whole.EventTime, Series: whole.Series,
	}
	if aboutJobs(whole) {
		trimmed.InvolvedObject.Kind, trimmed.InvolvedObject.Name = whole.InvolvedObject.Kind, whole.InvolvedObject.Name
	}
	if isRefusal(whole) || aboutJobs(whole) {
		trimmed.Message = strings.Clone(whole.Message)
	}
	return trimmed, nil
}
