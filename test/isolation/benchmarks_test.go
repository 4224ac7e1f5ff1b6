package isolation

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// checks are the checks of kubectl-mtb, the benchmarks of Kubernetes' working group for multi-tenancy
// (https://github.com/kubernetes-retired/multi-tenancy/tree/master/benchmarks), with their ids and titles. Two
// have the id HI-1.
var checks = []TableEntry{
	Entry("MTB-PL1-CC-CPI-1 Block access to cluster resources", []act{
		list(thing("v1", "Node", "", "any")), list(namespace("any", "")), list(thing("v1", "PersistentVolume", "", "any")),
		list(thing("storage.k8s.io/v1", "StorageClass", "", "any")), list(thing("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "any")),
		list(thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "any")),
		list(thing("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "", "any")),
	}, by(rbac), everyone, list(thing("v1", "Pod", "acme", "any"))),
	Entry("MTB-PL1-BC-CPI-2 Block access to multitenant resources", append(
		change(thing("networking.k8s.io/v1", "NetworkPolicy", "acme", "deny-all")), change(thing("v1", "Secret", "acme", "database"))...),
		by(policy("managed")), everyone, list(thing("networking.k8s.io/v1", "NetworkPolicy", "acme", "any"))),
	Entry("MTB-PL1-BC-CPI-3 Block add capabilities", creates(privileged("allowPrivilegeEscalation: false, capabilities: {add: [SYS_TIME], drop: [ALL]}")),
		by(podSecurity), everyone, create(pod("acme", ""))),
	Entry("MTB-PL1-BC-CPI-4 Require run as non-root user", creates(
		privileged("allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, runAsNonRoot: false"),
		privileged("allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, runAsUser: 0"),
	), by(podSecurity), everyone, create(pod("acme", ""))),
	Entry("MTB-PL1-BC-CPI-5 Block privileged containers", creates(privileged("privileged: true")), by(podSecurity), everyone, create(pod("acme", ""))),
	Entry("MTB-PL1-BC-CPI-6 Block privilege escalation", creates(privileged("allowPrivilegeEscalation: true, capabilities: {drop: [ALL]}")),
		by(podSecurity), everyone, create(pod("acme", ""))),
	Entry("MTB-PL1-CC-TI-1 Block modification of resource quotas", append(
		change(thing("v1", "ResourceQuota", "acme", "tenant")), creates(spec("v1", "ResourceQuota", `hard: {pods: "99"}`))...),
		by(rbac), everyone, read(thing("v1", "ResourceQuota", "acme", "tenant"))),
	Entry("MTB-PL1-CC-TI-2 Block access to other tenant resources", append([]act{
		list(thing("v1", "Pod", "globex", "any")), list(thing("v1", "Secret", "globex", "any")), list(thing("apps/v1", "Deployment", "globex", "any")),
		list(thing("networking.k8s.io/v1", "NetworkPolicy", "globex", "any")), create(pod("globex", "")),
	}, change(thing("apps/v1", "Deployment", "globex", "app"))...), by(rbac), everyone, list(thing("apps/v1", "Deployment", "acme", "any"))),
	Entry("MTB-PL1-CC-DI-1 Require always imagePullPolicy", creates(
		pod("acme", "volumes: [{name: v, image: {reference: '"+image+"', pullPolicy: IfNotPresent}}]"),
	), by(policy("pods")), everyone, pullAlways),
	Entry("MTB-PL1-CC-FNS-1 Configure namespace resource quotas", creates(claim("acme", "11Gi", "")), by(quota),
		everyone, configured("acme", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory", "requests.storage")),
	Entry("MTB-PL1-CC-FNS-2 Configure namespace object limits",
		creates(spec("v1", "ReplicationController", "selector: {app: own}, template: {metadata: {labels: {app: own}}, spec: {containers: ["+container("main", image, "")+"]}}")),
		by(quota), everyone, configured("acme", "pods", "services", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers")),
	Entry("MTB-PL1-BC-HI-1 Block use of bind mounts", creates(pod("acme", "volumes: [{name: v, hostPath: {path: /etc}}]")),
		by(podSecurity), everyone, create(pod("acme", "volumes: [{name: v, emptyDir: {}}]"))),
	Entry("MTB-PL1-BC-HI-1 (HI-2) Block use of NodePort services", creates(service("type: NodePort, ports: [{port: 80}]")),
		by(policy("services")), everyone, create(service("ports: [{port: 80}]"))),
	Entry("MTB-PL1-BC-HI-3 Block use of host networking and ports", creates(
		pod("acme", "hostNetwork: true"), podOf("acme", container("main", image, "ports: [{containerPort: 80, hostPort: 80}]"), ""),
	), by(podSecurity), everyone, create(podOf("acme", container("main", image, "ports: [{containerPort: 8080}]"), ""))),
	Entry("MTB-PL1-BC-HI-4 Block use of host PID", creates(pod("acme", "hostPID: true")), by(podSecurity), everyone, create(pod("acme", ""))),
	Entry("MTB-PL1-BC-HI-5 Block use of host IPC", creates(pod("acme", "hostIPC: true")), by(podSecurity), everyone, create(pod("acme", ""))),
	Entry("MTB-PL2-BC-OPS-3 Create Role Bindings", creates(roleBinding("globex", "view", "{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}")),
		by(rbac), adminAndWorker, create(role("apiGroups: [''], resources: [pods], verbs: [get, list]")),
		create(roleBinding("acme", "view", "{kind: User, name: carol, apiGroup: rbac.authorization.k8s.io}"))),
	Entry("MTB-PL2-BC-OPS-4 Create Network Policies", creates(networkPolicy("globex", "policyTypes: [Ingress]")),
		by(rbac), everyone, create(networkPolicy("acme", "policyTypes: [Ingress, Egress]"))),

	// This check is in the repository, but not in its list of checks.
	Entry("MTB-PL2-CC-TI-1 Block role privilege escalation", creates(
		roleBinding("acme", "cluster-admin", "{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}"),
		role("apiGroups: ['*'], resources: ['*'], verbs: ['*']"),
	), each{escalation, rbac, escalation}, adminAndWorker, create(role("apiGroups: [''], resources: [pods], verbs: [get]"))),
}

// pullAlways creates a pod with another pull policy, and fails unless it gets Always.
func pullAlways(ctx context.Context, who client.Client) error {
	created := object(podOf("acme", container("main", image, "imagePullPolicy: IfNotPresent"), ""))
	if err := who.Create(ctx, created, client.DryRunAll); err != nil {
		return err
	}
	containers, _, _ := unstructured.NestedSlice(created.Object, "spec", "containers")
	if first, ok := containers[0].(map[string]any); !ok || first["imagePullPolicy"] != "Always" {
		return fmt.Errorf("the containers are %v", containers)
	}
	return nil
}
