package tenant

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/internal/naming"
)

func TestAGatewayConcernsThoseWhoseRoutesLeadToIt(t *testing.T) {
	route := func(tenant, gateway string, namespace *gatewayv1.Namespace) gatewayv1.HTTPRoute {
		route := gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: naming.App, Labels: naming.ManagedLabels(tenant)}}
		route.Spec.ParentRefs = []gatewayv1.ParentReference{{Namespace: namespace, Name: gatewayv1.ObjectName(gateway)}}
		return route
	}
	routes := []gatewayv1.HTTPRoute{
		route("acme", "edge", new(gatewayv1.Namespace("gateways"))),
		route("globex", "other", new(gatewayv1.Namespace("gateways"))),
		route("initech", "edge", nil),
		route("umbrella", "edge", new(gatewayv1.Namespace("gateways"))),
	}
	for namespace, want := range map[string][]string{"gateways": {"acme", "umbrella"}, "initech": {"initech"}, "elsewhere": nil} {
		var got []string
		for _, request := range routedTo(&gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "edge"}}, routes) {
			got = append(got, request.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Gateway edge in namespace %s concerns %v, want %v", namespace, got, want)
		}
	}
}
