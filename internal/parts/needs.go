package parts

import (
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// Needs returns what the operator's own objects use of the tenant's quota, by namespace: existing objects, and
// those that are created once the database is placed, with the app's storage. It includes the objects that Kubernetes
// itself creates in each namespace.
func Needs(in Inputs) map[string]corev1.ResourceList {
	quota := in.Tenant.Spec.Quota
	if !countsObjects(quota) {
		return nil
	}
	needs := map[string]corev1.ResourceList{}
	add := func(namespace string, name corev1.ResourceName, amount resource.Quantity) {
		if _, limited := quota[name]; !limited {
			return
		}
		if needs[namespace] == nil {
			needs[namespace] = corev1.ResourceList{}
		}
		total := needs[namespace][name].DeepCopy()
		total.Add(amount)
		needs[namespace][name] = total
	}
	count := func(namespace string, of schema.GroupResource) {
		for _, name := range countedAs(of) {
			add(namespace, name, *resource.NewQuantity(1, resource.DecimalSI))
		}
	}
	for _, place := range in.places() {
		count(place.Name, schema.GroupResource{Resource: "configmaps"})      // kube-root-ca.crt
		count(place.Name, schema.GroupResource{Resource: "serviceaccounts"}) // default
	}
	for _, claim := range Claims(in) {
		count(claim.Namespace, resources[reflect.TypeOf(claim)])
		add(claim.Namespace, corev1.ResourceRequestsStorage, *claim.Spec.Resources.Requests.Storage())
	}
	in = anticipated(in)
	for _, part := range All {
		for _, object := range part.Objects(in) {
			if object.GetNamespace() != "" {
				count(object.GetNamespace(), resources[reflect.TypeOf(object)])
			}
		}
	}
	return needs
}

// countsObjects reports whether a quota counts objects of any of the kinds that the operator creates, or their storage.
func countsObjects(quota corev1.ResourceList) bool {
	if _, limited := quota[corev1.ResourceRequestsStorage]; limited {
		return true
	}
	for _, of := range resources {
		for _, name := range countedAs(of) {
			if _, limited := quota[name]; limited {
				return true
			}
		}
	}
	return false
}

// anticipated returns the Inputs with placeholders for everything that isn't known yet and leads to objects.
func anticipated(in Inputs) Inputs {
	in.Autoscaled = sets.New(naming.App)
	if app := in.Tenant.Spec.App; app != nil && app.Migration != nil {
		in.Release = Release{Next: in.Tenant, Create: true, revision: "any", name: naming.MigrationJob("any")}
	}
	in.Entrance.GatewayAPI = true
	if len(in.Entrance.peers()) == 0 {
		in.Entrance.Gateway = &gatewayv1.Gateway{}
	}
	if in.Tenant.Spec.Database == nil {
		return in
	}
	if len(databaseRules(in.Server)) == 0 {
		in.Server = &v1alpha1.DatabaseServer{Status: v1alpha1.DatabaseServerStatus{Addresses: []string{"192.0.2.1"}}}
	}
	if in.Login == nil {
		in.Login = &Login{}
	}
	in.Unplaced = false
	return in
}

// countedAs returns the names by which a quota can count the objects of a resource.
func countedAs(of schema.GroupResource) []corev1.ResourceName {
	names := []corev1.ResourceName{corev1.ResourceName("count/" + of.String())}
	if of.Group == "" {
		names = append(names, corev1.ResourceName(of.Resource))
	}
	return names
}

// resources has the API resources of the kinds of all parts.
var resources = map[reflect.Type]schema.GroupResource{
	reflect.TypeFor[*corev1.ResourceQuota]():                  {Resource: "resourcequotas"},
	reflect.TypeFor[*corev1.LimitRange]():                     {Resource: "limitranges"},
	reflect.TypeFor[*corev1.ConfigMap]():                      {Resource: "configmaps"},
	reflect.TypeFor[*corev1.Secret]():                         {Resource: "secrets"},
	reflect.TypeFor[*corev1.ServiceAccount]():                 {Resource: "serviceaccounts"},
	reflect.TypeFor[*corev1.PersistentVolumeClaim]():          {Resource: "persistentvolumeclaims"},
	reflect.TypeFor[*corev1.Service]():                        {Resource: "services"},
	reflect.TypeFor[*networkingv1.NetworkPolicy]():            {Group: networkingv1.GroupName, Resource: "networkpolicies"},
	reflect.TypeFor[*networkingv1.Ingress]():                  {Group: networkingv1.GroupName, Resource: "ingresses"},
	reflect.TypeFor[*gatewayv1.HTTPRoute]():                   {Group: gatewayv1.GroupName, Resource: "httproutes"},
	reflect.TypeFor[*rbacv1.Role]():                           {Group: rbacv1.GroupName, Resource: "roles"},
	reflect.TypeFor[*rbacv1.RoleBinding]():                    {Group: rbacv1.GroupName, Resource: "rolebindings"},
	reflect.TypeFor[*policyv1.PodDisruptionBudget]():          {Group: policyv1.GroupName, Resource: "poddisruptionbudgets"},
	reflect.TypeFor[*appsv1.Deployment]():                     {Group: appsv1.GroupName, Resource: "deployments"},
	reflect.TypeFor[*autoscalingv2.HorizontalPodAutoscaler](): {Group: autoscalingv2.GroupName, Resource: "horizontalpodautoscalers"},
	reflect.TypeFor[*batchv1.CronJob]():                       {Group: batchv1.GroupName, Resource: "cronjobs"},
	reflect.TypeFor[*batchv1.Job]():                           {Group: batchv1.GroupName, Resource: "jobs"},
	reflect.TypeFor[*v1alpha1.TenantPolicy]():                 {Group: v1alpha1.GroupVersion.Group, Resource: "tenantpolicies"},
}
