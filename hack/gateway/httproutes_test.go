package main

import (
	"encoding/json"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/cert"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// parsedAs reads an object from YAML.
func parsedAs[T any](t *testing.T, text string) T {
	t.Helper()
	var object T
	NewWithT(t).Expect(yaml.UnmarshalStrict([]byte(text), &object)).To(Succeed())
	return object
}

// public is a Gateway in the namespace "gateways" for the namespaces of tenants.
const public = `
metadata: {namespace: gateways, name: public, generation: 2}
spec:
  gatewayClassName: tenantry-demo
  listeners:
  - name: acme
    port: 443
    protocol: HTTPS
    hostname: "*.acme.example"
    tls: {certificateRefs: [{name: tls}]}
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {tenant: "yes"}}}}
  - name: shop
    port: 443
    protocol: HTTPS
    hostname: shop.acme.example
    tls: {certificateRefs: [{name: shop-tls}]}
    allowedRoutes: {namespaces: {from: All}}
  - {name: plain, port: 80, protocol: HTTP}
  - name: foreign
    port: 443
    protocol: HTTPS
    hostname: foreign.example
    tls: {certificateRefs: [{name: tls, namespace: acme}]}
    allowedRoutes: {namespaces: {from: All}}
  - {name: own, port: 443, protocol: HTTPS, hostname: own.example, tls: {certificateRefs: [{name: absent}]}}
`

// route returns an HTTPRoute to port 80 of the Service "app", with further fields of its spec.
func route(t *testing.T, namespace string, age time.Duration, spec string) gatewayv1.HTTPRoute {
	t.Helper()
	made := gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "web", Generation: 3, CreationTimestamp: metav1.NewTime(time.Unix(0, 0).Add(-age)),
	}}
	made.Spec = parsedAs[gatewayv1.HTTPRouteSpec](t, spec)
	if len(made.Spec.ParentRefs) == 0 {
		made.Spec.ParentRefs = parsedAs[[]gatewayv1.ParentReference](t, "[{namespace: gateways, name: public}]")
	}
	if len(made.Spec.Rules) == 0 {
		made.Spec.Rules = parsedAs[[]gatewayv1.HTTPRouteRule](t, "[{backendRefs: [{name: app, port: 80}]}]")
	}
	return made
}

// withGateway adds the Gateway with its certificates, and routes.
func withGateway(t *testing.T, found snapshot, routes ...gatewayv1.HTTPRoute) snapshot {
	t.Helper()
	certificate, key, err := cert.GenerateSelfSignedCertKey("*.acme.example", nil, nil)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{"tls", "shop-tls"} {
		found.secrets[types.NamespacedName{Namespace: "gateways", Name: name}] = &corev1.Secret{
			Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
		}
	}
	found.gateways = []gatewayv1.Gateway{parsedAs[gatewayv1.Gateway](t, public)}
	found.routes = routes
	found.namespaces = map[string]labels.Set{"acme": {"tenant": "yes"}, "globex": {"tenant": "yes"}, "other": {}}
	return found
}

// conditions returns the conditions as one text each.
func conditions(t *testing.T, all []metav1.Condition) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, one := range all {
		texts[one.Type] = string(one.Status) + " " + one.Reason
		if one.Message != "" {
			texts[one.Type] += ": " + one.Message
		}
	}
	return texts
}

