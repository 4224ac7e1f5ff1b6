package main

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// controllerName is what the IngressClass and the GatewayClass name as their controller.
const controllerName gatewayv1.GatewayController = "tenantry.dev/demo-gateway"

// statusOfRoute returns the status of a route. What other controllers say stays.
func statusOfRoute(route *gatewayv1.HTTPRoute, attached []*attachment) gatewayv1.RouteStatus {
	result := gatewayv1.RouteStatus{Parents: []gatewayv1.RouteParentStatus{}}
	for _, parent := range route.Status.Parents {
		if parent.ControllerName != controllerName {
			result.Parents = append(result.Parents, parent)
		}
	}
	for _, at := range attached {
		if at.route != route {
			continue
		}
		said := gatewayv1.RouteParentStatus{ParentRef: at.parent, ControllerName: controllerName}
		for _, former := range route.Status.Parents {
			if former.ControllerName == controllerName && equal(former.ParentRef, at.parent) {
				said.Conditions = slices.Clone(former.Conditions)
			}
		}
		accepted := condition(string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteReasonAccepted), nil)
		resolved := condition(string(gatewayv1.RouteConditionResolvedRefs), string(gatewayv1.RouteReasonResolvedRefs), nil)
		if refused := at.refused; refused != nil {
			failed := &accepted
			if refused.unresolved {
				failed = &resolved
			}
			*failed = condition(failed.Type, "", &metav1.Condition{Reason: string(refused.reason), Message: refused.message})
		}
		set(&said.Conditions, route.Generation, accepted, resolved)
		result.Parents = append(result.Parents, said)
	}
	return result
}

// statusOfGateway returns the status of a Gateway whose address is that of all.
func (s snapshot) statusOfGateway(gateway *gatewayv1.Gateway, attached []*attachment, address string) gatewayv1.GatewayStatus {
	result := *gateway.Status.DeepCopy()
	kind := gatewayv1.IPAddressType
	result.Addresses = []gatewayv1.GatewayStatusAddress{{Type: &kind, Value: address}}
	set(&result.Conditions, gateway.Generation,
		condition(string(gatewayv1.GatewayConditionAccepted), string(gatewayv1.GatewayReasonAccepted), nil),
		condition(string(gatewayv1.GatewayConditionProgrammed), string(gatewayv1.GatewayReasonProgrammed), nil))
	former := result.Listeners
	result.Listeners = nil
	for i := range gateway.Spec.Listeners {
		listener := &gateway.Spec.Listeners[i]
		said := gatewayv1.ListenerStatus{
			Name:           listener.Name,
			SupportedKinds: []gatewayv1.RouteGroupKind{{Group: new(gatewayv1.Group(gatewayv1.GroupName)), Kind: "HTTPRoute"}},
			AttachedRoutes: routesAt(listener, attached),
		}
		for _, one := range former {
			if one.Name == listener.Name {
				said.Conditions = slices.Clone(one.Conditions)
			}
		}
		set(&said.Conditions, gateway.Generation, s.listenerConditions(gateway, listener)...)
		result.Listeners = append(result.Listeners, said)
	}
	return result
}

// routesAt counts the routes that have a hostname of a listener.
func routesAt(listener *gatewayv1.Listener, attached []*attachment) int32 {
	count := int32(0)
	for _, at := range attached {
		if slices.ContainsFunc(at.hosts, func(h attachedHost) bool { return h.listener == listener }) {
			count++
		}
	}
	return count
}

func (s snapshot) listenerConditions(gateway *gatewayv1.Gateway, listener *gatewayv1.Listener) []metav1.Condition {
	invalid := invalidListener(listener)
	var lacks *metav1.Condition
	if invalid == nil {
		if _, err := s.listenerCertificate(gateway, listener); err != nil {
			found := reasonOf(err)
			lacks = &metav1.Condition{Reason: string(found.reason), Message: found.message}
		}
	}
	programmed := invalid
	if lacks != nil {
		programmed = lacks
	}
	if programmed != nil {
		programmed = &metav1.Condition{Reason: string(gatewayv1.ListenerReasonInvalid), Message: programmed.Message}
	}
	return []metav1.Condition{
		condition(string(gatewayv1.ListenerConditionAccepted), string(gatewayv1.ListenerReasonAccepted), invalid),
		condition(string(gatewayv1.ListenerConditionResolvedRefs), string(gatewayv1.ListenerReasonResolvedRefs), lacks),
		condition(string(gatewayv1.ListenerConditionProgrammed), string(gatewayv1.ListenerReasonProgrammed), programmed),
	}
}

// condition returns a condition that is True with the reason, unless wrong has the reason and the message for False.
func condition(kind, reason string, wrong *metav1.Condition) metav1.Condition {
	if wrong != nil {
		return metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: wrong.Reason, Message: wrong.Message}
	}
	return metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: reason}
}

func set(conditions *[]metav1.Condition, generation int64, wanted ...metav1.Condition) {
	for _, one := range wanted {
		one.ObservedGeneration = generation
		meta.SetStatusCondition(conditions, one)
	}
}
