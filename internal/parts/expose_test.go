package parts_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

// exposed begins a tenant whose app is exposed by the IngressClass public.
func exposed(hostnames ...v1alpha1.HostnamePattern) *builders.TenantBuilder {
	return builders.Tenant("acme").App(image).Port(8080).Expose(func(expose *v1alpha1.AppExposure) { expose.IngressClassName = "public" }, hostnames...)
}

// routed begins a tenant whose app is exposed by the Gateway edge.
func routed(hostnames ...v1alpha1.HostnamePattern) *builders.TenantBuilder {
	return builders.Tenant("acme").App(image).Port(8080).Expose(func(expose *v1alpha1.AppExposure) {
		expose.GatewayRef = &v1alpha1.GatewayReference{Namespace: "gateways", Name: "edge"}
	}, hostnames...)
}

func class(annotations map[string]string) parts.Entrance {
	return parts.Entrance{Classes: []string{"public"}, Class: &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "public", Annotations: annotations}}}
}

func gateway(annotations map[string]string, listeners ...gatewayv1.Listener) parts.Entrance {
	return parts.Entrance{GatewayAPI: true, Gateway: &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "gateways", Name: "edge", Annotations: annotations}, Spec: gatewayv1.GatewaySpec{Listeners: listeners},
	}}
}

// ofOwners puts a Gateway into the namespace of a tenant.
func ofOwners(entrance parts.Entrance) parts.Entrance {
	entrance.OwnersGateway = true
	return entrance
}

func TestTheClassOfAnIngress(t *testing.T) {
	unnamed := func() *builders.TenantBuilder {
		return builders.Tenant("acme").App(image).Port(8080).Expose(nil, "a.example")
	}
	for _, test := range []struct {
		name     string
		tenant   *builders.TenantBuilder
		entrance parts.Entrance
		want     string
	}{
		{"the one that the spec names", exposed("a.example"), class(nil), "public"},
		{"that also while there is none of the name", exposed("a.example"), parts.Entrance{}, "public"},
		{"the one that the Ingress has, or the cluster's default", unnamed(), class(nil), "public"},
		{"none, if there is no default", unnamed(), parts.Entrance{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inputsOf(t, test.tenant)
			in.Entrance = test.entrance
			if got := ptr.Deref(find[*networkingv1.Ingress](t, parts.App, in).Spec.IngressClassName, ""); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhoReachesAnExposedApp(t *testing.T) {
	namespace := func(name string) networkingv1.NetworkPolicyPeer {
		return networkingv1.NetworkPolicyPeer{NamespaceSelector: labeled("kubernetes.io/metadata.name", name)}
	}
	for _, test := range []struct {
		name     string
		tenant   *builders.TenantBuilder
		entrance parts.Entrance
		want     []networkingv1.NetworkPolicyPeer
	}{
		{"nobody, if it isn't exposed", builders.Tenant("acme").App(image).Port(8080), class(map[string]string{"tenantry.dev/network-peers": "a"}), nil},
		{"nobody, while there is no IngressClass", exposed("a.example"), parts.Entrance{}, nil},
		{"nobody, while it isn't known who", exposed("a.example"), class(nil), nil},
		{"nobody, if what is said makes no sense", exposed("a.example"), class(map[string]string{"tenantry.dev/network-peers": "a b,Ä,1.2.3.4/99"}), nil},
		{"the namespace of the Helm release", exposed("a.example"), class(map[string]string{"meta.helm.sh/release-namespace": "ingress"}), []networkingv1.NetworkPolicyPeer{namespace("ingress")}},
		{
			"who the administrator says, instead", exposed("a.example"),
			class(map[string]string{"meta.helm.sh/release-namespace": "ingress", "tenantry.dev/network-peers": "edge, 2001:db8::7,192.0.2.9/24"}),
			append([]networkingv1.NetworkPolicyPeer{namespace("edge")}, blocks("2001:db8::7/128", "192.0.2.0/24")...),
		},
		{
			"the pods of the Gateway", routed("a.example"), gateway(nil),
			[]networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: labeled("kubernetes.io/metadata.name", "gateways"), PodSelector: labeled("gateway.networking.k8s.io/gateway-name", "edge"),
			}},
		},
		{"who the administrator says of the Gateway", routed("a.example"), gateway(map[string]string{"tenantry.dev/network-peers": "envoy"}), []networkingv1.NetworkPolicyPeer{namespace("envoy")}},
		{
			"not who the owners of a tenant say of their Gateway", routed("a.example"), ofOwners(gateway(map[string]string{"tenantry.dev/network-peers": "0.0.0.0/0"})),
			[]networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: labeled("kubernetes.io/metadata.name", "gateways"), PodSelector: labeled("gateway.networking.k8s.io/gateway-name", "edge"),
			}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inputsOf(t, test.tenant)
			in.Entrance = test.entrance
			var got []networkingv1.NetworkPolicyPeer
			for _, object := range parts.Network.Objects(in) {
				if policy, ok := object.(*networkingv1.NetworkPolicy); ok && policy.Name == naming.PolicyAllowIngress {
					got = policy.Spec.Ingress[0].From
					if want := []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, 8080)}; !reflect.DeepEqual(policy.Spec.Ingress[0].Ports, want) {
						t.Errorf("the ports are %v", policy.Spec.Ingress[0].Ports)
					}
				}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("it is reached by others:\n%s", diff.Diff(test.want, got))
			}
		})
	}
}

