package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// gatewayAPI is the Go module with the CustomResourceDefinitions of the Gateway API.
const gatewayAPI = "sigs.k8s.io/gateway-api@v1.6.3"

// exposed begins a tenant with nothing but an app that is exposed.
func exposed(name string, change func(*v1alpha1.AppExposure), hostnames ...v1alpha1.HostnamePattern) *builders.TenantBuilder {
	return bare(name).App(image).Port(8080).Expose(change, hostnames...)
}

// through exposes an app by an IngressClass.
func through(class string) func(*v1alpha1.AppExposure) {
	return func(expose *v1alpha1.AppExposure) { expose.IngressClassName = class }
}

// ingressClass creates an IngressClass as the Helm chart of an ingress controller does.
func ingressClass(ctx context.Context, name string, annotations map[string]string) *networkingv1.IngressClass {
	GinkgoHelper()
	class := &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
		Spec:       networkingv1.IngressClassSpec{Controller: "example.com/" + name},
	}
	Expect(env.Client.Create(ctx, class)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, class)) })
	return class
}

func installedIn(namespace string) map[string]string {
	return map[string]string{"meta.helm.sh/release-namespace": namespace}
}

func ingressOf(tenant *v1alpha1.Tenant) *networkingv1.Ingress {
	return in(tenant, &networkingv1.Ingress{}, "app")
}

// server returns what serves Ingresses and HTTPRoutes: it may write their status, and nothing else.
func server(ctx context.Context) client.Client {
	GinkgoHelper()
	name := "system:serviceaccount:ingress-nginx:controller"
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "serves-hostnames"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{networkingv1.GroupName}, Resources: []string{"ingresses/status"}, Verbs: []string{"update"}},
		{APIGroups: []string{gatewayv1.GroupName}, Resources: []string{"httproutes/status"}, Verbs: []string{"update"}},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	for _, object := range []client.Object{role, binding} {
		Expect(env.Client.Create(ctx, object)).To(Or(Succeed(), WithTransform(apierrors.IsAlreadyExists, BeTrue())))
	}
	return as(name)
}

// answer writes the status of what exposes a tenant's app.
func answer[T client.Object](ctx context.Context, object T, change func(T)) {
	GinkgoHelper()
	server := server(ctx)
	Eventually(ctx, func() error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object)
		return server.Status().Update(ctx, object)
	}).Should(Succeed())
}

// serve reports that an Ingress is served, as its controller does.
func serve(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	answer(ctx, ingressOf(tenant), func(ingress *networkingv1.Ingress) {
		ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.80"}}
	})
}

