package integration

import (
	"context"
	"time"

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
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// content returns what users may set of an object.
func content(object client.Object) any {
	switch object := object.(type) {
	case *corev1.Namespace:
		return object.Labels
	case *v1alpha1.TenantPolicy:
		return object.Spec
	case *corev1.ResourceQuota:
		return object.Spec
	case *corev1.LimitRange:
		return object.Spec
	case *networkingv1.NetworkPolicy:
		return object.Spec
	case *rbacv1.RoleBinding:
		return object.Subjects
	case *corev1.Secret:
		return object.Data
	case *corev1.ServiceAccount:
		return object.AutomountServiceAccountToken
	case *corev1.ConfigMap:
		return object.Data
	case *corev1.Service:
		return object.Spec
	case *policyv1.PodDisruptionBudget:
		return object.Spec
	case *appsv1.Deployment:
		return object.Spec
	}
	return nil
}

var _ = Describe("By hand", Ordered, func() {
	var tenant *v1alpha1.Tenant

	BeforeAll(func(ctx SpecContext) {
		tenant = applyReady(ctx, whole("drift").
			Ingress(networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "ingress"}},
			}}}))
	}, NodeTimeout(specTimeout))

	AfterEach(func(ctx SpecContext) { waitReady(ctx, tenant) }, NodeTimeout(specTimeout))

	It("a Namespace that is changed is set right, except for what others may add", func(ctx SpecContext) {
		namespace := namespaceOf(tenant)
		labels := read(ctx, namespace).Labels
		change(ctx, namespace, func() {
			namespace.Labels["pod-security.kubernetes.io/enforce"] = "privileged"
			delete(namespace.Labels, "pod-security.kubernetes.io/warn")
			delete(namespace.Labels, "tenantry.dev/tenant")
			namespace.Labels["cost-center"] = "42"
			namespace.Annotations["tenantry.dev/display-name"] = "Somebody else"
			namespace.Annotations["example.com/note"] = "kept"
		})
		labels["cost-center"] = "42"
		Eventually(ctx, komega.Object(namespace), atOnce).Should(And(
			HaveField("Labels", Equal(labels)),
			HaveField("Annotations", And(
				HaveKeyWithValue("tenantry.dev/display-name", "The drift company"),
				HaveKeyWithValue("example.com/note", "kept")))))
	}, SpecTimeout(specTimeout))

	It("a Namespace that loses the label of the operator gets it back", func(ctx SpecContext) {
		kubectl(ctx, "label", "namespace", "drift", "app.kubernetes.io/managed-by-")
		Eventually(ctx, komega.Object(namespaceOf(tenant)), atOnce).Should(
			HaveField("Labels", HaveKeyWithValue("app.kubernetes.io/managed-by", "tenantry")))
	}, SpecTimeout(specTimeout))

	DescribeTable("what is deleted comes back:", func(ctx SpecContext, object client.Object, name string) {
		before := read(ctx, in(tenant, object, name)).DeepCopyObject().(client.Object)
		Expect(env.Client.Delete(ctx, before)).To(Succeed())
		Eventually(ctx, komega.Object(object), atOnce).Should(And(
			HaveField("ObjectMeta.UID", Not(Equal(before.GetUID()))),
			HaveField("ObjectMeta.DeletionTimestamp", BeNil())))
		if service, ok := object.(*corev1.Service); ok {
			service.Spec.ClusterIP, service.Spec.ClusterIPs = before.(*corev1.Service).Spec.ClusterIP, before.(*corev1.Service).Spec.ClusterIPs
		}
		Expect(content(object)).To(Equal(content(before)))
	},
		Entry("TenantPolicy", &v1alpha1.TenantPolicy{}, "tenant"),
		Entry("ResourceQuota", &corev1.ResourceQuota{}, "tenant"),
		Entry("LimitRange", &corev1.LimitRange{}, "containers"),
		Entry("NetworkPolicy deny-all", &networkingv1.NetworkPolicy{}, "deny-all"),
		Entry("NetworkPolicy allow-dns", &networkingv1.NetworkPolicy{}, "allow-dns"),
		Entry("NetworkPolicy allow-tenant", &networkingv1.NetworkPolicy{}, "allow-tenant"),
		Entry("NetworkPolicy allow-database", &networkingv1.NetworkPolicy{}, "allow-database"),
		Entry("NetworkPolicy allow-spec", &networkingv1.NetworkPolicy{}, "allow-spec"),
		Entry("RoleBinding", &rbacv1.RoleBinding{}, "tenant-admin"),
		Entry("ServiceAccount", &corev1.ServiceAccount{}, "app"),
		Entry("ConfigMap", &corev1.ConfigMap{}, "app-config"),
		Entry("Service", &corev1.Service{}, "app"),
		Entry("PodDisruptionBudget", &policyv1.PodDisruptionBudget{}, "app"),
		Entry("Deployment", &appsv1.Deployment{}, "app"),
	)

	// changed changes an object as kubectl edit would, and expects the change to be undone.
	changed := func(ctx context.Context, object client.Object, name string, mutate func()) {
		GinkgoHelper()
		before := read(ctx, in(tenant, object, name)).DeepCopyObject().(client.Object)
		change(ctx, object, func() {
			mutate()
			object.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "tenantry", "tenantry.dev/tenant": "drift", "team": "blue"})
			annotations := object.GetAnnotations()
			annotations["example.com/note"] = "kept"
			object.SetAnnotations(annotations)
		})
		Expect(content(object)).NotTo(Equal(content(before)), "the change itself")
		Eventually(ctx, komega.Object(object), atOnce).Should(WithTransform(content, Equal(content(before))))
		Expect(object.GetUID()).To(Equal(before.GetUID()))
		Expect(object.GetLabels()).To(HaveKeyWithValue("team", "blue"))
		Expect(object.GetAnnotations()).To(HaveKeyWithValue("example.com/note", "kept"))
	}

	It("a ResourceQuota with another amount or entry is set right", func(ctx SpecContext) {
		quota := &corev1.ResourceQuota{}
		changed(ctx, quota, "tenant", func() { quota.Spec.Hard["pods"] = resource.MustParse("1000") })
		changed(ctx, quota, "tenant", func() { quota.Spec.Hard["services"] = resource.MustParse("0") })
		changed(ctx, quota, "tenant", func() { delete(quota.Spec.Hard, "pods") })
	}, SpecTimeout(specTimeout))

	It("a LimitRange with another amount or entry is set right", func(ctx SpecContext) {
		limits := &corev1.LimitRange{}
		changed(ctx, limits, "containers", func() { limits.Spec.Limits[0].Default["cpu"] = resource.MustParse("64") })
		changed(ctx, limits, "containers", func() {
			limits.Spec.Limits = append(limits.Spec.Limits, corev1.LimitRangeItem{
				Type: corev1.LimitTypePod, Max: corev1.ResourceList{"cpu": resource.MustParse("1m")},
			})
		})
	}, SpecTimeout(specTimeout))

	It("a NetworkPolicy with another rule, peer or selector is set right", func(ctx SpecContext) {
		policy := &networkingv1.NetworkPolicy{}
		changed(ctx, policy, "deny-all", func() { policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}} })
		changed(ctx, policy, "deny-all", func() { policy.Spec.PodSelector.MatchLabels = map[string]string{"none": "such"} })
		changed(ctx, policy, "allow-dns", func() { policy.Spec.Egress[0].Ports = nil })
		changed(ctx, policy, "allow-tenant", func() {
			policy.Spec.Ingress[0].From = append(policy.Spec.Ingress[0].From, networkingv1.NetworkPolicyPeer{
				NamespaceSelector: &metav1.LabelSelector{},
			})
		})
		changed(ctx, policy, "allow-database", func() { policy.Spec.Egress[0].To[0].IPBlock.CIDR = "0.0.0.0/0" })
		changed(ctx, policy, "allow-spec", func() { policy.Spec.Ingress[0].From = nil })
	}, SpecTimeout(specTimeout))

	It("a RoleBinding with another subject is set right", func(ctx SpecContext) {
		binding := &rbacv1.RoleBinding{}
		changed(ctx, binding, "tenant-admin", func() {
			binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: "mallory"})
		})
		changed(ctx, binding, "tenant-admin", func() { binding.Subjects = nil })
	}, SpecTimeout(specTimeout))

	It("a ConfigMap, Service, ServiceAccount or PodDisruptionBudget that is changed is set right", func(ctx SpecContext) {
		config := &corev1.ConfigMap{}
		changed(ctx, config, "app-config", func() { config.Data["LOG_LEVEL"] = "debug" })
		changed(ctx, config, "app-config", func() { config.Data["EXTRA"] = "1" })
		service := &corev1.Service{}
		changed(ctx, service, "app", func() { service.Spec.Selector = map[string]string{"app": "other"} })
		changed(ctx, service, "app", func() { service.Spec.Ports[0].Port = 9090 })
		account := &corev1.ServiceAccount{}
		changed(ctx, account, "app", func() { account.AutomountServiceAccountToken = new(true) })
		budget := &policyv1.PodDisruptionBudget{}
		changed(ctx, budget, "app", func() { budget.Spec.MaxUnavailable = new(intstr.FromInt(2)) })
	}, SpecTimeout(specTimeout))

	It("a Deployment that is changed is set right", func(ctx SpecContext) {
		deployment := &appsv1.Deployment{}
		container := func() *corev1.Container { return &deployment.Spec.Template.Spec.Containers[0] }
		changed(ctx, deployment, "app", func() { container().Image = "registry.example/mine:1" })
		changed(ctx, deployment, "app", func() { deployment.Spec.Replicas = ptr.To[int32](9) })
		changed(ctx, deployment, "app", func() { deployment.Spec.Template.Spec.SecurityContext.RunAsNonRoot = new(false) })
		changed(ctx, deployment, "app", func() { container().SecurityContext.AllowPrivilegeEscalation = new(true) })
		changed(ctx, deployment, "app", func() { deployment.Spec.Template.Annotations["tenantry.dev/settings"] = "other" })
		changed(ctx, deployment, "app", func() { container().Ports[0].ContainerPort = 9090 })
	}, SpecTimeout(specTimeout))

	It("what kubectl set env and kubectl scale do to what the Tenant says is undone", func(ctx SpecContext) {
		deployment := read(ctx, in(tenant, &appsv1.Deployment{}, "app"))
		before := deployment.DeepCopy()
		kubectl(ctx, "set", "env", "deployment/app", "PORT=1", "--namespace", "drift")
		Eventually(ctx, komega.Object(deployment), atOnce).Should(And(
			HaveField("Generation", BeNumerically(">", before.Generation)),
			HaveField("Spec", Equal(before.Spec))))
		before = deployment.DeepCopy()
		kubectl(ctx, "scale", "deployment/app", "--replicas=7", "--namespace", "drift")
		Eventually(ctx, komega.Object(deployment), atOnce).Should(And(
			HaveField("Generation", BeNumerically(">", before.Generation)),
			HaveField("Spec", Equal(before.Spec))))
	}, SpecTimeout(specTimeout))

	DescribeTable("what loses the label of the operator gets it back:", func(ctx SpecContext, object client.Object, name string) {
		before := read(ctx, in(tenant, object, name)).DeepCopyObject().(client.Object)
		change(ctx, object, func() { object.SetLabels(nil) })
		Eventually(ctx, komega.Object(object), atOnce).Should(HaveField("ObjectMeta.Labels", And(
			HaveKeyWithValue("app.kubernetes.io/managed-by", "tenantry"), HaveKeyWithValue("tenantry.dev/tenant", "drift"))))
		Expect(object.GetUID()).To(Equal(before.GetUID()))
		Expect(content(object)).To(Equal(content(before)))
	},
		Entry("NetworkPolicy", &networkingv1.NetworkPolicy{}, "deny-all"),
		Entry("RoleBinding", &rbacv1.RoleBinding{}, "tenant-admin"),
		Entry("ResourceQuota", &corev1.ResourceQuota{}, "tenant"),
		Entry("Secret", &corev1.Secret{}, "database"),
		Entry("Deployment", &appsv1.Deployment{}, "app"),
	)

	It("objects that the tenant's engineers add stay", func(ctx SpecContext) {
		own := in(tenant, &corev1.ConfigMap{Data: map[string]string{"own": "yes"}}, "own")
		own.Labels = map[string]string{"app.kubernetes.io/managed-by": "tenantry", "tenantry.dev/tenant": "drift"}
		Expect(env.Client.Create(ctx, own)).To(Succeed())
		before := own.DeepCopy()
		change(ctx, tenant, func() { tenant.Spec.Config["LOG_LEVEL"] = "warning" })
		waitReady(ctx, tenant)
		Expect(read(ctx, own)).To(Equal(before))
		remove(ctx, own)
	}, SpecTimeout(specTimeout))

	It("a Secret whose password is replaced by a weak one gets a new one that works", func(ctx SpecContext) {
		secret := read(ctx, in(tenant, &corev1.Secret{}, "database"))
		before := secret.DeepCopy()
		pods := podUIDs(ctx, tenant)
		change(ctx, secret, func() { secret.Data["password"] = []byte("hunter2") })
		Eventually(ctx, komega.Object(secret), atOnce).Should(HaveField("Data", HaveKeyWithValue("password", And(
			HaveLen(len(before.Data["password"])), Not(Equal(before.Data["password"]))))))
		Eventually(ctx, func() error { return ping(ctx, tenant) }).Should(Succeed())
		Eventually(ctx, func() []types.UID { return podUIDs(ctx, tenant) }).Should(And(HaveLen(2), Not(ContainElements(pods))))
	}, SpecTimeout(specTimeout))

	It("a Secret that is deleted comes back with a password that works", func(ctx SpecContext) {
		store(ctx, tenant, "kept")
		secret := read(ctx, in(tenant, &corev1.Secret{}, "database"))
		before := secret.DeepCopy()
		Expect(env.Client.Delete(ctx, secret)).To(Succeed())
		Eventually(ctx, komega.Object(secret), atOnce).Should(
			HaveField("Data", HaveKeyWithValue("password", Not(Equal(before.Data["password"])))))
		Eventually(ctx, func() error { return ping(ctx, tenant) }).Should(Succeed())
		Expect(stored(ctx, tenant)).To(Equal([]string{"kept"}))
	}, SpecTimeout(specTimeout))

	It("a Namespace that is deleted comes back with all that was in it, and the data is still there", func(ctx SpecContext) {
		namespace := read(ctx, namespaceOf(tenant))
		before, objects := namespace.DeepCopy(), managedObjects(ctx, "drift")
		name := read(ctx, tenant).Status.Database.Name
		Expect(env.Client.Delete(ctx, namespace)).To(Succeed())
		Eventually(ctx, komega.Object(namespace)).Should(HaveField("UID", Not(Equal(before.UID))))
		Expect(namespace.Labels).To(HaveKeyWithValue("pod-security.kubernetes.io/enforce", "restricted"))
		Eventually(ctx, func() []string { return managedObjects(ctx, "drift") }).WithPolling(time.Second).Should(ConsistOf(objects))
		waitReady(ctx, tenant)
		Expect(tenant.Status.Database.Name).To(Equal(name))
		Expect(stored(ctx, tenant)).To(Equal([]string{"kept"}))
		Expect(podUIDs(ctx, tenant)).To(HaveLen(2))
	}, SpecTimeout(specTimeout))
})

// ping logs in with the tenant's Secret, and out again.
func ping(ctx context.Context, tenant *v1alpha1.Tenant) error {
	conn, err := env.Login(ctx, tenant)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// podUIDs returns the UIDs of the pods of a tenant's app that are not being deleted.
func podUIDs(ctx context.Context, tenant *v1alpha1.Tenant) []types.UID {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(env.Client.List(ctx, pods, client.InNamespace(tenant.Name), client.MatchingLabels{"app.kubernetes.io/name": "app"})).To(Succeed())
	var uids []types.UID
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp.IsZero() {
			uids = append(uids, pod.UID)
		}
	}
	return uids
}
