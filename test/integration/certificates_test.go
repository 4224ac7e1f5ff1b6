package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/test/environment"
)

// certify gives a server a certificate for its host and returns the authority that signed it.
func certify(ctx context.Context, server *postgres.Server) (authority []byte) {
	GinkgoHelper()
	certificates, key, err := cert.GenerateSelfSignedCertKey(server.Host, nil, nil)
	Expect(err).NotTo(HaveOccurred())
	owner, err := os.Stat(server.DataDir)
	Expect(err).NotTo(HaveOccurred())
	ids := owner.Sys().(*syscall.Stat_t)
	for name, content := range map[string][]byte{"server.crt": certificates, "server.key": key} {
		path := filepath.Join(server.DataDir, name)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		Expect(os.Chown(path, int(ids.Uid), int(ids.Gid))).To(Succeed())
	}
	Expect(environment.Exec(ctx, server, "postgres", "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")).To(Succeed())
	// The server's own certificate comes first.
	_, authority = pem.Decode(certificates)
	return authority
}

var _ = Describe("A database server that proves itself by a certificate", func() {
	It("is used only while it can, and its authority reaches the tenants' apps", func(ctx SpecContext) {
		postgres, server := ownServer(ctx, "certified")
		authority := certify(ctx, postgres)
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "certified-ca"},
			Data:       map[string][]byte{"other.crt": authority},
		}
		Expect(env.Client.Create(ctx, secret)).To(Succeed())

		change(ctx, server, func() { server.Spec.SSLMode = v1alpha1.SSLModeVerifyFull })
		Eventually(ctx, komega.Object(server)).Should(
			stalled(v1alpha1.ReasonInvalid, "its certificate is not trusted", "certificate signed by unknown authority", "correct spec.caSecretRef"))
		tenant := apply(ctx, whole("certain").Database("certified"))
		Eventually(ctx, komega.Object(tenant)).Should(waitsFor(v1alpha1.ReasonServerNotReady, "unknown authority"))

		change(ctx, server, func() {
			server.Spec.CASecretRef = &v1alpha1.SecretKeyReference{
				SecretReference: v1alpha1.SecretReference{Namespace: secret.Namespace, Name: secret.Name},
			}
		})
		Eventually(ctx, komega.Object(server)).Should(stalled(v1alpha1.ReasonSecretNotFound, `has no key "ca.crt"; add it.`))
		change(ctx, secret, func() { secret.Data["ca.crt"] = authority })
		waitReady(ctx, server)
		waitReady(ctx, tenant)

		login := read(ctx, in(tenant, &corev1.Secret{}, "database")).Data
		Expect(login).To(And(HaveKeyWithValue("ca.crt", authority), HaveKeyWithValue("PGSSLMODE", []byte("verify-full")),
			HaveKeyWithValue("uri", ContainSubstring("sslrootcert=%2Fvar%2Frun%2Fsecrets%2Ftenantry.dev%2Fdatabase%2Fca.crt"))))
		pod := read(ctx, in(tenant, &appsv1.Deployment{}, "app")).Spec.Template.Spec
		Expect(pod.Containers[0].VolumeMounts).To(ConsistOf(HaveField("MountPath", "/var/run/secrets/tenantry.dev/database")))
		Expect(pod.Volumes).To(ConsistOf(HaveField("Secret.SecretName", "database")))
		Expect(pod.Containers[0].Env).To(ContainElement(corev1.EnvVar{
			Name: "PGSSLROOTCERT", Value: "/var/run/secrets/tenantry.dev/database/ca.crt"}))

		config, err := pgx.ParseConfig("sslmode=disable host=" + string(login["host"]) + " port=" + string(login["port"]) +
			" dbname=" + string(login["dbname"]) + " user=" + string(login["username"]) + " password=" + string(login["password"]))
		Expect(err).NotTo(HaveOccurred())
		config.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: postgres.Host}
		Expect(config.TLSConfig.RootCAs.AppendCertsFromPEM(login["ca.crt"])).To(BeTrue())
		conn, err := pgx.ConnectConfig(ctx, config)
		Expect(err).NotTo(HaveOccurred())
		Expect(conn.Close(ctx)).To(Succeed())
	}, SpecTimeout(specTimeout))
})
