package tenant

import (
	"context"
	"errors"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingressclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways,verbs=get;list;watch

// indexExposing finds the tenants whose app is, or may be, exposed.
const indexExposing = "exposing"

// isExposing is the value in indexExposing.
const isExposing = "true"

func exposing(tenant *effective.Tenant) []string {
	if app := tenant.Spec.App; hasClass(tenant) || app != nil && app.Expose != nil && len(app.Expose.Hostnames) > 0 {
		return []string{isExposing}
	}
	return nil
}

// entrances knows what the cluster has on the way to exposed apps.
type entrances struct {
	client.Client
	// certificates has the metadata of all Secrets with certificates. The operator's own cache has only the Secrets
	// that it manages.
	certificates client.Reader
	gateways     *gateways
}

func (r *Reconciler) entrances() entrances { return entrances{r.Client, r.Certificates, r.gateways} }

// NewCertificates returns a cache of the names of all Secrets with certificates, which runs with the manager.
func NewCertificates(manager ctrl.Manager) (cache.Cache, error) {
	certificates, err := cache.New(manager.GetConfig(), cache.Options{
		HTTPClient: manager.GetHTTPClient(), Scheme: manager.GetScheme(), Mapper: manager.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{certificate(): {
			Field:     fields.OneTermEqualSelector("type", string(corev1.SecretTypeTLS)),
			Transform: nameAlone, UnsafeDisableDeepCopy: new(true),
		}},
	})
	if err != nil {
		return nil, err
	}
	return certificates, manager.Add(certificates)
}

func certificate() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return object
}

// nameAlone drops all but what identifies an object.
func nameAlone(object any) (any, error) {
	if object, ok := object.(*metav1.PartialObjectMetadata); ok {
		object.ObjectMeta = metav1.ObjectMeta{
			Namespace: object.Namespace, Name: object.Name, UID: object.UID, ResourceVersion: object.ResourceVersion,
		}
	}
	return object, nil
}

func (r *Reconciler) loadEntrance(ctx context.Context, run *pass) error {
	found, again, err := r.entrances().load(ctx, run.tenant())
	run.inputs.Entrance, run.retry = found, max(run.retry, again)
	return err
}

// load finds what the cluster has on the way to a tenant's app, and when to look again for what can't be watched.
func (e entrances) load(ctx context.Context, tenant *effective.Tenant) (found parts.Entrance, again problem.Retry, err error) {
	if tenant.Spec.App == nil || tenant.Spec.App.Expose == nil || len(tenant.Spec.App.Expose.Hostnames) == 0 {
		return found, problem.OnChange, nil
	}
	if reference := tenant.Spec.App.Expose.GatewayRef; reference != nil {
		key := types.NamespacedName{Namespace: parts.GatewayNamespace(tenant.Name, reference), Name: reference.Name}
		return e.throughGateway(ctx, key)
	}
	found, err = e.throughIngress(ctx, tenant)
	return found, problem.OnChange, err
}

func (e entrances) throughGateway(ctx context.Context, key types.NamespacedName) (found parts.Entrance, again problem.Retry, err error) {
	found.GatewayAPI, err = e.gateways.ensure()
	if err != nil || !found.GatewayAPI {
		return found, problem.Later, err
	}
	gateway, namespace := &gatewayv1.Gateway{}, &corev1.Namespace{}
	if err := e.Get(ctx, key, gateway); err != nil {
		return found, problem.OnChange, client.IgnoreNotFound(err)
	}
	found.Gateway = gateway
	err = e.Get(ctx, types.NamespacedName{Name: key.Namespace}, namespace)
	found.OwnersGateway = namespace.Labels[naming.LabelTenant] != ""
	return found, problem.OnChange, client.IgnoreNotFound(err)
}

func (e entrances) throughIngress(ctx context.Context, tenant *effective.Tenant) (found parts.Entrance, err error) {
	expose, classes := tenant.Spec.App.Expose, &networkingv1.IngressClassList{}
	if err := e.List(ctx, classes); err != nil {
		return found, err
	}
	name := expose.IngressClassName
	if name == "" {
		// The API server has decided when the Ingress was created.
		live := &networkingv1.Ingress{}
		err := e.Get(ctx, types.NamespacedName{Namespace: tenant.Name, Name: naming.App}, live)
		if client.IgnoreNotFound(err) != nil {
			return found, err
		}
		if live.Spec.IngressClassName != nil {
			name = *live.Spec.IngressClassName
		}
	}
	for i := range classes.Items {
		class := &classes.Items[i]
		found.Classes = append(found.Classes, class.Name)
		if class.Name == name || name == "" && isNewerDefault(class, found.Class) {
			found.Class = class
		}
	}
	slices.Sort(found.Classes)
	if expose.TLS == nil {
		return found, nil
	}
	err = e.certificates.Get(ctx, types.NamespacedName{Namespace: tenant.Name, Name: expose.TLS.SecretName}, certificate())
	found.Certificate = err == nil
	return found, client.IgnoreNotFound(err)
}

