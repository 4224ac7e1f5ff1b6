// Package faults interrupts the operator's work at every step and verifies that the result is the same as without
// an interruption: the same objects, the same database, the same password, and nothing left over.
//
// A step is one write to the API server, or what is sent to PostgreSQL up to the next answer. The operator
// connects to both through proxies of the suite, which kill it with SIGKILL before a step reaches the server,
// while the server works on it, or after the server has done it but before the operator gets the answer. The same
// work is done for one tenant after the other, and interrupted at another step each time, until there is none
// left. PostgreSQL is killed in the same way.
package faults

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/test/environment"
)

const databaseServer = "shared"

var (
	env        *environment.Environment
	kubernetes *kubernetesProxy
	postgres   *postgresProxy
	// kubeconfig is the operator's kubeconfig, with the address of the proxy.
	kubeconfig string
)

func TestFaults(t *testing.T) {
	environment.RunSpecs(t, "Faults")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	var err error
	// The lease of a killed leader would delay the next one.
	env, err = environment.Start(ctx, environment.Options{
		Name: "faults", OperatorArgs: []string{"--leader-elect=false", "--zap-log-level=debug"}, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)

	kubernetes, err = startKubernetesProxy(env.Kubernetes)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(kubernetes.stop)
	kubeconfig, err = kubernetes.kubeconfig(ctx, env.Kubernetes, env.Dir)
	Expect(err).NotTo(HaveOccurred())
	Expect(env.Operator.Stop()).To(Succeed())
	Expect(startOperator(ctx)).To(Succeed())

	postgres, err = startPostgresProxy(net.JoinHostPort(env.Postgres.Host, strconv.Itoa(env.Postgres.Port)))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(postgres.stop)
	proxied := *env.Postgres
	proxied.Port = postgres.port()
	server, err := env.ApplyDatabaseServer(ctx, databaseServer, &proxied)
	Expect(err).NotTo(HaveOccurred())
	shareDatabases(ctx, server)
	awaitPolicies(ctx)
	// The operator stops first, since the proxies end when their connections do.
	DeferCleanup(func() error { return env.Operator.Stop() })
}, NodeTimeout(20*time.Minute))

// shareDatabases makes the server offer all isolations, and creates a table for tenants with the isolation Row.
func shareDatabases(ctx context.Context, server *v1alpha1.DatabaseServer) {
	GinkgoHelper()
	Eventually(ctx, komega.Update(server, func() {
		server.Spec.Isolations = []v1alpha1.DatabaseIsolation{
			v1alpha1.DatabaseIsolationDatabase, v1alpha1.DatabaseIsolationSchema, v1alpha1.DatabaseIsolationRow,
		}
	})).Should(Succeed())
	Eventually(ctx, komega.Object(server)).WithTimeout(time.Minute).Should(HaveField("Status.UnprotectedTables", Not(BeNil())))
	Expect(environment.Exec(ctx, env.Postgres, "tenantry_row",
		"SET ROLE tenantry_row_owner", "CREATE TABLE orders (number int)", "SELECT tenantry.isolate('orders')")).To(Succeed())
}

// awaitPolicies waits until the API server applies the admission policies, so that all tenants' namespaces get the
// defaults of the policies.
func awaitPolicies(ctx context.Context) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "heeded", Labels: map[string]string{naming.LabelTenant: "heeded"},
	}}
	Expect(env.Client.Create(ctx, namespace)).To(Succeed())
	Eventually(ctx, func() (*bool, error) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "heeded"}}
		err := env.Client.Create(ctx, account, client.DryRunAll)
		return account.AutomountServiceAccountToken, err
	}).WithTimeout(time.Minute).Should(HaveValue(BeFalse()))
	Expect(env.Client.Delete(ctx, namespace)).To(Succeed())
}

// startOperator starts the operator behind the proxy. Of two flags of one name the last one counts.
func startOperator(ctx context.Context) error {
	return env.StartOperator(ctx, "--kubeconfig="+kubeconfig)
}

// A spec that failed may have left something dead that the next one needs.
var _ = BeforeEach(func(ctx SpecContext) {
	kubernetes.fault.Store(nil)
	postgres.fault.Store(nil)
	Expect(env.Postgres.Restart(ctx)).To(Succeed())
	if !env.Operator.Alive() {
		Expect(startOperator(ctx)).To(Succeed())
	}
}, NodeTimeout(time.Minute))

var _ = AfterEach(func(ctx SpecContext) { env.Explain(ctx, "get tenants,databaseservers -o wide") }, NodeTimeout(time.Minute))
