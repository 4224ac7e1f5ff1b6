// Package examples runs the apps of examples/ as their tenants' Deployments, Jobs and CronJobs say, with only the
// environment and the files that a kubelet would give them, on a real PostgreSQL that the operator has set up.
package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/hack/apt"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	// folder is examples/ as seen from this package.
	folder = "../../examples"
	// specTimeout is long enough for a busy machine.
	specTimeout = 3 * time.Minute
)

var env *environment.Environment

func TestExamples(t *testing.T) {
	environment.RunSpecs(t, "Examples")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var packages []string
	for _, framework := range frameworks {
		content, err := os.ReadFile(filepath.Join(folder, framework, "packages.txt"))
		Expect(err).NotTo(HaveOccurred())
		packages = append(packages, strings.Fields(string(content))...)
	}
	Expect(apt.Ensure(ctx, GinkgoWriter, packages...)).To(Succeed())

	var err error
	env, err = environment.Start(ctx, environment.Options{
		Name: "examples", OperatorArgs: []string{"--leader-elect=false", "--zap-log-level=debug"}, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)
}, NodeTimeout(20*time.Minute))

var _ = AfterEach(func(ctx SpecContext) { env.Explain(ctx, "get tenants,databaseservers -o wide") }, NodeTimeout(time.Minute))
