package dedicated

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/dedicated"
	"github.com/tenantry/tenantry/internal/naming"
)

// cloudNativePG is the newest version that the module proxy has.
const cloudNativePG = "github.com/cloudnative-pg/cloudnative-pg@v1.26.0"

// provision does what CloudNativePG does for a Cluster: it creates an authority and a PostgreSQL with the
// superuser of the Cluster's Secret, with CloudNativePG's names. CloudNativePG itself can't run here, since there
// are no images.
func provision(ctx context.Context, tenant *v1alpha1.Tenant, cluster *unstructured.Unstructured) {
	GinkgoHelper()
	server, superuser := serverOf(tenant), inDatabases(tenant, &corev1.Secret{}, "-superuser")
	Expect(komega.Get(server)()).To(Succeed())
	Expect(komega.Get(superuser)()).To(Succeed())
	secrets, err := dedicated.SecretsIn(superuser, &corev1.Secret{}, &corev1.Secret{}).CompleteCertificate(server.Spec.Host, time.Now())
	Expect(err).NotTo(HaveOccurred())
	in := dedicated.Inputs{Server: server, Provisioner: v1alpha1.ProvisionerStatefulSet, Secrets: secrets}
	volume := cluster.GetName() + "-1"
	for _, object := range append(dedicated.Objects(in), dedicated.Data(in)) {
		switch object := object.(type) {
		case *networkingv1.NetworkPolicy:
			continue // CloudNativePG makes none
		case *corev1.PersistentVolumeClaim:
			object.SetName(volume)
			object.SetAnnotations(nil)
		case *appsv1.StatefulSet:
			object.Spec.Template.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = volume
		case *corev1.ConfigMap, *corev1.Secret, *corev1.Service:
		}
		if object.GetName() == superuser.Name {
			continue
		}
		object.SetLabels(map[string]string{"cnpg.io/cluster": cluster.GetName()})
		Expect(env.Client.Create(ctx, object)).To(Succeed())
	}
	Expect(komega.UpdateStatus(cluster, func() {
		cluster.Object["status"] = map[string]any{"readyInstances": int64(3), "phase": "Cluster in healthy state"}
	})()).To(Succeed())
}

