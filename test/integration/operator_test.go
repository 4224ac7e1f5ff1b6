package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/hack/operator"
)

var _ = Describe("The operator's ServiceAccount", func() {
	DescribeTable("may do its work, and no more:", func(ctx SpecContext, answer, verb, resource string, more ...string) {
		output, _ := env.Kubernetes.Kubectl(ctx, append([]string{ // kubectl fails when the answer is no.
			"auth", "can-i", verb, resource, "--as", operator.User,
		}, more...)...)
		Expect(strings.TrimSpace(output)).To(Equal(answer))
	},
		Entry("create namespaces", "yes", "create", "namespaces"),
		Entry("patch the status of tenants", "yes", "patch", "tenants.tenantry.dev", "--subresource", "status"),
		Entry("bind the role of owners", "yes", "bind", "clusterrole/admin"),
		Entry("not create tenants", "no", "create", "tenants.tenantry.dev"),
		Entry("create and delete the database servers of tenants", "yes", "delete", "databaseservers.tenantry.dev"),
		Entry("not change CustomResourceDefinitions", "no", "update", "customresourcedefinitions.apiextensions.k8s.io"),
		Entry("not run commands in pods", "no", "create", "pods", "--subresource", "exec"),
		Entry("not bind the cluster's admin", "no", "bind", "clusterrole/cluster-admin"),
		Entry("not make ClusterRoles", "no", "create", "clusterroles.rbac.authorization.k8s.io"),
		Entry("not bind anybody cluster-wide", "no", "create", "clusterrolebindings.rbac.authorization.k8s.io"),
		Entry("not escalate", "no", "escalate", "clusterrole/admin"),
		Entry("not impersonate", "no", "impersonate", "users"),
		Entry("not read nodes", "no", "get", "nodes"),
		Entry("not create pods", "no", "create", "pods"),
		Entry("not run commands in pods", "no", "create", "pods", "--subresource", "exec"),
		Entry("not issue tokens", "no", "create", "serviceaccounts", "--subresource", "token"),
		Entry("not change CRDs", "no", "update", "customresourcedefinitions.apiextensions.k8s.io"),
		Entry("not take other leases", "no", "update", "leases.coordination.k8s.io/other", "--namespace", operator.Namespace),
		Entry("not take leases elsewhere", "no", "update", "leases.coordination.k8s.io", "--namespace", "kube-system"),
	)

	It("has no wildcard in its rules", func(ctx SpecContext) {
		role := read(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "tenantry-manager"}})
		Expect(role.Rules).NotTo(BeEmpty())
		for _, rule := range role.Rules {
			Expect(append(append(rule.APIGroups, rule.Resources...), rule.Verbs...)).NotTo(ContainElement(ContainSubstring("*")))
			if len(rule.ResourceNames) == 0 {
				Expect(rule.Verbs).NotTo(ContainElements("bind", "escalate", "impersonate"))
			}
		}
	}, SpecTimeout(specTimeout))

	It("can't give away more than the roles of owners", func(ctx SpecContext) {
		config := env.Kubernetes.Config()
		config.Impersonate = rest.ImpersonationConfig{UserName: operator.User}
		impersonated, err := client.New(config, client.Options{Scheme: env.Client.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		binding := func(clusterRole string) *rbacv1.RoleBinding {
			return &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "given-away"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "mallory"}},
			}
		}
		Expect(impersonated.Create(ctx, binding("admin"), client.DryRunAll)).To(Succeed())
		Expect(impersonated.Create(ctx, binding("cluster-admin"), client.DryRunAll)).To(MatchError(apierrors.IsForbidden, "forbidden"))
		role := &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "given-away"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}}},
		}
		Expect(impersonated.Create(ctx, role, client.DryRunAll)).To(MatchError(apierrors.IsForbidden, "forbidden"))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("The operator", func() {
	const leaderElection = "--leader-elect"
	// elected restarts the operator with leader election, for this spec.
	elected := func(ctx SpecContext) {
		GinkgoHelper()
		Expect(env.RestartOperator(ctx, leaderElection)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(env.RestartOperator(ctx)).To(Succeed()) }, NodeTimeout(specTimeout))
	}

	lease := func() *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "tenantry.dev"}}
	}

	It("answers /healthz and /readyz", func(ctx SpecContext) {
		for _, path := range []string{"/healthz", "/readyz"} {
			code, body, err := get(ctx, env.Operator.ProbesURL+path, "")
			Expect(err).NotTo(HaveOccurred())
			Expect(code).To(Equal(http.StatusOK), body)
		}
	}, SpecTimeout(specTimeout))

	It("shows its metrics to who may read them, and to nobody else", func(ctx SpecContext) {
		reader, other := tokenOf(ctx, "metrics-reader", "tenantry-metrics-reader"), tokenOf(ctx, "nosy", "")
		code, _, err := get(ctx, env.Operator.MetricsURL, "")
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(http.StatusUnauthorized))
		code, _, err = get(ctx, env.Operator.MetricsURL, other)
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(http.StatusForbidden))

		applyReady(ctx, whole("measured"))
		var body string
		Eventually(ctx, func() (int, error) {
			code, body, err = get(ctx, env.Operator.MetricsURL, reader)
			return code, err
		}).Should(Equal(http.StatusOK))
		Expect(body).To(And(
			ContainSubstring(`tenantry_object_changes_total{kind="Namespace",outcome="created"}`),
			ContainSubstring(`tenantry_database_changes_total{result="success",server="shared"}`),
			ContainSubstring(`tenantry_database_server_up{server="shared"} 1`),
			ContainSubstring(`tenantry_tenant_provisioning_seconds_count`),
			ContainSubstring(`controller_runtime_reconcile_total{controller="tenant",result="success"}`),
		))
		Expect(seen.in([]byte(body))).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("ends in good order by SIGTERM, gives the lease back, and goes on where it was", func(ctx SpecContext) {
		elected(ctx)
		tenant := applyReady(ctx, whole("interrupted"))
		Expect(read(ctx, lease()).Spec.HolderIdentity).To(HaveValue(Not(BeEmpty())))
		ended := env.Operator
		Expect(ended.Signal(syscall.SIGTERM)).To(Succeed())
		Eventually(ctx, ended.Exited()).Should(BeClosed())
		Expect(ended.ExitCode()).To(Equal(0))
		Expect(read(ctx, lease()).Spec.HolderIdentity).To(HaveValue(BeEmpty()))

		change(ctx, tenant, func() { tenant.Spec.App.Image = "registry.example/shop:2" })
		Expect(env.RestartOperator(ctx)).To(Succeed())
		waitReady(ctx, tenant)
		Expect(tenant.Status.App.Image).To(Equal("registry.example/shop:2"))
	}, SpecTimeout(specTimeout))

	It("waits while another replica leads, and takes over when that one is killed", func(ctx SpecContext) {
		elected(ctx)
		applyReady(ctx, whole("led"))
		leader := read(ctx, lease()).Spec.HolderIdentity
		second, err := env.StartAnotherOperator(ctx, "second", leaderElection)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(second.Stop)
		applyReady(ctx, whole("led-on"))
		Expect(read(ctx, lease()).Spec.HolderIdentity).To(Equal(leader))
		Expect(second.LogTail(100)).NotTo(ContainSubstring("Starting workers"))

		Expect(env.Operator.Kill()).To(Succeed())
		applyReady(ctx, whole("taken-over"))
		Expect(read(ctx, lease()).Spec.HolderIdentity).NotTo(Equal(leader))

		Expect(second.Stop()).To(Succeed())
		Expect(second.ExitCode()).To(Equal(0))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("The manifests", func() {
	It("of config/default install the operator with kubectl alone", func(ctx SpecContext) {
		root, err := operator.Root(ctx)
		Expect(err).NotTo(HaveOccurred())
		manager := filepath.Join(root, "config", "default")
		Expect(kubectl(ctx, "kustomize", manager)).To(And(
			ContainSubstring("kind: CustomResourceDefinition"), ContainSubstring("kind: Deployment"), ContainSubstring("serviceAccountName: tenantry-manager")))
		Expect(kubectl(ctx, "apply", "--server-side", "--kustomize", manager)).To(ContainSubstring("deployment.apps/tenantry-manager serverside-applied"))
		// What is not in config/prerequisites is deleted again, since the operator runs as a process here.
		DeferCleanup(func(ctx SpecContext) {
			kubectl(ctx, "delete", "--kustomize", filepath.Join(root, "config", "manager"))
		})
		// The namespace enforces the Pod Security Standard Restricted.
		Expect(kubectl(ctx, "rollout", "status", "deployment/tenantry-manager", "--namespace", operator.Namespace, "--timeout=60s")).To(
			ContainSubstring("successfully rolled out"))
		pods := &corev1.PodList{}
		Expect(env.Client.List(ctx, pods, client.InNamespace(operator.Namespace))).To(Succeed())
		Expect(pods.Items).To(HaveLen(1))
		endpoints := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "tenantry-manager-metrics"}}
		Expect(read(ctx, endpoints).Spec.Selector).To(HaveEach(BeElementOf("tenantry", "manager")))
		for key, value := range endpoints.Spec.Selector {
			Expect(pods.Items[0].Labels).To(HaveKeyWithValue(key, value))
		}
	}, SpecTimeout(specTimeout))

	It("of config/samples and config/prometheus are sound", func(ctx SpecContext) {
		root, err := operator.Root(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(kubectl(ctx, "apply", "--dry-run=server", "--kustomize", filepath.Join(root, "config", "samples"))).To(And(
			ContainSubstring("tenant.tenantry.dev/acme created"), ContainSubstring("databaseserver.tenantry.dev/shared-eu created")))
		Expect(kubectl(ctx, "kustomize", filepath.Join(root, "config", "prometheus"))).To(ContainSubstring("kind: ServiceMonitor"))
	}, SpecTimeout(specTimeout))

	It("let who reads the cluster read tenants, and who edits it not edit them", func(ctx SpecContext) {
		Expect(env.Client.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "editor-of-all"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "eve"}},
		})).To(Succeed())
		may := func(verb, resource string) string {
			output, _ := env.Kubernetes.Kubectl(ctx, "auth", "can-i", verb, resource, "--as", "eve")
			return strings.TrimSpace(output)
		}
		Eventually(ctx, func() string { return may("get", "tenants.tenantry.dev") }).Should(Equal("yes"))
		Expect(may("get", "databaseservers.tenantry.dev")).To(Equal("yes"))
		Expect(may("create", "tenants.tenantry.dev")).To(Equal("no"))
		Expect(may("update", "databaseservers.tenantry.dev")).To(Equal("no"))
	}, SpecTimeout(specTimeout))
})
