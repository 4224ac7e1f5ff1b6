package integration

import (
	"context"
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/environment"
)

// restoredKinds are the kinds that a backup tool restores in a namespace, in its order: custom resources come
// last.
var restoredKinds = []schema.GroupVersionKind{
	corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
	corev1.SchemeGroupVersion.WithKind("Secret"),
	corev1.SchemeGroupVersion.WithKind("ConfigMap"),
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
	corev1.SchemeGroupVersion.WithKind("LimitRange"),
	corev1.SchemeGroupVersion.WithKind("Pod"),
	appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
	appsv1.SchemeGroupVersion.WithKind("Deployment"),
	networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
	policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
	corev1.SchemeGroupVersion.WithKind("ResourceQuota"),
	rbacv1.SchemeGroupVersion.WithKind("RoleBinding"),
	corev1.SchemeGroupVersion.WithKind("Service"),
	v1alpha1.GroupVersion.WithKind("TenantPolicy"),
}

// It follows docs/restore.md.
var _ = Describe("A tenant that a backup tool restores", Label("K18"), func() {
	It("has its objects, its database and its password back once the Tenant says so", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("phoenix"))
		store(ctx, tenant, "before")
		claim := in(tenant, &corev1.PersistentVolumeClaim{}, "files")
		claim.Spec = corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		}
		Expect(env.Client.Create(ctx, claim)).To(Succeed())
		password := read(ctx, in(tenant, &corev1.Secret{}, "database")).Data["password"]

		saved := backUp(ctx, tenant)
		loseTenant(ctx, tenant)

		By("restoring all of it, as the operator runs")
		refused, err := saved.Restore(ctx, env.Client)
		Expect(err).NotTo(HaveOccurred())
		Expect(slices.Sorted(maps.Keys(refused))).To(Equal([]string{"PersistentVolumeClaim", "Pod", "PodDisruptionBudget", "Service"}))
		Expect(refused["PersistentVolumeClaim"]).To(MatchError(ContainSubstring("no params found")), "there is no TenantPolicy yet")
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), tenant)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { remove(ctx, tenant) }, NodeTimeout(specTimeout))
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonConflict,
			"was once the tenant's", "set spec.adoptObjects of the Tenant to true"))

		By("letting the Tenant adopt it")
		kubectl(ctx, "patch", "tenant", tenant.Name, "--type=merge", "--patch", `{"spec":{"adoptObjects":true}}`)
		kubectl(ctx, "wait", "tenant", tenant.Name, "--for=condition=Ready", "--timeout=90s")
		waitReady(ctx, tenant)
		refused, err = saved.Restore(ctx, env.Client)
		Expect(err).NotTo(HaveOccurred())
		Expect(slices.Collect(maps.Keys(refused))).To(HaveExactElements("Pod"), "what was refused is let in now, and the Deployment makes its pods again")
		Expect(refused["Pod"]).To(MatchError(ContainSubstring("exists in both matchLabelKeys and labelSelector")))

		Expect(read(ctx, in(tenant, &corev1.Secret{}, "database")).Data["password"]).To(Equal(password))
		Expect(stored(ctx, tenant)).To(Equal([]string{"before"}))
		Expect(read(ctx, claim)).NotTo(BeNil())
		Expect(len(saved.made)).To(BeNumerically(">", 10))
		for _, object := range saved.made {
			Expect(metav1.IsControlledBy(read(ctx, object), tenant)).To(BeTrue(), object.GetKind()+" "+object.GetName())
		}

		By("no longer adopting anything")
		kubectl(ctx, "patch", "tenant", tenant.Name, "--type=merge", "--patch", `{"spec":{"adoptObjects":null}}`)
		change(ctx, tenant, func() { tenant.Spec.App.Port = 0 })
		deployment := in(tenant, &appsv1.Deployment{}, "app")
		Eventually(ctx, komega.Object(deployment)).Should(HaveField("Spec.Template.Spec.Containers", HaveExactElements(HaveField("Ports", BeEmpty()))),
			"nothing that the backup tool has set is left")
		waitReady(ctx, tenant)
		Expect(stored(ctx, tenant)).To(Equal([]string{"before"}))
	}, SpecTimeout(2*specTimeout))

	It("takes over nothing that doesn't bear the operator's marks", func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "impostor", Labels: map[string]string{"tenantry.dev/tenant": "impostor"}}}
		Expect(env.Client.Create(ctx, namespace)).To(Succeed())
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "database"}, StringData: map[string]string{"password": "known"}}
		Expect(env.Client.Create(ctx, secret)).To(Succeed())
		tenant := bare(namespace.Name).Database(shared).Build()
		tenant.Spec.AdoptObjects = true
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { remove(ctx, tenant) }, NodeTimeout(specTimeout))
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionDatabaseReady, metav1.ConditionFalse, v1alpha1.ReasonConflict,
			`Secret "database"`, "delete or rename it"))
		Expect(read(ctx, secret).Data).To(HaveKeyWithValue("password", []byte("known")))
	}, SpecTimeout(specTimeout))
})

// backup is what a backup tool has saved.
type backup struct {
	environment.Backup
	// made are the objects that the operator has created.
	made []*unstructured.Unstructured
}

// backUp saves a tenant, its namespace and everything in it.
func backUp(ctx context.Context, tenant *v1alpha1.Tenant) backup {
	GinkgoHelper()
	saved := backup{}
	noteMade := func(object *unstructured.Unstructured) {
		if metav1.IsControlledBy(object, tenant) {
			saved.made = append(saved.made, object)
		}
	}
	one := func(kind schema.GroupVersionKind) {
		found, err := saved.Add(ctx, env.Client, kind, client.ObjectKey{Name: tenant.Name})
		Expect(err).NotTo(HaveOccurred())
		noteMade(found)
	}
	one(corev1.SchemeGroupVersion.WithKind("Namespace"))
	for _, kind := range restoredKinds {
		found, err := saved.AddAll(ctx, env.Client, kind, client.InNamespace(tenant.Name))
		Expect(err).NotTo(HaveOccurred())
		Expect(found).NotTo(BeEmpty(), kind.Kind)
		for i := range found {
			noteMade(&found[i])
		}
	}
	one(v1alpha1.GroupVersion.WithKind("Tenant"))
	return saved
}

// loseTenant removes a tenant and everything that it has from the cluster, without the database server learning of
// it.
func loseTenant(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Expect(env.Operator.Stop()).To(Succeed())
	change(ctx, tenant, func() { tenant.Finalizers = nil })
	Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
	namespace := namespaceOf(tenant)
	Expect(client.IgnoreNotFound(env.Client.Delete(ctx, namespace))).To(Succeed())
	waitGone(ctx, namespace)
	waitGone(ctx, tenant)
	Expect(environment.Query[string](ctx, env.Postgres, "postgres", "SELECT state FROM tenantry.tenants WHERE tenant = '"+tenant.Name+"'")).
		To(Equal([]string{"Active"}))
	Expect(env.StartOperator(ctx)).To(Succeed())
}
