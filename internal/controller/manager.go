// Package controller puts the controllers together, and says what they see of the cluster.
package controller

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/uuid"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	policies "github.com/tenantry/tenantry/config/admission"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/controller/admission"
	"github.com/tenantry/tenantry/internal/controller/databaseserver"
	"github.com/tenantry/tenantry/internal/controller/tenant"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
)

// CacheOptions make the cache hold no more than the controllers read: managed objects, namespaces, of
// pods their metadata and status, and of autoscalers what they scale. What comes out of the cache must
// not be changed.
func CacheOptions() cache.Options {
	managed := cache.ByObject{
		Label:                 labels.SelectorFromSet(labels.Set{naming.LabelManagedBy: naming.ManagedBy}),
		Transform:             trim,
		UnsafeDisableDeepCopy: new(true),
	}
	options := cache.Options{ByObject: map[client.Object]cache.ByObject{
		&v1alpha1.Tenant{}:                       {Transform: cache.TransformStripManagedFields()},
		&corev1.Pod{}:                            managed,
		&corev1.Namespace{}:                      {Transform: trim, UnsafeDisableDeepCopy: new(true)},
		&autoscalingv2.HorizontalPodAutoscaler{}: {Transform: tenant.TrimAutoscaler, UnsafeDisableDeepCopy: new(true)},
	}}
	for _, kind := range append(parts.Kinds(), &corev1.PersistentVolumeClaim{}, &appsv1.StatefulSet{}) {
		options.ByObject[kind] = managed
	}
	return options
}

// ClientOptions make a client that reads from the cache and finds there what it has written itself.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: new(true), Unstructured: true}}
}

// trim drops what nobody reads: of metadata.managedFields the entries of controllers that report a
// status, and those of others where the operator owns fields, or its own where it owns all; the specs of
// pods, and who has set what of a claim, of which nothing is taken back that the cluster has added.
func trim(object any) (any, error) {
	if object, ok := object.(client.Object); ok {
		own := desired.OwningOf(object).Fields
		var entries []metav1.ManagedFieldsEntry
		for _, entry := range object.GetManagedFields() {
			if (entry.Manager == naming.FieldOwner) == own && entry.Subresource == "" {
				entries = append(entries, entry)
			}
		}
		object.SetManagedFields(entries)
	}
	if pod, ok := object.(*corev1.Pod); ok {
		pod.Spec = corev1.PodSpec{}
		pod.ManagedFields = nil
	}
	if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
		claim.ManagedFields = nil
	}
	return object, nil
}

// Databases talks to database servers. Package database/postgres has the real one.
type Databases interface {
	tenant.Databases
	databaseserver.Databases
}

// Setup registers all controllers with a manager that was made with CacheOptions and ClientOptions.
// With the enforcement Audit, policies warn in the whole cluster and refuse nothing.
func Setup(manager ctrl.Manager, databases Databases, enforcement v1alpha1.PolicyEnforcement) error {
	known := &fleet.Fleet{}
	recorder := manager.GetEventRecorder(naming.FieldOwner)
	engine := apply.New(manager.GetClient(), manager.GetAPIReader(), naming.FieldOwner)
	servers := &databaseserver.Reconciler{
		Client: manager.GetClient(), Live: manager.GetAPIReader(), Recorder: recorder,
		Databases: databases, Fleet: known, Engine: engine,
	}
	if err := servers.SetupWithManager(manager); err != nil {
		return err
	}
	objects, err := policies.Objects(enforcement)
	if err != nil {
		return err
	}
	admissions := &admission.Reconciler{Live: manager.GetAPIReader(), Engine: engine, Policies: objects, Recorder: recorder}
	if err := admissions.SetupWithManager(manager); err != nil {
		return err
	}
	tenants := &tenant.Reconciler{
		Client: manager.GetClient(), Live: manager.GetAPIReader(), Recorder: recorder,
		Engine: engine, Databases: databases, Fleet: known,
		Audit: enforcement == v1alpha1.PolicyAudit, Identity: string(uuid.NewUUID()),
	}
	return tenants.SetupWithManager(manager)
}
