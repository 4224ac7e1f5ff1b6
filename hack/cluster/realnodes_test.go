package cluster

import (
	"net"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/hack/node"
)

var _ = Describe("A control plane in a network of its own", func() {
	It("says which port is in use outside, and leaves nothing behind", func(ctx SpecContext) {
		if missing := node.Missing(ctx, ""); len(missing) > 0 {
			Skip(missing[0])
		}
		taken, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(taken.Close)
		port := taken.Addr().(*net.TCPAddr).Port

		dir := filepath.Join(GinkgoT().TempDir(), "cluster")
		_, err = Start(ctx, Options{Bin: bin, Dir: dir, Nodes: 1, RealNodes: 1, NodePorts: map[int]int{port: 30443}})
		Expect(err).To(MatchError(And(
			HavePrefix("relay ended before it was ready (exit status 1); its log "),
			ContainSubstring("listen tcp %s: bind: address already in use", loopbackPort(port)))))
		Expect(processesOf(dir)).To(BeEmpty())
	}, SpecTimeout(specTimeout))
})
