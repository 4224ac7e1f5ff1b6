// Package nodes has the specs that need real nodes: containers that run, and packets that are dropped.
package nodes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/apt"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/freeport"
	"github.com/tenantry/tenantry/hack/images"
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
	cl         client.Client
	database   *postgres.Server
)

// frameworks are the folders in examples.
var frameworks = []string{"django", "fastapi", "flask", "pyramid"}

func TestNodes(t *testing.T) { environment.RunSpecs(t, "Nodes") }

var _ = BeforeSuite(func(ctx SpecContext) {
	Expect(apt.Ensure(ctx, GinkgoWriter, node.Packages...)).To(Succeed())
	if missing := node.Missing(ctx); len(missing) > 0 {
		Skip("This machine can't run real nodes. " + strings.Join(missing, " "))
	}
	bin, err := cluster.Build(ctx, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	dir, err := os.MkdirTemp("", "tenantry-nodes-")
	Expect(err).NotTo(HaveOccurred())
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	DeferCleanup(os.RemoveAll, dir)

	ports, err := freeport.Find(1)
	Expect(err).NotTo(HaveOccurred())
	kubernetes, err = cluster.Start(ctx, cluster.Options{
		Bin: bin, Dir: dir, Nodes: 1, RealNodes: 2, Exposed: ports, Images: makeImages(ctx, bin),
		AuditUsers: []string{operator.User},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(kubernetes.Stop)

	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	cl, err = client.New(kubernetes.Config(), client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	komega.SetClient(cl)

	database, err = postgres.Start(ctx, postgres.Options{
		Dir: filepath.Join(dir, "postgres"), Port: ports[0], Inside: kubernetes.Network(), EndWithStarter: true, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(database.Remove)
	defer explain(ctx)
	install(ctx)
	startClient(ctx)
}, NodeTimeout(15*time.Minute))

// makeImages makes the images of the operator, of what a cluster needs, and of the specs.
func makeImages(ctx context.Context, bin string) []string {
	GinkgoHelper()
	root, err := operator.Root(ctx)
	Expect(err).NotTo(HaveOccurred())
	manager, err := operator.Build(ctx)
	Expect(err).NotTo(HaveOccurred())
	maker := images.Maker{Dir: filepath.Join(root, ".local", "images")}
	var paths []string
	for reference, program := range map[string]string{
		node.PauseImage:                  build(ctx, root, "./hack/images/pause"),
		peer:                             build(ctx, root, "./test/nodes/peer"),
		"docker.io/tenantry/manager:dev": manager,
		"tenantry.local/coredns:1":       filepath.Join(bin, "coredns"),
	} {
		path, err := maker.Make(ctx, images.Static(reference, program))
		Expect(err).NotTo(HaveOccurred())
		paths = append(paths, path)
	}
	own := images.Static(rootful, filepath.Join(root, ".local", "bin", "peer"), "sleep")
	own.Config.User = ""
	all := []images.Image{own}
	for _, framework := range frameworks {
		shop, err := images.App("registry.example/shop-"+framework+":1", filepath.Join(root, "examples", framework))
		Expect(err).NotTo(HaveOccurred())
		all = append(all, shop)
	}
	for _, image := range all {
		path, err := maker.Make(ctx, image)
		Expect(err).NotTo(HaveOccurred())
		paths = append(paths, path)
	}
	return paths
}

func build(ctx context.Context, root, path string) (program string) {
	GinkgoHelper()
	program = filepath.Join(root, ".local", "bin", filepath.Base(path))
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", program, path)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	output, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
	return program
}

// install installs DNS and the operator as an admin would, and registers the PostgreSQL server.
func install(ctx context.Context) {
	GinkgoHelper()
	root, err := operator.Root(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(kubernetes.Apply(ctx, "--filename="+filepath.Join(root, "hack", "cluster", "addons"))).To(Succeed())
	Expect(kubernetes.Apply(ctx, "-k", filepath.Join(root, "config", "default"))).To(Succeed())
	admin := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "shared-admin"},
		Type:       corev1.SecretTypeBasicAuth,
		StringData: map[string]string{corev1.BasicAuthUsernameKey: database.Username, corev1.BasicAuthPasswordKey: database.Password},
	}
	Expect(cl.Create(ctx, admin)).To(Succeed())
	server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: shared}}
	server.Spec.Isolations = []v1alpha1.DatabaseIsolation{v1alpha1.DatabaseIsolationDatabase, v1alpha1.DatabaseIsolationSchema, v1alpha1.DatabaseIsolationRow}
	server.Spec.Host, server.Spec.Port, server.Spec.SSLMode = fabric.Address, int32(database.Port), v1alpha1.SSLModeDisable
	server.Spec.AdminSecretRef = v1alpha1.SecretReference{Namespace: admin.Namespace, Name: admin.Name}
	Expect(cl.Create(ctx, server)).To(Succeed())
	for _, deployment := range []string{"kube-system/coredns", operator.Namespace + "/tenantry-manager"} {
		namespace, name, _ := strings.Cut(deployment, "/")
		Expect(kubectl(ctx, "rollout", "status", "deployment/"+name, "--namespace="+namespace, "--timeout=2m")).To(ContainSubstring("successfully rolled out"))
	}
	Eventually(ctx, komega.Object(server)).Should(HaveField("Status.Conditions", ContainElement(And(
		HaveField("Type", "Ready"), HaveField("Status", metav1.ConditionTrue)))))
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
	} {
		output, err := kubernetes.Kubectl(ctx, strings.Fields(line)...)
		AddReportEntry("kubectl "+line, fmt.Sprint(output, err))
	}
}
