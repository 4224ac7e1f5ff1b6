package parts

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
)

// Needs are what the operator's own objects use of the tenant's quota, by namespace: those that are there,
// and those that are to come once the database is placed. The objects that Kubernetes itself puts into each
// namespace are counted with them.
func Needs(in Inputs) map[string]corev1.ResourceList {
	quota := in.Tenant.Spec.Quota
	needs := map[string]corev1.ResourceList{}
	count := func(namespace string, of schema.GroupResource) {
		for _, name := range countedAs(of) {
			if _, limited := quota[name]; !limited {
				continue
			}
			if needs[namespace] == nil {
				needs[namespace] = corev1.ResourceList{}
			}
			number := needs[namespace][name]
			number.Add(*resource.NewQuantity(1, resource.DecimalSI))
			needs[namespace][name] = number
		}
	}
	for _, place := range in.places() {
		count(place.Name, schema.GroupResource{Resource: "configmaps"})      // kube-root-ca.crt
		count(place.Name, schema.GroupResource{Resource: "serviceaccounts"}) // default
	}
	in = anticipated(in)
	for _, part := range All {
		for _, object := range part.Objects(in) {
			if object.GetNamespace() != "" {
				count(object.GetNamespace(), resourceOf(object))
			}
		}
	}
	return needs
}

// anticipated are Inputs with all that is still to be found out, as far as it makes objects.
func anticipated(in Inputs) Inputs {
	in.Autoscaled = true
	if in.Tenant.Spec.Database == nil {
		return in
	}
	if len(databaseRules(in.Server)) == 0 {
		in.Server = &v1alpha1.DatabaseServer{Status: v1alpha1.DatabaseServerStatus{Addresses: []string{"192.0.2.1"}}}
	}
	if in.Login == nil {
		in.Login = &Login{}
	}
	return in
}

// countedAs are the names by which a quota can count the objects of a resource.
func countedAs(of schema.GroupResource) []corev1.ResourceName {
	names := []corev1.ResourceName{corev1.ResourceName("count/" + of.String())}
	if of.Group == "" {
		names = append(names, corev1.ResourceName(of.Resource))
	}
	return names
}

// resourceOf is what the API server calls the kind of an object.
func resourceOf(object desired.Object) schema.GroupResource {
	switch object.(type) {
	case *corev1.ResourceQuota:
		return schema.GroupResource{Resource: "resourcequotas"}
	case *corev1.LimitRange:
		return schema.GroupResource{Resource: "limitranges"}
	case *corev1.ConfigMap:
		return schema.GroupResource{Resource: "configmaps"}
	case *corev1.Secret:
		return schema.GroupResource{Resource: "secrets"}
	case *corev1.ServiceAccount:
		return schema.GroupResource{Resource: "serviceaccounts"}
	case *corev1.Service:
		return schema.GroupResource{Resource: "services"}
	case *networkingv1.NetworkPolicy:
		return schema.GroupResource{Group: networkingv1.GroupName, Resource: "networkpolicies"}
	case *rbacv1.Role:
		return schema.GroupResource{Group: rbacv1.GroupName, Resource: "roles"}
	case *rbacv1.RoleBinding:
		return schema.GroupResource{Group: rbacv1.GroupName, Resource: "rolebindings"}
	case *policyv1.PodDisruptionBudget:
		return schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudgets"}
	case *appsv1.Deployment:
		return schema.GroupResource{Group: appsv1.GroupName, Resource: "deployments"}
	case *v1alpha1.TenantPolicy:
		return schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "tenantpolicies"}
	}
	return schema.GroupResource{}
}
