package dedicated

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/dedicated"
)

const (
	// authorityLifetime is the validity of the certificate authorities that the operator creates.
	authorityLifetime = 10 * 365 * 24 * time.Hour
	// left is the remaining validity of an authority when the spec begins. Clients have half of it to learn of the
	// next authority, and the server the other half to present a certificate that the next one has signed.
	left = 80 * time.Second
)

// shownTo returns the certificate, as PEM, that the server presents to an app that trusts the authorities in its
// Secret. The connection fails if the app can't verify it.
func shownTo(ctx context.Context, tenant *v1alpha1.Tenant) (string, error) {
	conn, err := connect(ctx, tenant)
	if err != nil {
		return "", StopTrying("a client can't log in any more").Wrap(err)
	}
	defer conn.Close(ctx)
	shown := conn.PgConn().Conn().(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown})), nil
}

var _ = Describe("The certificates of a tenant's own server", func() {
	It("are renewed before they expire, while clients verify them and the server runs on", func(ctx SpecContext) {
		tenant := apply(ctx, isolated("renewed").App("registry.example/app:1"))
		waitReady(ctx, tenant)
		authority := inDatabases(tenant, &corev1.Secret{}, "-ca")
		Expect(komega.Get(authority)()).To(Succeed())
		certificate := inDatabases(tenant, &corev1.Secret{}, "-server")
		Expect(komega.Get(certificate)()).To(Succeed())
		pod := inDatabases(tenant, &corev1.Pod{}, "-0")
		Expect(komega.Get(pod)()).To(Succeed())
		running := pod.UID
		deployment := &appsv1.Deployment{}
		deployment.Namespace, deployment.Name = tenant.Name, "app"
		Expect(komega.Get(deployment)()).To(Succeed())
		started := deployment.Spec.Template
		session, err := connect(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) error { return session.Close(ctx) }, NodeTimeout(time.Minute))
		first := string(certificate.Data[corev1.TLSCertKey])
		Expect(shownTo(ctx, tenant)).To(Equal(first))

		By("its authority is one that was made ten years ago")
		old, err := dedicated.Secrets{}.CompleteCertificate("former", time.Now().Add(left-authorityLifetime))
		Expect(err).NotTo(HaveOccurred())
		Expect(change(ctx, authority, func() {
			authority.Data["ca.crt"] = append(authority.Data["ca.crt"], old.Authority...)
			authority.Data["ca.key"] = old.AuthorityKey
		})).To(Succeed())
		var expiring string
		Eventually(ctx, func() (string, error) {
			err := komega.Get(certificate)()
			expiring = string(certificate.Data[corev1.TLSCertKey])
			return expiring, err
		}).ShouldNot(Equal(first))

		By("clients learn of the next authority while the server still shows the certificate that expires")
		var bundle string
		Eventually(ctx, func() ([]*x509.Certificate, error) {
			bundle = secretOf(ctx, tenant)["ca.crt"]
			return cert.ParseCertsPEM([]byte(bundle))
		}).Should(HaveLen(3), "the first, the one that expires and the next")
		Eventually(ctx, shownTo).WithArguments(tenant).Should(Equal(expiring))
		reader, err := env.Operator.Metrics(ctx, env.Client)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, reader.Busy).WithArguments(ctx, "tenant").Should(BeZero())
		Expect(komega.Get(deployment)()).To(Succeed())
		Expect(deployment.Spec.Template).NotTo(Equal(started), "the app restarts for another authority")
		rolled := deployment.Spec.Template

		By("the server shows a certificate of the next authority, and no client is shut out at any time")
		Eventually(ctx, shownTo).WithArguments(tenant).WithTimeout(left).ShouldNot(Equal(expiring))
		Expect(komega.Get(certificate)()).To(Succeed())
		Expect(shownTo(ctx, tenant)).To(Equal(string(certificate.Data[corev1.TLSCertKey])))
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(says("True", Equal("The server answers and is prepared for tenants.")))

		By("neither the server nor the app has restarted for that")
		var answer int
		Expect(session.QueryRow(ctx, "SELECT 1").Scan(&answer)).To(Succeed())
		Expect(komega.Object(pod)()).To(HaveField("UID", running))
		Expect(secretOf(ctx, tenant)["ca.crt"]).To(Equal(bundle))
		Expect(komega.Object(deployment)()).To(HaveField("Spec.Template", Equal(rolled)))
	}, SpecTimeout(specTimeout))
})
