// Package admission has the controller that installs the admission policies of config/admission and restores them.
package admission

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tenantry/tenantry/config/admission"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/retry"
)

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings;mutatingadmissionpolicies;mutatingadmissionpolicybindings,verbs=list;watch;create
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies,resourceNames=annotations.tenantry.dev;bounds.tenantry.dev;classobjects.tenantry.dev;cordoned.tenantry.dev;gateways.tenantry.dev;ingresses.tenantry.dev;managed.tenantry.dev;namespaces.tenantry.dev;networkpolicies.tenantry.dev;persistentvolumeclaims.tenantry.dev;poddisruptionbudgets.tenantry.dev;pods.tenantry.dev;quotas.tenantry.dev;reclaim.tenantry.dev;resourceclaims.tenantry.dev;rolebindings.tenantry.dev;scale.tenantry.dev;secrets.tenantry.dev;services.tenantry.dev;tenantclasses.tenantry.dev;tenantclassrevisions.tenantry.dev;tenants.tenantry.dev;tokens.tenantry.dev;unusable.tenantry.dev;writers.tenantclasses.tenantry.dev,verbs=get;update
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicybindings,resourceNames=annotations.tenantry.dev;update.annotations.tenantry.dev;audit.annotations.tenantry.dev;bounds.tenantry.dev;classobjects.tenantry.dev;cordoned.tenantry.dev;gateways.tenantry.dev;update.gateways.tenantry.dev;audit.gateways.tenantry.dev;ingresses.tenantry.dev;update.ingresses.tenantry.dev;audit.ingresses.tenantry.dev;managed.tenantry.dev;namespaces.tenantry.dev;networkpolicies.tenantry.dev;audit.networkpolicies.tenantry.dev;persistentvolumeclaims.tenantry.dev;update.persistentvolumeclaims.tenantry.dev;audit.persistentvolumeclaims.tenantry.dev;poddisruptionbudgets.tenantry.dev;update.poddisruptionbudgets.tenantry.dev;audit.poddisruptionbudgets.tenantry.dev;pods.tenantry.dev;update.pods.tenantry.dev;audit.pods.tenantry.dev;quotas.tenantry.dev;reclaim.tenantry.dev;resourceclaims.tenantry.dev;update.resourceclaims.tenantry.dev;audit.resourceclaims.tenantry.dev;rolebindings.tenantry.dev;audit.rolebindings.tenantry.dev;scale.tenantry.dev;secrets.tenantry.dev;audit.secrets.tenantry.dev;services.tenantry.dev;update.services.tenantry.dev;audit.services.tenantry.dev;tenantclasses.tenantry.dev;tenantclassrevisions.tenantry.dev;tenants.tenantry.dev;tokens.tenantry.dev;audit.tokens.tenantry.dev;unusable.tenantry.dev;ending.unusable.tenantry.dev;writers.tenantclasses.tenantry.dev,verbs=get;update
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingadmissionpolicies;mutatingadmissionpolicybindings,resourceNames=ingress-defaults.tenantry.dev;persistentvolumeclaim-defaults.tenantry.dev;pod-defaults.tenantry.dev;serviceaccount-defaults.tenantry.dev,verbs=get;update
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=tenantpolicies.tenantry.dev,verbs=get
// +kubebuilder:rbac:groups=tenantry.dev,resources=tenants,verbs=manage

// policiesOwner is the CustomResourceDefinition that owns the admission policies, so that they are deleted with
// it: without it they would refuse everything that they match.
const policiesOwner = "tenantpolicies.tenantry.dev"

// Reconciler installs the admission policies, and restores them when they are deleted or changed.
type Reconciler struct {
	// Live reads from the API server.
	Live client.Reader
	// Engine applies the policies.
	Engine *apply.Engine
	// Policies are the policies and their bindings.
	Policies []admission.Object
	// Recorder records Events.
	Recorder events.EventRecorder

	// missing are kinds that the API server doesn't serve, until an Event has reported them.
	missing []string
}

