package desired

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/internal/naming"
)

func namespace(in Inputs) Object {
	tenant := in.Tenant
	labels := naming.ManagedLabels(tenant.Name)
	maps.Copy(labels, policyLabels(in))
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant.Name, Labels: labels}}
	if tenant.Spec.DisplayName != "" {
		object.Annotations = map[string]string{naming.AnnotationDisplayName: tenant.Spec.DisplayName}
	}
	return object
}
