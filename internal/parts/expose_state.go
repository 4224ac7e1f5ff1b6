package parts

import (
	"slices"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// AnswerPatience is how long whoever serves an Ingress or HTTPRoute may take to say so. Many never give an Ingress an
// address, so that after this time it is none the less taken for served.
const AnswerPatience = 30 * time.Second

// inputs returns what the app's Ingress or HTTPRoute was made of.
func (o Observation) inputs() Inputs {
	return Inputs{Tenant: o.Tenant, Entrance: o.Entrance, ForeignHostnames: o.ForeignHostnames}
}

// PublicURL returns the address of the app outside of the cluster; empty if it has none.
func (o Observation) PublicURL() string {
	if o.Ingress == nil && o.Route == nil {
		return ""
	}
	return o.inputs().publicURL()
}

// publicURL returns the address that the app is to have outside of the cluster; empty if none.
func (in Inputs) publicURL() string {
	expose := in.exposure()
	if expose == nil {
		return ""
	}
	hostnames := slices.DeleteFunc(in.ownHostnames(), func(hostname string) bool { return strings.HasPrefix(hostname, "*") })
	if len(hostnames) == 0 {
		return ""
	}
	return in.Entrance.address(expose, hostnames[0])
}

// InternalURL returns the address of the app for other pods of the tenant; empty if it has none.
func (o Observation) InternalURL() string {
	if port := o.Tenant.Spec.App.Port; port != 0 {
		return naming.AppURL(o.Tenant.Name, port)
	}
	return ""
}

// AnswerDue returns how long it takes until the app is taken for served without an answer; zero if there is one, or
// if none is to be expected any more.
func (o Observation) AnswerDue() time.Duration {
	if o.inputs().exposure() == nil {
		return 0
	}
	created := time.Time{}
	switch {
	case o.Ingress != nil && !addressed(o):
		created = o.Ingress.CreationTimestamp.Time
	case o.Route != nil && len(o.Route.Status.Parents) == 0:
		created = o.Route.CreationTimestamp.Time
	}
	return max(0, created.Add(AnswerPatience).Sub(o.Now))
}

// exposed returns what is to be said of the way to the app from outside of the cluster.
func exposed(o Observation) condition.State {
	app := o.Tenant.Spec.App
	expose := o.inputs().exposure()
	switch {
	case expose == nil && app.Expose != nil:
		return condition.Ready("It is not exposed, since spec.app.expose has no hostnames.")
	case expose == nil:
		return condition.Ready("")
	}
	if obstacle, found := obstacle(o, expose); found {
		return condition.Of(obstacle)
	}
	if expose.GatewayRef != nil {
		return routed(o)
	}
	return served(o, expose)
}

// obstacle returns what keeps the app from being exposed, whatever its Ingress or HTTPRoute says.
func obstacle(o Observation, expose *v1alpha1.AppExposure) (problem.Problem, bool) {
	for _, find := range []func(Observation, *v1alpha1.AppExposure) (problem.Problem, bool){taken, noGateway, noClass, closed, noCertificate} {
		if found, is := find(o, expose); is {
			return found, true
		}
	}
	return problem.Problem{}, false
}

func taken(o Observation, expose *v1alpha1.AppExposure) (problem.Problem, bool) {
	own := o.inputs().ownHostnames()
	var foreign []string
	for _, hostname := range expose.Hostnames {
		if !slices.Contains(own, string(hostname)) {
			foreign = append(foreign, string(hostname))
		}
	}
	return problem.ExposedHostnamesTaken(foreign), len(foreign) > 0
}

func noGateway(o Observation, expose *v1alpha1.AppExposure) (problem.Problem, bool) {
	switch reference := expose.GatewayRef; {
	case reference == nil || o.Entrance.Gateway != nil:
		return problem.Problem{}, false
	case !o.Entrance.GatewayAPI:
		return problem.NoGatewayAPI(), true
	default:
		return problem.GatewayNotFound(GatewayNamespace(o.Tenant.Name, reference), reference.Name), true
	}
}

func noClass(o Observation, expose *v1alpha1.AppExposure) (problem.Problem, bool) {
	class, name := o.Entrance.Class, o.inputs().className()
	switch {
	case expose.GatewayRef != nil:
		return problem.Problem{}, false
	case name != "" && !o.inputs().allowsClass():
		return problem.IngressClassForbidden(name, o.Tenant.Spec.Policy.IngressClasses.Allowed), true
	case class == nil && addressed(o):
		return problem.Problem{}, false // Some controllers serve Ingresses without a class.
	case class == nil:
		return problem.IngressClassNotFound(expose.IngressClassName, o.Entrance.Classes), true
	}
	return problem.Problem{}, false
}

// closed returns a problem if no network policy lets anybody in. Whoever has written rules of their own knows better.
func closed(o Observation, _ *v1alpha1.AppExposure) (problem.Problem, bool) {
	entrance := o.Entrance
	if len(entrance.peers()) > 0 || len(o.Tenant.Spec.Network.Ingress) > 0 {
		return problem.Problem{}, false
	}
	switch {
	case entrance.Gateway != nil:
		return problem.NetworkPeersOfGatewayUnknown(entrance.Gateway.Namespace, entrance.Gateway.Name), true
	case entrance.Class != nil:
		return problem.NetworkPeersOfClassUnknown(entrance.Class.Name), true
	}
	return problem.Problem{}, false
}

func noCertificate(o Observation, expose *v1alpha1.AppExposure) (problem.Problem, bool) {
	if expose.TLS == nil || o.Entrance.Certificate {
		return problem.Problem{}, false
	}
	if makesCertificate(expose) {
		return problem.WaitsForCertificate(o.Tenant.Name, expose.TLS.SecretName), true
	}
	return problem.CertificateNotFound(o.Tenant.Name, expose.TLS.SecretName), true
}

func addressed(o Observation) bool {
	return o.Ingress != nil && len(o.Ingress.Status.LoadBalancer.Ingress) > 0
}

// served returns what the Ingress says.
func served(o Observation, expose *v1alpha1.AppExposure) condition.State {
	switch {
	case o.Ingress == nil:
		return condition.Progressing("The Ingress is being created.")
	case addressed(o):
		return condition.Ready("It is exposed at %s.", o.places(expose))
	case o.Now.Sub(o.Ingress.CreationTimestamp.Time) < AnswerPatience:
		return condition.Progressing("Ingress app has no address yet.")
	default:
		return condition.Ready("It is exposed at %s, but Ingress app has no address: its controller doesn't say where it serves it, or doesn't run.", o.places(expose))
	}
}

// places returns all public addresses of the app as text.
func (o Observation) places(expose *v1alpha1.AppExposure) string {
	var addresses []string
	for _, hostname := range o.inputs().ownHostnames() {
		addresses = append(addresses, o.Entrance.address(expose, hostname))
	}
	return strings.Join(addresses, ", ")
}

// routed returns what the HTTPRoute says. Each controller of a Gateway says so there.
func routed(o Observation) condition.State {
	gateway := o.Entrance.Gateway
	if o.Route == nil {
		return condition.Progressing("The HTTPRoute is being created.")
	}
	outdated := false
	for _, parent := range o.Route.Status.Parents {
		accepted := apimeta.FindStatusCondition(parent.Conditions, string(gatewayv1.RouteConditionAccepted))
		if string(parent.ParentRef.Name) != gateway.Name || accepted == nil {
			continue
		}
		if accepted.ObservedGeneration >= o.Route.Generation {
			return o.answered(accepted, apimeta.FindStatusCondition(parent.Conditions, string(gatewayv1.RouteConditionResolvedRefs)))
		}
		outdated = true
	}
	switch {
	case outdated:
		return condition.Progressing("HTTPRoute app has changed, which Gateway %s in namespace %s has not accepted yet. If that takes long, see that its controller runs.", gateway.Name, gateway.Namespace)
	case o.Now.Sub(o.Route.CreationTimestamp.Time) < AnswerPatience:
		return condition.Progressing("HTTPRoute app waits for Gateway %s in namespace %s to accept it.", gateway.Name, gateway.Namespace)
	default:
		return condition.Of(problem.RouteIgnored(gateway.Namespace, gateway.Name))
	}
}

// answered returns what the Gateway's controller says of the HTTPRoute as it is. It doesn't have to say resolved.
func (o Observation) answered(accepted, resolved *metav1.Condition) condition.State {
	gateway := o.Entrance.Gateway
	switch {
	case accepted.Status != metav1.ConditionTrue:
		return condition.Of(problem.RouteNotAccepted(gateway.Namespace, gateway.Name, accepted.Reason, accepted.Message))
	case resolved != nil && resolved.Status == metav1.ConditionFalse:
		return condition.Of(problem.RouteNotResolved(resolved.Reason, resolved.Message))
	default:
		return condition.Ready("It is exposed at %s.", o.places(o.inputs().exposure()))
	}
}

// address returns the public address of a hostname. A Gateway serves it by HTTPS if one of its listeners for it does.
func (e Entrance) address(expose *v1alpha1.AppExposure, hostname string) string {
	scheme := "http"
	if expose.TLS != nil || e.Gateway != nil && slices.ContainsFunc(e.Gateway.Spec.Listeners, func(listener gatewayv1.Listener) bool {
		section := expose.GatewayRef.SectionName
		of := listener.Hostname == nil || *listener.Hostname == "" || covers(string(*listener.Hostname), hostname)
		return of && listener.Protocol == gatewayv1.HTTPSProtocolType && (section == "" || section == string(listener.Name))
	}) {
		scheme = "https"
	}
	return scheme + "://" + hostname
}