var _ = Describe("An app that is exposed by an Ingress", func() {
	It("has its hostnames, its certificate, and a way in for the ingress controller alone", func(ctx SpecContext) {
		ingressClass(ctx, "public", installedIn("ingress-nginx"))
		tenant := apply(ctx, exposed("exposed", func(expose *v1alpha1.AppExposure) {
			expose.IngressClassName, expose.TLS = "public", &v1alpha1.AppCertificate{SecretName: "shop-tls"}
			expose.Annotations = map[string]string{"example.com/timeout": "10s"}
		}, "shop.exposed.example", "www.exposed.example"))

		By("saying that the certificate is missing, before and after")
		missing := stalled(v1alpha1.ReasonSecretNotFound, "There is no Secret shop-tls of type kubernetes.io/tls in namespace exposed", "kubectl create secret tls")
		Eventually(ctx, komega.Object(tenant)).Should(missing)
		certificate := in(tenant, &corev1.Secret{
			Type: corev1.SecretTypeTLS, Data: map[string][]byte{corev1.TLSCertKey: {}, corev1.TLSPrivateKeyKey: {}},
		}, "shop-tls")
		Expect(env.Client.Create(ctx, certificate)).To(Succeed())
		Eventually(ctx, komega.Object(tenant), atOnce).Should(
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonProgressing, "Ingress app has no address yet."))

		By("being served")
		serve(ctx, tenant)
		Eventually(ctx, komega.Object(tenant), atOnce).Should(And(beReady(),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady, "It is exposed at https://shop.exposed.example, https://www.exposed.example.")))
		Expect(tenant.Status.App.URL).To(Equal("https://shop.exposed.example"))
		Expect(tenant.Status.App.InternalURL).To(Equal("http://app.exposed.svc:8080"))
		ingress := read(ctx, ingressOf(tenant))
		Expect(ingress.Spec.IngressClassName).To(HaveValue(Equal("public")))
		Expect(ingress.Spec.TLS).To(ConsistOf(networkingv1.IngressTLS{Hosts: []string{"shop.exposed.example", "www.exposed.example"}, SecretName: "shop-tls"}))
		Expect(ingress.Spec.Rules).To(HaveExactElements(HaveField("Host", "shop.exposed.example"), HaveField("Host", "www.exposed.example")))
		Expect(ingress.Annotations).To(HaveKeyWithValue("example.com/timeout", "10s"))
		policy := read(ctx, in(tenant, &networkingv1.NetworkPolicy{}, "allow-ingress"))
		Expect(policy.Spec.PodSelector.MatchLabels).To(HaveKeyWithValue("app.kubernetes.io/name", "app"))
		Expect(policy.Spec.Ingress).To(ConsistOf(networkingv1.NetworkPolicyIngressRule{
			From:  []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "ingress-nginx"}}}},
			Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(8080))}},
		}))
		Expect(read(ctx, in(tenant, &v1alpha1.TenantPolicy{}, "tenant")).Spec.Hostnames).To(ConsistOf(
			v1alpha1.HostnamePattern("shop.exposed.example"), v1alpha1.HostnamePattern("www.exposed.example")))

		By("losing the certificate")
		Expect(env.Client.Delete(ctx, certificate)).To(Succeed())
		Eventually(ctx, komega.Object(tenant), atOnce).Should(missing)

		By("being served at another hostname without a certificate")
		change(ctx, tenant, func() {
			tenant.Spec.App.Expose.TLS, tenant.Spec.App.Expose.Hostnames = nil, []v1alpha1.HostnamePattern{"new.exposed.example"}
			tenant.Spec.App.Expose.Annotations = nil
		})
		Eventually(ctx, komega.Object(tenant), atOnce).Should(And(beReady(), HaveField("Status.App.URL", "http://new.exposed.example")))
		Expect(read(ctx, ingress)).To(And(HaveField("Spec.TLS", BeEmpty()), HaveField("Annotations", Not(HaveKey("example.com/timeout"))),
			HaveField("Spec.Rules", ConsistOf(HaveField("Host", "new.exposed.example")))))

		By("being exposed no longer")
		change(ctx, tenant, func() { tenant.Spec.App.Expose = nil })
		waitGone(ctx, ingress)
		waitGone(ctx, policy)
		Eventually(ctx, komega.Object(tenant)).Should(And(beReady(), HaveField("Status.App.URL", BeEmpty())))
	}, SpecTimeout(specTimeout))

	It("says that there is no IngressClass of the name, and which there are, until there is one", func(ctx SpecContext) {
		ingressClass(ctx, "other", nil)
		tenant := apply(ctx, exposed("classless", through("absent"), "classless.example"))
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonIngressClassNotFound, "There is no IngressClass absent", "the cluster has", "other"))

		By("not knowing where its controller runs")
		class := ingressClass(ctx, "absent", nil)
		Eventually(ctx, komega.Object(tenant), atOnce).Should(stalled(v1alpha1.ReasonNetworkPeersUnknown,
			"No network policy lets the controller of IngressClass absent reach the app", "kubectl annotate ingressclass absent tenantry.dev/network-peers=NAMESPACE"))
		kubectl(ctx, "annotate", "ingressclass", class.Name, "tenantry.dev/network-peers=ingress-public, 192.0.2.7,198.51.100.0/24")
		serve(ctx, tenant)
		waitReady(ctx, tenant)
		peers := read(ctx, in(tenant, &networkingv1.NetworkPolicy{}, "allow-ingress")).Spec.Ingress[0].From
		Expect(peers).To(ConsistOf(
			HaveField("NamespaceSelector.MatchLabels", HaveKeyWithValue("kubernetes.io/metadata.name", "ingress-public")),
			HaveField("IPBlock.CIDR", "192.0.2.7/32"), HaveField("IPBlock.CIDR", "198.51.100.0/24")))

	}, SpecTimeout(specTimeout))

	It("may not have a class that the policy doesn't allow", func(ctx SpecContext) {
		ingressClass(ctx, "internal", installedIn("ingress-internal"))
		tenant := apply(ctx, exposed("misclassed", through("internal"), "misclassed.example").
			Policy(func(rules *v1alpha1.PolicyRules) {
				rules.IngressClasses = &v1alpha1.ClassRule{Allowed: []string{"elsewhere"}}
			}))
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonForbidden, "its IngressClass is internal, and spec.policy.ingressClasses allows [elsewhere]"))
		waitGone(ctx, ingressOf(tenant))

		By("using the policy's default instead")
		ingressClass(ctx, "elsewhere", installedIn("ingress-elsewhere"))
		change(ctx, tenant, func() {
			tenant.Spec.Policy.IngressClasses.Default, tenant.Spec.App.Expose.IngressClassName = "elsewhere", ""
		})
		serve(ctx, tenant)
		waitReady(ctx, tenant)
		Expect(read(ctx, ingressOf(tenant)).Spec.IngressClassName).To(HaveValue(Equal("elsewhere")))
	}, SpecTimeout(specTimeout))

	It("gets a hostname of another tenant only when that lets go of it", func(ctx SpecContext) {
		ingressClass(ctx, "shared", installedIn("ingress-shared"))
		older := apply(ctx, exposed("exposed-older", through("shared"), "contested.example"))
		serve(ctx, older)
		waitReady(ctx, older)
		younger := apply(ctx, exposed("exposed-younger", through("shared"), "contested.example", "mine.example"))
		Eventually(ctx, komega.Object(younger)).Should(And(
			haveCondition(v1alpha1.ConditionNetworkReady, "False", v1alpha1.ReasonConflict, `contested.example (Tenant "exposed-older")`),
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonConflict, "The app is not exposed at contested.example, which an older tenant has")))
		Expect(read(ctx, ingressOf(younger)).Spec.Rules).To(ConsistOf(HaveField("Host", "mine.example")))

		change(ctx, older, func() { older.Spec.App.Expose.Hostnames = []v1alpha1.HostnamePattern{"given.example"} })
		Eventually(ctx, komega.Object(ingressOf(younger)), atOnce).Should(
			HaveField("Spec.Rules", ConsistOf(HaveField("Host", "contested.example"), HaveField("Host", "mine.example"))))
		serve(ctx, younger)
		waitReady(ctx, younger)
	}, SpecTimeout(specTimeout))

	It("keeps its hostnames while a new version waits for its migration, and gets others", func(ctx SpecContext) {
		ingressClass(ctx, "migrates", installedIn("ingress-migrates"))
		tenant := apply(ctx, exposed("exposed-migrates", through("migrates"), "before.example").Migration("/migrate"))
		serve(ctx, tenant)
		waitReady(ctx, tenant)
		running := tenant.Spec.App.Image
		change(ctx, tenant, func() {
			tenant.Spec.App.Image = release2
			slow(tenant.Spec.App.Migration)
			tenant.Spec.App.Expose.Hostnames = []v1alpha1.HostnamePattern{"after.example"}
		})
		Eventually(ctx, komega.Object(ingressOf(tenant)), atOnce).Should(HaveField("Spec.Rules", ConsistOf(HaveField("Host", "after.example"))))
		migrating(ctx, tenant)
		Expect(read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Spec.Template.Spec.Containers[0].Image).To(Equal(running))
	}, SpecTimeout(specTimeout))

	It("lets go of a hostname also while the app stays as it is", func(ctx SpecContext) {
		ingressClass(ctx, "stays", installedIn("ingress-stays"))
		tenant := apply(ctx, exposed("exposed-stays", through("stays"), "before.stays.example"))
		serve(ctx, tenant)
		waitReady(ctx, tenant)
		change(ctx, tenant, func() {
			tenant.Spec.SecretRefs = []v1alpha1.SettingsSecret{{Name: "missing"}}
			tenant.Spec.App.Expose.Hostnames = []v1alpha1.HostnamePattern{"after.stays.example"}
		})
		Eventually(ctx, komega.Object(ingressOf(tenant)), atOnce).Should(HaveField("Spec.Rules", ConsistOf(HaveField("Host", "after.stays.example"))))
		Eventually(ctx, komega.Object(tenant), atOnce).Should(stalled(v1alpha1.ReasonSecretNotFound, "The app stays as it is, since spec.secretRefs names Secrets that do not exist"))

		By("waiting for its first migration")
		change(ctx, tenant, func() {
			tenant.Spec.SecretRefs, tenant.Spec.App.Image = nil, release2
			tenant.Spec.App.Migration = &v1alpha1.AppMigration{Command: []string{"/migrate"}}
			slow(tenant.Spec.App.Migration)
			tenant.Spec.App.Expose.Hostnames = []v1alpha1.HostnamePattern{"last.stays.example"}
		})
		Eventually(ctx, komega.Object(ingressOf(tenant)), atOnce).Should(HaveField("Spec.Rules", ConsistOf(HaveField("Host", "last.stays.example"))))
		migrating(ctx, tenant)
		change(ctx, tenant, func() { tenant.Spec.App.Expose = nil })
		waitGone(ctx, ingressOf(tenant))
		migrating(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("is put back as its Tenant says, with what others add to it", func(ctx SpecContext) {
		ingressClass(ctx, "shared-with", installedIn("ingress-shared"))
		tenant := apply(ctx, exposed("restored-ingress", through("shared-with"), "restored.example"))
		serve(ctx, tenant)
		waitReady(ctx, tenant)
		ingress := ingressOf(tenant)
		change(ctx, ingress, func() {
			ingress.Annotations["cert-manager.io/issue-temporary-certificate"] = "true"
			ingress.Spec.Rules[0].Host = "taken.example"
		})
		Eventually(ctx, komega.Object(ingress), atOnce).Should(And(
			HaveField("Spec.Rules", ConsistOf(HaveField("Host", "restored.example"))),
			HaveField("Annotations", HaveKeyWithValue("cert-manager.io/issue-temporary-certificate", "true"))))
		Expect(env.Client.Delete(ctx, ingress)).To(Succeed())
		Eventually(ctx, komega.Get(ingressOf(tenant)), atOnce).Should(Succeed())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("An app that is exposed through a Gateway", Ordered, func() {
	gateway := &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "edge"},
		Spec: gatewayv1.GatewaySpec{GatewayClassName: "example", Listeners: []gatewayv1.Listener{
			{Name: "plain", Port: 80, Protocol: gatewayv1.HTTPProtocolType},
			{Name: "secure", Port: 443, Protocol: gatewayv1.HTTPSProtocolType, Hostname: new(gatewayv1.Hostname("*.routed.example")), TLS: &gatewayv1.ListenerTLSConfig{
				CertificateRefs: []gatewayv1.SecretObjectReference{{Name: "edge-tls"}},
			}},
		}},
	}
	routeOf := func(tenant *v1alpha1.Tenant) *gatewayv1.HTTPRoute { return in(tenant, &gatewayv1.HTTPRoute{}, "app") }
	// accept reports whether a Gateway accepts the route, as its controller does.
	accept := func(ctx context.Context, tenant *v1alpha1.Tenant, status metav1.ConditionStatus, reason gatewayv1.RouteConditionReason, message string) {
		GinkgoHelper()
		answer(ctx, routeOf(tenant), func(route *gatewayv1.HTTPRoute) {
			route.Status.Parents = []gatewayv1.RouteParentStatus{{
				ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.com/gateway",
				Conditions: []metav1.Condition{{
					Type: string(gatewayv1.RouteConditionAccepted), Status: status, Reason: string(reason), Message: message,
					ObservedGeneration: route.Generation, LastTransitionTime: metav1.Now(),
				}},
			}}
		})
	}
	var tenant *v1alpha1.Tenant

	BeforeAll(func(ctx SpecContext) {
		tenant = apply(ctx, exposed("routed", func(expose *v1alpha1.AppExposure) {
			expose.GatewayRef = &v1alpha1.GatewayReference{Namespace: gateway.Namespace, Name: gateway.Name}
		}, "shop.routed.example"))
	}, NodeTimeout(specTimeout))

	It("is told that the cluster has no Gateway API", func(ctx SpecContext) {
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonGatewayNotFound, "The cluster has no HTTPRoutes of gateway.networking.k8s.io/v1"))
	}, SpecTimeout(specTimeout))

	It("is told that there is no such Gateway once the API is installed", func(ctx SpecContext) {
		Expect(env.ApplyDefinitions(ctx, gatewayAPI, "config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
			"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml")).To(Succeed())
		kubectl(ctx, "annotate", "tenant", tenant.Name, "look=again") // It is looked at by itself within two minutes.
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonGatewayNotFound, "There is no Gateway edge in namespace default"))
	}, SpecTimeout(specTimeout))

	It("is Ready when the Gateway accepts its HTTPRoute, and says why if it doesn't", func(ctx SpecContext) {
		Expect(env.Client.Create(ctx, gateway)).To(Succeed())
		Eventually(ctx, komega.Object(tenant), atOnce).Should(
			haveCondition(v1alpha1.ConditionAppReady, "False", v1alpha1.ReasonProgressing, "HTTPRoute app waits for Gateway edge in namespace default to accept it."))
		accept(ctx, tenant, metav1.ConditionFalse, gatewayv1.RouteReasonNotAllowedByListeners, "No listener lets this namespace in")
		Eventually(ctx, komega.Object(tenant), atOnce).Should(stalled("NotAllowedByListeners", "Gateway edge in namespace default doesn't accept HTTPRoute app: No listener lets this namespace in."))
		accept(ctx, tenant, metav1.ConditionTrue, gatewayv1.RouteReasonAccepted, "")
		Eventually(ctx, komega.Object(tenant), atOnce).Should(And(beReady(), HaveField("Status.App.URL", "https://shop.routed.example"),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady, "It is exposed at https://shop.routed.example.")))
		Expect(read(ctx, routeOf(tenant)).Spec.Hostnames).To(ConsistOf(gatewayv1.Hostname("shop.routed.example")))
		Expect(read(ctx, in(tenant, &networkingv1.NetworkPolicy{}, "allow-ingress")).Spec.Ingress[0].From).To(ConsistOf(networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "default"}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"gateway.networking.k8s.io/gateway-name": "edge"}},
		}))
	}, SpecTimeout(specTimeout))

	It("is reached by nobody but the Gateway if the Gateway is a tenant's, whatever its owners say", func(ctx SpecContext) {
		owned := apply(ctx, exposed("routed-own", func(expose *v1alpha1.AppExposure) {
			expose.GatewayRef = &v1alpha1.GatewayReference{Name: "own"}
		}, "shop.routed-own.example"))
		Eventually(ctx, komega.Object(owned)).Should(stalled(v1alpha1.ReasonGatewayNotFound, "There is no Gateway own in namespace routed-own"))
		Expect(env.Client.Create(ctx, &gatewayv1.Gateway{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: owned.Name, Name: "own", Annotations: map[string]string{v1alpha1.AnnotationNetworkPeers: "0.0.0.0/0"},
			},
			Spec: gatewayv1.GatewaySpec{GatewayClassName: "example", Listeners: []gatewayv1.Listener{
				{Name: "plain", Port: 80, Protocol: gatewayv1.HTTPProtocolType, Hostname: new(gatewayv1.Hostname("shop.routed-own.example"))},
			}},
		})).To(Succeed())
		accept(ctx, owned, metav1.ConditionTrue, gatewayv1.RouteReasonAccepted, "")
		waitReady(ctx, owned)
		Expect(read(ctx, in(owned, &networkingv1.NetworkPolicy{}, "allow-ingress")).Spec.Ingress[0].From).To(ConsistOf(networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "routed-own"}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"gateway.networking.k8s.io/gateway-name": "own"}},
		}))
	}, SpecTimeout(specTimeout))

	It("is put back as its Tenant says, and goes with its exposure", func(ctx SpecContext) {
		route := routeOf(tenant)
		change(ctx, route, func() { route.Spec.Hostnames = []gatewayv1.Hostname{"taken.routed.example"} })
		Eventually(ctx, komega.Object(route), atOnce).Should(HaveField("Spec.Hostnames", ConsistOf(gatewayv1.Hostname("shop.routed.example"))))
		change(ctx, tenant, func() { tenant.Spec.App.Expose = nil })
		waitGone(ctx, route)
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	AfterAll(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(env.Client.Delete(ctx, gateway))).To(Succeed())
	}, NodeTimeout(specTimeout))
})