// SetupWithManager registers the controller. It leaves out the policies whose kind the API server
// doesn't serve.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	served, err := r.dropUnserved(manager)
	if err != nil {
		return err
	}
	all := reconcile.Request{NamespacedName: types.NamespacedName{Name: "policies"}}
	names := sets.New[string]()
	for _, policy := range r.Policies {
		policy.SetLabels(map[string]string{naming.LabelManagedBy: naming.ManagedBy})
		names.Insert(policy.GetName())
	}
	ours := builder.WithPredicates(predicate.ResourceVersionChangedPredicate{},
		predicate.NewPredicateFuncs(func(object client.Object) bool { return names.Has(object.GetName()) }))
	one := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{all}
	})
	build := ctrl.NewControllerManagedBy(manager).Named("admission").
		WithOptions(controller.Options{RateLimiter: retry.RateLimiter()}).
		WatchesRawSource(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			q.Add(all) // Where there is no policy yet, no watch tells of one.
			return nil
		}))
	for _, kind := range served {
		build = build.Watches(kind, one, ours)
	}
	return build.Complete(r)
}

// dropUnserved keeps the policies that the API server can serve, and returns their kinds.
func (r *Reconciler) dropUnserved(manager ctrl.Manager) (served []client.Object, err error) {
	for _, kind := range []client.Object{
		&admissionregistrationv1.ValidatingAdmissionPolicy{}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{},
		&admissionregistrationv1.MutatingAdmissionPolicy{}, &admissionregistrationv1.MutatingAdmissionPolicyBinding{},
	} {
		gvk, err := apiutil.GVKForObject(kind, manager.GetScheme())
		if err != nil {
			return nil, err
		}
		_, err = manager.GetRESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		switch {
		case apimeta.IsNoMatchError(err):
			r.missing = append(r.missing, gvk.Kind)
		case err != nil:
			return nil, fmt.Errorf("ask the API server for the kind %s: %w", gvk.Kind, err)
		default:
			served = append(served, kind)
		}
	}
	r.Policies = slices.DeleteFunc(r.Policies, func(policy admission.Object) bool {
		return !slices.ContainsFunc(served, func(kind client.Object) bool { return reflect.TypeOf(kind) == reflect.TypeOf(policy) })
	})
	return served, nil
}

// definitionOf reads the metadata of a CustomResourceDefinition.
func definitionOf(ctx context.Context, live client.Reader, name string) (*metav1.PartialObjectMetadata, error) {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	return definition, live.Get(ctx, types.NamespacedName{Name: name}, definition)
}

// Reconcile applies all policies, and continues after one that fails.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	owner, err := definitionOf(ctx, r.Live, policiesOwner)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("find the owner of the admission policies: %w", err)
	}
	r.reportMissing(ctx, owner)
	var failures []error
	for _, policy := range r.Policies {
		outcome, err := r.Engine.Apply(ctx, owner, policy)
		if err != nil && !problem.Outdated(err) { // What has changed leads to another pass.
			failures = append(failures, err)
		}
		if outcome != apply.Unchanged {
			ctrl.LoggerFrom(ctx).Info(fmt.Sprintf("%T %s", policy, outcome), "policy", policy.GetName())
		}
	}
	return ctrl.Result{}, errors.Join(failures...)
}

// reportMissing reports once which kinds the API server doesn't serve.
func (r *Reconciler) reportMissing(ctx context.Context, about client.Object) {
	if len(r.missing) == 0 {
		return
	}
	ctrl.LoggerFrom(ctx).Info("The API server does not serve all kinds of admission policies; what needs them is left out until the operator is restarted on one that does", "missing", r.missing)
	r.Recorder.Eventf(about, nil, corev1.EventTypeWarning, "NotServed", "Install",
		"The API server does not serve %v, so objects of tenants get no defaults from spec.policy; what they must comply with is enforced all the same.", r.missing)
	r.missing = nil
}
