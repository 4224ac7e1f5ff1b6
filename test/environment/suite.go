package environment

import (
	"testing"

	"github.com/onsi/ginkgo/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// RunSpecs runs the specs of a suite that needs an environment.
func RunSpecs(t *testing.T, name string) {
	t.Helper()
	log.SetLogger(ginkgo.GinkgoLogr)
	ginkgo.RunSpecs(t, name)
}