func TestWhoReachesTheSolverOfAChallenge(t *testing.T) {
	certified := func(annotations map[string]string, tls *v1alpha1.AppCertificate) *builders.TenantBuilder {
		return exposed().Expose(func(expose *v1alpha1.AppExposure) { expose.Annotations, expose.TLS = annotations, tls }, "a.example")
	}
	issuer := map[string]string{"cert-manager.io/issuer": "own"}
	helm := class(map[string]string{"meta.helm.sh/release-namespace": "ingress"})
	for _, test := range []struct {
		name     string
		tenant   *builders.TenantBuilder
		entrance parts.Entrance
		want     bool
	}{
		{"of a certificate that cert-manager makes", certified(issuer, &v1alpha1.AppCertificate{}), helm, true},
		{"while it isn't known who", certified(issuer, &v1alpha1.AppCertificate{}), class(nil), false},
		{"of a certificate that somebody else makes", certified(nil, &v1alpha1.AppCertificate{}), helm, false},
		{"without a certificate", certified(issuer, nil), helm, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, found := inputsOf(t, test.tenant), false
			in.Entrance = test.entrance
			for _, object := range parts.Network.Objects(in) {
				if policy, ok := object.(*networkingv1.NetworkPolicy); ok && policy.Name == naming.PolicyAllowSolver {
					found = true
					from := networkingv1.NetworkPolicyIngressRule{
						From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: labeled("kubernetes.io/metadata.name", "ingress")}},
						Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, 8089)},
					}
					if !reflect.DeepEqual(policy.Spec.PodSelector, *labeled("acme.cert-manager.io/http01-solver", "true")) || !reflect.DeepEqual(policy.Spec.Ingress, []networkingv1.NetworkPolicyIngressRule{from}) {
						t.Errorf("it is %+v", policy.Spec)
					}
				}
			}
			if found != test.want {
				t.Errorf("it is allowed: %t", found)
			}
		})
	}
}

func TestUnderWhichHostnamesAnAppIsExposed(t *testing.T) {
	for _, test := range []struct {
		name    string
		tenant  *builders.TenantBuilder
		foreign []v1alpha1.HostnamePattern
		want    []string
	}{
		{"all of its own", exposed("a.example", "*.b.example"), nil, []string{"a.example", "*.b.example"}},
		{"all but an older tenant's", exposed("a.example", "b.example"), []v1alpha1.HostnamePattern{"a.example"}, []string{"b.example"}},
		{"none, if all are an older tenant's", exposed("a.example"), []v1alpha1.HostnamePattern{"a.example"}, nil},
		{
			"those that a wildcard of the policy stands for", exposed("a.b.example").Policy(func(rules *v1alpha1.PolicyRules) { rules.Hostnames = []v1alpha1.HostnamePattern{"*.example"} }),
			nil, []string{"a.b.example"},
		},
		{
			"none that only an older tenant's wildcard stands for", exposed("a.b.example").Policy(func(rules *v1alpha1.PolicyRules) { rules.Hostnames = []v1alpha1.HostnamePattern{"*.example"} }),
			[]v1alpha1.HostnamePattern{"*.example"}, nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inputsOf(t, test.tenant)
			in.ForeignHostnames, in.Entrance = test.foreign, class(nil)
			var got []string
			for _, object := range parts.App.Objects(in) {
				if ingress, ok := object.(*networkingv1.Ingress); ok {
					for _, rule := range ingress.Spec.Rules {
						got = append(got, rule.Host)
					}
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("it is exposed under %v, want %v", got, test.want)
			}
		})
	}
}