var _ = DescribeTable("An exposure that can't be is refused",
	func(ctx SpecContext, tenant *builders.TenantBuilder, message string) {
		Expect(env.Client.Create(ctx, tenant.Build(), client.DryRunAll)).To(MatchError(ContainSubstring(message)))
	},
	Entry("under a hostname outside of the policy",
		exposed("outside", nil, "shop.outside.example", "shop.elsewhere.example").Policy(func(rules *v1alpha1.PolicyRules) { rules.Hostnames = []v1alpha1.HostnamePattern{"*.outside.example"} }),
		"app.expose has a hostname that is not among policy.hostnames; add it there, or leave policy.hostnames out"),
	Entry("without a port", bare("portless").App(image).Expose(nil, "portless.example"),
		"an app that is exposed needs the port that it listens on; write one such as 8080 in app.port"),
	Entry("by an Ingress and through a Gateway", exposed("both", func(expose *v1alpha1.AppExposure) {
		expose.IngressClassName, expose.GatewayRef = "public", &v1alpha1.GatewayReference{Name: "edge"}
	}, "both.example"), "leave ingressClassName or gatewayRef out"),
	Entry("with a certificate for a Gateway", exposed("certified", func(expose *v1alpha1.AppExposure) {
		expose.TLS, expose.GatewayRef = &v1alpha1.AppCertificate{}, &v1alpha1.GatewayReference{Name: "edge"}
	}, "certified.example"), "the certificates are those of the Gateway's listeners; leave tls out"),
	Entry("through a Gateway without a name", exposed("nameless", func(expose *v1alpha1.AppExposure) {
		expose.GatewayRef = &v1alpha1.GatewayReference{Namespace: "default"}
	}, "nameless.example"), "gatewayRef needs the name of a Gateway; write name"),
	Entry("with a class in an annotation", exposed("annotated", func(expose *v1alpha1.AppExposure) {
		expose.Annotations = map[string]string{"kubernetes.io/ingress.class": "public"}
	}, "annotated.example"), "name the class in ingressClassName"),
	Entry("under a URL", exposed("urled", nil, "https://shop.example"), "a hostname has neither scheme, port nor path"))
