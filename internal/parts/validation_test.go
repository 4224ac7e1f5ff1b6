package parts_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
)

// typed knows the schemas of all kinds, including which lists must not have two items with the same key.
var typed = applyconfigurations.NewTypeConverter(clientgoscheme.Scheme)

// validate does the part of the API server's own validation that its libraries offer: the schema, metadata, and
// the formats of names, keys and addresses.
func validate(t *testing.T, object desired.Object) field.ErrorList {
	t.Helper()
	errs := validateMetadata(object)
	switch object := object.(type) {
	case *corev1.ConfigMap:
		errs = append(errs, validateKeys(object.Data)...)
	case *corev1.Secret:
		errs = append(errs, validateKeys(object.Data)...)
	case *corev1.Service:
		errs = append(errs, validateLabels(object.Spec.Selector)...)
	case *networkingv1.NetworkPolicy:
		errs = append(errs, validatePeers(object)...)
	case *policyv1.PodDisruptionBudget:
		errs = append(errs, validateSelector(object.Spec.Selector)...)
	case *appsv1.Deployment:
		errs = append(errs, validateDeployment(object)...)
	}
	gvk, err := apiutil.GVKForObject(object, scheme)
	if err != nil {
		t.Fatal(err)
	}
	if gvk.Group == v1alpha1.GroupVersion.Group {
		return errs // The CRD's schema is the Tenant's own.
	}
	object = object.DeepCopyObject().(desired.Object)
	object.GetObjectKind().SetGroupVersionKind(gvk)
	if _, err := typed.ObjectToTyped(object); err != nil {
		errs = append(errs, field.InternalError(field.NewPath("schema"), err))
	}
	return errs
}

func validateMetadata(object desired.Object) field.ErrorList {
	form := apivalidation.NameIsDNSSubdomain
	_, clusterScoped := object.(*corev1.Namespace)
	switch object.(type) {
	case *corev1.Namespace:
		form = apivalidation.NameIsDNSLabel
	case *corev1.Service:
		form = apivalidation.NameIsDNS1035Label
	case *rbacv1.RoleBinding:
		form = func(name string, _ bool) []string { return content.IsPathSegmentName(name) }
	}
	return apivalidation.ValidateObjectMetaAccessor(object, !clusterScoped, form, field.NewPath("metadata"))
}

func validateKeys[V any](data map[string]V) (errs field.ErrorList) {
	for key := range data {
		for _, problem := range validation.IsConfigMapKey(key) {
			errs = append(errs, field.Invalid(field.NewPath("data"), key, problem))
		}
	}
	return errs
}

func validateLabels(set map[string]string) field.ErrorList {
	return metav1validation.ValidateLabels(set, field.NewPath("labels"))
}

func validateSelector(selector *metav1.LabelSelector) field.ErrorList {
	if selector == nil {
		return nil
	}
	return metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, field.NewPath("selector"))
}

func validatePeers(policy *networkingv1.NetworkPolicy) (errs field.ErrorList) {
	var peers []networkingv1.NetworkPolicyPeer
	for _, rule := range policy.Spec.Ingress {
		peers = append(peers, rule.From...)
	}
	for _, rule := range policy.Spec.Egress {
		peers = append(peers, rule.To...)
	}
	for _, peer := range peers {
		errs = append(errs, validateSelector(peer.NamespaceSelector)...)
		errs = append(errs, validateSelector(peer.PodSelector)...)
		if peer.IPBlock != nil {
			errs = append(errs, validation.IsValidCIDR(field.NewPath("cidr"), peer.IPBlock.CIDR)...)
		}
	}
	return errs
}

func validateDeployment(deployment *appsv1.Deployment) field.ErrorList {
	template := deployment.Spec.Template
	errs := append(validateLabels(template.Labels), validateSelector(deployment.Spec.Selector)...)
	errs = append(errs, apivalidation.ValidateAnnotations(template.Annotations, field.NewPath("annotations"))...)
	selector, err := metav1.LabelSelectorAsSelector(deployment.Spec.Selector)
	if err != nil || selector.Empty() || !selector.Matches(labels.Set(template.Labels)) {
		errs = append(errs, field.Invalid(field.NewPath("selector"), deployment.Spec.Selector, "it must match the template's labels"))
	}
	for _, container := range template.Spec.Containers {
		for _, variable := range container.Env {
			for _, problem := range validation.IsRelaxedEnvVarName(variable.Name) {
				errs = append(errs, field.Invalid(field.NewPath("env"), variable.Name, problem))
			}
		}
		for _, port := range container.Ports {
			for _, problem := range validation.IsValidPortName(port.Name) {
				errs = append(errs, field.Invalid(field.NewPath("ports"), port.Name, problem))
			}
		}
	}
	return errs
}

func labelExists(key string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOpExists}}}
}

func portNamed(name string) intstr.IntOrString { return intstr.FromString(name) }
