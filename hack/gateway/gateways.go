package main

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// listenerPort is the only port that this gateway has.
const listenerPort = 443

// attachment is a route at one of its parents, a Gateway of this class.
type attachment struct {
	route   *gatewayv1.HTTPRoute
	parent  gatewayv1.ParentReference
	gateway *gatewayv1.Gateway
	hosts   []attachedHost
	// refused says why the route isn't served; nil if it is.
	refused *reasoned
}

// attachedHost is a hostname that a listener has for a route.
type attachedHost struct {
	name     string
	listener *gatewayv1.Listener
}

// attachments returns the routes at their parents, in the order of both.
func (s snapshot) attachments() []*attachment {
	gateways := map[types.NamespacedName]*gatewayv1.Gateway{}
	for i := range s.gateways {
		gateways[types.NamespacedName{Namespace: s.gateways[i].Namespace, Name: s.gateways[i].Name}] = &s.gateways[i]
	}
	var found []*attachment
	for i := range s.routes {
		route := &s.routes[i]
		for _, parent := range route.Spec.ParentRefs {
			if ptr.Deref(parent.Group, gatewayv1.GroupName) != gatewayv1.GroupName || ptr.Deref(parent.Kind, "Gateway") != "Gateway" {
				continue
			}
			namespace := string(ptr.Deref(parent.Namespace, gatewayv1.Namespace(route.Namespace)))
			if gateway := gateways[types.NamespacedName{Namespace: namespace, Name: string(parent.Name)}]; gateway != nil {
				at := &attachment{route: route, parent: parent, gateway: gateway}
				at.hosts, at.refused = s.attach(at)
				found = append(found, at)
			}
		}
	}
	return found
}

// attach finds the listener of each hostname of a route.
func (s snapshot) attach(at *attachment) ([]attachedHost, *reasoned) {
	meant, allowed := s.listenersFor(at)
	hosts := closest(allowed, at.route)
	switch {
	case meant == 0:
		return nil, &reasoned{reason: gatewayv1.RouteReasonNoMatchingParent, message: fmt.Sprintf("the Gateway %s has no listener of this sectionName or port", at.gateway.Name)}
	case len(allowed) == 0:
		return nil, &reasoned{reason: gatewayv1.RouteReasonNotAllowedByListeners, message: fmt.Sprintf("no listener of the Gateway %s that works takes routes of this namespace; see its status and its allowedRoutes", at.gateway.Name)}
	case len(hosts) == 0:
		return nil, &reasoned{reason: gatewayv1.RouteReasonNoMatchingListenerHostname, message: fmt.Sprintf("no listener of the Gateway %s is for a hostname of this route", at.gateway.Name)}
	}
	return hosts, nil
}

// listenersFor returns how many listeners a route means, and those of them that work and take it.
func (s snapshot) listenersFor(at *attachment) (meant int, allowed []*gatewayv1.Listener) {
	for i := range at.gateway.Spec.Listeners {
		listener := &at.gateway.Spec.Listeners[i]
		if (at.parent.SectionName != nil && *at.parent.SectionName != listener.Name) || (at.parent.Port != nil && *at.parent.Port != listener.Port) {
			continue
		}
		meant++
		if invalidListener(listener) == nil && s.admits(at.gateway, listener, at.route.Namespace) {
			allowed = append(allowed, listener)
		}
	}
	return meant, allowed
}

// closest returns the hostnames of a route, each with the listener whose hostname is the longest.
func closest(listeners []*gatewayv1.Listener, route *gatewayv1.HTTPRoute) []attachedHost {
	var hosts []attachedHost
	for _, listener := range listeners {
		for _, name := range hostnamesOf(listener, route) {
			known := slices.IndexFunc(hosts, func(host attachedHost) bool { return host.name == name })
			switch {
			case known < 0:
				hosts = append(hosts, attachedHost{name, listener})
			case len(ptr.Deref(hosts[known].listener.Hostname, "")) < len(ptr.Deref(listener.Hostname, "")):
				hosts[known].listener = listener
			}
		}
	}
	return hosts
}

