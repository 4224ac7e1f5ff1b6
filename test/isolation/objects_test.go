package isolation

import (
	"fmt"
	"strings"
)

// image is an image that the tenant acme may run.
const image = "registry.example/acme/shop:1"

// pod returns a pod that every rule allows; more is more of its spec, in YAML's flow style.
func pod(namespace, more string) string { return podOf(namespace, container("main", image, ""), more) }

func podOf(namespace, containers, more string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {namespace: %s, generateName: pod-}, spec: {
		securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [%s], %s}}`, namespace, containers, more)
}

// container returns a container that Pod Security allows; more is more of it.
func container(name, image, more string) string {
	return fmt.Sprintf(`{name: %s, image: %q, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, %s}`, name, image, more)
}

// privileged returns a pod of acme whose container has this security context.
func privileged(securityContext string) string {
	return podOf("acme", fmt.Sprintf(`{name: main, image: %q, securityContext: {%s}}`, image, securityContext), "")
}

// near returns a pod of acme with an affinity term for other pods.
func near(kind, term string) string {
	return pod("acme", fmt.Sprintf("affinity: {%s: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, %s}]}}", kind, term))
}

func namespace(name, labels string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s}}}", name, labels)
}

// spec returns an object of acme with this spec.
func spec(apiVersion, kind, spec string) string {
	return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {namespace: acme, generateName: own-}, spec: {%s}}", apiVersion, kind, spec)
}

// thing returns an object without content.
func thing(apiVersion, kind, namespace, name string) string {
	return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {namespace: %q, name: %s}}", apiVersion, kind, namespace, name)
}

func service(spec string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {namespace: acme, generateName: own-}, spec: {%s}}", spec)
}

// ingress returns an Ingress for the host; more is more of its spec.
func ingress(host, more string) string {
	return spec("networking.k8s.io/v1", "Ingress", fmt.Sprintf(
		`rules: [{host: %q, http: {paths: [{pathType: Prefix, path: /, backend: {service: {name: app, port: {number: 80}}}}]}}], %s`, host, more))
}

// annotatedIngress returns an Ingress with an annotation.
func annotatedIngress(key, value string) string {
	return strings.Replace(ingress("shop.acme.example", ""), "generateName: own-", fmt.Sprintf("generateName: own-, annotations: {%s: %q}", key, value), 1)
}

func httpRoute(namespace, hostnames string) string {
	return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {namespace: %s, generateName: own-},
		spec: {hostnames: [%s], rules: [{backendRefs: [{name: app, port: 80}]}]}}`, namespace, hostnames)
}

func gateway(class string) string {
	return spec("gateway.networking.k8s.io/v1", "Gateway",
		fmt.Sprintf("gatewayClassName: %s, listeners: [{name: web, port: 80, protocol: HTTP, hostname: shop.acme.example}]", class))
}

func claim(namespace, storage, more string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: %s, generateName: own-},
		spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: %s}}, %s}}`, namespace, storage, more)
}

func resourceClaim(class string) string {
	return spec("resource.k8s.io/v1", "ResourceClaim", fmt.Sprintf("devices: {requests: [{name: d, exactly: {deviceClassName: %s}}]}", class))
}

func secret(kind string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Secret, type: %s, metadata: {namespace: acme, generateName: own-,
		annotations: {kubernetes.io/service-account.name: worker}}}`, kind)
}

// roleBinding gives a subject a ClusterRole in a namespace.
func roleBinding(namespace, clusterRole, subject string) string {
	return fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: %s, generateName: own-},
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}, subjects: [%s]}`, namespace, clusterRole, subject)
}

// role returns a Role of acme with one rule.
func role(rule string) string {
	return fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: acme, generateName: own-}, rules: [{%s}]}`, rule)
}

func networkPolicy(namespace, spec string) string {
	return fmt.Sprintf(`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: %s, generateName: own-},
		spec: {podSelector: {}, %s}}`, namespace, spec)
}

func configMap(namespace string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {namespace: %s, generateName: own-}}", namespace)
}
