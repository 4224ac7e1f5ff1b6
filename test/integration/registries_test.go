package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
)

var _ = Describe("An app from a private registry", Label("K8"), func() {
	It("is pulled by the Secrets that the Tenant names, and no longer by those that it leaves out", func(ctx SpecContext) {
		tenant := applyReady(ctx, whole("private").ImagePullSecrets("registry", "mirror"))
		app := in(tenant, &appsv1.Deployment{}, "app")
		Expect(read(ctx, app).Spec.Template.Spec.ImagePullSecrets).To(Equal([]corev1.LocalObjectReference{{Name: "registry"}, {Name: "mirror"}}))
		change(ctx, tenant, func() { tenant.Spec.App.ImagePullSecrets = tenant.Spec.App.ImagePullSecrets[1:] })
		Eventually(ctx, komega.Object(app), atOnce).Should(
			HaveField("Spec.Template.Spec.ImagePullSecrets", Equal([]corev1.LocalObjectReference{{Name: "mirror"}})))
		waitReady(ctx, tenant)
		kubectl(ctx, "patch", "tenant", "private", "--type=merge", "--patch", `{"spec": {"app": {"imagePullSecrets": null}}}`)
		Eventually(ctx, komega.Object(app), atOnce).Should(HaveField("Spec.Template.Spec.ImagePullSecrets", BeEmpty()))
		waitReady(ctx, tenant)
	}, SpecTimeout(specTimeout))
})