func TestTheWayToAnAppFollowsTheSpecWhateverTheAppDoes(t *testing.T) {
	hosts := func(objects []desired.Object) (hosts []string) {
		for _, object := range objects {
			switch object := object.(type) {
			case *networkingv1.Ingress:
				hosts = append(hosts, object.Spec.Rules[0].Host)
			case *gatewayv1.HTTPRoute:
				hosts = append(hosts, string(object.Spec.Hostnames[0]))
			}
		}
		return hosts
	}
	for _, test := range []struct {
		name   string
		change func(*parts.Inputs)
	}{
		{"it sleeps", func(in *parts.Inputs) { in.Asleep = true }},
		{"it waits for its first migration", func(in *parts.Inputs) { in.Release = parts.Release{Next: in.Tenant, Unknown: true} }},
	} {
		for _, way := range []struct {
			tenant   *builders.TenantBuilder
			entrance parts.Entrance
		}{{exposed("a.example"), class(nil)}, {routed("a.example"), gateway(nil)}} {
			t.Run(test.name, func(t *testing.T) {
				in := inputsOf(t, way.tenant)
				in.Entrance = way.entrance
				test.change(&in)
				if got := hosts(parts.App.Objects(in)); !slices.Equal(got, []string{"a.example"}) {
					t.Errorf("it is exposed under %v", got)
				}
			})
		}
	}
	in := inputsOf(t, exposed("a.example"))
	in.Entrance, in.Tenant.Spec.App.Image = class(nil), ""
	if got := hosts(parts.WaysIn(in)); !slices.Equal(got, []string{"a.example"}) {
		t.Errorf("without an image it is exposed under %v", got)
	}
}

