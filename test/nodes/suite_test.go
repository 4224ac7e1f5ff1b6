// Package nodes has the specs that need real nodes: containers that run, and packets that are dropped.
package nodes

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/apt"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/deploy"
	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/freeport"
	"github.com/tenantry/tenantry/hack/images"
	"github.com/tenantry/tenantry/hack/images/project"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	specTimeout = 3 * time.Minute
	// slowly is for what takes a minute or two by design.
	slowly = 2 * time.Minute
	// peer is the image of the pods that connect to each other.
	peer = "tenantry.local/peer:1"
	// rootful is an image whose user is root.
	rootful = "tenantry.local/rootful:1"
	// shared is the DatabaseServer.
	shared = "shared"
)

var (
	kubernetes *cluster.ControlPlane
	cl         client.WithWatch
	// ports are those that PostgreSQL servers may have: the first is that of database, which all share.
	ports    []int
	database *postgres.Server
	// gatewayPort is where this machine reaches the gateway.
	gatewayPort int
)

func TestNodes(t *testing.T) { environment.RunSpecs(t, "Nodes") }

var _ = BeforeSuite(func(ctx SpecContext) {
	Expect(apt.Ensure(ctx, GinkgoWriter, node.Packages...)).To(Succeed())
	if missing := node.Missing(ctx, ""); len(missing) > 0 {
		Skip("This machine can't run real nodes. " + strings.Join(missing, " "))
	}
	bin, err := cluster.Build(ctx, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	dir, err := os.MkdirTemp("", "tenantry-nodes-")
	Expect(err).NotTo(HaveOccurred())
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	DeferCleanup(os.RemoveAll, dir)

	ports, err = freeport.Find(2 + len(project.Examples))
	Expect(err).NotTo(HaveOccurred())
	gatewayPort, ports = ports[0], ports[1:]
	kubernetes, err = cluster.Start(ctx, cluster.Options{
		Bin: bin, Dir: dir, Nodes: 1, RealNodes: 2, Exposed: ports, Images: makeImages(ctx, bin),
		NodePorts: map[int]int{gatewayPort: deploy.GatewayPort}, AuditUsers: []string{operator.User},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(kubernetes.Stop)

	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	Expect(gatewayv1.Install(scheme)).To(Succeed())
	cl, err = client.NewWithWatch(kubernetes.Config(), client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	komega.SetClient(cl)

	database = startPostgres(ctx, ports[0])
	defer explain(ctx)
	install(ctx)
	startClient(ctx)
}, NodeTimeout(15*time.Minute))

// makeImages makes the project's images, and those of the specs.
func makeImages(ctx context.Context, bin string) []string {
	GinkgoHelper()
	all, err := project.Images(ctx, bin)
	Expect(err).NotTo(HaveOccurred())
	program, err := project.Build(ctx, "./test/nodes/peer")
	Expect(err).NotTo(HaveOccurred())
	asRoot := images.Static(rootful, program, "sleep")
	asRoot.Config.User = ""
	maker, err := project.Maker(ctx)
	Expect(err).NotTo(HaveOccurred())
	paths, err := maker.MakeAll(ctx, append(all, images.Static(peer, program), asRoot)...)
	Expect(err).NotTo(HaveOccurred())
	return paths
}

// install installs DNS, the operator and the gateway as an admin would, and registers the PostgreSQL server.
func install(ctx context.Context) {
	GinkgoHelper()
	Expect(deploy.Install(ctx, kubernetes)).To(Succeed())
	server := register(ctx, shared, database)
	Expect(deploy.Wait(ctx, kubernetes)).To(Succeed())
	Eventually(ctx, komega.Object(server)).Should(ready())
}

// startPostgres starts a PostgreSQL server in the network of the nodes.
func startPostgres(ctx context.Context, port int) *postgres.Server {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "tenantry-nodes-postgres-")
	Expect(err).NotTo(HaveOccurred())
	Expect(os.Chmod(dir, 0o755)).To(Succeed()) // The server runs as another user.
	DeferCleanup(os.RemoveAll, dir)
	server, err := postgres.Start(ctx, postgres.Options{
		Dir: dir, Port: port, Inside: kubernetes.Network(), EndWithStarter: true, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(server.Remove)
	return server
}

// register creates the DatabaseServer of a PostgreSQL server, for all isolations.
func register(ctx context.Context, name string, started *postgres.Server) *v1alpha1.DatabaseServer {
	GinkgoHelper()
	admin := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: name + "-admin"},
		Type:       corev1.SecretTypeBasicAuth,
		StringData: map[string]string{corev1.BasicAuthUsernameKey: started.Username, corev1.BasicAuthPasswordKey: started.Password},
	}
	Expect(cl.Create(ctx, admin)).To(Succeed())
	server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: name}}
	server.Spec.Isolations = isolations
	server.Spec.Host, server.Spec.Port, server.Spec.SSLMode = fabric.Address, int32(started.Port), v1alpha1.SSLModeDisable
	server.Spec.AdminSecretRef = v1alpha1.SecretReference{Namespace: admin.Namespace, Name: admin.Name}
	Expect(cl.Create(ctx, server)).To(Succeed())
	return server
}

func kubectl(ctx context.Context, args ...string) (string, error) {
	output, err := kubernetes.Kubectl(ctx, args...)
	return strings.TrimSpace(output), err
}

var _ = AfterEach(explain)

// explain adds to the report of a failed spec what is in the cluster.
func explain(ctx SpecContext) {
	if !CurrentSpecReport().Failed() {
		return
	}
	for _, line := range []string{
		"get tenants,databaseservers -o wide", "get pods -A -o wide", "get events -A --sort-by=.lastTimestamp",
		"logs --namespace=tenantry-system deployment/tenantry-manager --tail=30",
		"logs --namespace=" + deploy.GatewayNamespace + " deployment/gateway --tail=10",
	} {
		output, err := kubernetes.Kubectl(ctx, strings.Fields(line)...)
		AddReportEntry("kubectl "+line, fmt.Sprint(output, err))
	}
}
