package status

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/parts"
)

// Terminating returns the status of a tenant that is being deleted: what the deletion waits for, and whether
// somebody must change something.
func Terminating(o Observation, waiting string, stalled bool) v1alpha1.TenantStatus {
	result := withSummary(o, condition.State{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonTerminating, Message: waiting, Stalled: stalled,
	})
	if o.NotGone != nil {
		result.Namespaces, result.UsableNamespaces = o.NotGone[:min(len(o.NotGone), parts.MaxNamespaces)], new(int32(0))
	}
	return result
}

// NamespaceDeletion returns what the deletion of a namespace waits for, according to the namespace's own
// conditions.
func NamespaceDeletion(namespace *corev1.Namespace) string {
	return namespaceDeletion(namespace.Name, membership.Obstacles(namespace))
}

func namespaceDeletion(name, obstacles string) string {
	text := fmt.Sprintf("The namespace %s is being deleted", name)
	if obstacles != "" {
		text += ": " + obstacles
	}
	return strings.TrimSuffix(text, ".") + "."
}

// maxNamed is the maximum number of namespaces in a message.
const maxNamed = 10

// NamespaceDeletions returns what the deletion of several namespaces waits for.
func NamespaceDeletions(namespaces []membership.Member) string {
	var sentences []string
	for _, namespace := range namespaces[:min(len(namespaces), maxNamed)] {
		sentences = append(sentences, namespaceDeletion(namespace.Name, namespace.Obstacles))
	}
	if more := len(namespaces) - len(sentences); more > 0 {
		sentences = append(sentences, fmt.Sprintf("%d more namespaces are being deleted; status.namespaces lists them.", more))
	}
	return strings.Join(sentences, " ")
}
