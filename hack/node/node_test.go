package node

import (
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
		Expect(Missing(ctx)).To(BeEmpty())
	})
})
