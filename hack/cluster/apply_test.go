package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const definition = `{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.%[1]s"},
  "spec": {
    "group": "%[1]s", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"},
    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]
  }
}`

var _ = Describe("A CustomResourceDefinition that was applied", func() {
	It("is found by clients at once", func(ctx SpecContext) {
		for i := range 20 {
			group := fmt.Sprintf("g%d.example.com", i)
			path := filepath.Join(GinkgoT().TempDir(), "definition.json")
			Expect(os.WriteFile(path, fmt.Appendf(nil, definition, group), 0o600)).To(Succeed())
			Expect(controlPlane.Apply(ctx, "--filename", path)).To(Succeed())

			_, err := admin.RESTMapper().RESTMapping(schema.GroupKind{Group: group, Kind: "Thing"})
			Expect(err).NotTo(HaveOccurred())
		}
	}, SpecTimeout(specTimeout))
})
