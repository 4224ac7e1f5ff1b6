package isolation

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	admins         = []actor{admin}
	owners         = []actor{admin, editor}
	adminAndWorker = []actor{admin, account}
	// adminsPolicy is for ways out that RBAC closes for all but the Admin.
	adminsPolicy = func(name string) each { return each{policy(name), rbac, rbac} }
)

// ways are the ways out of a tenant, grouped by their target.
var ways = []TableEntry{
	Entry("what the operator manages: quota and limits", append(
		change(thing("v1", "ResourceQuota", "acme", "tenant")), change(thing("v1", "LimitRange", "acme", "containers"))...),
		by(rbac), everyone, read(thing("v1", "ResourceQuota", "acme", "tenant")), read(thing("v1", "LimitRange", "acme", "containers"))),
	Entry("what the operator manages: its TenantPolicy", change(thing("tenantry.dev/v1alpha1", "TenantPolicy", "acme", "tenant")),
		by(rbac), everyone, read(thing("tenantry.dev/v1alpha1", "TenantPolicy", "acme", "tenant"))),
	Entry("what the operator manages: network policies", append(
		change(thing("networking.k8s.io/v1", "NetworkPolicy", "acme", "deny-all")), change(thing("networking.k8s.io/v1", "NetworkPolicy", "acme", "allow-tenant"))...),
		by(policy("managed")), everyone, create(networkPolicy("acme", "policyTypes: [Ingress]"))),
	Entry("what the operator manages: access", change(thing("rbac.authorization.k8s.io/v1", "RoleBinding", "acme", "tenant-admin")),
		each{policy("managed"), rbac, policy("managed")}, adminAndWorker, create(roleBinding("acme", "view", "{kind: User, name: carol, apiGroup: rbac.authorization.k8s.io}"))),
	Entry("what the operator manages: the database's login", change(thing("v1", "Secret", "acme", "database")),
		by(policy("managed")), everyone, create(secret("Opaque")), read(thing("v1", "Secret", "acme", "database"))),
	Entry("what the operator manages: the app", append(append(append(
		change(thing("apps/v1", "Deployment", "acme", "app")), change(thing("v1", "Service", "acme", "app"))...),
		change(thing("v1", "ConfigMap", "acme", "app-config"))...), change(thing("v1", "ServiceAccount", "acme", "app"))...),
		by(policy("managed")), everyone, create(configMap("acme"))),
	Entry("what the operator manages: the app, under the cover of a restart",
		[]act{patch(thing("apps/v1", "Deployment", "acme", "app"), restarted(`"replicas": 9, `))}, by(policy("managed")),
		everyone, patch(thing("apps/v1", "Deployment", "acme", "app"), restarted(""))),
	Entry("what the operator manages: how far the app is scaled",
		[]act{patch(thing("apps/v1", "Deployment", "acme", "app"), `{"spec": {"replicas": 9}}`, "scale")},
		by(policy("scale")), everyone, read(thing("apps/v1", "Deployment", "acme", "app"))),

	Entry("the tenant label: on a foreign namespace", []act{
		patch(namespace("globex", ""), `{"metadata": {"labels": {"tenantry.dev/tenant": "acme"}}}`),
		patch(namespace("default", ""), `{"metadata": {"labels": {"tenantry.dev/tenant": "acme"}}}`),
		patch(namespace("default", ""), `{"metadata": {"labels": {"tenantry.dev/tenant": "acme"}}}`, "status"),
		patch(namespace("acme", ""), `{"metadata": {"labels": {"tenantry.dev/tenant": null}}}`),
	}, by(rbac), admins, patch(namespace("acme-dev", ""), `{"metadata": {"labels": {"team": "blue"}}}`)),
	Entry("the tenant label: of one's own namespace", []act{
		patch(namespace("acme-dev", ""), `{"metadata": {"labels": {"tenantry.dev/tenant": null}}}`),
		patch(namespace("acme-dev", ""), `{"metadata": {"labels": {"tenantry.dev/tenant": "globex"}}}`),
		apply(namespace("acme-dev", "tenantry.dev/tenant: globex")),
		patch(namespace("acme-dev", ""), `{"metadata": {"ownerReferences": null}}`),
		patch(namespace("acme-dev", ""), `{"metadata": {"finalizers": ["example.com/forever"]}}`),
	}, adminsPolicy("namespaces"), admins, patch(namespace("acme-dev", ""), `{"metadata": {"annotations": {"example.com/contact": "alice"}}}`)),
	Entry("the tenant label: through status and finalize", []act{
		patch(namespace("acme-dev", ""), `{"metadata": {"labels": {"tenantry.dev/tenant": "globex"}}}`, "status"),
		patch(namespace("acme-dev", ""), `{"metadata": {"labels": {"tenantry.dev/tenant": "globex"}}}`, "finalize"),
	}, by(rbac), admins, read(namespace("acme-dev", ""))),

	Entry("namespaces: more than the limit, which nobody can use",
		creates(pod("acme-over", ""), configMap("acme-over"), roleBinding("acme-over", "admin", "{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}")),
		by(rbac), owners, create(pod("acme-dev", ""))),
	Entry("namespaces: for no tenant, for another one, of a protected name", creates(
		namespace("rogue", ""), namespace("rogue", "tenantry.dev/tenant: ''"), namespace("rogue", "tenantry.dev/tenant: globex"),
		namespace("kube-rogue", "tenantry.dev/tenant: acme"), namespace("tenantry-system", "tenantry.dev/tenant: acme"),
		namespace("rogue", "tenantry.dev/tenant: acme, pod-security.kubernetes.io/enforce: privileged, tenantry.dev/other: x")),
		by(policy("namespaces")), admins, create(namespace("acme-more", "tenantry.dev/tenant: acme"))),
	Entry("namespaces: of names that may be somebody else's", Label("K3"), creates(
		namespace("ci", "tenantry.dev/tenant: acme"), namespace("globex-dev", "tenantry.dev/tenant: acme"), namespace("acmedev", "tenantry.dev/tenant: acme"),
		namespace("shop", "tenantry.dev/tenant: acme"), namespace("shopping", "tenantry.dev/tenant: acme"), namespace("play-ground", "tenantry.dev/tenant: acme"),
	), by(policy("namespaces")), admins, create(namespace("acme-more", "tenantry.dev/tenant: acme")),
		create(namespace("shop-eu-west", "tenantry.dev/tenant: acme")), create(namespace("playground", "tenantry.dev/tenant: acme"))),

	Entry("the budget: of storage", creates(claim("acme", "11Gi", "")), by(quota), everyone, create(claim("acme", "1Gi", ""))),
	Entry("the budget: of CPU", creates(podOf("acme", container("a", image, "resources: {requests: {cpu: 3}, limits: {cpu: 4}}")+", "+
		container("b", image, "resources: {requests: {cpu: 3}, limits: {cpu: 4}}")+", "+
		container("c", image, "resources: {requests: {cpu: 3}, limits: {cpu: 4}}"), "")), by(quota), everyone, create(pod("acme", ""))),
	Entry("the budget: of a container", creates(podOf("acme", container("a", image, "resources: {limits: {cpu: 5}}"), "")),
		by("maximum cpu usage per Container is 4"), everyone, create(pod("acme", ""))),

	Entry("the node: privileges, host paths, namespaces and ports, capabilities, root", creates(
		privileged("privileged: true"), pod("acme", "volumes: [{name: v, hostPath: {path: /}}]"),
		pod("acme", "hostNetwork: true"), pod("acme", "hostPID: true"), pod("acme", "hostIPC: true"),
		podOf("acme", container("main", image, "ports: [{containerPort: 80, hostPort: 80}]"), ""),
		privileged("allowPrivilegeEscalation: false, capabilities: {add: [NET_ADMIN], drop: [ALL]}"),
		privileged("allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, runAsUser: 0"),
	), by(podSecurity), everyone, create(pod("acme", "volumes: [{name: v, emptyDir: {}}]"))),
	Entry("the node: by changing the Pod Security Standard", []act{
		patch(namespace("acme-dev", ""), `{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}`),
		patch(namespace("acme-dev", ""), `{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": null}}}`),
		patch(namespace("acme-dev", ""), `{"metadata": {"labels": {"tenantry.dev/enforcement": "Audit"}}}`),
	}, adminsPolicy("namespaces"), owners, create(pod("acme-dev", ""))),

	Entry("foreign images: in containers, init containers and volumes", creates(
		podOf("acme", container("main", "evil.example/x", ""), ""),
		pod("acme", "initContainers: ["+container("init", "evil.example/x", "")+"]"),
		pod("acme", "volumes: [{name: v, image: {reference: evil.example/x, pullPolicy: Always}}]"),
	), by(policy("pods")), everyone, create(pod("acme", "initContainers: ["+container("init", image, "")+"]"))),
	Entry("foreign images: in ephemeral containers", []act{patch(thing("v1", "Pod", "acme", "any"),
		`{"spec": {"ephemeralContainers": [{"name": "debug", "image": "evil.example/x"}]}}`, "ephemeralcontainers")},
		by(rbac), everyone, list(thing("v1", "Pod", "acme", "any"))),

	Entry("foreign nodes: by name, selector, toleration and scheduler", creates(
		pod("acme", "nodeName: node-0"), pod("acme", "nodeSelector: {pool: gold}"), pod("acme", "tolerations: [{operator: Exists}]"),
		pod("acme", "schedulerName: mine"),
	), by(policy("pods")), everyone, create(pod("acme", "nodeSelector: {pool: shared}, schedulerName: default-scheduler"))),
	Entry("foreign nodes: by binding a pod", []act{bind}, by(rbac), everyone, create(pod("acme", ""))),
	Entry("foreign priorities and runtimes", creates(
		pod("acme", "priorityClassName: higher"), pod("acme", "priorityClassName: system-node-critical"), pod("acme", "runtimeClassName: bare-metal"),
	), by(policy("pods")), everyone, create(pod("acme", "priorityClassName: high")), create(pod("acme", "runtimeClassName: sandbox"))),
	Entry("pods of others, by affinity across namespaces", creates(
		near("podAntiAffinity", "namespaceSelector: {}"), near("podAntiAffinity", "namespaces: [globex]"), near("podAffinity", "namespaces: [globex]"),
	), by(policy("pods")), everyone, create(near("podAntiAffinity", "labelSelector: {}")),
		create(near("podAffinity", "namespaceSelector: {matchLabels: {tenantry.dev/tenant: acme}}"))),

	Entry("the node's addresses and those of others: by a Service", creates(
		service("type: NodePort, ports: [{port: 80}]"), service("type: LoadBalancer, ports: [{port: 80}]"),
		service("type: ExternalName, externalName: app.globex.svc"), service("ports: [{port: 80}], externalIPs: [192.0.2.1]"),
	), by(policy("services")), everyone, create(service("ports: [{port: 80}]"))),
	Entry("the hostnames of others: by an Ingress", creates(
		ingress("shop.globex.example", ""), ingress("", ""), ingress("*.example", ""),
		ingress("shop.acme.example", "tls: [{hosts: [shop.globex.example]}]"),
		ingress("shop.acme.example", "defaultBackend: {service: {name: app, port: {number: 80}}}"),
	), by(policy("ingresses")), everyone, create(ingress("shop.acme.example", ""))),
	Entry("the hostnames of others: by an HTTPRoute", creates(httpRoute("acme", "shop.globex.example"), httpRoute("acme", "")),
		by(policy("gateways")), everyone, create(httpRoute("acme", "shop.acme.example"))),
	Entry("the hostnames of others: by annotation", creates(
		annotatedIngress("nginx.ingress.kubernetes.io/server-alias", "shop.globex.example"),
		annotatedIngress("external-dns.alpha.kubernetes.io/hostname", "shop.acme.example,shop.globex.example"),
		annotatedIngress("nginx.ingress.kubernetes.io/server-snippet", "return 200;"),
	), by(policy("annotations")), everyone, create(annotatedIngress("nginx.ingress.kubernetes.io/server-alias", "shop.acme.example"))),
	Entry("foreign classes: of Ingresses", creates(ingress("shop.acme.example", "ingressClassName: internal")),
		by(policy("ingresses")), everyone, create(ingress("shop.acme.example", "ingressClassName: public"))),
	Entry("foreign classes: of Gateways", creates(gateway("internal")), by(policy("gateways")), everyone, create(gateway("shared"))),
	Entry("foreign classes: of claims", creates(claim("acme", "1Gi", "storageClassName: slow"), claim("acme", "1Gi", "storageClassName: ''")),
		by(policy("persistentvolumeclaims")), everyone, create(claim("acme", "1Gi", "storageClassName: fast"))),
	Entry("foreign classes: of volume attributes", creates(claim("acme", "1Gi", "volumeAttributesClassName: platinum")),
		by(policy("persistentvolumeclaims")), everyone, create(claim("acme", "1Gi", "volumeAttributesClassName: gold"))),
	Entry("foreign classes: of devices", creates(resourceClaim("fpga")), by(policy("resourceclaims")), everyone, create(resourceClaim("gpu"))),
	Entry("the volumes of others: by their names", creates(claim("acme", "1Gi", "volumeName: theirs")),
		by(policy("persistentvolumeclaims")), everyone, create(claim("acme", "1Gi", ""))),

	Entry("tokens: that never expire", creates(secret("kubernetes.io/service-account-token")), by(policy("secrets")), everyone, token("acme")),
	Entry("tokens: for a hundred years", []act{tokenFor("acme", 876000*60*60)}, by(policy("tokens")), everyone, tokenFor("acme", 24*60*60)),
	Entry("tokens: for a hundred years, in a volume", creates(
		pod("acme", "volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: t, expirationSeconds: 3153600000}}]}}]"),
	), by(policy("pods")), everyone, create(pod("acme", "volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: t, expirationSeconds: 7200}}]}}]"))),
	Entry("tokens: of another namespace", []act{token("globex"), token("kube-system")}, by(rbac), everyone, token("acme"), podWithoutToken),

	Entry("more rights: by a role that one doesn't have", creates(
		roleBinding("acme", "cluster-admin", "{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}"),
		roleBinding("acme", "tenantry-manager", "{kind: ServiceAccount, namespace: acme, name: worker}"),
		role("apiGroups: [''], resources: [resourcequotas], verbs: [update]"),
		role("apiGroups: [tenantry.dev], resources: [tenantpolicies], verbs: [update]"),
		role("apiGroups: [tenantry.dev], resources: [tenants], verbs: [manage]"),
	), each{escalation, rbac, escalation}, adminAndWorker,
		create(roleBinding("acme", "edit", "{kind: User, name: carol, apiGroup: rbac.authorization.k8s.io}")),
		create(role("apiGroups: [''], resources: [pods], verbs: [get]"))),
	Entry("rights for strangers", creates(
		roleBinding("acme", "view", "{kind: ServiceAccount, namespace: globex, name: default}"),
		roleBinding("acme", "view", "{kind: Group, name: 'system:authenticated', apiGroup: rbac.authorization.k8s.io}"),
		roleBinding("acme", "view", "{kind: Group, name: 'system:serviceaccounts', apiGroup: rbac.authorization.k8s.io}"),
		roleBinding("acme", "view", "{kind: User, name: 'system:anonymous', apiGroup: rbac.authorization.k8s.io}"),
	), each{policy("rolebindings"), rbac, policy("rolebindings")}, adminAndWorker,
		create(roleBinding("acme", "view", "{kind: ServiceAccount, namespace: acme, name: worker}"))),

	Entry("the network: opening somebody else's namespace", append(append(creates(networkPolicy("globex", "ingress: [{}], policyTypes: [Ingress]")),
		change(thing("networking.k8s.io/v1", "NetworkPolicy", "globex", "deny-all"))...), change(thing("networking.k8s.io/v1", "NetworkPolicy", "globex", "allow-tenant"))...),
		by(rbac), everyone, create(networkPolicy("acme", "ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: globex}}}]}], policyTypes: [Ingress]"))),
	Entry("the network: the pods of others as the endpoints of one's own Service", creates(
		`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {namespace: acme, name: theirs}, addressType: IPv4, endpoints: [{addresses: [192.0.2.1]}]}`,
		`{apiVersion: v1, kind: Endpoints, metadata: {namespace: acme, name: theirs}, subsets: [{addresses: [{ip: 192.0.2.1}]}]}`,
	), by(rbac), everyone, create(service("selector: {app: mine}, ports: [{port: 80}]"))),
	Entry("the network: the cloud's metadata address", creates(
		networkPolicy("acme", "egress: [{to: [{ipBlock: {cidr: 169.254.169.254/32}}]}], policyTypes: [Egress]"),
		networkPolicy("acme", "egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}], policyTypes: [Egress]"),
		networkPolicy("acme", "egress: [{to: [{ipBlock: {cidr: 'fd00:ec2::254/128'}}]}], policyTypes: [Egress]"),
		networkPolicy("acme", "egress: [{}], policyTypes: [Egress]"),
	), by(policy("networkpolicies")), everyone,
		create(networkPolicy("acme", "egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}}]}], policyTypes: [Egress]"))),

	Entry("what isn't the tenant's: reading it", []act{
		list(thing("v1", "Pod", "globex", "any")), list(thing("v1", "Secret", "globex", "any")), list(thing("v1", "Pod", "", "any")),
		list(thing("v1", "Secret", "kube-system", "any")), list(thing("tenantry.dev/v1alpha1", "TenantPolicy", "globex", "any")),
		read(namespace("globex", "")), list(thing("v1", "Node", "", "any")), list(thing("v1", "PersistentVolume", "", "any")),
		list(thing("tenantry.dev/v1alpha1", "Tenant", "", "any")), read(thing("tenantry.dev/v1alpha1", "Tenant", "", "acme")),
		list(thing("tenantry.dev/v1alpha1", "DatabaseServer", "", "any")), list(thing("rbac.authorization.k8s.io/v1", "ClusterRole", "", "any")),
	}, by(rbac), everyone, list(thing("v1", "Secret", "acme", "any")), list(thing("v1", "Pod", "acme", "any"))),
	Entry("what isn't the tenant's: writing it", append(append(creates(
		pod("globex", ""), pod("kube-system", ""), configMap("default"), thing("rbac.authorization.k8s.io/v1", "ClusterRole", "", "mine"),
		thing("tenantry.dev/v1alpha1", "Tenant", "", "mine"),
	), change(thing("tenantry.dev/v1alpha1", "Tenant", "", "acme"))...),
		change(thing("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "", "pods.tenantry.dev"))...),
		by(rbac), everyone, create(pod("acme", ""))),
	Entry("what isn't the tenant's: the list of all namespaces", []act{list(namespace("any", ""))}, by(rbac),
		everyone, read(thing("v1", "ConfigMap", "acme", "tenant-namespaces"))),

	Entry("deleting a protected Tenant and its primary namespace", []act{remove(thing("tenantry.dev/v1alpha1", "Tenant", "", "acme")), remove(namespace("acme", ""))},
		by(rbac), admins, remove(namespace("acme-dev", ""))),
	Entry("acting in a cordoned tenant", append(creates(configMap("frozen"), pod("frozen", "")), change(thing("v1", "ServiceAccount", "frozen", "default"))...),
		by(policy("cordoned")), everyone, list(thing("v1", "ConfigMap", "frozen", "any"))),
}

// restarted returns the patch of kubectl rollout restart; more is more of the Deployment's spec, in JSON.
func restarted(more string) string {
	return fmt.Sprintf(`{"spec": {%s"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-03-01T09:00:00Z"}}}}}`, more)
}

// apply does what kubectl apply --server-side does.
func apply(text string) act {
	return func(ctx context.Context, who client.Client) error {
		return who.Apply(ctx, client.ApplyConfigurationFromUnstructured(object(text)), client.DryRunAll, client.ForceOwnership, client.FieldOwner("sly"))
	}
}

// bind binds a pod to a node.
func bind(ctx context.Context, who client.Client) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "any"}}
	binding := &corev1.Binding{ObjectMeta: pod.ObjectMeta, Target: corev1.ObjectReference{Kind: "Node", Name: "node-0"}}
	return who.SubResource("binding").Create(ctx, pod, binding, client.DryRunAll)
}

// token does what kubectl create token does for the ServiceAccount default.
func token(namespace string) act { return tokenFor(namespace, 3600) }

// tokenFor does what token does, with a lifetime.
func tokenFor(namespace string, seconds int64) act {
	return func(ctx context.Context, who client.Client) error {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}}
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
		return who.SubResource("token").Create(ctx, account, request)
	}
}

// podWithoutToken creates a pod that doesn't ask for a token, and fails if it gets one.
func podWithoutToken(ctx context.Context, who client.Client) error {
	created := object(pod("acme", ""))
	if err := who.Create(ctx, created, client.DryRunAll); err != nil {
		return err
	}
	if volumes, _, _ := unstructured.NestedSlice(created.Object, "spec", "volumes"); len(volumes) > 0 {
		return fmt.Errorf("the pod has got volumes that it hasn't asked for: %v", volumes)
	}
	return nil
}
