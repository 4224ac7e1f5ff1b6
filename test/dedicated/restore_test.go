package dedicated

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/environment"
)

// serverKinds are the kinds of the objects of a server that a StatefulSet runs, in the order in which a backup tool
// restores them.
var serverKinds = []schema.GroupVersionKind{
	corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
	corev1.SchemeGroupVersion.WithKind("Secret"),
	corev1.SchemeGroupVersion.WithKind("ConfigMap"),
	networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
	corev1.SchemeGroupVersion.WithKind("Service"),
	appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
}

// backUp saves a tenant, the login in its namespace, and its server.
func backUp(ctx context.Context, tenant *v1alpha1.Tenant) *environment.Backup {
	GinkgoHelper()
	saved := &environment.Backup{}
	one := func(kind schema.GroupVersionKind, key client.ObjectKey) {
		Expect(saved.Add(ctx, env.Client, kind, key)).Error().NotTo(HaveOccurred())
	}
	one(corev1.SchemeGroupVersion.WithKind("Namespace"), client.ObjectKey{Name: tenant.Name})
	one(corev1.SchemeGroupVersion.WithKind("Secret"), client.ObjectKey{Namespace: tenant.Name, Name: "database"})
	for _, kind := range serverKinds {
		Expect(saved.AddAll(ctx, env.Client, kind, client.InNamespace(naming.DatabasesNamespace),
			client.MatchingLabels{naming.LabelServer: serverOf(tenant).Name})).NotTo(BeEmpty(), kind.Kind)
	}
	one(v1alpha1.GroupVersion.WithKind("DatabaseServer"), client.ObjectKeyFromObject(serverOf(tenant)))
	one(v1alpha1.GroupVersion.WithKind("Tenant"), client.ObjectKeyFromObject(tenant))
	return saved
}

// lose removes a tenant and its server from the cluster, but for what is in the volume.
func lose(ctx context.Context, tenant *v1alpha1.Tenant) {
	GinkgoHelper()
	Expect(env.Operator.Stop()).To(Succeed())
	DeferCleanup(func(ctx SpecContext) error { return env.RestartOperator(ctx) })
	for _, object := range []client.Object{tenant, serverOf(tenant)} {
		Expect(change(ctx, object, func() { object.SetFinalizers(nil) })).To(Succeed())
		Expect(env.Client.Delete(ctx, object)).To(Succeed())
		waitGone(ctx, object)
	}
	claim := inDatabases(tenant, &corev1.PersistentVolumeClaim{}, "-data")
	Expect(env.Client.Delete(ctx, claim)).To(Succeed())
	for _, object := range []client.Object{
		claim, inDatabases(tenant, &appsv1.StatefulSet{}, ""), inDatabases(tenant, &corev1.Secret{}, "-superuser"),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant.Name}},
	} {
		waitGone(ctx, object)
	}
	Expect(env.StartOperator(ctx)).To(Succeed())
}

// It follows docs/restore.md.
var _ = Describe("A tenant with a server of its own that a backup tool restores", Label("K18"), Serial, func() {
	It("has its server, its data and its password back once the Tenant says so", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("ashes"))
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('kept')", "SELECT 1")).To(Equal("[1]"))
		password := secretOf(ctx, tenant)["password"]
		saved := backUp(ctx, tenant)
		lose(ctx, tenant)

		Expect(saved.Restore(ctx, env.Client)).To(BeEmpty())
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(tenant), tenant)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(says(metav1.ConditionFalse, ContainSubstring("set spec.adoptObjects of the Tenant to true")))
		Expect(change(ctx, tenant, func() { tenant.Spec.AdoptObjects = true })).To(Succeed())
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "SELECT text FROM notes")).To(Equal("[kept]"))
		Expect(secretOf(ctx, tenant)).To(HaveKeyWithValue("password", password))
		server := serverOf(tenant)
		Eventually(ctx, komega.Object(server)).Should(says(metav1.ConditionTrue, Not(BeEmpty())))
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(server), server)).To(Succeed())
		for _, object := range []client.Object{
			inDatabases(tenant, &appsv1.StatefulSet{}, ""), inDatabases(tenant, &corev1.Secret{}, "-superuser"), inDatabases(tenant, &corev1.Secret{}, "-server"),
		} {
			Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
			Expect(metav1.IsControlledBy(object, server)).To(BeTrue(), object.GetName())
		}
	}, SpecTimeout(specTimeout))
})
