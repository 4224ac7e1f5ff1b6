package desired

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/internal/naming"
)

func namespace(in Inputs, place Place) Object {
	tenant := in.Tenant
	labels := naming.ManagedLabels(tenant.Name)
	maps.Copy(labels, policyLabels(in))
	annotations := map[string]string{}
	if tenant.Spec.DisplayName != "" {
		annotations[naming.AnnotationDisplayName] = tenant.Spec.DisplayName
	}
	if place.Usable && !in.isPrimary(place) {
		annotations[naming.AnnotationUsable] = "true"
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: place.Name, Labels: labels, Annotations: annotations}}
}
