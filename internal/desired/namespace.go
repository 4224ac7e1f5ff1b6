package desired

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podsecurity "k8s.io/pod-security-admission/api"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

func namespace(tenant *v1alpha1.Tenant) Object {
	labels := naming.ManagedLabels(tenant.Name)
	standard := strings.ToLower(string(tenant.Spec.Policy.PodSecurity))
	labels[podsecurity.EnforceLevelLabel] = standard
	labels[podsecurity.AuditLevelLabel] = standard
	labels[podsecurity.WarnLevelLabel] = standard
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant.Name, Labels: labels}}
	if tenant.Spec.DisplayName != "" {
		object.Annotations = map[string]string{naming.AnnotationDisplayName: tenant.Spec.DisplayName}
	}
	return object
}
