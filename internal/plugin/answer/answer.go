// Package answer computes what the kubectl plugin says from what it has read. It is pure.
package answer

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/plugin/view"
)

// Facts is what was read about a tenant. Owners can't read all of it.
type Facts struct {
	// Name is the name of the Tenant.
	Name string
	// Tenant is the Tenant; nil for who may not read it.
	Tenant *v1alpha1.Tenant
	// Namespaces are the tenant's namespaces, the primary one first.
	Namespaces []v1alpha1.TenantNamespace
	// Objects are those that the operator has put into the namespaces. Secrets have no content.
	Objects []unstructured.Unstructured
	// Pods are all pods of the tenant.
	Pods []corev1.Pod
	// Server is the DatabaseServer with the tenant's database; nil if there is none, or if it can't be read.
	Server *v1alpha1.DatabaseServer
	// Events are the Events of the tenant's namespaces, and of the Tenant and its server.
	Events []corev1.Event
	// Unread has a sentence for each thing that was not to be read.
	Unread []string
	// Now is when all of this was read.
	Now time.Time
}

// Answer is a tree with what could not be read for it.
type Answer struct {
	view.Node
	// Unread has a sentence for each thing that was not to be read.
	Unread []string `json:"unread,omitempty"`
}

// markOf returns the mark of a condition.
func markOf(c *metav1.Condition) view.Mark {
	switch {
	case c == nil:
		return view.None
	case c.Status == metav1.ConditionTrue:
		return view.Good
	case c.Reason == v1alpha1.ReasonProgressing, c.Reason == v1alpha1.ReasonPending, c.Reason == v1alpha1.ReasonTerminating:
		return view.Busy
	case c.Reason == v1alpha1.ReasonPaused, c.Reason == v1alpha1.ReasonWindowClosed:
		return view.Note
	default:
		return view.Bad
	}
}

// readiness returns the mark, the reason and the message of the condition Ready.
func readiness(conditions []metav1.Condition) (mark view.Mark, reason, message string) {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return view.Busy, v1alpha1.ReasonPending, "The operator has not seen it yet; if that lasts, it isn't running."
	}
	if ready.Status == metav1.ConditionUnknown {
		return view.Busy, ready.Reason, ready.Message
	}
	return markOf(ready), ready.Reason, ready.Message
}
