package parts

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/problem"
)

// Observation is all that the conditions of a tenant's parts depend on.
type Observation struct {
	// Tenant is the tenant, with its effective spec and its current status.
	Tenant *effective.Tenant
	// Problems has, by condition type, what keeps a part from being in place. A part without a problem is in place.
	Problems map[string]problem.Problem
	// Database is the status of the tenant's database; nil while it has none.
	Database *v1alpha1.TenantDatabaseStatus
	// Namespaces are the tenant's namespaces; empty means only the primary one.
	Namespaces []v1alpha1.TenantNamespace
	// Needs is what the operator's own objects use of the quota, in all namespaces.
	Needs corev1.ResourceList
	// UntrustedNamespaces are as in Inputs.
	UntrustedNamespaces map[string]string
	// Quota is the tenant's live ResourceQuota, or the sum of its ResourceQuotas; nil if it has none.
	Quota *corev1.ResourceQuota
	// Slice is what is used of the quota in the primary namespace.
	Slice corev1.ResourceList
	// Deployment is the live Deployment of the tenant's app; nil if there is none.
	Deployment *appsv1.Deployment
	// Workers and CronJobs are the live Deployments of the app's workers, and the live CronJobs of its schedules, by
	// name.
	Workers  map[string]*appsv1.Deployment
	CronJobs map[string]*batchv1.CronJob
	// Release is as in Inputs.
	Release Release
	// Jobs are the live Jobs of the schedules.
	Jobs []batchv1.Job
	// Refusals has, by the UID of a Job or CronJob, what the API server said last when it refused to create what the
	// Job or CronJob asks for.
	Refusals map[types.UID]Refusal
	// Autoscalers are the live HorizontalPodAutoscalers that the spec asks for, by the name of what they scale; nil if
	// there is none, or if it isn't the tenant's.
	Autoscalers map[string]*autoscalingv2.HorizontalPodAutoscaler
	// Asleep says that the tenant is to sleep. Wakes is when it wakes by itself, and Sleeps when it falls asleep; zero
	// if never, or if it is so already.
	Asleep        bool
	Wakes, Sleeps time.Time
	// Pods are the live pods of the app, its workers and its Jobs.
	Pods []corev1.Pod
	// ObjectKinds are the kinds of which the tenant may have objects from its class, and Objects are those objects.
	ObjectKinds []v1alpha1.TenantObjectKind
	Objects     []*unstructured.Unstructured
	// Claims are as in Inputs.
	Claims []corev1.PersistentVolumeClaim
	// Entrance and ForeignHostnames are as in Inputs.
	Entrance         Entrance
	ForeignHostnames []v1alpha1.HostnamePattern
	// Ingress and Route are what exposes the tenant's app; nil if there are none.
	Ingress *networkingv1.Ingress
	Route   *gatewayv1.HTTPRoute
	// TroubledSince is since when AppTrouble has found any problem.
	TroubledSince time.Time
	// Now is the time of the observation.
	Now time.Time
}

// Refusal is an answer of the API server to a controller.
type Refusal struct {
	// Message is the answer.
	Message string
	// At is when it was given.
	At time.Time
}

// MaxNamespaces is the maximum number of namespaces in a status.
const MaxNamespaces = 256

// TenantNamespaces returns the tenant's namespaces, or as many of them as a status may list.
func (o Observation) TenantNamespaces() []v1alpha1.TenantNamespace {
	if _, missing := o.Problems[v1alpha1.ConditionNamespaceReady]; missing && len(o.Namespaces) < 2 {
		return nil
	}
	if len(o.Namespaces) == 0 {
		return []v1alpha1.TenantNamespace{{Name: o.Tenant.Name, Primary: true, State: v1alpha1.NamespaceUsable}}
	}
	return o.Namespaces[:min(len(o.Namespaces), MaxNamespaces)]
}

// UsableNamespaces returns how many namespaces the tenant may use.
func (o Observation) UsableNamespaces() int32 {
	usable := int32(0)
	for _, namespace := range o.TenantNamespaces() {
		if namespace.State == v1alpha1.NamespaceUsable {
			usable++
		}
	}
	return usable
}
