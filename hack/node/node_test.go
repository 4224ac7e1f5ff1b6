package node

import (
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestNode(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Node")
}

var _ = Describe("This machine", func() {
	It("has what real nodes need", func(ctx SpecContext) {
		Expect(Missing(ctx, "")).To(BeEmpty())
	})

	It("takes no folder whose sockets would have too long a path, and says by how much", func(ctx SpecContext) {
		dir := "/" + strings.Repeat("a", longestDir-1)
		Expect(Missing(ctx, dir)).To(BeEmpty())
		Expect(Missing(ctx, dir+"bc")).To(HaveExactElements(ContainSubstring("abc is 2 characters too long")))
		_, err := Start(ctx, Options{Number: 1, Dir: dir + "bc", Kubeconfig: func(string) string { return "" }})
		Expect(err).To(MatchError(ContainSubstring("abc is 2 characters too long")))
	})
})
