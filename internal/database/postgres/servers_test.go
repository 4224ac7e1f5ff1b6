package postgres_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	launcher "github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/service"
)

var _ = Describe("A database server", func() {
	It("is hardened by the first probe, and only read by all others", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "CREATE EXTENSION pg_stat_statements")
		status, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(status).To(Equal(database.ServerStatus{Version: server.rows(ctx, "postgres", "SELECT split_part(current_setting('server_version'), ' ', 1)")[0]}))
		Expect(server.rows(ctx, "postgres", `
			SELECT datname::text FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0`),
		).To(ConsistOf("template0"), "which nobody can connect to")
		Expect(server.rows(ctx, "postgres", "SELECT rolcanlogin::text FROM pg_roles WHERE rolname = 'tenantry_owner'")).To(Equal([]string{"false"}))

		By("probing again, also as a restarted operator")
		for _, operator := range []*instance{server, server.replica()} {
			before := server.statements(ctx)
			_, err = operator.servers.Probe(ctx, operator.address)
			Expect(err).NotTo(HaveOccurred())
			Expect(server.statements(ctx)-before).To(Equal(4), "two queries, and the settings for each, in one round trip")
		}

		By("probing after somebody let PUBLIC in")
		server.exec(ctx, "postgres", "GRANT CONNECT ON DATABASE template1 TO PUBLIC")
		_, err = server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(server.rows(ctx, "postgres", "SELECT count(*)::text FROM pg_database, aclexplode(datacl) WHERE datname = 'template1' AND grantee = 0")).To(Equal([]string{"0"}))
	}, SpecTimeout(specTimeout))

	It("is hardened once by any number of operators at once", func(ctx SpecContext) {
		server := startInstance(ctx)
		replicas := make([]*instance, 6)
		for n := range replicas {
			replicas[n] = server.replica()
		}
		tenant := newTenant()
		Expect(atOnce(len(replicas), func(n int) error {
			if n%2 == 0 {
				return replicas[n].converge(ctx, tenant)
			}
			_, err := replicas[n].servers.Probe(ctx, server.address)
			return err
		})).To(HaveEach(BeNil()))
		Expect(server.state(ctx, tenant)).To(ConsistOf(complete(5)))
	}, SpecTimeout(specTimeout))

	It("lists its newest 100 retained databases and counts all", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.provisioned(ctx)
		server.exec(ctx, "postgres", `INSERT INTO tenantry.tenants (uid, tenant, name, isolation, state, since)
			SELECT n, 'former-' || n, 't_' || n, 'Database', 'Retained', now() - n * interval '1 hour' FROM generate_series(1, 130) AS n`)
		status, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(status.Tenants).To(Equal(1))
		Expect(status.RetainedTotal).To(Equal(130))
		Expect(status.Retained).To(HaveLen(100))
		Expect(status.Retained[0].Tenant).To(Equal("former-1"))
		Expect(status.Retained[99].Tenant).To(Equal("former-100"))
	}, SpecTimeout(specTimeout))

	It("that goes away fails fast, and works again once it is back", func(ctx SpecContext) {
		server := startInstance(ctx)
		tenant := server.provisioned(ctx)

		Expect(server.Kill()).To(Succeed())
		_, err := server.step(ctx, newTenant())
		Expect(err).To(beError[*service.UnreachableError]())
		Expect(err).To(MatchError(ContainSubstring("database server shared-eu does not answer at " + server.address.Address())))

		Expect(server.Restart(ctx)).To(Succeed())
		_, err = server.step(ctx, tenant)
		Expect(err).To(beError[*service.UnreachableError](), "tenants wait for a probe")
		Expect(server.servers.Execute(ctx, server.address, []database.Action{database.CreateOwner{Role: "t_late"}})).To(beError[*service.UnreachableError]())
		status, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(status.Tenants).To(Equal(1))
		Expect(server.step(ctx, tenant)).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("says when its disk is full, and that it is no more once there is room", func(ctx SpecContext) {
		server := startInstance(ctx)
		// Limits on temporary files are not what the disk is.
		server.exec(ctx, "postgres", "ALTER SYSTEM SET temp_file_limit = 0")
		server.exec(ctx, "postgres", "ALTER SYSTEM SET log_temp_files = 0")
		server.exec(ctx, "postgres", "SELECT pg_reload_conf()")
		Expect(server.servers.Probe(ctx, server.address)).To(HaveField("DiskFull", BeEmpty()))

		full := filepath.Join(server.DataDir, "base", "pgsql_tmp")
		Expect(os.MkdirAll(full, 0o777)).To(Succeed())
		if err := syscall.Mount("small", full, "tmpfs", 0, "size=64k,mode=777"); errors.Is(err, syscall.EPERM) {
			Skip("only root can have a full disk")
		} else {
			Expect(err).NotTo(HaveOccurred())
		}
		DeferCleanup(func() { _ = syscall.Unmount(full, syscall.MNT_DETACH) }) // The spec has done that.
		status, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(status.DiskFull).To(ContainSubstring("No space left on device"))
		Expect(status.Version).NotTo(BeEmpty())
		Expect(os.ReadDir(full)).To(BeEmpty(), "nothing of it stays")

		Expect(syscall.Unmount(full, 0)).To(Succeed())
		Expect(server.servers.Probe(ctx, server.address)).To(HaveField("DiskFull", BeEmpty()))
		Expect(os.ReadFile(server.LogPath())).NotTo(ContainSubstring("temporary file: path"), "probes don't fill the log")
	}, SpecTimeout(specTimeout))

	It("that was restarted between two calls is no failure", func(ctx SpecContext) {
		server := startInstance(ctx)
		tenant := server.provisioned(ctx)
		Expect(server.Kill()).To(Succeed())
		Expect(server.Restart(ctx)).To(Succeed())
		Expect(server.step(ctx, tenant)).To(BeEmpty())

		Expect(server.Stop()).To(Succeed())
		Expect(server.Restart(ctx)).To(Succeed())
		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout))

	It("that accepts connections and never answers is given up in time, and does not hold up the next call", func(ctx SpecContext) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(listener.Close)
		address := database.Server{Name: "mute", Host: "127.0.0.1", Port: int32(listener.Addr().(*net.TCPAddr).Port), SSLMode: "disable", Username: "operator"}
		servers := &postgres.Servers{}
		DeferCleanup(servers.Close)

		start := time.Now()
		_, err = servers.Probe(ctx, address)
		Expect(err).To(And(beError[*service.UnreachableError](), MatchError(ContainSubstring("no answer in time"))))
		Expect(time.Since(start)).To(BeNumerically("<", 8*time.Second))
		start = time.Now()
		_, err = servers.Observe(ctx, address, "uid", "t_x")
		Expect(err).To(beError[*service.UnreachableError]())
		Expect(time.Since(start)).To(BeNumerically("<", 100*time.Millisecond))
	}, SpecTimeout(specTimeout))

	It("that refuses connections because all are taken is unreachable", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "ALTER ROLE operator CONNECTION LIMIT 0")
		server.exec(ctx, "postgres", "ALTER ROLE operator NOSUPERUSER") // limits don't hold for superusers
		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).To(And(beError[*service.UnreachableError](), MatchError(ContainSubstring("too many connections"))))
	}, SpecTimeout(specTimeout))

	It("that refuses the administrator's password says so, and takes the right one", func(ctx SpecContext) {
		servers := &postgres.Servers{}
		DeferCleanup(servers.Close)
		wrong := shared.address
		wrong.Password = "not-the-password"
		_, err := servers.Probe(ctx, wrong)
		Expect(err).To(beError[*service.AuthenticationError]())
		Expect(err).To(MatchError(And(
			ContainSubstring(`refuses to log the administrator "operator" in`),
			ContainSubstring("correct username and password in the Secret"),
			Not(ContainSubstring("not-the-password")))))
		_, err = servers.Observe(ctx, wrong, "uid", "t_x")
		Expect(err).To(beError[*service.AuthenticationError]())

		_, err = servers.Observe(ctx, shared.address, "uid", "t_x")
		Expect(err).NotTo(HaveOccurred(), "with another password it is another way to the server")
	}, SpecTimeout(specTimeout))

	DescribeTable("that can't take tenants is refused with what to do",
		func(ctx SpecContext, change func(*database.Server), prepare []string, message string) {
			server := startInstance(ctx)
			for _, sql := range prepare {
				server.exec(ctx, "postgres", sql)
			}
			change(&server.address)
			_, err := server.servers.Probe(ctx, server.address)
			Expect(err).To(And(beError[*service.UnsuitableServerError](), MatchError(ContainSubstring(message))))
			_, err = server.servers.Observe(ctx, server.address, "uid", "t_x")
			Expect(err).To(HaveOccurred())
		},
		Entry("its administrator is no superuser", func(*database.Server) {}, []string{"ALTER ROLE operator NOSUPERUSER CREATEROLE CREATEDB"},
			`its administrator "operator" is not a superuser`, SpecTimeout(specTimeout)),
		Entry("it has no maintenance database", func(s *database.Server) { s.MaintenanceDatabase = "absent" }, nil,
			`it has no database "absent"; create that`, SpecTimeout(specTimeout)),
		Entry("it has no SSL mode", func(s *database.Server) { s.SSLMode = "perhaps" }, nil,
			`and sslMode "perhaps" make no address of PostgreSQL`, SpecTimeout(specTimeout)),
		Entry("its authority is no certificate", func(s *database.Server) { s.SSLMode, s.CACert = "verify-full", "none" }, nil,
			"has no certificate in PEM form", SpecTimeout(specTimeout)),
	)

	It("that is older than supported is refused with what to do", func(ctx SpecContext) {
		server := fetched("13", oldestSupported-1).startBare(ctx)
		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).To(And(beError[*service.UnsuitableServerError](), MatchError(MatchRegexp(`it runs PostgreSQL 13\.\d+; upgrade it to 14 or newer`))))
	}, SpecTimeout(specTimeout))

	It("whose release loses the role of a session is refused with the release that is needed", Label("D7"), func(ctx SpecContext) {
		server := release{name: "15.8", binDir: func(ctx context.Context) (string, error) {
			return launcher.FetchRelease(ctx, filepath.Join("..", "..", "..", ".local", "postgres", "old"), "15.8.0-beta.14", GinkgoWriter)
		}}.startBare(ctx)
		server.exec(ctx, "postgres", "CREATE ROLE own; GRANT own TO operator; ALTER ROLE operator SET role TO own")
		session, err := server.loginAs(ctx, "operator", string(server.address.Password), "postgres")
		Expect(err).NotTo(HaveOccurred())
		defer session.Close(ctx)
		_, err = session.Exec(ctx, "DISCARD ALL")
		Expect(err).NotTo(HaveOccurred())
		var role string
		Expect(session.QueryRow(ctx, "SELECT current_user::text").Scan(&role)).To(Succeed())
		Expect(role).To(Equal("operator"), "this is what such a release does")

		_, err = server.servers.Probe(ctx, server.address)
		Expect(err).To(And(beError[*service.UnsuitableServerError](), MatchError(ContainSubstring("it runs PostgreSQL 15.8")), MatchError(ContainSubstring("upgrade it to 15.10 or newer"))))
	}, SpecTimeout(specTimeout))

	It("that is a standby is refused with what to do", func(ctx SpecContext) {
		server := startInstance(ctx)
		data := server.rows(ctx, "postgres", "SHOW data_directory")[0]
		Expect(server.Stop()).To(Succeed())
		Expect(os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644)).To(Succeed())
		Expect(server.Restart(ctx)).To(Succeed())
		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).To(And(beError[*service.UnsuitableServerError](),
			MatchError(ContainSubstring("it is a standby and takes no changes; set spec.host to the primary"))))
	}, SpecTimeout(specTimeout))

	It("keeps its registry in another database when told so", func(ctx SpecContext) {
		server := startInstance(ctx)
		server.exec(ctx, "postgres", "CREATE DATABASE platform")
		server.address.MaintenanceDatabase = "platform"
		server.provisioned(ctx)
		Expect(server.rows(ctx, "platform", "SELECT state FROM tenantry.tenants")).To(Equal([]string{"Active"}))
		Expect(server.rows(ctx, "postgres", `
			SELECT datname::text FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0`)).To(ConsistOf("template0"))
	}, SpecTimeout(specTimeout))

	It("is believed only with a certificate that its authority signed", func(ctx SpecContext) {
		server := startInstance(ctx)
		authority := server.serveTLS(ctx)
		encrypted := func() []string {
			return server.rows(ctx, "postgres", "SELECT ssl::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'tenantry'")
		}
		server.address.SSLMode, server.address.CACert = "verify-full", authority
		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(encrypted()).To(Equal([]string{"true"}))
		server.servers.Forget(server.address.Name)

		for _, mode := range []string{"verify-ca", "verify-full"} {
			server.address.SSLMode, server.address.CACert = mode, ""
			_, err = server.servers.Probe(ctx, server.address)
			Expect(err).To(And(beError[*service.UnsuitableServerError](), MatchError(ContainSubstring("its certificate is not trusted"))), mode)
		}
		server.address.SSLMode, server.address.CACert, server.address.Host = "verify-full", authority, "localhost"
		_, err = server.servers.Probe(ctx, server.address)
		Expect(err).To(And(beError[*service.UnsuitableServerError](), MatchError(ContainSubstring("localhost"))))
		server.address.SSLMode = "verify-ca"
		_, err = server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout))

	It("shows a renewed certificate when it is told to read it, without a restart", func(ctx SpecContext) {
		server := startInstance(ctx)
		former := server.serveTLS(ctx)
		server.address.SSLMode, server.address.CACert = "verify-full", former
		shown := func() (string, error) {
			status, err := server.servers.Probe(ctx, server.address)
			return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: status.Certificate})), err
		}
		Expect(shown()).To(Equal(former))
		started := server.rows(ctx, "postgres", "SELECT pg_postmaster_start_time()::text")

		renewed := server.writeCertificate()
		server.address.CACert += renewed
		Expect(shown()).To(Equal(former))
		Eventually(func() (string, error) {
			if err := server.servers.Reload(ctx, server.address); err != nil {
				return "", err
			}
			return shown()
		}).Should(Equal(renewed))
		Expect(server.rows(ctx, "postgres", "SELECT pg_postmaster_start_time()::text")).To(Equal(started))
	}, SpecTimeout(specTimeout))

	It("loses its sessions when it is forgotten or all are closed", func(ctx SpecContext) {
		server := startInstance(ctx)
		sessions := func() []string {
			return server.rows(ctx, "postgres", "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'tenantry'")
		}
		_, err := server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		Expect(sessions()).To(HaveLen(1))
		server.servers.Forget(server.address.Name)
		Eventually(sessions).Should(BeEmpty())

		_, err = server.servers.Probe(ctx, server.address)
		Expect(err).NotTo(HaveOccurred())
		server.servers.Close()
		Eventually(sessions).Should(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("is reached the new way as soon as that changes, and calls under way can be repeated", func(ctx SpecContext) {
		server := startInstance(ctx)
		former := server.address
		server.address.Password = service.Sensitive(service.GeneratePassword())
		server.exec(ctx, "postgres", "CREATE ROLE successor SUPERUSER LOGIN PASSWORD '"+database.Verifier(string(server.address.Password))+"'")
		server.address.Username = "successor"

		all := make([]database.Desired, 6)
		for n := range all {
			all[n] = newTenant()
		}
		failures := atOnce(len(all), func(n int) error {
			operator := *server
			if n%2 == 0 {
				operator.address = former
			}
			for {
				err := operator.converge(ctx, all[n])
				if _, busy := errors.AsType[*service.UnreachableError](err); !busy || ctx.Err() != nil {
					return err
				}
			}
		})
		Expect(failures).To(HaveEach(BeNil()))
		for _, tenant := range all {
			Expect(server.state(ctx, tenant)).To(ConsistOf(complete(5)))
		}
		Eventually(func() []string {
			return server.rows(ctx, "postgres", "SELECT DISTINCT usename::text FROM pg_stat_activity WHERE application_name = 'tenantry'")
		}).Should(Or(Equal([]string{"successor"}), Equal([]string{"operator"})), "the sessions of the other way are closed")
	}, SpecTimeout(specTimeout))
})

// serveTLS gives the server a certificate for 127.0.0.1 and returns the PEM of its authority.
func (i *instance) serveTLS(ctx context.Context) string {
	GinkgoHelper()
	authority := i.writeCertificate()
	i.exec(ctx, "postgres", "ALTER SYSTEM SET ssl = on")
	i.exec(ctx, "postgres", "SELECT pg_reload_conf()")
	Eventually(func() string { return strings.Join(i.rows(ctx, "postgres", "SHOW ssl"), "") }).Should(Equal("on"))
	return authority
}

// writeCertificate writes a new certificate for the server, and returns the PEM of its authority.
func (i *instance) writeCertificate() string {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "database"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	Expect(err).NotTo(HaveOccurred())
	privateKey, err := x509.MarshalPKCS8PrivateKey(key)
	Expect(err).NotTo(HaveOccurred())
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})

	info, err := os.Stat(i.DataDir)
	Expect(err).NotTo(HaveOccurred())
	owner := info.Sys().(*syscall.Stat_t)
	for name, content := range map[string][]byte{
		"server.crt": authority,
		"server.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateKey}),
	} {
		path := filepath.Join(i.DataDir, name)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		Expect(os.Chown(path, int(owner.Uid), int(owner.Gid))).To(Succeed())
	}
	return string(authority)
}
