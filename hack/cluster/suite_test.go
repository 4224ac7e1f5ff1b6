package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/hack/freeport"
)

// starterEnv makes the test binary start a detached control plane and exit.
const starterEnv = "CLUSTER_TEST_STARTER_DIR"

const auditedAccount = "audited"

var (
	bin          string
	controlPlane *ControlPlane
	admin        client.Client
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(starterEnv); dir != "" {
		startAndEnd(dir)
	}
	os.Exit(m.Run())
}

func startAndEnd(dir string) {
	bin, err := Build(context.Background(), os.Stderr)
	if err == nil {
		_, err = Start(context.Background(), Options{Bin: bin, Dir: dir, Nodes: 1, Detached: true})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestCluster(t *testing.T) {
	RegisterFailHandler(Fail)
	Expect(freeport.Shift(GinkgoParallelProcess() - 1)).To(Succeed())
	RunSpecs(t, "Cluster")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	bin, err = Build(ctx, os.Stderr)
	Expect(err).NotTo(HaveOccurred())
	controlPlane, err = Start(ctx, Options{
		Bin:        bin,
		Dir:        filepath.Join(GinkgoT().TempDir(), "cluster"),
		AuditUsers: []string{"system:serviceaccount:default:" + auditedAccount},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(controlPlane.Stop)
	admin, err = client.New(controlPlane.Config(), client.Options{})
	Expect(err).NotTo(HaveOccurred())
})

// newNamespace creates a namespace with the labels. Nothing deletes it before the control plane.
func newNamespace(ctx context.Context, labels map[string]string) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}}
	Eventually(ctx, admin.Get).WithArguments(ctx, client.ObjectKeyFromObject(account), account).Should(Succeed())
	return namespace.Name
}

func newPod(namespace string, images ...string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "pod-"}}
	for number, image := range images {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", number), Image: image})
	}
	return pod
}