func TestRoutes(t *testing.T) {
	const (
		accepted = "True Accepted"
		resolved = "True ResolvedRefs"
	)
	for name, test := range map[string]struct {
		namespace, spec string
		// certificate is the Secret of the hostname, and blocks what is served there.
		hostname, certificate string
		blocks                []block
		accepted, resolved    string
	}{
		"a hostname leads to its Service, by the certificate of the listener that is meant most": {
			"acme", `hostnames: [shop.acme.example]`, "shop.acme.example", "shop-tls", []block{{"/", "10.96.0.20:80"}}, accepted, resolved,
		},
		"a hostname of a listener for many": {
			"acme", `hostnames: [blog.acme.example]`, "blog.acme.example", "tls", []block{{"/", "10.96.0.20:80"}}, accepted, resolved,
		},
		"a wildcard": {
			"acme", `{hostnames: ["*.acme.example"], parentRefs: [{namespace: gateways, name: public, sectionName: acme}]}`, "*.acme.example", "tls", []block{{"/", "10.96.0.20:80"}}, accepted, resolved,
		},
		"the hostname of the listener that it names": {
			"acme", `parentRefs: [{namespace: gateways, name: public, sectionName: shop}]`,
			"shop.acme.example", "shop-tls", []block{{"/", "10.96.0.20:80"}}, accepted, resolved,
		},
		"paths": {
			"acme", `{hostnames: [shop.acme.example], rules: [{matches: [{path: {type: Exact, value: /a}}, {path: {type: PathPrefix, value: /b/}}], backendRefs: [{name: app, port: 80}]}]}`,
			"shop.acme.example", "shop-tls", []block{{"= /a", "10.96.0.20:80"}, {"= /b", "10.96.0.20:80"}, {"/b/", "10.96.0.20:80"}, {"/", ""}}, accepted, resolved,
		},
		"a foreign hostname": {
			"acme", `hostnames: [shop.globex.example]`, "", "", nil,
			"False NoMatchingListenerHostname: no listener of the Gateway public is for a hostname of this route", resolved,
		},
		"a listener that isn't there": {
			"acme", `parentRefs: [{namespace: gateways, name: public, sectionName: absent}]`, "", "", nil,
			"False NoMatchingParent: the Gateway public has no listener of this sectionName or port", resolved,
		},
		"a namespace that the listener doesn't take": {
			"other", `{hostnames: [blog.acme.example], parentRefs: [{namespace: gateways, name: public, sectionName: acme}]}`, "", "", nil,
			"False NotAllowedByListeners: no listener of the Gateway public that works takes routes of this namespace; see its status and its allowedRoutes", resolved,
		},
		"a listener that can't be": {
			"acme", `parentRefs: [{namespace: gateways, name: public, sectionName: plain}]`, "", "", nil,
			"False NotAllowedByListeners: no listener of the Gateway public that works takes routes of this namespace; see its status and its allowedRoutes", resolved,
		},
		"a certificate of another namespace": {
			"acme", `hostnames: [foreign.example]`, "", "", nil, accepted,
			"False RefNotPermitted: this rule of the hostname foreign.example is not served: the certificate of the listener foreign is in another namespace than the Gateway",
		},
		"a Service that isn't there": {
			"acme", `{hostnames: [shop.acme.example], rules: [{backendRefs: [{name: absent, port: 80}]}]}`, "", "", nil, accepted,
			"False BackendNotFound: this rule of the hostname shop.acme.example is not served: there is no Service absent",
		},
		"a Service of another namespace": {
			"acme", `{hostnames: [shop.acme.example], rules: [{backendRefs: [{name: app, namespace: globex, port: 80}]}]}`, "", "", nil, accepted,
			"False RefNotPermitted: this rule of the hostname shop.acme.example is not served: the Service app is in another namespace than the route",
		},
		"a filter": {
			"acme", `{hostnames: [shop.acme.example], rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]}`, "", "", nil,
			"False UnsupportedValue: this rule of the hostname shop.acme.example is not served: this gateway sends requests as they are to one Service; leave out filters, and write one of backendRefs in each rule", resolved,
		},
		"a path by a regular expression": {
			"acme", `{hostnames: [shop.acme.example], rules: [{matches: [{path: {type: RegularExpression, value: /.*}}], backendRefs: [{name: app, port: 80}]}]}`, "", "", nil,
			"False UnsupportedValue: this rule of the hostname shop.acme.example is not served: this gateway knows no paths by regular expressions; write PathPrefix or Exact", resolved,
		},
		"a path that is more than that": {
			"acme", `{hostnames: [shop.acme.example], rules: [{matches: [{path: {value: "/;}"}}], backendRefs: [{name: app, port: 80}]}]}`, "", "", nil,
			`False UnsupportedValue: this rule of the hostname shop.acme.example is not served: the path "/;}" has other characters than letters, digits and /._~-`, resolved,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			found := withGateway(t, clusterOf(t), route(t, test.namespace, 0, test.spec))
			hosts, attached, _ := plan(found)
			if test.hostname == "" {
				g.Expect(hosts).To(BeEmpty())
			} else {
				g.Expect(hosts).To(HaveLen(1))
				g.Expect(hosts[0].Name).To(Equal(test.hostname))
				g.Expect(hosts[0].Secret).To(Equal(types.NamespacedName{Namespace: "gateways", Name: test.certificate}))
				g.Expect(hosts[0].Blocks()).To(Equal(test.blocks))
			}
			status := statusOfRoute(&found.routes[0], attached)
			g.Expect(status.Parents).To(HaveLen(1))
			g.Expect(status.Parents[0].ControllerName).To(Equal(controllerName))
			g.Expect(conditions(t, status.Parents[0].Conditions)).To(Equal(map[string]string{"Accepted": test.accepted, "ResolvedRefs": test.resolved}))
			found.routes[0].Status.RouteStatus = status
			g.Expect(statusOfRoute(&found.routes[0], attached)).To(Equal(status), "while nothing changes, it doesn't either")
		})
	}
}

