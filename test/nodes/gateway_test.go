package nodes

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/authority"
	"github.com/tenantry/tenantry/hack/deploy"
	"github.com/tenantry/tenantry/test/builders"
)

// fromGateway lets the gateway in.
func fromGateway() networkingv1.NetworkPolicyIngressRule {
	return networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: deploy.GatewayNamespace}},
	}}}
}

// certificate returns a Secret with a certificate for a hostname.
func certificate(issuer *authority.Authority, namespace, name, hostname string) *corev1.Secret {
	GinkgoHelper()
	pair, err := issuer.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: hostname}, DNSNames: []string{hostname}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	Expect(err).NotTo(HaveOccurred())
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key},
	}
}

// ingressTo returns an Ingress that leads from a hostname to the app, with the certificate in the Secret "tls".
func ingressTo(namespace, hostname string) *networkingv1.Ingress {
	class := deploy.GatewayClass
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"},
		Spec: networkingv1.IngressSpec{
			IngressClassName: &class,
			TLS:              []networkingv1.IngressTLS{{Hosts: []string{hostname}, SecretName: "tls"}},
			Rules: []networkingv1.IngressRule{{
				Host: hostname,
				IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
					Path: "/", PathType: new(networkingv1.PathTypePrefix),
					Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "app", Port: networkingv1.ServiceBackendPort{Name: "http"}}},
				}}}},
			}},
		},
	}
}

// gatewayOf returns a Gateway with one listener for the hostname and routes of the tenant.
func gatewayOf(tenant, hostname string) *gatewayv1.Gateway {
	return &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: deploy.GatewayNamespace, Name: tenant},
		Spec: gatewayv1.GatewaySpec{GatewayClassName: deploy.GatewayClass, Listeners: []gatewayv1.Listener{{
			Name: "https", Port: 443, Protocol: gatewayv1.HTTPSProtocolType, Hostname: new(gatewayv1.Hostname(hostname)),
			TLS: &gatewayv1.ListenerTLSConfig{CertificateRefs: []gatewayv1.SecretObjectReference{{Name: gatewayv1.ObjectName(tenant)}}},
			AllowedRoutes: &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{
				From: new(gatewayv1.NamespacesFromSelector), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: tenant}},
			}},
		}}},
	}
}

// routeTo returns an HTTPRoute from a hostname of a Gateway to the app.
func routeTo(namespace, gateway, hostname string) *gatewayv1.HTTPRoute {
	route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}}
	route.Spec.ParentRefs = []gatewayv1.ParentReference{{Namespace: new(gatewayv1.Namespace(deploy.GatewayNamespace)), Name: gatewayv1.ObjectName(gateway)}}
	route.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(hostname)}
	backend := gatewayv1.BackendObjectReference{Name: "app", Port: new(gatewayv1.PortNumber(8080))}
	route.Spec.Rules = []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{BackendObjectReference: backend}}}}}
	return route
}

// routeSays matches an HTTPRoute whose one parent has a condition.
func routeSays(kind string, status metav1.ConditionStatus) OmegaMatcher {
	return HaveField("Status.Parents", HaveExactElements(HaveField("Conditions", ContainElement(And(
		HaveField("Type", kind), HaveField("Status", status))))))
}

