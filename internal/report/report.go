// Package report helps controllers to report what they have found: how long a status may be written, and which
// changes of it are worth an Event.
package report

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// statusTimeout is how long writing a status may take. It is less than the time that the operator has to shut
// down.
const statusTimeout = 10 * time.Second

// Context returns a context for writing the result of a pass. It outlives the deadline of the pass, but not the
// operator: after a restart the status is written anew.
func Context(ctx context.Context) (context.Context, context.CancelFunc) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), statusTimeout)
}

// Transition records an Event if the status or reason of a Ready condition has changed. It records none for
// progress, or for a new object that becomes Ready: an Event for each new tenant would be one write in four.
func Transition(recorder events.EventRecorder, object client.Object, was, is *metav1.Condition) {
	if was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	switch {
	case is.Status == metav1.ConditionTrue && (was == nil || was.Reason == v1alpha1.ReasonPending || was.Reason == v1alpha1.ReasonProgressing):
	case is.Status == metav1.ConditionTrue:
		recorder.Eventf(object, nil, corev1.EventTypeNormal, is.Reason, "Reconcile", "%s", is.Message)
	case is.Reason != v1alpha1.ReasonProgressing && is.Reason != v1alpha1.ReasonTerminating:
		recorder.Eventf(object, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", is.Message)
	}
}
