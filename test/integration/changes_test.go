package integration

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/environment"
)

var _ = Describe("Changing a Tenant's", func() {
	// edit changes the spec and waits until the tenant is Ready with it.
	edit := func(ctx context.Context, tenant *v1alpha1.Tenant, mutate func(*v1alpha1.TenantSpec)) {
		GinkgoHelper()
		change(ctx, tenant, func() { mutate(&tenant.Spec) })
		waitReady(ctx, tenant)
	}

	It("display name changes the namespace's annotation, and takes it away", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("renamed").DisplayName("Before"))
		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.DisplayName = "After" })
		Expect(read(ctx, namespaceOf(tenant)).Annotations).To(HaveKeyWithValue("tenantry.dev/display-name", "After"))
		kubectl(ctx, "patch", "tenant", "renamed", "--type=merge", "--patch", `{"spec": {"displayName": null}}`)
		Eventually(ctx, komega.Object(namespaceOf(tenant))).Should(HaveField("Annotations", Not(HaveKeyWithValue("tenantry.dev/display-name", "After"))))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))

	It("owners takes the rights of who is left out, and changes those of the others", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("handed-over").
			Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).
			Owner(v1alpha1.OwnerKindUser, "bob", v1alpha1.OwnerRoleEditor))
		may := func(user, verb, resource string) string {
			output, _ := env.Kubernetes.Kubectl(ctx, "auth", "can-i", verb, resource, "--namespace", tenant.Name, "--as", user)
			return strings.TrimSpace(output)
		}
		Expect(may("alice", "create", "rolebindings")).To(Equal("yes"))
		Expect(may("bob", "create", "pods")).To(Equal("yes"))

		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) {
			spec.Owners = []v1alpha1.Owner{{Kind: v1alpha1.OwnerKindUser, Name: "bob", Role: v1alpha1.OwnerRoleViewer}}
		})
		Eventually(ctx, func() string { return may("alice", "get", "pods") }).Should(Equal("no"))
		Eventually(ctx, func() string { return may("bob", "create", "pods") }).Should(Equal("no"))
		Expect(may("bob", "get", "pods")).To(Equal("yes"))
		waitGone(ctx, in(tenant, &rbacv1.RoleBinding{}, "tenant-admin"))
		waitGone(ctx, in(tenant, &rbacv1.RoleBinding{}, "tenant-editor"))

		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.Owners = nil })
		waitGone(ctx, in(tenant, &rbacv1.RoleBinding{}, "tenant-viewer"))
	}, SpecTimeout(specTimeout))

	It("quota and container limits changes them, and takes them away", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("requotaed").Quota("pods", "1").Quota("services", "1"))
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage.Hard", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("1"))))

		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) {
			spec.Quota = corev1.ResourceList{"pods": resource.MustParse("2")}
			spec.Containers = &v1alpha1.ContainerLimits{Max: corev1.ResourceList{"cpu": resource.MustParse("1")}}
		})
		Expect(read(ctx, in(tenant, &corev1.ResourceQuota{}, "tenant")).Spec.Hard).To(Equal(tenant.Spec.Quota))
		Expect(read(ctx, in(tenant, &corev1.LimitRange{}, "containers")).Spec.Limits[0].Max).To(Equal(tenant.Spec.Containers.Max))
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage.Hard", HaveKeyWithValue(corev1.ResourcePods, resource.MustParse("2"))))

		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.Quota = nil })
		waitGone(ctx, in(tenant, &corev1.ResourceQuota{}, "tenant"))
		Eventually(ctx, komega.Object(tenant)).Should(HaveField("Status.Usage", BeNil()))
	}, SpecTimeout(specTimeout))

	It("network rules and Pod Security changes what the namespace allows", func(ctx SpecContext) {
		open := networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "192.0.2.0/24"}}}}
		tenant := applyReady(ctx, bare("opened"))
		policy := in(tenant, &networkingv1.NetworkPolicy{}, "allow-spec")
		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) {
			spec.Network.Egress = []networkingv1.NetworkPolicyEgressRule{open}
			spec.Policy.PodSecurity = v1alpha1.PodSecurityBaseline
		})
		Expect(read(ctx, policy).Spec).To(And(
			HaveField("Egress", ConsistOf(open)), HaveField("Ingress", BeEmpty()),
			HaveField("PolicyTypes", ConsistOf(networkingv1.PolicyTypeEgress))))
		Expect(read(ctx, namespaceOf(tenant)).Labels).To(HaveKeyWithValue("pod-security.kubernetes.io/enforce", "baseline"))
		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.Network.Egress = nil })
		waitGone(ctx, policy)
	}, SpecTimeout(specTimeout))

	Describe("app", Ordered, func() {
		var tenant *v1alpha1.Tenant
		deployment := func(ctx context.Context) *appsv1.Deployment {
			GinkgoHelper()
			return read(ctx, in(tenant, &appsv1.Deployment{}, "app"))
		}

		BeforeAll(func(ctx SpecContext) {
			tenant = applyReady(ctx, whole("redeployed"))
		}, NodeTimeout(specTimeout))

		It("image rolls the new one out", func(ctx SpecContext) {
			pods := podUIDs(ctx, tenant)
			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.App.Image = "registry.example/shop:2" })
			Expect(tenant.Status.App.Image).To(Equal("registry.example/shop:2"))
			Expect(deployment(ctx).Spec.Template.Spec.Containers[0].Image).To(Equal("registry.example/shop:2"))
			Expect(podUIDs(ctx, tenant)).To(And(HaveLen(2), Not(ContainElements(pods))))
		}, SpecTimeout(specTimeout))

		It("replicas scales it, and has a PodDisruptionBudget only for more than one", func(ctx SpecContext) {
			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.App.Replicas = ptr.To[int32](1) })
			Expect(podUIDs(ctx, tenant)).To(HaveLen(1))
			waitGone(ctx, in(tenant, &policyv1.PodDisruptionBudget{}, "app"))

			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.App.Replicas = ptr.To[int32](0) })
			Expect(tenant).To(haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonScaledToZero, "The app has zero replicas."))
			Expect(podUIDs(ctx, tenant)).To(BeEmpty())

			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.App.Replicas = ptr.To[int32](3) })
			Expect(podUIDs(ctx, tenant)).To(HaveLen(3))
			read(ctx, in(tenant, &policyv1.PodDisruptionBudget{}, "app"))
		}, SpecTimeout(specTimeout))

		It("config restarts the pods with it, and other changes don't", func(ctx SpecContext) {
			pods := podUIDs(ctx, tenant)
			template := deployment(ctx).Spec.Template
			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.Quota["pods"] = resource.MustParse("20") })
			Expect(deployment(ctx).Spec.Template).To(Equal(template))
			Expect(podUIDs(ctx, tenant)).To(ConsistOf(pods))

			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.Config = map[string]string{"COLOR": "green"} })
			Expect(read(ctx, in(tenant, &corev1.ConfigMap{}, "app-config")).Data).To(Equal(map[string]string{"COLOR": "green"}))
			Expect(deployment(ctx).Spec.Template.Annotations["tenantry.dev/settings"]).NotTo(Equal(template.Annotations["tenantry.dev/settings"]))
			Expect(podUIDs(ctx, tenant)).To(And(HaveLen(3), Not(ContainElements(pods))))
		}, SpecTimeout(specTimeout))

		It("port takes the Service away and brings it back", func(ctx SpecContext) {
			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.App.Port = 0 })
			waitGone(ctx, in(tenant, &corev1.Service{}, "app"))
			Expect(tenant.Status.App.InternalURL).To(BeEmpty())
			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.App.Port = 9090 })
			Expect(read(ctx, in(tenant, &corev1.Service{}, "app")).Spec.Ports[0].Port).To(Equal(int32(9090)))
			Expect(tenant.Status.App.InternalURL).To(Equal("http://app.redeployed.svc:9090"))
		}, SpecTimeout(specTimeout))

		It("away takes all of it away, and its pods, and nothing else", func(ctx SpecContext) {
			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.App = nil })
			for object, name := range map[client.Object]string{
				&appsv1.Deployment{}: "app", &corev1.Service{}: "app", &corev1.ServiceAccount{}: "app",
				&policyv1.PodDisruptionBudget{}: "app", &corev1.ConfigMap{}: "app-config",
			} {
				waitGone(ctx, in(tenant, object, name))
			}
			Eventually(ctx, func() []types.UID { return podUIDs(ctx, tenant) }).Should(BeEmpty())
			Expect(tenant).To(And(lack(v1alpha1.ConditionAppReady), HaveField("Status.App", BeNil())))
			Expect(ping(ctx, tenant)).To(Succeed())

			edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.App = &v1alpha1.TenantApp{Image: image} })
			Expect(podUIDs(ctx, tenant)).To(HaveLen(1))
		}, SpecTimeout(specTimeout))
	})

	It("database Secret's name moves the login with its password, and the app goes with it", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("moved-secret"))
		password := read(ctx, in(tenant, &corev1.Secret{}, "database")).Data["password"]
		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.Database.Credentials.SecretName = "postgres" })
		Expect(tenant.Status.Database.SecretName).To(Equal("postgres"))
		Expect(read(ctx, in(tenant, &corev1.Secret{}, "postgres")).Data).To(HaveKeyWithValue("password", password))
		waitGone(ctx, in(tenant, &corev1.Secret{}, "database"))
		Expect(ping(ctx, tenant)).To(Succeed())
		for _, variable := range read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Spec.Template.Spec.Containers[0].Env {
			if variable.ValueFrom != nil {
				Expect(variable.ValueFrom.SecretKeyRef.Name).To(Equal("postgres"), variable.Name)
			}
		}
	}, SpecTimeout(specTimeout))

	It("connection limit changes that of the database", func(ctx SpecContext) {
		tenant := applyReady(ctx, builders.Tenant("relimited").Database(shared).ConnectionLimit(2))
		limits := func() ([]int32, error) {
			return environment.Query[int32](ctx, env.Postgres, "postgres",
				`SELECT datconnlimit FROM pg_database WHERE datname = $1 UNION ALL SELECT rolconnlimit FROM pg_roles WHERE rolname = $1 || '_0'`,
				tenant.Status.Database.Name)
		}
		Expect(limits()).To(Equal([]int32{2, 2}))
		session(ctx, tenant)
		session(ctx, tenant)
		Expect(ping(ctx, tenant)).To(MatchError(ContainSubstring("too many connections")))

		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) { spec.Database.ConnectionLimit = 3 })
		Expect(limits()).To(Equal([]int32{3, 3}))
		Expect(tenant.Status.Database.ConnectionLimit).To(Equal(int32(3)))
		Expect(ping(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("spec to have a database and an app gives it both", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("grown"))
		edit(ctx, tenant, func(spec *v1alpha1.TenantSpec) {
			spec.Database = &v1alpha1.TenantDatabase{ServerRef: v1alpha1.DatabaseServerReference{Name: shared}}
			spec.App = &v1alpha1.TenantApp{Image: image}
		})
		Expect(tenant).To(And(
			haveCondition(v1alpha1.ConditionDatabaseReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
			haveCondition(v1alpha1.ConditionAppReady, metav1.ConditionTrue, v1alpha1.ReasonReady)))
		Expect(ping(ctx, tenant)).To(Succeed())
	}, SpecTimeout(specTimeout))
})
