package environment

import (
	"testing"

	"github.com/onsi/ginkgo/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// attempts is how often a spec is tried. The specs wait for a whole control plane, which now and then
// halts for longer than they wait when the machine has other things to do. What passes by the second
// attempt only is in the report as flaked.
const attempts = 2

// RunSpecs runs the specs of a suite that needs an environment.
func RunSpecs(t *testing.T, name string) {
	t.Helper()
	log.SetLogger(ginkgo.GinkgoLogr)
	config, _ := ginkgo.GinkgoConfiguration()
	config.FlakeAttempts = max(config.FlakeAttempts, attempts)
	ginkgo.RunSpecs(t, name, config)
}
