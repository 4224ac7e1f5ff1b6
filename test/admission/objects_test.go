package admission

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	"sigs.k8s.io/yaml"
)

func yamlInto(text string, into any) error { return yaml.UnmarshalStrict([]byte(text), into) }

// gateway returns an object of the Gateway API.
func gateway(kind, namespace, spec string) client.Object {
	return object(fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: %s, metadata: {namespace: %s, generateName: gateway-}, spec: {%s}}`,
		kind, namespace, spec))
}

func listener(hostname string) string {
	return fmt.Sprintf("listeners: [{name: web, port: 80, protocol: HTTP, hostname: %q}]", hostname)
}

const backend = "rules: [{backendRefs: [{name: app, port: 80}]}]"

// resourceClaim returns a ResourceClaim, or a template of one.
func resourceClaim(kind, device string) client.Object {
	spec := fmt.Sprintf("{devices: {requests: [%s]}}", device)
	if kind == "ResourceClaimTemplate" {
		spec = "{spec: " + spec + "}"
	}
	return object(fmt.Sprintf(`{apiVersion: resource.k8s.io/v1, kind: %s, metadata: {namespace: acme, generateName: claim-}, spec: %s}`, kind, spec))
}

func roleBinding(subject string) client.Object {
	return object(fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: acme, generateName: binding-},
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [%s]}`, subject))
}

func everlastingToken() client.Object {
	return object(`{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token,
		metadata: {namespace: acme, generateName: s-, annotations: {kubernetes.io/service-account.name: default}}}`)
}

func networkPolicy(rules string) client.Object {
	return object(fmt.Sprintf(`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: acme, generateName: policy-},
		spec: {podSelector: {}, %s}}`, rules))
}

