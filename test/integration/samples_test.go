package integration

import (
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/test/environment"
)

// Each folder of config/samples has a spec here, or in test/dedicated if its tenants need a node that runs
// containers.
var _ = Describe("A user who applies config/samples", func() {
	samples, err := environment.Samples(filepath.Join("..", "..", "config", "samples"))
	It("finds manifests there", func() { Expect(err).NotTo(HaveOccurred()) })
	for _, sample := range samples {
		if sample.RunsServers() {
			continue
		}
		It("has Ready tenants: "+sample.Name, func(ctx SpecContext) {
			for _, tenant := range env.ApplySample(ctx, sample) {
				waitReady(ctx, tenant)
			}
		}, SpecTimeout(specTimeout))
	}
})
