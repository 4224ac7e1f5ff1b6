package conformance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	_ "k8s.io/kubernetes/test/e2e/network/netpol"
	imageutils "k8s.io/kubernetes/test/utils/image"
	podsecurity "k8s.io/pod-security-admission/test"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/apt"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/deploy"
	"github.com/tenantry/tenantry/hack/images"
	"github.com/tenantry/tenantry/hack/images/project"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/internal/naming"
)

const (
	// kubeconfigVariable has the cluster of the process that starts this one.
	kubeconfigVariable = "CONFORMANCE_KUBECONFIG"
	// tenant is the tenant in whose namespaces this process runs Kubernetes' tests.
	tenant = "netpol"

	startTimeout  = 15 * time.Minute
	usableTimeout = time.Minute
	pollInterval  = 100 * time.Millisecond
	usable        = "tenantry.dev/usable"

	// inPlain are the tests that are run in namespaces of nobody: all but those of SCTP, which this kernel lacks.
	skipped = "SCTP"
	// inTenant are those that can hold in a tenant's namespaces.
	inTenant = "should support allow-all policy|Netpol API"
)

func TestMain(m *testing.M) {
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests on a cluster with real nodes.
func run(m *testing.M) (code int, err error) {
	kubeconfig := os.Getenv(kubeconfigVariable)
	if kubeconfig != "" {
		framework.TestContext.CreateTestingNS = createInTenant
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		running, err := start(ctx)
		if running != nil {
			defer func() { err = errors.Join(err, running.Stop()) }()
		}
		if err != nil {
			return 1, err
		}
		kubeconfig = running.KubeconfigPath()
	}
	framework.TestContext.KubeConfig = kubeconfig
	framework.AfterReadingAllFlags(&framework.TestContext)
	return m.Run(), nil
}

// start starts two real nodes with the operator, and the image of Kubernetes' tests.
func start(ctx context.Context) (*cluster.ControlPlane, error) {
	if err := apt.Ensure(ctx, os.Stderr, node.Packages...); err != nil {
		return nil, err
	}
	if missing := node.Missing(ctx, ""); len(missing) > 0 {
		return nil, errors.New("this machine can't run real nodes: " + strings.Join(missing, " "))
	}
	bin, err := cluster.Build(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	archives, err := makeImages(ctx, bin)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tenantry-conformance-")
	if err != nil {
		return nil, err
	}
	running, err := cluster.Start(ctx, cluster.Options{Bin: bin, Dir: dir, Nodes: 1, RealNodes: 2, Images: archives})
	if err != nil {
		return nil, err
	}
	return running, errors.Join(deploy.Install(ctx, running), deploy.Wait(ctx, running))
}

// makeImages makes the images of the cluster, and that of the pods of Kubernetes' tests, whose program runs as root to
// listen on port 80.
func makeImages(ctx context.Context, bin string) ([]string, error) {
	all, err := project.Cluster(ctx, bin)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(bin, "agnhost")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", program, "k8s.io/kubernetes/test/images/agnhost")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("can't build agnhost: %w\n%s", err, output)
	}
	agnhost := images.Static(imageutils.GetE2EImage(imageutils.Agnhost), program)
	agnhost.Config.User = ""
	maker, err := project.Maker(ctx)
	if err != nil {
		return nil, err
	}
	return maker.MakeAll(ctx, append(all, agnhost)...)
}

// newClient returns a client of the cluster's administrator.
func newClient() (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	rest, err := framework.LoadConfig()
	if err != nil {
		return nil, err
	}
	return client.New(rest, client.Options{Scheme: scheme})
}

// createTenant creates a Tenant whose pods meet a Pod Security Standard, and returns its namespace once it can be used.
func createTenant(ctx context.Context, name string, standard v1alpha1.PodSecurityStandard) (*corev1.Namespace, error) {
	admin, err := newClient()
	if err != nil {
		return nil, err
	}
	made := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}}
	made.Spec.Policy.PodSecurity = standard
	made.Spec.Namespaces.Limit = 100
	if err := admin.Create(ctx, made); err != nil {
		return nil, err
	}
	return awaitUsable(ctx, admin, name)
}

// awaitUsable returns a namespace once the operator has opened it.
func awaitUsable(ctx context.Context, admin client.Client, name string) (*corev1.Namespace, error) {
	namespace := &corev1.Namespace{}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, usableTimeout, true, func(ctx context.Context) (bool, error) {
		err := client.IgnoreNotFound(admin.Get(ctx, client.ObjectKey{Name: name}, namespace))
		return namespace.Labels[usable] == "true", err
	})
	return namespace, err
}

// createInTenant creates a namespace of a test as a further one of the tenant.
func createInTenant(ctx context.Context, base string, _ kubernetes.Interface, _ map[string]string) (*corev1.Namespace, error) {
	admin, err := newClient()
	if err != nil {
		return nil, err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("%s-%s-%s", tenant, base, rand.String(5)), Labels: map[string]string{naming.LabelTenant: tenant},
	}}
	if err := admin.Create(ctx, namespace); err != nil {
		return nil, err
	}
	return awaitUsable(ctx, admin, namespace.Name)
}

func TestNetworkPolicies(t *testing.T) {
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.SkipStrings = append(suite.SkipStrings, skipped)
	if os.Getenv(kubeconfigVariable) != "" {
		suite.FocusStrings = []string{inTenant}
	}
	gomega.RegisterFailHandler(framework.Fail)
	ginkgo.RunSpecs(t, "NetworkPolicies", suite, reporter)
}

// Ginkgo runs specs once in a process, so that those in a tenant have one of their own.
func TestNetworkPoliciesInATenant(t *testing.T) {
	if os.Getenv(kubeconfigVariable) != "" {
		t.Skip("this is the process of the tenant")
	}
	if _, err := createTenant(t.Context(), tenant, v1alpha1.PodSecurityBaseline); err != nil {
		t.Fatal(err)
	}
	specs := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNetworkPolicies$", "-test.timeout=30m", "-test.v")
	specs.Env = append(os.Environ(), kubeconfigVariable+"="+framework.TestContext.KubeConfig)
	specs.Stdout, specs.Stderr = os.Stdout, os.Stderr
	if err := specs.Run(); err != nil {
		t.Error(err)
	}
}

// TestPodSecurity tries the pods of all Pod Security Standards and versions. Those of the newest version are tried in
// tenants' namespaces.
func TestPodSecurity(t *testing.T) {
	if os.Getenv(kubeconfigVariable) != "" {
		t.Skip("this is the process of the tenant")
	}
	rest, err := framework.LoadConfig()
	if err != nil {
		t.Fatal(err)
	}
	standards := map[string]v1alpha1.PodSecurityStandard{
		"podsecurity-baseline-1-37": v1alpha1.PodSecurityBaseline, "podsecurity-restricted-1-37": v1alpha1.PodSecurityRestricted,
	}
	podsecurity.Run(t, podsecurity.Options{
		ClientConfig: rest,
		CreateNamespace: func(admin kubernetes.Interface, name string, labels map[string]string) (*corev1.Namespace, error) {
			if standard, is := standards[name]; is {
				return createTenant(t.Context(), name, standard)
			}
			return podsecurity.DefaultCreateNamespace(admin, name, labels)
		},
	})
}