// invalidListener returns why a listener can't be; nil if it can.
func invalidListener(listener *gatewayv1.Listener) *metav1.Condition {
	switch {
	case listener.Protocol != gatewayv1.HTTPSProtocolType || (listener.TLS != nil && ptr.Deref(listener.TLS.Mode, gatewayv1.TLSModeTerminate) != gatewayv1.TLSModeTerminate):
		return &metav1.Condition{Reason: string(gatewayv1.ListenerReasonUnsupportedProtocol), Message: "this gateway serves HTTPS only, and terminates TLS"}
	case listener.Port != listenerPort:
		return &metav1.Condition{Reason: string(gatewayv1.ListenerReasonPortUnavailable), Message: fmt.Sprintf("this gateway has the port %d only", listenerPort)}
	}
	return nil
}

// admits reports whether a listener takes routes of a namespace.
func (s snapshot) admits(gateway *gatewayv1.Gateway, listener *gatewayv1.Listener, namespace string) bool {
	from, selector := gatewayv1.NamespacesFromSame, (*metav1.LabelSelector)(nil)
	if allowed := listener.AllowedRoutes; allowed != nil && allowed.Namespaces != nil {
		from, selector = ptr.Deref(allowed.Namespaces.From, from), allowed.Namespaces.Selector
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return gateway.Namespace == namespace
	case gatewayv1.NamespacesFromSelector:
		matching, err := metav1.LabelSelectorAsSelector(selector)
		return err == nil && matching.Matches(s.namespaces[namespace])
	default:
		return false
	}
}

// hostnamesOf returns the hostnames that a listener and a route have in common.
func hostnamesOf(listener *gatewayv1.Listener, route *gatewayv1.HTTPRoute) []string {
	limit := string(ptr.Deref(listener.Hostname, ""))
	var common []string
	for _, name := range route.Spec.Hostnames {
		switch {
		case limit == "" || covers(limit, string(name)):
			common = append(common, string(name))
		case covers(string(name), limit):
			common = append(common, limit)
		}
	}
	if len(route.Spec.Hostnames) == 0 && limit != "" {
		common = append(common, limit)
	}
	return common
}

// covers reports whether a hostname is, or as a wildcard stands for, another one.
func covers(wide, narrow string) bool {
	domain, wildcard := strings.CutPrefix(wide, "*")
	return wide == narrow || (wildcard && strings.HasSuffix(strings.TrimPrefix(narrow, "*"), domain))
}

// listenerCertificate returns the Secret with the certificate of a listener.
func (s snapshot) listenerCertificate(gateway *gatewayv1.Gateway, listener *gatewayv1.Listener) (types.NamespacedName, error) {
	if listener.TLS == nil || len(listener.TLS.CertificateRefs) != 1 {
		return types.NamespacedName{}, unresolved(gatewayv1.RouteConditionReason(gatewayv1.ListenerReasonInvalidCertificateRef),
			"the listener %s needs one of tls.certificateRefs", listener.Name)
	}
	reference := listener.TLS.CertificateRefs[0]
	if ptr.Deref(reference.Group, "") != "" || ptr.Deref(reference.Kind, "Secret") != "Secret" {
		return types.NamespacedName{}, unresolved(gatewayv1.RouteConditionReason(gatewayv1.ListenerReasonInvalidCertificateRef),
			"the certificate of the listener %s is in no Secret", listener.Name)
	}
	key := types.NamespacedName{Namespace: gateway.Namespace, Name: string(reference.Name)}
	if ptr.Deref(reference.Namespace, gatewayv1.Namespace(key.Namespace)) != gatewayv1.Namespace(key.Namespace) {
		return key, unresolved(gatewayv1.RouteConditionReason(gatewayv1.ListenerReasonRefNotPermitted),
			"the certificate of the listener %s is in another namespace than the Gateway", listener.Name)
	}
	if err := s.checkCertificate(key); err != nil {
		return key, unresolved(gatewayv1.RouteConditionReason(gatewayv1.ListenerReasonInvalidCertificateRef), "%v", err)
	}
	return key, nil
}