var _ = Describe("In a tenant's namespace", func() {
	DescribeTable("is let through", func(ctx SpecContext, object client.Object) {
		Expect(try(ctx, who(object), object)).To(Succeed())
	},
		Entry("a Service of type ClusterIP", service("plain", "ClusterIP")),
		Entry("a Service of an allowed type", service("acme", "LoadBalancer")),
		Entry("an Ingress for an exact hostname", ingress("acme", "shop.acme.test", "")),
		Entry("an Ingress for a name below a wildcard", ingress("acme", "shop.acme.example", "")),
		Entry("an Ingress for a name far below a wildcard", ingress("acme", "a.b.c.acme.example", "ingressClassName: public")),
		Entry("an Ingress for the wildcard itself", ingress("acme", "*.acme.example", "")),
		Entry("an Ingress for a wildcard below", ingress("acme", "*.shop.acme.example", "tls: [{hosts: ['*.shop.acme.example']}]")),
		Entry("a Gateway", gateway("Gateway", "acme", "gatewayClassName: shared, "+listener("*.acme.example"))),
		Entry("a Gateway for TCP", gateway("Gateway", "acme", "gatewayClassName: shared, listeners: [{name: tcp, port: 5432, protocol: TCP}]")),
		Entry("an HTTPRoute", gateway("HTTPRoute", "acme", "hostnames: [shop.acme.example], "+backend)),
		Entry("a GRPCRoute", gateway("GRPCRoute", "acme", "hostnames: [shop.acme.example], "+backend)),
		Entry("a TLSRoute", gateway("TLSRoute", "acme", "hostnames: [shop.acme.example], "+backend)),
		Entry("a ListenerSet", gateway("ListenerSet", "acme", "parentRef: {name: g}, "+listener("shop.acme.example"))),
		Entry("a claim of an allowed StorageClass", claim("acme", "storageClassName: slow")),
		Entry("a claim of any StorageClass, where none are said", claim("plain", "storageClassName: whatever")),
		Entry("a claim of an allowed VolumeAttributesClass", Label("K20"), claim("acme", "volumeAttributesClassName: gold")),
		Entry("a claim of any VolumeAttributesClass, where none are said", claim("plain", "volumeAttributesClassName: platinum")),
		Entry("a ResourceClaim of an allowed DeviceClass", resourceClaim("ResourceClaim", "{name: d, exactly: {deviceClassName: gpu}}")),
		Entry("a template of one", resourceClaim("ResourceClaimTemplate", "{name: d, firstAvailable: [{name: a, deviceClassName: gpu}]}")),
		Entry("a Secret", object(`{apiVersion: v1, kind: Secret, metadata: {namespace: acme, generateName: secret-}, stringData: {a: b}}`)),
		Entry("a RoleBinding to a person", roleBinding("{kind: User, name: carol, apiGroup: rbac.authorization.k8s.io}")),
		Entry("a RoleBinding to people", roleBinding("{kind: Group, name: friends, apiGroup: rbac.authorization.k8s.io}")),
		Entry("a RoleBinding to a ServiceAccount", roleBinding("{kind: ServiceAccount, name: app, namespace: acme}")),
		Entry("a RoleBinding to all its ServiceAccounts", roleBinding("{kind: Group, name: 'system:serviceaccounts:acme', apiGroup: rbac.authorization.k8s.io}")),
		Entry("a NetworkPolicy that lets in", networkPolicy("ingress: [{}]")),
		Entry("a NetworkPolicy to other pods", networkPolicy("egress: [{to: [{namespaceSelector: {}}]}]")),
		Entry("a NetworkPolicy to some addresses", networkPolicy("egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}, {ipBlock: {cidr: '2001:db8::/32'}}]}]")),
		Entry("a NetworkPolicy to all addresses but the cloud's own",
			networkPolicy("egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 169.254.0.0/16]}}, {ipBlock: {cidr: '::/0', except: ['fd00::/8']}}]}]")),
		Entry("an object that somebody else manages",
			object(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: acme, generateName: config-, labels: {app.kubernetes.io/managed-by: Helm}}}`)),
	)

	DescribeTable("is refused", func(ctx SpecContext, object client.Object, reasons ...string) {
		Expect(try(ctx, who(object), object)).To(refuse(reasons...))
	},
		Entry("a Service of type NodePort", service("acme", "NodePort"),
			"spec.type is NodePort, which is none of the allowed serviceTypes: ClusterIP, LoadBalancer"),
		Entry("a Service of type LoadBalancer, where none are said", service("plain", "LoadBalancer"), "serviceTypes: ClusterIP"),
		Entry("a Service of type ExternalName", object(`{apiVersion: v1, kind: Service, metadata: {namespace: acme, generateName: s-},
			spec: {type: ExternalName, externalName: kubernetes.default.svc}}`), "spec.type is ExternalName"),
		Entry("a Service with externalIPs", object(`{apiVersion: v1, kind: Service, metadata: {namespace: acme, generateName: s-},
			spec: {ports: [{port: 80}], externalIPs: [192.0.2.1]}}`), "spec.externalIPs"),
		Entry("an Ingress for a foreign hostname", ingress("acme", "shop.globex.example", ""),
			"the host shop.globex.example is not the tenant's; allowed are the hostnames: [shop.acme.test, *.acme.example]"),
		Entry("an Ingress for any hostname, where none are said", ingress("plain", "shop.plain.example", ""), "[]"),
		Entry("an Ingress for what a wildcard is below", ingress("acme", "acme.example", ""), "acme.example"),
		Entry("an Ingress for a hostname that ends alike", ingress("acme", "evilacme.example", ""), "evilacme.example"),
		Entry("an Ingress for a wildcard above", ingress("acme", "*.example", ""), "*.example"),
		Entry("an Ingress for a wildcard over an exact hostname", ingress("acme", "*.acme.test", ""), "*.acme.test"),
		Entry("an Ingress without a hostname", ingress("acme", "", ""), "a rule without a host answers for all of them"),
		Entry("an Ingress with a foreign hostname for TLS", ingress("acme", "shop.acme.example", "tls: [{hosts: [globex.example]}]"), "globex.example"),
		Entry("an Ingress with a default backend",
			ingress("acme", "shop.acme.example", "defaultBackend: {service: {name: app, port: {number: 80}}}"), "spec.defaultBackend"),
		Entry("an Ingress of a foreign class", ingress("acme", "shop.acme.example", "ingressClassName: internal"),
			`spec.ingressClassName is "internal", which is none of the allowed ingressClasses: [public]`),
		Entry("an Ingress of a foreign class by annotation", annotated(ingress("acme", "shop.acme.example", ""), "kubernetes.io/ingress.class", "internal"), "internal"),
		Entry("a Gateway of a foreign class", gateway("Gateway", "acme", "gatewayClassName: other, "+listener("a.acme.example")),
			"spec.gatewayClassName is other, which is none of the allowed gatewayClasses: [shared]"),
		Entry("a Gateway for a foreign hostname", gateway("Gateway", "acme", "gatewayClassName: shared, "+listener("a.globex.example")), "a.globex.example"),
		Entry("a Gateway without a hostname",
			gateway("Gateway", "acme", "gatewayClassName: shared, listeners: [{name: web, port: 80, protocol: HTTP}]"), "without a hostname"),
		Entry("a Gateway at an address of its choice",
			gateway("Gateway", "acme", "gatewayClassName: shared, addresses: [{value: 192.0.2.1}], "+listener("a.acme.example")), "spec.addresses"),
		Entry("an HTTPRoute for a foreign hostname", gateway("HTTPRoute", "acme", "hostnames: [a.acme.example, a.globex.example], "+backend), "a.globex.example"),
		Entry("an HTTPRoute without a hostname", gateway("HTTPRoute", "acme", backend), "without a hostname"),
		Entry("a GRPCRoute for a foreign hostname", gateway("GRPCRoute", "acme", "hostnames: [a.globex.example], "+backend), "a.globex.example"),
		Entry("a TLSRoute for a foreign hostname", gateway("TLSRoute", "acme", "hostnames: [a.globex.example], "+backend), "a.globex.example"),
		Entry("a ListenerSet for a foreign hostname", gateway("ListenerSet", "acme", "parentRef: {name: g}, "+listener("a.globex.example")), "a.globex.example"),
		Entry("a claim of a foreign StorageClass", claim("acme", "storageClassName: standard"),
			`spec.storageClassName is "standard", which is none of the allowed storageClasses: [fast, slow]`),
		Entry("a claim of no StorageClass, which takes any volume", claim("acme", "storageClassName: ''")),
		Entry("a claim of a foreign StorageClass by annotation",
			annotated(claim("acme", "storageClassName: fast"), "volume.beta.kubernetes.io/storage-class", "standard"), "standard"),
		Entry("a claim of a foreign VolumeAttributesClass", Label("K20"), claim("acme", "volumeAttributesClassName: platinum"),
			`spec.volumeAttributesClassName is "platinum", which is none of the allowed volumeAttributesClasses: [silver, gold]`),
		Entry("a claim of a volume of its choice", claim("plain", "volumeName: theirs"), "spec.volumeName is theirs"),
		Entry("a ResourceClaim of a foreign DeviceClass", resourceClaim("ResourceClaim", "{name: d, exactly: {deviceClassName: fpga}}"),
			"the deviceClassName fpga is none of the allowed deviceClasses: [gpu]"),
		Entry("a template of one", resourceClaim("ResourceClaimTemplate",
			"{name: d, firstAvailable: [{name: a, deviceClassName: gpu}, {name: b, deviceClassName: fpga}]}"), "fpga"),
		Entry("a token that never expires", everlastingToken(), "never expires"),
		Entry("a RoleBinding to everybody", roleBinding("{kind: Group, name: 'system:authenticated', apiGroup: rbac.authorization.k8s.io}"),
			"the subject Group system:authenticated is not the tenant's"),
		Entry("a RoleBinding to nobody in particular", roleBinding("{kind: User, name: 'system:anonymous', apiGroup: rbac.authorization.k8s.io}")),
		Entry("a RoleBinding to a foreign ServiceAccount", roleBinding("{kind: ServiceAccount, name: app, namespace: plain}"), "ServiceAccount plain/app"),
		Entry("a RoleBinding to a foreign ServiceAccount as a user",
			roleBinding("{kind: User, name: 'system:serviceaccount:plain:app', apiGroup: rbac.authorization.k8s.io}")),
		Entry("a RoleBinding to all ServiceAccounts", roleBinding("{kind: Group, name: 'system:serviceaccounts', apiGroup: rbac.authorization.k8s.io}")),
		Entry("a RoleBinding to the ServiceAccounts of a namespace that begins alike",
			roleBinding("{kind: Group, name: 'system:serviceaccounts:acme2', apiGroup: rbac.authorization.k8s.io}")),
		Entry("a NetworkPolicy to everywhere", networkPolicy("egress: [{ports: [{port: 80}]}]"), `a rule of spec.egress without "to" opens the way to everything`),
		Entry("a NetworkPolicy to all addresses", networkPolicy("egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}, {to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]"),
			"the ipBlock 0.0.0.0/0 of spec.egress opens the way to the cloud's metadata address; except 169.254.0.0/16, or ask"),
		Entry("a NetworkPolicy to all addresses of IPv6", networkPolicy("egress: [{to: [{ipBlock: {cidr: '::/0', except: ['fd00:ec2::/32']}}]}]"),
			"the ipBlock ::/0", "except fd00:ec2::/32, fd20:ce::/32, or ask"),
		Entry("a NetworkPolicy to all addresses but one of the cloud's own",
			networkPolicy("egress: [{to: [{ipBlock: {cidr: 169.0.0.0/8, except: [169.254.170.0/24]}}]}]"), "169.254.0.0/16"),
		Entry("a NetworkPolicy to the cloud's metadata address", networkPolicy("egress: [{to: [{ipBlock: {cidr: 169.254.169.254/32}}]}]"),
			"the ipBlock 169.254.169.254/32 of spec.egress opens the way to the cloud's metadata address; leave it out, or ask"),
		Entry("the label of what the operator manages", object(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: acme, generateName: config-,
			labels: {app.kubernetes.io/managed-by: tenantry}}}`), "the operator's alone"),
	)

	DescribeTable("a hostname by annotation is let through if it is the tenant's", Label("K4"), func(ctx SpecContext, object client.Object, key, value string) {
		object = annotated(object.DeepCopyObject().(client.Object), key, value)
		Expect(try(ctx, who(object), object)).To(Succeed())
	},
		Entry("of external-dns", service("acme", "ClusterIP"), "external-dns.alpha.kubernetes.io/hostname", "shop.acme.example"),
		Entry("a list", service("acme", "ClusterIP"), "external-dns.alpha.kubernetes.io/hostname", "shop.acme.test, *.acme.example,A.acme.example."),
		Entry("of ingress-nginx", ingress("acme", "shop.acme.example", ""), "nginx.ingress.kubernetes.io/server-alias", "www.acme.example"),
		Entry("an allowed snippet", ingress("acme", "shop.acme.example", ""), "nginx.ingress.kubernetes.io/configuration-snippet", "more_set_headers 'a: b';"),
		Entry("none at all", ingress("acme", "shop.acme.example", ""), "nginx.ingress.kubernetes.io/proxy-body-size", "8m"),
		Entry("one's own meaning", pod("acme", ""), "example.com/hostname", "anything at all"),
		Entry("none, where none are said", service("plain", "ClusterIP"), "example.com/note", "pay.globex.example"),
	)

	DescribeTable("a foreign hostname by annotation is refused", Label("K4"), func(ctx SpecContext, object client.Object, key, value, reason string) {
		object = annotated(object.DeepCopyObject().(client.Object), key, value)
		Expect(try(ctx, who(object), object)).To(refuse(reason))
	},
		Entry("of external-dns", service("acme", "ClusterIP"), "external-dns.alpha.kubernetes.io/hostname", "pay.globex.example",
			"the host pay.globex.example in the annotation external-dns.alpha.kubernetes.io/hostname is not the tenant's; allowed are the hostnames: [shop.acme.test, *.acme.example]"),
		Entry("of external-dns, internal", service("acme", "ClusterIP"), "external-dns.alpha.kubernetes.io/internal-hostname", "pay.globex.example", "pay.globex.example"),
		Entry("of external-dns, on a pod", pod("acme", ""), "external-dns.alpha.kubernetes.io/hostname", "pay.globex.example", "pay.globex.example"),
		Entry("of external-dns, on a route", gateway("HTTPRoute", "acme", "hostnames: [shop.acme.example], "+backend),
			"external-dns.alpha.kubernetes.io/hostname", "pay.globex.example", "pay.globex.example"),
		Entry("of external-dns, on a Gateway", gateway("Gateway", "acme", "gatewayClassName: shared, "+listener("*.acme.example")),
			"external-dns.alpha.kubernetes.io/hostname", "pay.globex.example", "pay.globex.example"),
		Entry("behind one's own", service("acme", "ClusterIP"), "external-dns.alpha.kubernetes.io/hostname", "shop.acme.example,pay.globex.example", "the host pay.globex.example"),
		Entry("behind one's own and a blank", ingress("acme", "shop.acme.example", ""), "nginx.ingress.kubernetes.io/server-alias", "pay.globex.example shop.acme.example",
			"the host pay.globex.example"),
		Entry("as a regular expression", ingress("acme", "shop.acme.example", ""), "nginx.ingress.kubernetes.io/server-alias", "~^pay|shop.acme.example", "~^pay"),
		Entry("in capitals", ingress("acme", "shop.acme.example", ""), "nginx.ingress.kubernetes.io/server-alias", "PAY.globex.example", "pay.globex.example"),
		Entry("of ingress-nginx under another prefix", ingress("acme", "shop.acme.example", ""), "proxy.example/server-alias", "pay.globex.example", "pay.globex.example"),
		Entry("of haproxy-ingress", ingress("acme", "shop.acme.example", ""), "haproxy-ingress.github.io/redirect-from", "pay.globex.example", "pay.globex.example"),
		Entry("of Kong", ingress("acme", "shop.acme.example", ""), "konghq.com/host-aliases", "pay.globex.example", "pay.globex.example"),
		Entry("of Traefik", ingress("acme", "shop.acme.example", ""), "traefik.ingress.kubernetes.io/router.tls.domains.0.main", "pay.globex.example", "pay.globex.example"),
		Entry("of cert-manager", ingress("acme", "shop.acme.example", ""), "cert-manager.io/alt-names", "pay.globex.example", "pay.globex.example"),
		Entry("of any, where none are said", service("plain", "ClusterIP"), "external-dns.alpha.kubernetes.io/hostname", "shop.acme.example", "[]"),
		Entry("by a snippet", ingress("acme", "shop.acme.example", ""), "nginx.ingress.kubernetes.io/server-snippet", "return 200;",
			"the annotation nginx.ingress.kubernetes.io/server-snippet can make a proxy answer for the hostnames of others; leave it out, or ask a cluster admin "+
				"to add it to spec.policy.allowedAnnotations of the Tenant acme"),
		Entry("by snippets of NGINX", ingress("acme", "shop.acme.example", ""), "nginx.org/server-snippets", "return 200;", "nginx.org/server-snippets"),
		Entry("by a snippet of HAProxy", service("acme", "ClusterIP"), "haproxy.org/backend-config-snippet", "x", "haproxy.org/backend-config-snippet"),
		Entry("by a configuration of haproxy-ingress", ingress("acme", "shop.acme.example", ""), "haproxy-ingress.github.io/config-backend", "x", "config-backend"),
		Entry("by a rule of AWS", ingress("acme", "shop.acme.example", ""), "alb.ingress.kubernetes.io/conditions.app", "[]", "conditions.app"),
		Entry("by a route of Skipper", ingress("acme", "shop.acme.example", ""), "zalando.org/skipper-routes", "r: * -> <shunt>;", "skipper-routes"),
		Entry("by a mapping of Emissary", service("acme", "ClusterIP"), "getambassador.io/config", "host: pay.globex.example", "getambassador.io/config"),
	)

	It("a foreign hostname by annotation is refused later, too", func(ctx SpecContext) {
		for _, object := range []client.Object{service("acme", "ClusterIP"), ingress("acme", "shop.acme.example", "")} {
			annotated(object, "external-dns.alpha.kubernetes.io/hostname", "shop.acme.example")
			Expect(alice.Create(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, object) })
			for _, key := range []string{"external-dns.alpha.kubernetes.io/hostname", "nginx.ingress.kubernetes.io/server-alias"} {
				theirs := fmt.Sprintf(`{"metadata": {"annotations": {%q: "pay.globex.example"}}}`, key)
				Expect(patch(ctx, alice, object, theirs)).To(refuse("the host pay.globex.example"))
				status := client.RawPatch("application/merge-patch+json", []byte(theirs))
				Expect(env.Client.Status().Patch(ctx, object.DeepCopyObject().(client.Object), status)).To(refuse("the host pay.globex.example"))
				Expect(patch(ctx, alice, object, fmt.Sprintf(`{"metadata": {"annotations": {%q: "www.acme.example"}}}`, key))).To(Succeed())
			}
			Expect(patch(ctx, alice, object, `{"metadata": {"annotations": null}}`)).To(Succeed())
		}
	}, SpecTimeout(specTimeout))

	It("an Ingress and a claim that name no class get the tenant's, not the cluster's", func(ctx SpecContext) {
		ingress := ingress("acme", "shop.acme.example", "")
		Expect(alice.Create(ctx, ingress, client.DryRunAll)).To(Succeed())
		Expect(ingress.Object["spec"]).To(HaveKeyWithValue("ingressClassName", "public"))
		claim := claim("acme", "")
		Expect(alice.Create(ctx, claim, client.DryRunAll)).To(Succeed())
		Expect(claim.Object["spec"]).To(HaveKeyWithValue("storageClassName", "fast"))
	}, SpecTimeout(specTimeout))

	It("a claim of a volume of its choice is refused to the controllers that make claims of templates, too", func(ctx SpecContext) {
		for _, controller := range []string{"statefulset-controller", "ephemeral-volume-controller"} {
			who := as("system:serviceaccount:kube-system:" + controller)
			Expect(try(ctx, who, claim("plain", "volumeName: theirs"))).To(refuse("spec.volumeName is theirs"))
			Expect(try(ctx, who, claim("plain", ""))).To(Succeed())
		}
		bound := claim("plain", "storageClassName: none")
		Expect(alice.Create(ctx, bound)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, bound) })
		Expect(unstructured.SetNestedField(bound.Object, "found", "spec", "volumeName")).To(Succeed())
		Expect(as("system:serviceaccount:kube-system:persistent-volume-binder").Update(ctx, bound)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("a ServiceAccount gives its token to those who ask for it", func(ctx SpecContext) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "plain", GenerateName: "account-"}}
		Expect(alice.Create(ctx, account, client.DryRunAll)).To(Succeed())
		Expect(account.AutomountServiceAccountToken).To(HaveValue(BeFalse()))
		account = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "plain", GenerateName: "account-"}, AutomountServiceAccountToken: new(true)}
		Expect(alice.Create(ctx, account, client.DryRunAll)).To(Succeed())
		Expect(account.AutomountServiceAccountToken).To(HaveValue(BeTrue()))
	}, SpecTimeout(specTimeout))

	It("a token of a ServiceAccount is valid for as long as the policy allows at most", Label("K17"), func(ctx SpecContext) {
		tenant := applyReady(ctx, tenant("brief"))
		token := func(who client.Client, seconds int64) error {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "brief", Name: "default"}}
			return who.SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{
				Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
			})
		}
		const day, century = 24 * 60 * 60, 876000 * 60 * 60
		Eventually(ctx, func() error { return token(alice, century) }).Should(refuse(
			"the token would be valid for 3153600000 seconds, and the maxTokenLifetime is 24h0m0s, which is 86400 seconds; ask for a shorter one"))
		Expect(token(alice, day+1)).To(refuse("the token would be valid for 86401 seconds"))
		Expect(token(env.Client, day+1)).To(refuse("the token would be valid for 86401 seconds"))
		Expect(token(alice, day)).To(Succeed())
		output, err := kubectlAs(ctx, "bob", "-n", "brief", "create", "token", "default")
		Expect(err).NotTo(HaveOccurred(), output)
		Expect(token(as("system:kube-controller-manager"), century)).To(Succeed())

		change(ctx, tenant, func() { tenant.Spec.Policy.MaxTokenLifetime = &metav1.Duration{Duration: time.Hour} })
		Eventually(ctx, func() error { return token(alice, 3601) }).Should(refuse("the maxTokenLifetime is 1h0m0s"))
		Expect(token(alice, 3600)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("a claim that is bound gets no foreign VolumeAttributesClass later", Label("K20"), func(ctx SpecContext) {
		volume := object(`{apiVersion: v1, kind: PersistentVolume, metadata: {name: found}, spec: {accessModes: [ReadWriteOnce],
			capacity: {storage: 1Gi}, storageClassName: fast, hostPath: {path: /tmp/found}, persistentVolumeReclaimPolicy: Retain}}`)
		claim := claim("acme", "storageClassName: fast, volumeName: found")
		for _, object := range []client.Object{volume, claim} {
			Expect(env.Client.Create(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, object) })
		}
		bound := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: claim.GetName()}}
		Eventually(ctx, komega.Object(bound)).Should(HaveField("Status.Phase", corev1.ClaimBound))
		Expect(patch(ctx, alice, claim, `{"spec": {"volumeAttributesClassName": "platinum"}}`)).To(refuse(`spec.volumeAttributesClassName is "platinum"`))
		Expect(patch(ctx, alice, claim, `{"spec": {"volumeAttributesClassName": "gold"}}`)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("what is let through can't be changed into what isn't", func(ctx SpecContext) {
		created := func(object client.Object) client.Object {
			GinkgoHelper()
			Expect(alice.Create(ctx, object)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return env.Client.Delete(ctx, object) })
			return object
		}
		service := created(service("plain", "ClusterIP"))
		Expect(patch(ctx, alice, service, `{"spec": {"type": "NodePort"}}`)).To(refuse("spec.type is NodePort"))
		Expect(patch(ctx, alice, service, `{"spec": {"externalIPs": ["192.0.2.1"]}}`)).To(refuse("spec.externalIPs"))
		Expect(patch(ctx, alice, service, `{"spec": {"sessionAffinity": "ClientIP"}}`)).To(Succeed())
		status := client.RawPatch("application/merge-patch+json", []byte(`{"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}`))
		Expect(env.Client.Status().Patch(ctx, service, status)).To(MatchError(ContainSubstring("status.loadBalancer.ingress")))

		ingress := created(ingress("acme", "shop.acme.example", ""))
		Expect(patch(ctx, alice, ingress, `{"spec": {"rules": [{"host": "shop.globex.example"}]}}`)).To(refuse("shop.globex.example"))
		Expect(patch(ctx, alice, ingress, `{"metadata": {"annotations": {"kubernetes.io/ingress.class": "internal"}}}`)).To(refuse("internal"))
		Expect(patch(ctx, alice, ingress, `{"spec": {"rules": [{"host": "www.acme.example"}]}}`)).To(Succeed())

		claim := created(claim("plain", "storageClassName: none"))
		Expect(patch(ctx, alice, claim, `{"spec": {"volumeName": "theirs"}}`)).To(refuse("spec.volumeName is theirs"))

		binding := created(roleBinding("{kind: User, name: carol, apiGroup: rbac.authorization.k8s.io}"))
		Expect(patch(ctx, alice, binding, `{"subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": "plain"}]}`)).To(refuse("plain/app"))
	}, SpecTimeout(specTimeout))
})

