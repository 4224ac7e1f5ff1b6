package desired

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podsecurity "k8s.io/pod-security-admission/api"

	"github.com/tenantry/tenantry/internal/naming"
)

func namespace(in Inputs, place Place) Object {
	tenant := in.Tenant
	labels := naming.ManagedLabels(tenant.Name)
	standard := strings.ToLower(string(tenant.Spec.Policy.PodSecurity))
	labels[podsecurity.EnforceLevelLabel] = standard
	labels[podsecurity.AuditLevelLabel] = standard
	labels[podsecurity.WarnLevelLabel] = standard
	annotations := map[string]string{}
	if tenant.Spec.DisplayName != "" {
		annotations[naming.AnnotationDisplayName] = tenant.Spec.DisplayName
	}
	if place.Usable && !in.isPrimary(place) {
		annotations[naming.AnnotationUsable] = "true"
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: place.Name, Labels: labels, Annotations: annotations}}
}