func TestWhatIsSaidOfTheWayToAnApp(t *testing.T) {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	helm := map[string]string{"meta.helm.sh/release-namespace": "ingress"}
	ingress := func(addresses ...networkingv1.IngressLoadBalancerIngress) *networkingv1.Ingress {
		return &networkingv1.Ingress{
			ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(noon)},
			Status:     networkingv1.IngressStatus{LoadBalancer: networkingv1.IngressLoadBalancerStatus{Ingress: addresses}},
		}
	}
	route := func(conditions ...metav1.Condition) *gatewayv1.HTTPRoute {
		route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Generation: 2, CreationTimestamp: metav1.NewTime(noon)}}
		if len(conditions) > 0 {
			route.Status.Parents = []gatewayv1.RouteParentStatus{{ParentRef: gatewayv1.ParentReference{Name: "edge"}, Conditions: conditions}}
		}
		return route
	}
	accepted := func(status metav1.ConditionStatus, generation int64) metav1.Condition {
		return metav1.Condition{Type: "Accepted", Status: status, Reason: "NoMatchingParent", ObservedGeneration: generation}
	}
	secure := func(tenant *builders.TenantBuilder, annotations map[string]string) *builders.TenantBuilder {
		return tenant.Expose(func(expose *v1alpha1.AppExposure) {
			expose.IngressClassName, expose.TLS, expose.Annotations = "public", &v1alpha1.AppCertificate{}, annotations
		}, "a.example")
	}
	for _, test := range []struct {
		name     string
		tenant   *builders.TenantBuilder
		entrance parts.Entrance
		ingress  *networkingv1.Ingress
		route    *gatewayv1.HTTPRoute
		after    time.Duration
		want     string // status, reason, and whether it is stalled
		message  string
		url      string
	}{
		{name: "no hostname", tenant: exposed(), entrance: class(helm), want: "True Ready false", message: "1 of 1 replicas are available. It is not exposed, since spec.app.expose has no hostnames."},
		{
			name: "an address", tenant: exposed("a.example"), entrance: class(helm), ingress: ingress(networkingv1.IngressLoadBalancerIngress{IP: "192.0.2.1"}),
			want: "True Ready false", message: "1 of 1 replicas are available. It is exposed at http://a.example.", url: "http://a.example",
		},
		{name: "no address yet", tenant: exposed("a.example"), entrance: class(helm), ingress: ingress(), after: 29 * time.Second, want: "False Progressing false", message: "Ingress app has no address yet.", url: "http://a.example"},
		{
			name: "no address for long", tenant: exposed("a.example"), entrance: class(helm), ingress: ingress(), after: 30 * time.Second, want: "True Ready false",
			message: "1 of 1 replicas are available. It is exposed at http://a.example, but Ingress app has no address: its controller doesn't say where it serves it, or doesn't run.", url: "http://a.example",
		},
		{
			name: "no default class", tenant: builders.Tenant("acme").App(image).Port(80).Expose(nil, "a.example"), ingress: ingress(), want: "False IngressClassNotFound true",
			message: "No IngressClass is the cluster's default; name one in spec.app.expose.ingressClassName: the cluster has none, so that an ingress controller must be installed first.", url: "http://a.example",
		},
		{
			name: "no default class, and a controller that serves those without", tenant: builders.Tenant("acme").App(image).Port(80).Expose(nil, "a.example"),
			ingress: ingress(networkingv1.IngressLoadBalancerIngress{IP: "192.0.2.1"}), want: "True Ready false", message: "1 of 1 replicas are available. It is exposed at http://a.example.", url: "http://a.example",
		},
		{
			name: "an unknown controller, and rules of the tenant's own", tenant: exposed("a.example").Ingress(networkingv1.NetworkPolicyIngressRule{}), entrance: class(nil),
			ingress: ingress(networkingv1.IngressLoadBalancerIngress{IP: "192.0.2.1"}), want: "True Ready false", message: "1 of 1 replicas are available. It is exposed at http://a.example.", url: "http://a.example",
		},
		{
			name: "a certificate that cert-manager is making", tenant: secure(exposed(), map[string]string{"cert-manager.io/cluster-issuer": "letsencrypt"}), entrance: class(helm), ingress: ingress(), want: "False Progressing false",
			message: `It waits until cert-manager has made Secret app-tls. If that takes long, "kubectl describe certificate --namespace acme app-tls" says why.`, url: "https://a.example",
		},
		{name: "a route that nobody has seen", tenant: routed("a.example"), entrance: gateway(nil), route: route(), want: "False Progressing false", message: "HTTPRoute app waits for Gateway edge in namespace gateways to accept it.", url: "http://a.example"},
		{
			name: "a route that nobody sees for long", tenant: routed("a.example"), entrance: gateway(nil), route: route(), after: 30 * time.Second, want: "False GatewayNotReady false",
			message: "Nobody has accepted HTTPRoute app; see that the controller of Gateway edge in namespace gateways runs.", url: "http://a.example",
		},
		{
			name: "a route that was accepted before it changed", tenant: routed("a.example"), entrance: gateway(nil), route: route(accepted("True", 1)), after: time.Hour, want: "False Progressing false",
			message: "HTTPRoute app has changed, which Gateway edge in namespace gateways has not accepted yet. If that takes long, see that its controller runs.", url: "http://a.example",
		},
		{
			name: "a route that is refused without a word", tenant: routed("a.example"), entrance: gateway(nil), route: route(accepted("False", 2)), want: "False NoMatchingParent true",
			message: "Gateway edge in namespace gateways doesn't accept HTTPRoute app: NoMatchingParent. Correct spec.app.expose, or have the Gateway's listeners let this namespace and its hostnames in.", url: "http://a.example",
		},
		{
			name: "a route that is accepted, by HTTPS", tenant: routed("a.example"), route: route(accepted("True", 2)), want: "True Ready false",
			entrance: gateway(nil, gatewayv1.Listener{Protocol: gatewayv1.HTTPSProtocolType, Hostname: new(gatewayv1.Hostname("*.example"))}),
			message:  "1 of 1 replicas are available. It is exposed at https://a.example.", url: "https://a.example",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			observation := parts.Observation{
				Tenant: builders.Effective(t, test.tenant.Build()), Entrance: test.entrance, Ingress: test.ingress, Route: test.route, Now: noon.Add(test.after),
				Deployment: builders.Deployment("acme", "app", 1).Pods(1, 1, 1).Build(),
			}
			state := parts.App.State(observation)
			if got := string(state.Status) + " " + state.Reason + " " + map[bool]string{true: "true", false: "false"}[state.Stalled]; got != test.want || state.Message != test.message {
				t.Errorf("it is %s: %s\nwant %s: %s", got, state.Message, test.want, test.message)
			}
			if got := observation.PublicURL(); got != test.url {
				t.Errorf("the URL is %q, want %q", got, test.url)
			}
		})
	}
}
