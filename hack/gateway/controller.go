package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// controller writes the whole configuration at once: there is one thing to reconcile.
type controller struct {
	client.Client
	recorder events.EventRecorder
	server   *nginx
	address  string

	// served is the configuration that nginx has, and refused what was last said of Ingresses and HTTPRoutes.
	served  string
	refused map[refused]bool
}

// refused is what was said of an Ingress or HTTPRoute.
type refused struct {
	uid     types.UID
	message string
}

func setup(manager ctrl.Manager, server *nginx, address string) error {
	server.ended = make(chan error, 1)
	if err := manager.Add(server); err != nil {
		return err
	}
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{}}
	})
	return ctrl.NewControllerManagedBy(manager).Named("gateway").
		// The classes are there from the start, so that nginx serves even if there is no Ingress.
		Watches(&networkingv1.IngressClass{}, all).
		Watches(&networkingv1.Ingress{}, all).
		Watches(&gatewayv1.GatewayClass{}, all).
		Watches(&gatewayv1.Gateway{}, all).
		Watches(&gatewayv1.HTTPRoute{}, all).
		Watches(&corev1.Namespace{}, all).
		Watches(&corev1.Service{}, all).
		Watches(&corev1.Secret{}, all).
		Complete(&controller{
			Client: manager.GetClient(), recorder: manager.GetEventRecorder(className), server: server, address: address,
		})
}

// Reconcile has nginx serve what the cluster has, and then says so in the status of the objects.
func (c *controller) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	found, err := c.load(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	hosts, attached, refusals := plan(found)
	if err := c.serve(ctx, hosts, found.secrets); err != nil {
		return ctrl.Result{}, err
	}
	c.tell(refusals)
	return ctrl.Result{}, errors.Join(c.publish(ctx, found.ingresses, hosts), c.publishRoutes(ctx, found, attached))
}

func (c *controller) load(ctx context.Context) (snapshot, error) {
	found := snapshot{
		services: map[types.NamespacedName]*corev1.Service{}, secrets: map[types.NamespacedName]*corev1.Secret{}, namespaces: map[string]labels.Set{},
	}
	ingresses, services, secrets := &networkingv1.IngressList{}, &corev1.ServiceList{}, &corev1.SecretList{}
	gateways, routes, namespaces := &gatewayv1.GatewayList{}, &gatewayv1.HTTPRouteList{}, &corev1.NamespaceList{}
	for _, list := range []client.ObjectList{ingresses, services, secrets, gateways, routes, namespaces} {
		if err := c.List(ctx, list); err != nil {
			return found, err
		}
	}
	found.ingresses = slices.DeleteFunc(ingresses.Items, func(ingress networkingv1.Ingress) bool {
		return ptr.Deref(ingress.Spec.IngressClassName, "") != className || !ingress.DeletionTimestamp.IsZero()
	})
	found.gateways = slices.DeleteFunc(gateways.Items, func(gateway gatewayv1.Gateway) bool {
		return gateway.Spec.GatewayClassName != className || !gateway.DeletionTimestamp.IsZero()
	})
	found.routes = slices.DeleteFunc(routes.Items, func(route gatewayv1.HTTPRoute) bool { return !route.DeletionTimestamp.IsZero() })
	for i := range services.Items {
		found.services[client.ObjectKeyFromObject(&services.Items[i])] = &services.Items[i]
	}
	for i := range secrets.Items {
		found.secrets[client.ObjectKeyFromObject(&secrets.Items[i])] = &secrets.Items[i]
	}
	for _, namespace := range namespaces.Items {
		found.namespaces[namespace.Name] = namespace.Labels
	}
	return found, nil
}

// serve applies the configuration if it, or a certificate, is another one than before.
func (c *controller) serve(ctx context.Context, hosts []*host, secrets map[types.NamespacedName]*corev1.Secret) error {
	configuration, err := render(c.server.folder, hosts)
	if err != nil {
		return err
	}
	certificates, versions := files{}, ""
	for _, host := range hosts {
		secret := secrets[host.Secret]
		certificates[certificatePath(c.server.folder, host)] = bytes.Join(
			[][]byte{secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]}, []byte("\n"))
		versions += fmt.Sprintf("# %s %s\n", host.Secret, secret.ResourceVersion)
	}
	configuration += versions
	if configuration == c.served {
		return nil
	}
	if err := c.server.apply(ctx, configuration, certificates); err != nil {
		return err
	}
	c.served = configuration
	ctrl.LoggerFrom(ctx).Info("Serving", "hostnames", len(hosts))
	return nil
}

// tell says once why something isn't served.
func (c *controller) tell(refusals []refusal) {
	told := map[refused]bool{}
	for _, r := range refusals {
		key := refused{r.of.GetUID(), r.message}
		if !c.refused[key] {
			c.recorder.Eventf(r.of, nil, corev1.EventTypeWarning, "NotServed", "Configure", "%s", r.message)
		}
		told[key] = true
	}
	c.refused = told
}

// publish writes the gateway's address into the status of the Ingresses that are served.
func (c *controller) publish(ctx context.Context, ingresses []networkingv1.Ingress, hosts []*host) error {
	serving := map[string]string{}
	for _, host := range hosts {
		serving[host.Name] = host.owner.GetNamespace()
	}
	for i := range ingresses {
		ingress := &ingresses[i]
		var addresses []networkingv1.IngressLoadBalancerIngress
		for _, rule := range ingress.Spec.Rules {
			if serving[rule.Host] == ingress.Namespace {
				addresses = []networkingv1.IngressLoadBalancerIngress{{IP: c.address}}
			}
		}
		if equality.Semantic.DeepEqual(ingress.Status.LoadBalancer.Ingress, addresses) {
			continue
		}
		ingress.Status.LoadBalancer.Ingress = addresses
		if err := c.Status().Update(ctx, ingress); err != nil {
			return client.IgnoreNotFound(err)
		}
	}
	return nil
}

// publishRoutes writes what the Gateway API asks for into the status of its objects.
func (c *controller) publishRoutes(ctx context.Context, found snapshot, attached []*attachment) error {
	var failures []error
	for i := range found.gateways {
		gateway := &found.gateways[i]
		if next := found.statusOfGateway(gateway, attached, c.address); !equal(gateway.Status, next) {
			gateway.Status = next
			failures = append(failures, client.IgnoreNotFound(c.Status().Update(ctx, gateway)))
		}
	}
	for i := range found.routes {
		route := &found.routes[i]
		if next := statusOfRoute(route, attached); !equal(route.Status.RouteStatus, next) {
			route.Status.RouteStatus = next
			failures = append(failures, client.IgnoreNotFound(c.Status().Update(ctx, route)))
		}
	}
	class := &gatewayv1.GatewayClass{}
	if err := c.Get(ctx, types.NamespacedName{Name: className}, class); err != nil {
		return errors.Join(append(failures, client.IgnoreNotFound(err))...)
	}
	before := class.DeepCopy()
	set(&class.Status.Conditions, class.Generation,
		condition(string(gatewayv1.GatewayClassConditionStatusAccepted), string(gatewayv1.GatewayClassReasonAccepted), nil))
	if !equal(before.Status, class.Status) {
		failures = append(failures, c.Status().Update(ctx, class))
	}
	return errors.Join(failures...)
}

// equal compares parts of objects.
func equal(a, b any) bool { return equality.Semantic.DeepEqual(a, b) }
