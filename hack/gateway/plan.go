package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// snapshot is what the cluster has at one time. Ingresses and Gateways are those of the gateway's class.
type snapshot struct {
	ingresses []networkingv1.Ingress
	gateways  []gatewayv1.Gateway
	routes    []gatewayv1.HTTPRoute
	services  map[types.NamespacedName]*corev1.Service
	// secrets are those of type kubernetes.io/tls.
	secrets map[types.NamespacedName]*corev1.Secret
	// namespaces are the labels of all namespaces.
	namespaces map[string]labels.Set
}

// claim is what an Ingress or HTTPRoute asks for one of its hostnames.
type claim struct {
	of       client.Object
	hostname string
	// deep is whether a wildcard stands for several labels.
	deep bool
	// secret is the hostname's certificate, and uncertified says why there is none. It is needed for the first claim of
	// a hostname that is served.
	secret      types.NamespacedName
	uncertified error
	// locations are what is to be served, and wrong says why that can't be.
	locations []location
	wrong     error
	// at is how the route is attached; nil for an Ingress.
	at *attachment
}

// host is a hostname with its certificate, and where its requests go.
type host struct {
	Name string
	// Deep is whether a wildcard stands for several labels.
	Deep      bool
	Secret    types.NamespacedName
	locations []location
	owner     client.Object
}

// location is a path of a hostname.
type location struct {
	Path string
	// Exact is whether only this path is meant, and none below it.
	Exact bool
	// Backend is the address and port of a Service.
	Backend string
}

// refusal says why a part of an Ingress or HTTPRoute isn't served.
type refusal struct {
	of      client.Object
	message string
}

// plainPath has nothing in it that nginx's configuration would understand as anything but a path.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._~-]*$`)

// plan decides what is served. A hostname belongs to the namespace of the oldest Ingress or HTTPRoute that names it, so
// that no other tenant can take its requests.
func plan(found snapshot) (hosts []*host, attached []*attachment, refusals []refusal) {
	claims, refusals := found.ingressClaims()
	attached = found.attachments()
	for _, at := range attached {
		claims = append(claims, found.routeClaims(at)...)
		if at.refused != nil {
			refusals = append(refusals, refusal{at.route, at.refused.message})
		}
	}
	slices.SortStableFunc(claims, func(a, b claim) int {
		return cmp.Or(a.of.GetCreationTimestamp().Compare(b.of.GetCreationTimestamp().Time),
			cmp.Compare(a.of.GetNamespace(), b.of.GetNamespace()), cmp.Compare(a.of.GetName(), b.of.GetName()))
	})
	named := map[string]*host{}
	for _, claim := range claims {
		if err := claim.grant(named); err != nil {
			refusals = append(refusals, refusal{claim.of, err.Error()})
			if claim.at != nil && claim.at.refused == nil {
				claim.at.refused = reasonOf(err)
			}
		}
	}
	for _, host := range named {
		// Those that are only named keep their owner, and aren't served.
		if len(host.locations) == 0 {
			continue
		}
		slices.SortStableFunc(host.locations, func(a, b location) int { return cmp.Compare(a.Path, b.Path) })
		hosts = append(hosts, host)
	}
	slices.SortFunc(hosts, func(a, b *host) int { return cmp.Compare(a.Name, b.Name) })
	return hosts, attached, refusals
}

// grant gives a claim what it asks for, unless the hostname is another namespace's.
func (c claim) grant(named map[string]*host) error {
	owned := named[c.hostname]
	if owned == nil {
		owned = &host{Name: c.hostname, Deep: c.deep, owner: c.of}
		named[c.hostname] = owned
	}
	if owned.owner.GetNamespace() != c.of.GetNamespace() {
		return &reasoned{reason: reasonHostnameTaken, message: fmt.Sprintf("the hostname %s belongs to the older %s %s of namespace %s; choose another one",
			c.hostname, kindOf(owned.owner), owned.owner.GetName(), owned.owner.GetNamespace())}
	}
	wrong := c.wrong
	if len(owned.locations) == 0 {
		owned.Secret = c.secret
		wrong = cmp.Or(c.uncertified, wrong)
	}
	if wrong != nil {
		return fmt.Errorf("this rule of the hostname %s is not served: %w", c.hostname, wrong)
	}
	for _, added := range c.locations {
		taken := slices.ContainsFunc(owned.locations, func(l location) bool { return l.Path == added.Path && l.Exact == added.Exact })
		if !taken {
			owned.locations = append(owned.locations, added)
		}
	}
	return nil
}

func kindOf(object client.Object) string {
	if _, is := object.(*networkingv1.Ingress); is {
		return "Ingress"
	}
	return "HTTPRoute"
}

// checkCertificate returns why the certificate in a Secret can't be used. One that nginx can't read would keep it from
// serving all others, too.
func (s snapshot) checkCertificate(key types.NamespacedName) error {
	secret := s.secrets[key]
	if secret == nil {
		return fmt.Errorf("there is no Secret %s of type %s; create it", key.Name, corev1.SecretTypeTLS)
	}
	if _, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
		return fmt.Errorf("the Secret %s has no certificate with its key: %w", key.Name, err)
	}
	return nil
}

// backend returns the address of a Service's port, by name or number. kube-proxy chooses among its pods.
func (s snapshot) backend(namespace, name string, port networkingv1.ServiceBackendPort) (string, error) {
	service := s.services[types.NamespacedName{Namespace: namespace, Name: name}]
	if service == nil {
		return "", unresolved(gatewayv1.RouteReasonBackendNotFound, "there is no Service %s", name)
	}
	if net.ParseIP(service.Spec.ClusterIP) == nil {
		return "", unresolved(gatewayv1.RouteReasonBackendNotFound, "the Service %s has no address in the cluster; give it one by type ClusterIP", name)
	}
	for _, offered := range service.Spec.Ports {
		if offered.Port == port.Number || (offered.Name != "" && offered.Name == port.Name) {
			return net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(offered.Port))), nil
		}
	}
	return "", unresolved(gatewayv1.RouteReasonBackendNotFound, "the Service %s has no port %s", name, cmp.Or(port.Name, strconv.Itoa(int(port.Number))))
}