// who returns the client to use: alice's, or the cluster admin's if Kubernetes' role admin gives no rights to the
// kind.
func who(object client.Object) client.Client {
	switch object.GetObjectKind().GroupVersionKind().Group {
	case "gateway.networking.k8s.io", "resource.k8s.io":
		return env.Client
	}
	return alice
}

func annotated(object client.Object, key, value string) client.Object {
	object.SetAnnotations(map[string]string{key: value})
	return object
}

func patch(ctx context.Context, who client.Client, object client.Object, text string) error {
	return who.Patch(ctx, object.DeepCopyObject().(client.Object), client.RawPatch("application/merge-patch+json", []byte(text)))
}

var _ = Describe("A Tenant", func() {
	DescribeTable("whose policy can't be meant is refused, with what to write instead", func(ctx SpecContext, policy, sentence string) {
		text := object(fmt.Sprintf("{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, metadata: {name: wrong}, spec: {policy: {%s}}}", policy))
		Expect(try(ctx, env.Client, text)).To(MatchError(ContainSubstring(sentence)))
	},
		Entry(nil, "hostnames: ['a.*.example']", "a wildcard is the whole first label and nothing else; write *.acme.example"),
		Entry(nil, "hostnames: ['*']", "a wildcard is the whole first label and nothing else"),
		Entry(nil, "hostnames: ['*shop.example']", "a wildcard is the whole first label and nothing else"),
		Entry(nil, "hostnames: ['*.*.example']", "a wildcard is the whole first label and nothing else"),
		Entry(nil, "hostnames: [Shop.example]", "hostnames are in lower case"),
		Entry(nil, "hostnames: ['https://shop.example']", "neither scheme, port nor path"),
		Entry(nil, "hostnames: ['shop.example:443']", "neither scheme, port nor path"),
		Entry(nil, "hostnames: ['shop.example/']", "neither scheme, port nor path"),
		Entry(nil, "hostnames: ['-shop.example']", "letters, digits and dashes"),
		Entry(nil, "imageRegistries: []", "an empty list would refuse all images"),
		Entry(nil, "imageRegistries: ['https://registry.example']", "an image has no scheme"),
		Entry(nil, "imageRegistries: ['registry.example/*']", "it needs no wildcard"),
		Entry(nil, "imageRegistries: ['Registry.example/acme']", "in lower case"),
		Entry(nil, "imageRegistries: [acme/]", "write docker.io/acme/"),
		Entry(nil, "imageRegistries: [nginx]", "this must begin with the registry's host"),
		Entry(nil, "imageRegistries: ['registry.example:port/x']", "this can't be the beginning of an image's name"),
		Entry(nil, "volumeAttributesClasses: {allowed: [a], default: a}", "volumeAttributesClasses has no default"),
		Entry(nil, "maxTokenLifetime: 1m", "maxTokenLifetime must be a time from 10m to 87600h"),
		Entry(nil, "maxTokenLifetime: 1d", "maxTokenLifetime must be a time from 10m to 87600h"),
		Entry(nil, "imagePullPolicies: []", "an empty list would refuse all containers"),
		Entry(nil, "serviceTypes: []", "an empty list would refuse all Services"),
		Entry(nil, "storageClasses: {allowed: [fast], default: slow}", "the default is not among those allowed"),
		Entry(nil, "priorityClasses: {default: high}", "the default is not among those allowed"),
		Entry(nil, "gatewayClasses: {allowed: [a], default: a}", "gatewayClasses has no default"),
		Entry(nil, "nodeSelector: {allowed: [{key: pool, values: [shared]}], default: {pool: gold}}", "the default selects by a value that is not allowed"),
		Entry(nil, "tolerations: {allowed: [{key: pool, value: spot}], default: [{key: pool, operator: Exists}]}", "a default toleration is not among those allowed"),
	)

	DescribeTable("may have a policy", func(ctx SpecContext, policy string) {
		Expect(try(ctx, env.Client, object("{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, metadata: {name: permitted}, spec: {policy: {"+policy+"}}}"))).To(Succeed())
	},
		Entry(nil, "hostnames: []"), Entry(nil, "hostnames: ['*.example', a.b-c.example, localhost]"),
		Entry(nil, "imageRegistries: ['registry.example:5000', 'registry.example:5000/', localhost/x, 'registry.example/a_b/c.d:1', 'registry.example/a@sha256:0123']"),
		Entry(nil, "storageClasses: {}"), Entry(nil, "nodeSelector: {default: {pool: shared}}"),
		Entry(nil, "tolerations: {allowed: [{key: pool}], default: [{key: pool, operator: Exists}]}"),
	)
})
