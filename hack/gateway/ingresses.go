package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ingressClaims returns what the Ingresses ask for, and refuses what names no hostname.
func (s snapshot) ingressClaims() (claims []claim, refusals []refusal) {
	for i := range s.ingresses {
		ingress := &s.ingresses[i]
		for _, rule := range ingress.Spec.Rules {
			if rule.Host == "" || rule.HTTP == nil {
				refusals = append(refusals, refusal{ingress, "a rule of spec.rules has no host or no http; give it both"})
				continue
			}
			asked := claim{of: ingress, hostname: rule.Host}
			asked.secret, asked.uncertified = s.certificateOf(ingress, rule.Host)
			for _, path := range rule.HTTP.Paths {
				location, err := s.locate(ingress, path)
				if err != nil {
					asked.wrong = err
					break
				}
				asked.locations = append(asked.locations, location)
			}
			claims = append(claims, asked)
		}
	}
	return claims, refusals
}

// certificateOf returns the Secret with the certificate of a hostname.
func (s snapshot) certificateOf(ingress *networkingv1.Ingress, hostname string) (types.NamespacedName, error) {
	for _, entry := range ingress.Spec.TLS {
		if slices.Contains(entry.Hosts, hostname) {
			key := types.NamespacedName{Namespace: ingress.Namespace, Name: entry.SecretName}
			return key, s.checkCertificate(key)
		}
	}
	return types.NamespacedName{}, errors.New("it has no certificate; add it to spec.tls with the name of a Secret")
}

func (s snapshot) locate(ingress *networkingv1.Ingress, path networkingv1.HTTPIngressPath) (location, error) {
	at := cmp.Or(path.Path, "/")
	if path.Backend.Service == nil {
		return location{}, fmt.Errorf("the path %s has a backend that is no Service; write backend.service", at)
	}
	exact := path.PathType != nil && *path.PathType == networkingv1.PathTypeExact
	found, err := locationAt(at, exact)
	if err != nil {
		return location{}, err
	}
	if found.Backend, err = s.backend(ingress.Namespace, path.Backend.Service.Name, path.Backend.Service.Port); err != nil {
		return location{}, fmt.Errorf("the path %s: %w", at, err)
	}
	return found, nil
}

// locationAt returns a location without its backend.
func locationAt(path string, exact bool) (location, error) {
	if !plainPath.MatchString(path) {
		return location{}, fmt.Errorf("the path %q has other characters than letters, digits and /._~-", path)
	}
	if !exact && path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	return location{Path: path, Exact: exact}, nil
}
