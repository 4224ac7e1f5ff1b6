package status

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
)

// Terminating is the status of a tenant that is being deleted: what it waits for, and whether that
// needs somebody to change something.
func Terminating(o Observation, waiting string, stalled bool) v1alpha1.TenantStatus {
	return withSummary(o, condition.State{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonTerminating, Message: waiting, Stalled: stalled,
	})
}

// NamespaceDeletion says what the deletion of a namespace waits for, in the words of the
// namespace's own conditions.
func NamespaceDeletion(namespace *corev1.Namespace) string {
	var hindrances []string
	for _, condition := range namespace.Status.Conditions {
		if condition.Status == corev1.ConditionTrue {
			hindrances = append(hindrances, condition.Message)
		}
	}
	text := fmt.Sprintf("The namespace %s is being deleted", namespace.Name)
	if len(hindrances) > 0 {
		text += ": " + strings.Join(hindrances, "; ")
	}
	return strings.TrimSuffix(text, ".") + "."
}