// isNewerDefault reports whether a class is the one that the API server gives to new Ingresses, rather than the other
// one, which may be nil.
func isNewerDefault(class, other *networkingv1.IngressClass) bool {
	if class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] != "true" {
		return false
	}
	return other == nil || other.CreationTimestamp.Before(&class.CreationTimestamp) ||
		other.CreationTimestamp.Equal(&class.CreationTimestamp) && class.Name < other.Name
}

// gateways watches the objects of the Gateway API, which a cluster need not have, from when it has them.
type gateways struct {
	mapper     apimeta.RESTMapper
	cache      cache.Cache
	controller controller.Controller
	routes     handler.Funcs

	mutex    sync.Mutex
	watching bool
}

// ensure begins to watch if the cluster has the kinds, and reports whether it has.
func (g *gateways) ensure() (bool, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.watching {
		return true, nil
	}
	for _, name := range []string{"Gateway", "HTTPRoute"} {
		kind := schema.GroupKind{Group: gatewayv1.GroupName, Kind: name}
		if _, err := g.mapper.RESTMapping(kind, gatewayv1.GroupVersion.Version); apimeta.IsNoMatchError(err) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	err := errors.Join(
		g.controller.Watch(source.Kind[client.Object](g.cache, &gatewayv1.Gateway{}, handler.EnqueueRequestsFromMapFunc(g.routed), metadataChanges)),
		g.controller.Watch(source.Kind[client.Object](g.cache, &gatewayv1.HTTPRoute{}, g.routes, predicate.NewPredicateFuncs(concernsApp))))
	g.watching = err == nil
	return g.watching, err
}

// routed returns the tenants whose HTTPRoutes lead to a Gateway. Owners write Gateways, too, which must not have all other
// tenants looked at.
func (g *gateways) routed(ctx context.Context, gateway client.Object) []reconcile.Request {
	routes := &gatewayv1.HTTPRouteList{}
	err := g.cache.List(ctx, routes, client.MatchingLabels{naming.LabelManagedBy: naming.ManagedBy}, client.UnsafeDisableDeepCopy)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't list the routes to a Gateway", "namespace", gateway.GetNamespace(), "name", gateway.GetName())
		return nil
	}
	return routedTo(gateway, routes.Items)
}

func routedTo(gateway client.Object, routes []gatewayv1.HTTPRoute) []reconcile.Request {
	var names []string
	for i := range routes {
		route := &routes[i]
		leads := slices.ContainsFunc(route.Spec.ParentRefs, func(parent gatewayv1.ParentReference) bool {
			return string(parent.Name) == gateway.GetName() &&
				string(ptr.Deref(parent.Namespace, gatewayv1.Namespace(route.Namespace))) == gateway.GetNamespace()
		})
		if leads {
			names = append(names, ownersOf(route)...)
		}
	}
	return requestsFor(names)
}

// concernsApp reports whether an HTTPRoute is that of a tenant's app, or in its way.
func concernsApp(route client.Object) bool {
	return route.GetName() == naming.App || route.GetLabels()[naming.LabelManagedBy] == naming.ManagedBy
}

// TrimRoute drops the content of HTTPRoutes that are not the operator's. A cache can't select those of a kind that the
// cluster need not have.
func TrimRoute(object any) (any, error) {
	if route, ok := object.(*gatewayv1.HTTPRoute); ok && route.Labels[naming.LabelManagedBy] != naming.ManagedBy {
		route.Spec, route.Status, route.ManagedFields = gatewayv1.HTTPRouteSpec{}, gatewayv1.HTTPRouteStatus{}, nil
	}
	return object, nil
}

// owned returns the kinds of all parts that the cluster has.
func (g *gateways) owned() []client.Object { return g.with(ownedKinds()) }

// with adds HTTPRoutes to these kinds if the cluster has them.
func (g *gateways) with(kinds []client.Object) []client.Object {
	if g == nil {
		return kinds
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.watching {
		kinds = append(kinds, &gatewayv1.HTTPRoute{})
	}
	return kinds
}

// metadataChanges lets through changes of what somebody has written, and not of the status.
var metadataChanges = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool { return metadataChanged(e.ObjectOld, e.ObjectNew) },
}

// comesOrGoes lets through that there is an object, or no longer.
var comesOrGoes = predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}

// byEntrance returns the tenants whose apps are exposed.
func (r *Reconciler) byEntrance(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.tenantsBy(ctx, indexExposing, isExposing)
}

// byCertificate returns the tenant whose app may have a certificate.
func (r *Reconciler) byCertificate(ctx context.Context, secret client.Object) []reconcile.Request {
	tenant := &v1alpha1.Tenant{}
	found, err := r.read(ctx, types.NamespacedName{Name: secret.GetNamespace()}, tenant)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't read the tenant of a certificate", "namespace", secret.GetNamespace())
	}
	if !found || len(exposing(effective.Of(tenant))) == 0 {
		return nil
	}
	return requestsFor([]string{tenant.Name})
}
