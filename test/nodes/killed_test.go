package nodes

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/procfs"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/node"
)

// starterVariable makes the test binary start a cluster with a real node in the folder that it names, and stay.
const starterVariable = "NODES_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(starterVariable); dir != "" {
		startAndStay(dir)
	}
	os.Exit(m.Run())
}

func startAndStay(dir string) {
	ctx := context.Background()
	bin, err := cluster.Build(ctx, os.Stderr)
	if err == nil {
		_, err = cluster.Start(ctx, cluster.Options{Bin: bin, Dir: dir, Nodes: 1, RealNodes: 1})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("started")
	select {}
}

// processesOf returns the processes whose arguments have a text.
func processesOf(text string) []string {
	GinkgoHelper()
	processes, err := procfs.AllProcs()
	Expect(err).NotTo(HaveOccurred())
	var found []string
	for _, process := range processes {
		// A process may have ended since.
		if arguments, err := process.CmdLine(); err == nil && strings.Contains(strings.Join(arguments, " "), text) {
			found = append(found, strings.Join(arguments, " "))
		}
	}
	return found
}

var _ = Describe("A cluster whose starter is killed", func() {
	It("ends with all that runs on its nodes, and is in the way of no other one", func(ctx SpecContext) {
		dir := filepath.Join(GinkgoT().TempDir(), "cluster")
		starter := exec.CommandContext(ctx, os.Args[0])
		starter.Env = append(os.Environ(), starterVariable+"="+dir)
		starter.Stderr = GinkgoWriter
		printed, err := starter.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(starter.Start()).To(Succeed())
		Expect(bufio.NewReader(printed).ReadString('\n')).To(Equal("started\n"))
		Expect(processesOf(dir)).To(ContainElements(ContainSubstring("containerd"), ContainSubstring("kubelet"), ContainSubstring("kube-apiserver")))

		Expect(starter.Process.Kill()).To(Succeed())
		Expect(starter.Wait()).NotTo(Succeed())
		Eventually(ctx, func() []string { return processesOf(dir) }).Should(BeEmpty())
		// A process that is being ended has no arguments any more.
		left, err := cluster.Load(dir)
		Expect(err).NotTo(HaveOccurred())
		running := left.Processes()
		for _, n := range left.Nodes() {
			running = append(running, n.Process())
		}
		Expect(running).NotTo(BeEmpty())
		for _, process := range running {
			Eventually(ctx, process.Alive).Should(BeFalse(), process.Name())
		}
		Expect(os.ReadFile("/proc/mounts")).NotTo(ContainSubstring(dir))

		bin, err := cluster.Build(ctx, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		next, err := cluster.Start(ctx, cluster.Options{Bin: bin, Dir: dir, Nodes: 1, RealNodes: 1})
		Expect(err).NotTo(HaveOccurred())
		Expect(next.Stop()).To(Succeed())
		Expect(os.ReadDir(filepath.Join(dir, "nodes", node.Name(1)))).To(HaveExactElements(HaveField("Name()", "logs")))
	}, SpecTimeout(specTimeout))
})