func TestAHostnameBelongsToTheOldest(t *testing.T) {
	g := NewWithT(t)
	younger := route(t, "globex", 0, `hostnames: [shop.acme.example]`)
	found := withGateway(t, clusterOf(t, ingress("acme", shop, time.Hour, "/")), younger)
	hosts, attached, refusals := plan(found)
	g.Expect(hosts).To(HaveLen(1))
	g.Expect(hosts[0].Secret.Namespace).To(Equal("acme"))
	const taken = "the hostname shop.acme.example belongs to the older Ingress web of namespace acme; choose another one"
	g.Expect(refusals).To(HaveLen(1))
	g.Expect(refusals[0].message).To(Equal(taken))
	g.Expect(conditions(t, statusOfRoute(&found.routes[0], attached).Parents[0].Conditions)).To(HaveKeyWithValue("Accepted", "False HostnameTaken: "+taken))

	found.ingresses[0].CreationTimestamp = metav1.NewTime(time.Unix(1, 0))
	hosts, _, refusals = plan(found)
	g.Expect(hosts[0].Secret.Namespace).To(Equal("gateways"))
	g.Expect(refusals).To(HaveLen(1))
	g.Expect(refusals[0].message).To(Equal("the hostname shop.acme.example belongs to the older HTTPRoute web of namespace globex; choose another one"))
}

func TestARouteOfAnotherGatewayIsLeftAlone(t *testing.T) {
	g := NewWithT(t)
	found := withGateway(t, clusterOf(t), route(t, "acme", 0, `parentRefs: [{name: other}]`))
	others := gatewayv1.RouteParentStatus{ControllerName: "example.com/other"}
	found.routes[0].Status.Parents = []gatewayv1.RouteParentStatus{others, {ControllerName: controllerName}}
	hosts, attached, refusals := plan(found)
	g.Expect(hosts).To(BeEmpty())
	g.Expect(refusals).To(BeEmpty())
	g.Expect(statusOfRoute(&found.routes[0], attached).Parents).To(Equal([]gatewayv1.RouteParentStatus{others}))

	found.routes[0].Status.Parents = nil
	content, err := json.Marshal(statusOfRoute(&found.routes[0], attached))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(content)).To(Equal(`{"parents":[]}`), "which the API server takes")
}

func TestTheStatusOfAGateway(t *testing.T) {
	g := NewWithT(t)
	found := withGateway(t, clusterOf(t), route(t, "acme", 0, `hostnames: [shop.acme.example, blog.acme.example]`))
	_, attached, _ := plan(found)
	status := found.statusOfGateway(&found.gateways[0], attached, "10.200.0.11")
	g.Expect(status.Addresses).To(HaveExactElements(HaveField("Value", "10.200.0.11")))
	g.Expect(conditions(t, status.Conditions)).To(Equal(map[string]string{"Accepted": "True Accepted", "Programmed": "True Programmed"}))
	said, routes := map[string]map[string]string{}, map[string]int32{}
	for _, listener := range status.Listeners {
		said[string(listener.Name)] = conditions(t, listener.Conditions)
		routes[string(listener.Name)] = listener.AttachedRoutes
		g.Expect(meta.FindStatusCondition(listener.Conditions, "Accepted").ObservedGeneration).To(Equal(int64(2)))
	}
	good := map[string]string{"Accepted": "True Accepted", "ResolvedRefs": "True ResolvedRefs", "Programmed": "True Programmed"}
	lacking := func(reason, message string) map[string]string {
		return map[string]string{"Accepted": "True Accepted", "ResolvedRefs": "False " + reason + ": " + message, "Programmed": "False Invalid: " + message}
	}
	const plain = "this gateway serves HTTPS only, and terminates TLS"
	g.Expect(said).To(Equal(map[string]map[string]string{
		"acme": good, "shop": good,
		"plain":   {"Accepted": "False UnsupportedProtocol: " + plain, "ResolvedRefs": "True ResolvedRefs", "Programmed": "False Invalid: " + plain},
		"foreign": lacking("RefNotPermitted", "the certificate of the listener foreign is in another namespace than the Gateway"),
		"own":     lacking("InvalidCertificateRef", "there is no Secret absent of type kubernetes.io/tls; create it"),
	}))
	g.Expect(routes).To(Equal(map[string]int32{"acme": 1, "shop": 1, "plain": 0, "foreign": 0, "own": 0}))
	found.gateways[0].Status = status
	g.Expect(found.statusOfGateway(&found.gateways[0], attached, "10.200.0.11")).To(Equal(status), "while nothing changes, it doesn't either")
}
