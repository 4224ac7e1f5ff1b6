// Package integration shows what a user sees of the operator, on a real control plane and a real
// PostgreSQL. All specs share one environment; each has tenants of its own.
package integration

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/test/environment"
)

const (
	// shared is the DatabaseServer of all specs that neither stop nor fill one.
	shared = "shared"
	// specTimeout is for a machine that has other things to do.
	specTimeout = 3 * time.Minute
	// atOnce is well below the time after which the operator looks again by itself.
	atOnce = 20 * time.Second
)

var (
	env *environment.Environment
	// seen are the passwords that the suite has come across.
	seen *passwords
)

func TestIntegration(t *testing.T) {
	environment.RunSpecs(t, "Integration")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	// A machine that halts for some seconds would cost the operator its lease and thus its life, and
	// there is no kubelet here to start it again. The specs about the lease turn it on.
	env, err = environment.Start(ctx, environment.Options{
		Name: "integration", OperatorArgs: []string{"--leader-elect=false", "--zap-log-level=debug"}, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)
	seen, err = watchPasswords(env.Client)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(seen.stop)
	seen.add(env.Postgres.Password)
	_, err = env.ApplyDatabaseServer(ctx, shared, env.Postgres)
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(20*time.Minute))

var _ = AfterEach(func(ctx SpecContext) {
	env.Explain(ctx, "get tenants,databaseservers -o wide", "get events --namespace default")
}, NodeTimeout(time.Minute))

// kubectl runs kubectl, which must succeed, and returns what it printed.
func kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	output, err := env.Kubernetes.Kubectl(ctx, args...)
	Expect(err).NotTo(HaveOccurred())
	return output
}

// manifest writes a file that kubectl can apply.
func manifest(content string) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "manifest.yaml")
	Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
	return path
}
