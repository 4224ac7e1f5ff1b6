package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// stores begins a tenant whose app has storage of this size.
func stores(name, class, size string) *builders.TenantBuilder {
	return bare(name).App(image).Port(8080).Pods(func(pods *v1alpha1.AppPods) {
		pods.Volumes = []v1alpha1.AppVolume{{Name: "data", Storage: &v1alpha1.AppStorage{Size: resource.MustParse(size), StorageClassName: class}}}
		pods.VolumeMounts = []v1alpha1.AppVolumeMount{{Name: "data", MountPath: "/data"}}
	})
}

// storageClass creates a StorageClass and the volume of a claim of it, as its provisioner does.
func storageClass(ctx context.Context, name string, grows bool) {
	GinkgoHelper()
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "example.com/none", AllowVolumeExpansion: &grows}
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
		StorageClassName: name, Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "example.com", VolumeHandle: name}},
	}}
	for _, object := range []client.Object{class, volume} {
		Expect(env.Client.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return client.IgnoreNotFound(env.Client.Delete(ctx, object)) })
	}
}

var _ = Describe("The storage of an app", func() {
	claimOf := func(tenant *v1alpha1.Tenant) *corev1.PersistentVolumeClaim {
		return in(tenant, &corev1.PersistentVolumeClaim{}, "app-data")
	}
	size := func(size string) OmegaMatcher {
		return HaveField("Spec.Resources.Requests", HaveKeyWithValue(corev1.ResourceStorage, resource.MustParse(size)))
	}

	It("grows, never shrinks, and stays when its volume is left out", func(ctx SpecContext) {
		storageClass(ctx, "expandable", true)
		mark, err := env.Audit.Mark()
		Expect(err).NotTo(HaveOccurred())
		tenant := apply(ctx, stores("stores", "expandable", "1Gi"))
		waitReady(ctx, tenant)
		claim := read(ctx, claimOf(tenant))
		Expect(claim).To(And(size("1Gi"), HaveField("OwnerReferences", BeEmpty()), HaveField("Status.Phase", corev1.ClaimBound)))
		requests, err := env.Audit.Since(mark)
		Expect(err).NotTo(HaveOccurred())
		ofClaim := And(HaveField("Resource", "persistentvolumeclaims"), HaveField("Namespace", "stores"))
		Expect(requests).To(ContainElement(And(ofClaim, HaveField("Verb", "create"))))
		Expect(requests).NotTo(ContainElement(And(ofClaim, HaveField("Verb", "update"))), "the cluster has bound it, which is no reason to write it")
		Expect(read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Spec.Strategy.Type).To(Equal(appsv1.RecreateDeploymentStrategyType))

		By("growing")
		change(ctx, tenant, func() { tenant.Spec.App.Volumes[0].Storage.Size = resource.MustParse("2Gi") })
		Eventually(ctx, komega.Object(claim), atOnce).Should(size("2Gi"))

		By("refusing to shrink")
		shrinks := komega.Update(tenant, func() { tenant.Spec.App.Volumes[0].Storage.Size = resource.MustParse("1Gi") })
		Eventually(ctx, shrinks).Should(MatchError(ContainSubstring("a volume can not shrink; write the size that it has, or more")))
		read(ctx, tenant)

		By("leaving it out")
		change(ctx, tenant, func() { tenant.Spec.App.Volumes, tenant.Spec.App.VolumeMounts = nil, nil })
		Eventually(ctx, komega.Object(tenant), atOnce).Should(And(beReady(),
			haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonReady, "PersistentVolumeClaim app-data has data of a volume that spec.app.volumes no longer has")))
		kept := claim.UID
		Expect(read(ctx, claim).UID).To(Equal(kept))

		By("asking for less when it comes back")
		change(ctx, tenant, func() {
			tenant.Spec.App.Volumes = []v1alpha1.AppVolume{{Name: "data", Storage: &v1alpha1.AppStorage{Size: resource.MustParse("1Gi"), StorageClassName: "expandable"}}}
		})
		Eventually(ctx, komega.Object(tenant), atOnce).Should(stalled(v1alpha1.ReasonImmutable, "Volume data has 2Gi and can't shrink to 1Gi; write 2Gi or more in spec.app.volumes."))
		change(ctx, tenant, func() { tenant.Spec.App.Volumes[0].Storage.Size = resource.MustParse("2Gi") })
		waitReady(ctx, tenant)
		Expect(read(ctx, claim)).To(And(size("2Gi"), HaveField("UID", kept)))
	}, SpecTimeout(specTimeout))

	It("is given to an app that runs, whose pod then ends before the next one starts", func(ctx SpecContext) {
		storageClass(ctx, "given", true)
		tenant := applyReady(ctx, bare("stores-later").App(image).Port(8080))
		change(ctx, tenant, func() { tenant.Spec.App.AppPods = *stores("", "given", "1Gi").Build().Spec.App.AppPods.DeepCopy() })
		Eventually(ctx, komega.Object(in(tenant, &appsv1.Deployment{}, "app")), atOnce).Should(And(
			HaveField("Spec.Strategy", appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}),
			HaveField("Spec.Template.Spec.Volumes", ConsistOf(HaveField("PersistentVolumeClaim.ClaimName", "app-data")))))
		waitReady(ctx, tenant)
		Expect(appPodsOf(ctx, tenant)).To(HaveLen(1))
	}, SpecTimeout(specTimeout))

	It("says so if its StorageClass can't let it grow", func(ctx SpecContext) {
		storageClass(ctx, "fixed", false)
		tenant := apply(ctx, stores("stores-fixed", "fixed", "1Gi"))
		waitReady(ctx, tenant)
		change(ctx, tenant, func() { tenant.Spec.App.Volumes[0].Storage.Size = resource.MustParse("2Gi") })
		Eventually(ctx, komega.Object(tenant), atOnce).Should(stalled(v1alpha1.ReasonForbidden, "Volume data can't grow: ", "Have its StorageClass set allowVolumeExpansion"))
	}, SpecTimeout(specTimeout))

	It("is not what somebody else has put there", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("stores-foreign").App(image))
		foreign := claimOf(tenant)
		foreign.Spec = corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}
		Expect(env.Client.Create(ctx, foreign)).To(Succeed())
		change(ctx, tenant, func() { tenant.Spec.App.AppPods = *stores("", "expandable", "1Gi").Build().Spec.App.AppPods.DeepCopy() })
		Eventually(ctx, komega.Object(tenant), atOnce).Should(stalled(v1alpha1.ReasonConflict, `PersistentVolumeClaim "app-data" in namespace "stores-foreign" exists already, and is not that of this Tenant`))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("An app with more in its pods", func() {
	It("has them by its Tenant, with the labels of the operator, and isn't restarted when it scales", func(ctx SpecContext) {
		tenant := applyReady(ctx, bare("furnished").App(image).Port(8080).Pods(func(pods *v1alpha1.AppPods) {
			pods.Volumes = []v1alpha1.AppVolume{{Name: "cache", EmptyDir: &v1alpha1.AppEmptyDir{}}}
			pods.InitContainers = []v1alpha1.AppContainer{{Name: "prepare", VolumeMounts: []v1alpha1.AppVolumeMount{{Name: "cache", MountPath: "/cache"}}}}
			pods.Sidecars = []v1alpha1.AppSidecar{{AppContainer: v1alpha1.AppContainer{Name: "proxy", Image: "registry.example/proxy:1"}}}
			pods.PodLabels, pods.PodAnnotations = map[string]string{"mesh.example/inject": "true"}, map[string]string{"scrape.example/port": "9100"}
		}))
		pods := appPodsOf(ctx, tenant)
		Expect(pods).To(ConsistOf(And(
			HaveField("Labels", And(HaveKeyWithValue("mesh.example/inject", "true"), HaveKeyWithValue("app.kubernetes.io/name", "app"))),
			HaveField("Annotations", HaveKeyWithValue("scrape.example/port", "9100")),
			HaveField("Spec.InitContainers", HaveExactElements(HaveField("Name", "proxy"), HaveField("Name", "prepare"))),
			HaveField("Spec.TopologySpreadConstraints", HaveExactElements(
				HaveField("TopologyKey", "kubernetes.io/hostname"), HaveField("TopologyKey", "topology.kubernetes.io/zone"))))))
		change(ctx, tenant, func() { tenant.Spec.App.Replicas = new(int32(2)) })
		Eventually(ctx, func() []types.UID { return podUIDs(ctx, tenant) }).Should(And(HaveLen(2), ContainElement(pods[0].UID)))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})

var _ = DescribeTable("Pods that can't be are refused",
	func(ctx SpecContext, change func(pods *v1alpha1.AppPods), message string) {
		tenant := stores("unpodded", "", "1Gi").Pods(change)
		Expect(env.Client.Create(ctx, tenant.Build(), client.DryRunAll)).To(MatchError(ContainSubstring(message)))
	},
	Entry("with a label of the operator", func(pods *v1alpha1.AppPods) { pods.PodLabels = map[string]string{"tenantry.dev/tenant": "other"} }, "podLabels has a key of the operator"),
	Entry("with the label that selects them", func(pods *v1alpha1.AppPods) { pods.PodLabels = map[string]string{"app.kubernetes.io/name": "other"} }, "podLabels has a key of the operator"),
	Entry("with an annotation of the operator", func(pods *v1alpha1.AppPods) { pods.PodAnnotations = map[string]string{"tenantry.dev/settings": "1"} }, "podAnnotations has a key of the operator"),
	Entry("with a volume of two kinds", func(pods *v1alpha1.AppPods) { pods.Volumes[0].EmptyDir = &v1alpha1.AppEmptyDir{} }, "a volume is one of storage, emptyDir, configMap and secret"),
	Entry("with a volume that isn't there", func(pods *v1alpha1.AppPods) { pods.VolumeMounts[0].Name = "other" }, "app.volumeMounts names a volume that is not there; add it to app.volumes"),
	Entry("with a volume named like one of the operator's", func(pods *v1alpha1.AppPods) {
		pods.Volumes[0].Name, pods.VolumeMounts[0].Name = "app-settings", "app-settings"
	}, "app-settings, app-config and those like secret-0123456789 are the operator's; write another one"),
	Entry("with a volume over the operator's", func(pods *v1alpha1.AppPods) { pods.VolumeMounts[0].MountPath = "/etc/tenantry/secrets" }, "not one in which the operator's volumes are; write one such as /data"),
	Entry("with a file of a Secret outside of its volume", func(pods *v1alpha1.AppPods) {
		pods.Volumes = append(pods.Volumes, v1alpha1.AppVolume{Name: "keys", Secret: &v1alpha1.AppFiles{Name: "keys", Items: []v1alpha1.AppFile{{Key: "a", Path: "a/../../b"}}}})
	}, "the path of a file is relative to its volume, and does not lead out of it"),
	Entry("with a volume of no size", func(pods *v1alpha1.AppPods) { pods.Volumes[0].Storage.Size = resource.MustParse("-1Gi") }, "storage must have a size; write for example 10Gi"),
	Entry("with a file outside of its volume", func(pods *v1alpha1.AppPods) { pods.VolumeMounts[0].SubPath = "../other" }, "subPath is relative to the volume, and does not lead out of it"),
	Entry("with a second container named app", func(pods *v1alpha1.AppPods) { pods.InitContainers = []v1alpha1.AppContainer{{Name: "app"}} }, "app is the app's own; write another one"),
	Entry("with a rollout of two minds", func(pods *v1alpha1.AppPods) {
		pods.Rollout = v1alpha1.AppRollout{Type: v1alpha1.AppRecreate, MaxSurge: new(intstr.FromInt32(1))}
	}, "Recreate ends all pods at once; leave maxSurge and maxUnavailable out"))

var _ = It("An app with storage for one node has one replica, whoever sets their number", func(ctx SpecContext) {
	Expect(env.Client.Create(ctx, stores("crowded", "", "1Gi").Replicas(2).Build(), client.DryRunAll)).To(MatchError(ContainSubstring(
		"app.volumes has storage that only one pod or node can mount, and app.replicas is more than 1; write accessMode ReadWriteMany, or replicas 1")))
	Expect(env.Client.Create(ctx, stores("scaled-crowded", "", "1Gi").Autoscaling(1, 2).Build(), client.DryRunAll)).To(MatchError(ContainSubstring(
		"app.volumes has storage that only one pod or node can mount, and app.autoscaling.maxReplicas is more than 1; write accessMode ReadWriteMany, or replicas 1 instead of autoscaling")))
	Expect(env.Client.Create(ctx, stores("scaled-alone", "", "1Gi").Autoscaling(1, 1).Build(), client.DryRunAll)).To(Succeed())
}, SpecTimeout(specTimeout))
