package network

import (
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/matrix"
)

var _ = Describe("A tenant whose database server is registered by the address of a Service", func() {
	It("reaches the pods behind it, at their port, and nothing else there", func(ctx SpecContext) {
		const servicePort, podPort = 5432, 15432
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: matrix.DatabaseNamespace, Name: "postgresql"},
			Spec: corev1.ServiceSpec{
				Selector: matrix.DatabasePeers()[0].PodSelector.MatchLabels, Ports: []corev1.ServicePort{{Port: servicePort, TargetPort: intstr.FromInt32(podPort)}},
			},
		}
		Expect(env.Client.Create(ctx, service)).To(Succeed())
		server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: "behind-service"}}
		server.Spec.Host, server.Spec.Port = service.Spec.ClusterIP, servicePort
		// Nobody can log in, and nobody needs to: the network must be open before.
		server.Spec.AdminSecretRef = v1alpha1.SecretReference{Namespace: matrix.DatabaseNamespace, Name: "missing"}
		Expect(env.Client.Create(ctx, server)).To(Succeed())
		tenant := builders.Tenant("hooli").Database(server.Name).Build()
		Expect(env.Client.Create(ctx, tenant)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(env.Client.Delete(ctx, tenant)).To(Succeed()) }, NodeTimeout(time.Minute))
		policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Name, Name: naming.PolicyAllowDatabase}}
		Eventually(ctx, komega.Get(policy)).Should(Succeed())
		pod := matrix.Pod(tenant.Name, "own", nil)
		Eventually(ctx, env.Client.Create).WithArguments(pod).Should(Succeed())
		Eventually(ctx, komega.Object(pod)).Should(HaveField("Status.PodIP", Not(BeEmpty())))

		found, err := newJudge(ctx, env.Client)
		Expect(err).NotTo(HaveOccurred())
		found.addAddress("service", service.Spec.ClusterIP)
		at := func(place string, port int) string { return place + ":" + strconv.Itoa(port) + "/TCP" }
		for to, want := range map[string]matrix.Verdict{
			at("databases/postgresql", podPort):     matrix.Allowed,
			at("databases/postgresql", servicePort): matrix.Refused,
			at("databases/backup", podPort):         matrix.Refused,
			at("default/posing", podPort):           matrix.Refused,
			at("service", servicePort):              matrix.Allowed,
			at("service", podPort):                  matrix.Refused,
		} {
			verdict, explanation, err := found.verdict("hooli/own", to)
			Expect(err).NotTo(HaveOccurred())
			Expect(verdict).To(Equal(want), "%s:\n%s", to, explanation)
		}
	}, SpecTimeout(2*time.Minute))
})
