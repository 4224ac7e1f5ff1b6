// Package integration tests what a user sees of the operator, on a real control plane and a real PostgreSQL. All
// specs share one environment; each has its own tenants.
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
	// specTimeout is long enough for a busy machine.
	specTimeout = 6 * time.Minute
	// atOnce is well below the time after which the operator reconciles by itself.
	atOnce = 20 * time.Second
)

var (
	env *environment.Environment
	// seen are the passwords that the operator has generated during the suite.
	seen *passwords
)

func TestIntegration(t *testing.T) {
	environment.RunSpecs(t, "Integration")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	// If the machine halted for some seconds, the operator would lose its Lease and exit, and there is no kubelet
	// here to restart it. The specs about leader election turn it on.
	env, err = environment.Start(ctx, environment.Options{
		Name: "integration", OperatorArgs: []string{"--leader-elect=false", "--zap-log-level=debug"}, Progress: GinkgoWriter,
		// Autoscalers look every 15 s at what they scale, and hesitate 5 min to scale it down, if nobody says otherwise.
		ControllerManagerArgs: []string{"--horizontal-pod-autoscaler-sync-period=1s", "--horizontal-pod-autoscaler-downscale-stabilization=1s"},
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
