package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// snapshot is what the cluster has at one time.
type snapshot struct {
	ingresses []networkingv1.Ingress
	services  map[types.NamespacedName]*corev1.Service
	// secrets are those of type kubernetes.io/tls.
	secrets map[types.NamespacedName]*corev1.Secret
}

// host is a hostname with its certificate, and where its requests go.
type host struct {
	Name      string
	Secret    types.NamespacedName
	locations []location
	owner     *networkingv1.Ingress
}

// location is a path of a hostname.
type location struct {
	Path string
	// Exact is whether only this path is meant, and none below it.
	Exact bool
	// Backend is the address and port of a Service.
	Backend string
}

// refusal says why a part of an Ingress isn't served.
type refusal struct {
	ingress *networkingv1.Ingress
	message string
}

// plainPath has nothing in it that nginx's configuration would understand as anything but a path.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._~-]*$`)

// plan decides what is served. A hostname belongs to the namespace of the oldest Ingress that names it, so that no
// other tenant can take its requests.
func plan(found snapshot) (hosts []*host, refusals []refusal) {
	slices.SortFunc(found.ingresses, func(a, b networkingv1.Ingress) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	named := map[string]*host{}
	for i := range found.ingresses {
		ingress := &found.ingresses[i]
		for _, rule := range ingress.Spec.Rules {
			if err := found.addRule(named, ingress, rule); err != nil {
				refusals = append(refusals, refusal{ingress, err.Error()})
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
	return hosts, refusals
}

func (s snapshot) addRule(named map[string]*host, ingress *networkingv1.Ingress, rule networkingv1.IngressRule) error {
	if rule.Host == "" || rule.HTTP == nil {
		return errors.New("a rule of spec.rules has no host or no http; give it both")
	}
	owned := named[rule.Host]
	if owned == nil {
		owned = &host{Name: rule.Host, owner: ingress}
		named[rule.Host] = owned
	}
	if owned.owner.Namespace != ingress.Namespace {
		return fmt.Errorf("the hostname %s belongs to the older Ingress %s of namespace %s; choose another one",
			rule.Host, owned.owner.Name, owned.owner.Namespace)
	}
	if err := s.addPaths(owned, ingress, rule.HTTP.Paths); err != nil {
		return fmt.Errorf("this rule of the hostname %s is not served: %w", rule.Host, err)
	}
	return nil
}

func (s snapshot) addPaths(to *host, ingress *networkingv1.Ingress, paths []networkingv1.HTTPIngressPath) error {
	secret := to.Secret
	if len(to.locations) == 0 {
		var err error
		if secret, err = s.certificate(ingress, to.Name); err != nil {
			return err
		}
	}
	locations := to.locations
	for _, path := range paths {
		added, err := s.locate(ingress, path)
		if err != nil {
			return err
		}
		taken := slices.ContainsFunc(locations, func(l location) bool { return l.Path == added.Path && l.Exact == added.Exact })
		if !taken {
			locations = append(locations, added)
		}
	}
	to.Secret, to.locations = secret, locations
	return nil
}

// certificate returns the Secret with the certificate of a hostname. A certificate that nginx can't read would keep it
// from serving all others, too.
func (s snapshot) certificate(ingress *networkingv1.Ingress, hostname string) (types.NamespacedName, error) {
	for _, entry := range ingress.Spec.TLS {
		if !slices.Contains(entry.Hosts, hostname) {
			continue
		}
		key := types.NamespacedName{Namespace: ingress.Namespace, Name: entry.SecretName}
		secret := s.secrets[key]
		if secret == nil {
			return key, fmt.Errorf("there is no Secret %s of type %s; create it", key.Name, corev1.SecretTypeTLS)
		}
		if _, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
			return key, fmt.Errorf("the Secret %s has no certificate with its key: %w", key.Name, err)
		}
		return key, nil
	}
	return types.NamespacedName{}, errors.New("it has no certificate; add it to spec.tls with the name of a Secret")
}

func (s snapshot) locate(ingress *networkingv1.Ingress, path networkingv1.HTTPIngressPath) (location, error) {
	at := cmp.Or(path.Path, "/")
	if !plainPath.MatchString(at) {
		return location{}, fmt.Errorf("the path %q has other characters than letters, digits and /._~-", at)
	}
	if path.Backend.Service == nil {
		return location{}, fmt.Errorf("the path %s has a backend that is no Service; write backend.service", at)
	}
	backend, err := s.backend(ingress.Namespace, *path.Backend.Service)
	if err != nil {
		return location{}, fmt.Errorf("the path %s: %w", at, err)
	}
	exact := path.PathType != nil && *path.PathType == networkingv1.PathTypeExact
	if !exact && at != "/" {
		at = strings.TrimSuffix(at, "/")
	}
	return location{Path: at, Exact: exact, Backend: backend}, nil
}

// backend returns the address of a Service. kube-proxy chooses among its pods.
func (s snapshot) backend(namespace string, backend networkingv1.IngressServiceBackend) (string, error) {
	service := s.services[types.NamespacedName{Namespace: namespace, Name: backend.Name}]
	if service == nil {
		return "", fmt.Errorf("there is no Service %s", backend.Name)
	}
	if net.ParseIP(service.Spec.ClusterIP) == nil {
		return "", fmt.Errorf("the Service %s has no address in the cluster; give it one by type ClusterIP", backend.Name)
	}
	for _, port := range service.Spec.Ports {
		if port.Port == backend.Port.Number || (port.Name != "" && port.Name == backend.Port.Name) {
			return net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(port.Port))), nil
		}
	}
	return "", fmt.Errorf("the Service %s has no port %s", backend.Name, cmp.Or(backend.Port.Name, strconv.Itoa(int(backend.Port.Number))))
}