var _ = Describe("A tenant with a server of its own, where CloudNativePG is installed", Ordered, Serial, func() {
	BeforeAll(func(ctx SpecContext) {
		Expect(env.ApplyDefinitions(ctx, cloudNativePG, "config/crd/bases/postgresql.cnpg.io_clusters.yaml")).To(Succeed())
	}, NodeTimeout(specTimeout))

	It("gets a Cluster, which is hibernated when the tenant is gone and its data is kept", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("replica").Dedicated(func(server *v1alpha1.DedicatedServer) {
			server.Instances, server.StorageClassName = 3, expandable
		}))
		cluster := inDatabases(tenant, dedicated.NewCluster(), "")
		Eventually(ctx, komega.Get(cluster)).Should(Succeed())
		spec := cluster.Object["spec"].(map[string]any)
		Expect(spec).To(And(HaveKeyWithValue("instances", int64(3)),
			HaveKeyWithValue("imageName", "ghcr.io/cloudnative-pg/postgresql:15"),
			HaveKeyWithValue("storage", And(HaveKeyWithValue("size", "1Gi"), HaveKeyWithValue("storageClass", expandable))),
			HaveKeyWithValue("superuserSecret", HaveKeyWithValue("name", "dedicated-replica-superuser"))))
		Eventually(ctx, komega.Object(tenant)).Should(says("False", ContainSubstring("CloudNativePG has not looked at it yet")))

		By("it is used once an instance runs")
		provision(ctx, tenant, cluster)
		waitReady(ctx, tenant)
		Expect(ask(ctx, tenant, "CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('kept')", "SELECT text FROM notes")).To(Equal("[kept]"))
		server := serverOf(tenant)
		Expect(komega.Get(server)()).To(Succeed())
		Expect(server.Status.Provisioner).To(Equal(v1alpha1.ProvisionerCloudNativePG))

		By("its authority is not asked for time and again")
		lookedAt(ctx, "databaseserver", &v1alpha1.DatabaseServerList{}, 1)
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		lookedAt(ctx, "databaseserver", &v1alpha1.DatabaseServerList{}, 2)
		Expect(env.Audit.Since(mark)).NotTo(ContainElement(HaveField("Name", naming.ServerAuthority(server.Name))))

		By("it follows the spec, and keeps what CloudNativePG has set")
		backup := map[string]any{"barmanObjectStore": map[string]any{"destinationPath": "s3://backups"}}
		Expect(change(ctx, cluster, func() {
			cluster.SetFinalizers([]string{"cnpg.io/example"})
			cluster.Object["spec"].(map[string]any)["backup"] = backup
		})).To(Succeed())
		Expect(change(ctx, tenant, func() { tenant.Spec.Database.Dedicated.Instances = 2 })).To(Succeed())
		Eventually(ctx, komega.Object(cluster)).Should(HaveField("Object", HaveKeyWithValue("spec", HaveKeyWithValue("instances", int64(2)))))
		Expect(cluster.GetFinalizers()).To(ConsistOf("cnpg.io/example"))
		Expect(cluster.Object["spec"]).To(HaveKeyWithValue("backup", HaveKeyWithValue("barmanObjectStore", HaveKeyWithValue("destinationPath", "s3://backups"))))
		Expect(change(ctx, cluster, func() { cluster.SetFinalizers(nil) })).To(Succeed())

		By("it outlives the tenant, asleep")
		former := tenant.Status.Database.Name
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		waitGone(ctx, server)
		Expect(komega.Get(cluster)()).To(Succeed())
		Expect(cluster.GetAnnotations()).To(And(HaveKeyWithValue("cnpg.io/hibernation", "on"), HaveKeyWithValue(naming.AnnotationDatabase, former)))
		Expect(cluster.Object["spec"]).To(HaveKey("backup"))

		By("a tenant of the same name wakes it up, and leaves it behind if it has not come to adopt it")
		heir := apply(ctx, isolated("replica").Adopt(former).ReclaimPolicy(v1alpha1.ReclaimPolicyDelete).
			Dedicated(func(server *v1alpha1.DedicatedServer) { server.StorageClassName = expandable }))
		Eventually(ctx, komega.Object(cluster)).Should(HaveField("GetAnnotations()", HaveKeyWithValue("cnpg.io/hibernation", "off")))
		Expect(env.Client.Delete(ctx, heir)).To(Succeed())
		waitGone(ctx, heir)
		waitGone(ctx, serverOf(heir))
		Expect(komega.Object(cluster)()).To(HaveField("GetAnnotations()", HaveKeyWithValue("cnpg.io/hibernation", "on")))
		Expect(env.Client.Delete(ctx, cluster)).To(Succeed())
		for _, object := range []client.Object{&appsv1.StatefulSet{}, &corev1.PersistentVolumeClaim{}} {
			Expect(env.Client.DeleteAllOf(ctx, object, client.InNamespace(naming.DatabasesNamespace), client.MatchingLabels{"cnpg.io/cluster": cluster.GetName()})).To(Succeed())
		}
	}, SpecTimeout(specTimeout))

	It("gets a Cluster, which goes with a tenant that never came to use it", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("fleeting"))
		cluster := inDatabases(tenant, dedicated.NewCluster(), "")
		Eventually(ctx, komega.Get(cluster)).Should(Succeed())
		Expect(env.Client.Delete(ctx, tenant)).To(Succeed())
		waitGone(ctx, tenant)
		waitGone(ctx, cluster)
	}, SpecTimeout(specTimeout))

	It("gets a StatefulSet once CloudNativePG has been uninstalled", func(ctx SpecContext) {
		_, err := env.Kubernetes.Kubectl(ctx, "delete", "crd", "clusters.postgresql.cnpg.io")
		Expect(err).NotTo(HaveOccurred())
		tenant := apply(ctx, isolated("bereft"))
		waitReady(ctx, tenant)
		Expect(komega.Object(serverOf(tenant))()).To(HaveField("Status.Provisioner", v1alpha1.ProvisionerStatefulSet))
	}, SpecTimeout(specTimeout))
})