var _ = Describe("The gateway", Ordered, func() {
	const (
		shop, blog, closed = "shopfront", "bloggers", "hermits"
		shopName, blogName = "shop.shopfront.example", "blog.bloggers.example"
	)
	hostname := map[string]string{shop: shopName, blog: blogName, closed: "door.hermits.example"}
	var (
		issuer *authority.Authority
		web    *http.Client
	)
	tenantOf := func(name string) *v1alpha1.Tenant {
		return &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	// fetch returns the status and the content that a hostname answers from outside of the cluster.
	fetch := func(ctx context.Context, host string) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s:%d/", host, gatewayPort), http.NoBody)
		if err != nil {
			return "", err
		}
		response, err := web.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		return fmt.Sprint(response.StatusCode, " ", string(content)), err
	}
	fromApp := func(ctx SpecContext, tenant string) OmegaMatcher {
		GinkgoHelper()
		return HavePrefix("200 This is " + podsOf(ctx, tenant)[0].Name)
	}

	BeforeAll(func(ctx SpecContext) {
		var err error
		issuer, err = authority.New("Specs")
		Expect(err).NotTo(HaveOccurred())
		web, err = deploy.Client(issuer, gatewayPort)
		Expect(err).NotTo(HaveOccurred())
		for name, host := range hostname {
			builder := builders.Tenant(name).Owner(v1alpha1.OwnerKindUser, name+"-owner", v1alpha1.OwnerRoleAdmin).
				Policy(func(rules *v1alpha1.PolicyRules) {
					rules.Hostnames = []v1alpha1.HostnamePattern{v1alpha1.HostnamePattern(host)}
				}).
				App(peer).Command("/peer", "serve").Port(8080)
			if name != closed {
				builder.Ingress(fromGateway())
			}
			tenant := builder.Build()
			Expect(cl.Create(ctx, tenant)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(cl.Delete(ctx, tenant)).To(Succeed()) })
		}
		for name := range hostname {
			Eventually(ctx, komega.Object(tenantOf(name))).Should(ready())
		}
		gateway := gatewayOf(blog, blogName)
		Expect(cl.Create(ctx, gateway)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(cl.Delete(ctx, gateway)).To(Succeed()) })
		Expect(cl.Create(ctx, certificate(issuer, deploy.GatewayNamespace, blog, blogName))).To(Succeed())
		grantRoutes(ctx)
	}, NodeTimeout(specTimeout))

	It("serves an owner's Ingress over TLS by its hostname, and says where it is", func(ctx SpecContext) {
		owner, ingress := as(shop+"-owner"), ingressTo(shop, shopName)
		Expect(owner.Create(ctx, certificate(issuer, shop, "tls", shopName))).To(Succeed())
		Expect(owner.Create(ctx, ingress)).To(Succeed())
		Eventually(ctx, fetch).WithArguments(shopName).Should(fromApp(ctx, shop))
		Eventually(ctx, komega.Object(ingress)).Should(HaveField("Status.LoadBalancer.Ingress", HaveExactElements(HaveField("IP", HavePrefix("10.200.0.")))))
	}, SpecTimeout(specTimeout))

	It("serves an owner's HTTPRoute at a Gateway of the platform, and both say so", func(ctx SpecContext) {
		gateway, route := gatewayOf(blog, blogName), routeTo(blog, blog, blogName)
		Eventually(ctx, as(blog+"-owner").Create).WithArguments(route).Should(Succeed()) // once RBAC has aggregated the rights
		Eventually(ctx, fetch).WithArguments(blogName).Should(fromApp(ctx, blog))
		Eventually(ctx, komega.Object(route)).Should(And(routeSays("Accepted", metav1.ConditionTrue), routeSays("ResolvedRefs", metav1.ConditionTrue)))
		Eventually(ctx, komega.Object(gateway)).Should(And(
			HaveField("Status.Addresses", HaveExactElements(HaveField("Value", HavePrefix("10.200.0.")))),
			HaveField("Status.Listeners", HaveExactElements(HaveField("AttachedRoutes", int32(1))))))
		Expect(kubectl(ctx, "get", "gateway", blog, "--namespace="+deploy.GatewayNamespace, "--no-headers")).To(MatchRegexp(`tenantry-demo +10\.200\.0\.1\d +True`))
	}, SpecTimeout(specTimeout))

	It("takes no route of a tenant that the Gateway isn't for, nor one for another tenant's hostname", func(ctx SpecContext) {
		route := routeTo(shop, blog, shopName)
		Expect(as(shop+"-owner").Create(ctx, route)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(cl.Delete(ctx, route)).To(Succeed()) })
		Eventually(ctx, komega.Object(route)).Should(routeSays("Accepted", metav1.ConditionFalse))
		foreign := routeTo(shop, blog, blogName)
		foreign.Name = "foreign"
		Expect(as(shop+"-owner").Create(ctx, foreign)).To(MatchError(ContainSubstring("the hostname " + blogName + " is not the tenant's")))
		Expect(fetch(ctx, blogName)).To(fromApp(ctx, blog))
	}, SpecTimeout(specTimeout))

	It("ends the connection of whoever asks for a hostname that nobody has", func(ctx SpecContext) {
		for _, host := range []string{"absent.example", "other." + shopName, strings.TrimPrefix(shopName, "shop.")} {
			_, err := fetch(ctx, host)
			Expect(err).To(MatchError(ContainSubstring("unrecognized name")), host)
		}
	}, SpecTimeout(specTimeout))

	It("is no way around a tenant's network policies, and those that let it in let in nobody else", func(ctx SpecContext) {
		owner := as(closed + "-owner")
		Expect(owner.Create(ctx, certificate(issuer, closed, "tls", hostname[closed]))).To(Succeed())
		Expect(owner.Create(ctx, ingressTo(closed, hostname[closed]))).To(Succeed())
		Eventually(ctx, fetch).WithArguments(hostname[closed]).Should(HavePrefix("504 "))

		tenant := tenantOf(closed)
		Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.Network.Ingress = []networkingv1.NetworkPolicyIngressRule{fromGateway()} })).Should(Succeed())
		Eventually(ctx, fetch).WithArguments(hostname[closed]).Should(fromApp(ctx, closed))
		app := podsOf(ctx, closed)[0].Status.PodIP + ":8080"
		client := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: outside, Name: "client"}}
		Expect(dial(ctx, client, app)).To(BeEmpty())
		Expect(dial(ctx, podsOf(ctx, shop)[0], app)).To(BeEmpty())
		Expect(fetch(ctx, hostname[closed])).To(fromApp(ctx, closed))
	}, SpecTimeout(specTimeout))
})

// grantRoutes gives owners the right to write HTTPRoutes, as a platform with a gateway does.
func grantRoutes(ctx context.Context) {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "edits-routes", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{gatewayv1.GroupName}, Resources: []string{"httproutes"}, Verbs: []string{"create", "delete", "get", "list", "patch"}}},
	}
	Expect(cl.Create(ctx, role)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(cl.Delete(ctx, role)).To(Succeed()) })
}
