package main

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// reasonHostnameTaken is the reason of a route whose hostname another namespace has.
const reasonHostnameTaken gatewayv1.RouteConditionReason = "HostnameTaken"

// reasoned is an error with what a condition says by it: that the route isn't accepted, or that what it refers to isn't
// resolved.
type reasoned struct {
	unresolved bool
	reason     gatewayv1.RouteConditionReason
	message    string
}

func (r *reasoned) Error() string { return r.message }

func unresolved(reason gatewayv1.RouteConditionReason, format string, args ...any) error {
	return &reasoned{unresolved: true, reason: reason, message: fmt.Sprintf(format, args...)}
}

// reasonOf returns what a condition says by an error.
func reasonOf(err error) *reasoned {
	if found, ok := errors.AsType[*reasoned](err); ok {
		return &reasoned{found.unresolved, found.reason, err.Error()}
	}
	return &reasoned{false, gatewayv1.RouteReasonUnsupportedValue, err.Error()}
}

// routeClaims returns what a route asks for by one of its parents.
func (s snapshot) routeClaims(at *attachment) []claim {
	locations, wrong := s.routeLocations(at.route)
	claims := make([]claim, 0, len(at.hosts))
	for _, host := range at.hosts {
		asked := claim{of: at.route, at: at, hostname: host.name, deep: true, locations: locations, wrong: wrong}
		asked.secret, asked.uncertified = s.listenerCertificate(at.gateway, host.listener)
		claims = append(claims, asked)
	}
	return claims
}

// routeLocations returns the paths of a route.
func (s snapshot) routeLocations(route *gatewayv1.HTTPRoute) (locations []location, err error) {
	for _, rule := range route.Spec.Rules {
		backend, err := s.ruleBackend(route.Namespace, rule)
		if err != nil {
			return nil, err
		}
		matches := rule.Matches
		if len(matches) == 0 {
			matches = []gatewayv1.HTTPRouteMatch{{}} // It stands for all paths.
		}
		for _, match := range matches {
			found, err := matchLocation(match)
			if err != nil {
				return nil, err
			}
			found.Backend = backend
			locations = append(locations, found)
		}
	}
	return locations, nil
}

func matchLocation(match gatewayv1.HTTPRouteMatch) (location, error) {
	if len(match.Headers) > 0 || len(match.QueryParams) > 0 || match.Method != nil {
		return location{}, errors.New("this gateway matches requests by their path only; leave out headers, queryParams and method")
	}
	path, kind := "/", gatewayv1.PathMatchPathPrefix
	if match.Path != nil {
		path, kind = ptr.Deref(match.Path.Value, path), ptr.Deref(match.Path.Type, kind)
	}
	if kind == gatewayv1.PathMatchRegularExpression {
		return location{}, errors.New("this gateway knows no paths by regular expressions; write PathPrefix or Exact")
	}
	return locationAt(path, kind == gatewayv1.PathMatchExact)
}

// ruleBackend returns the address of the one Service that a rule leads to.
func (s snapshot) ruleBackend(namespace string, rule gatewayv1.HTTPRouteRule) (string, error) {
	if len(rule.Filters) > 0 || len(rule.BackendRefs) != 1 || len(rule.BackendRefs[0].Filters) > 0 {
		return "", errors.New("this gateway sends requests as they are to one Service; leave out filters, and write one of backendRefs in each rule")
	}
	reference := rule.BackendRefs[0].BackendObjectReference
	switch {
	case ptr.Deref(reference.Group, corev1.GroupName) != corev1.GroupName || ptr.Deref(reference.Kind, "Service") != "Service":
		return "", unresolved(gatewayv1.RouteReasonInvalidKind, "the backend %s is no Service", reference.Name)
	case string(ptr.Deref(reference.Namespace, gatewayv1.Namespace(namespace))) != namespace:
		return "", unresolved(gatewayv1.RouteReasonRefNotPermitted, "the Service %s is in another namespace than the route", reference.Name)
	}
	return s.backend(namespace, string(reference.Name), networkingv1.ServiceBackendPort{Number: ptr.Deref(reference.Port, 0)})
}
