package problem

import (
	"fmt"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// ExposedHostnamesTaken means that the app is to be exposed under hostnames of older tenants.
func ExposedHostnamesTaken(hostnames []string) Problem {
	return stalled(v1alpha1.ReasonConflict, OnChange,
		"The app is not exposed at %s, which an older tenant has; choose others in spec.app.expose.hostnames. NetworkReady says whose they are.", strings.Join(hostnames, ", "))
}

// NoGatewayAPI means that the cluster has no HTTPRoutes, and the app is to be exposed by one.
func NoGatewayAPI() Problem {
	return stalled(v1alpha1.ReasonGatewayNotFound, OnChange,
		"The cluster has no HTTPRoutes of gateway.networking.k8s.io/v1, so that spec.app.expose.gatewayRef leads nowhere; have the Gateway API installed, or write spec.app.expose.ingressClassName instead.")
}

// GatewayNotFound means that there is no Gateway of the name in the spec.
func GatewayNotFound(namespace, name string) Problem {
	return stalled(v1alpha1.ReasonGatewayNotFound, OnChange,
		"There is no Gateway %s in namespace %s; create it, or name another one in spec.app.expose.gatewayRef.", name, namespace)
}

// IngressClassNotFound means that there is no IngressClass of the name in the spec, or no default if that is empty.
func IngressClassNotFound(name string, classes []string) Problem {
	there := "the cluster has none, so that an ingress controller must be installed first"
	if len(classes) > 0 {
		there = "the cluster has " + strings.Join(classes, ", ")
	}
	if name == "" {
		return stalled(v1alpha1.ReasonIngressClassNotFound, OnChange,
			"No IngressClass is the cluster's default; name one in spec.app.expose.ingressClassName: %s.", there)
	}
	return stalled(v1alpha1.ReasonIngressClassNotFound, OnChange,
		"There is no IngressClass %s; write one that is there in spec.app.expose.ingressClassName: %s.", name, there)
}

// IngressClassForbidden means that the tenant's policy doesn't allow the IngressClass.
func IngressClassForbidden(name string, allowed []string) Problem {
	return stalled(v1alpha1.ReasonForbidden, OnChange,
		"The app is not exposed: its IngressClass is %s, and spec.policy.ingressClasses allows [%s]. Write one of these in spec.app.expose.ingressClassName, or allow %s.",
		name, strings.Join(allowed, ", "), name)
}

// NetworkPeersOfClassUnknown means that it isn't known where the controller of an IngressClass runs.
func NetworkPeersOfClassUnknown(class string) Problem {
	return peersUnknown("the controller of IngressClass "+class, "kubectl annotate ingressclass "+class)
}

// NetworkPeersOfGatewayUnknown means that the annotation of a Gateway doesn't say where its requests come from.
func NetworkPeersOfGatewayUnknown(namespace, name string) Problem {
	return peersUnknown(fmt.Sprintf("Gateway %s in namespace %s", name, namespace), fmt.Sprintf("kubectl annotate --overwrite gateway --namespace %s %s", namespace, name))
}

func peersUnknown(who, command string) Problem {
	return stalled(v1alpha1.ReasonNetworkPeersUnknown, OnChange,
		"No network policy lets %s reach the app, since nobody says where its requests come from. Have the cluster's administrator say so, by namespaces or IP blocks: %s %s=NAMESPACE",
		who, command, v1alpha1.AnnotationNetworkPeers)
}

// WaitsForCertificate means that cert-manager has not made the app's certificate yet.
func WaitsForCertificate(namespace, secret string) Problem {
	return temporary(v1alpha1.ReasonProgressing, OnChange,
		"It waits until cert-manager has made Secret %s. If that takes long, \"kubectl describe certificate --namespace %s %s\" says why.", secret, namespace, secret)
}

// CertificateNotFound means that there is no Secret with the app's certificate.
func CertificateNotFound(namespace, secret string) Problem {
	return stalled(v1alpha1.ReasonSecretNotFound, OnChange,
		"There is no Secret %[1]s of type kubernetes.io/tls in namespace %[2]s with the certificate of the app; create it by \"kubectl create secret tls %[1]s --namespace %[2]s --cert=FILE --key=FILE\", name another one in spec.app.expose.tls.secretName, or have cert-manager make it by an annotation in spec.app.expose.annotations.",
		secret, namespace)
}

// RouteNotAccepted means that a Gateway refuses the app's HTTPRoute. reason and message are its controller's.
func RouteNotAccepted(namespace, gateway, reason, message string) Problem {
	return stalled(reason, OnChange, "Gateway %s in namespace %s doesn't accept HTTPRoute app: %s. Correct spec.app.expose, or have the Gateway's listeners let this namespace and its hostnames in.",
		gateway, namespace, told(reason, message))
}

// RouteNotResolved means that a Gateway can't find what the app's HTTPRoute leads to.
func RouteNotResolved(reason, message string) Problem {
	return temporary(reason, OnChange, "HTTPRoute app leads nowhere: %s.", told(reason, message))
}

// RouteIgnored means that no controller has said anything of the app's HTTPRoute.
func RouteIgnored(namespace, gateway string) Problem {
	return temporary(v1alpha1.ReasonGatewayNotReady, OnChange,
		"Nobody has accepted HTTPRoute app; see that the controller of Gateway %s in namespace %s runs.", gateway, namespace)
}

// told returns a message of a controller without its period, or the reason if there is none.
func told(reason, message string) string {
	if message = strings.TrimSuffix(strings.TrimSpace(message), "."); message != "" {
		return message
	}
	return reason
}
