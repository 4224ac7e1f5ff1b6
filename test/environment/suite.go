package environment

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/hack/freeport"
)

// RunSpecs runs the specs of a suite that needs an environment. Its Eventually waits up to two minutes by default,
// since suites run beside each other.
func RunSpecs(t *testing.T, name string) {
	t.Helper()
	gomega.RegisterFailHandler(ginkgo.Fail)
	gomega.Expect(freeport.Shift(ginkgo.GinkgoParallelProcess() - 1)).To(gomega.Succeed())
	gomega.SetDefaultEventuallyTimeout(2 * time.Minute)
	gomega.SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	gomega.EnforceDefaultTimeoutsWhenUsingContexts()
	log.SetLogger(ginkgo.GinkgoLogr)
	ginkgo.RunSpecs(t, name)
}

// Explain adds to the report of a failed spec the output of kubectl for each of the arguments, for example "get
// tenants", and the end of the operator's log. It keeps Dir.
func (e *Environment) Explain(ctx context.Context, arguments ...string) {
	if !ginkgo.CurrentSpecReport().Failed() {
		return
	}
	e.Keep()
	for _, line := range arguments {
		output, err := e.Kubernetes.Kubectl(ctx, strings.Fields(line)...)
		ginkgo.AddReportEntry("kubectl "+line, fmt.Sprint(output, err))
	}
	lines, err := e.Operator.LogTail(30)
	ginkgo.AddReportEntry("the operator's log in "+e.Dir, fmt.Sprint(lines, err))
}
