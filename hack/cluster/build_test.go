package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Building", func() {
	It("is done once", func(ctx SpecContext) {
		var progress strings.Builder
		Expect(Build(ctx, &progress)).To(Equal(bin))
		Expect(progress.String()).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("says what does not compile", func(ctx SpecContext) {
		b := build{source: GinkgoT().TempDir(), bin: GinkgoT().TempDir(), progress: GinkgoWriter}
		for name, content := range map[string]string{
			"go.mod":  "module broken\n",
			"main.go": "package main\n\nfunc main() { absent() }\n",
		} {
			Expect(os.WriteFile(filepath.Join(b.source, name), []byte(content), 0o600)).To(Succeed())
		}
		Expect(b.compile(ctx, "-s", "v1.0.0")).To(MatchError(And(
			HavePrefix("exit status 1\n"), ContainSubstring("main.go:3:15: undefined: absent"))))
	}, SpecTimeout(specTimeout))

	It("waits while another program builds, but no longer than it may", func(ctx SpecContext) {
		b := build{bin: GinkgoT().TempDir(), progress: GinkgoWriter}
		unlock, err := b.lock(ctx)
		Expect(err).NotTo(HaveOccurred())
		short, cancel := context.WithTimeout(ctx, 2*lockPollInterval)
		defer cancel()
		_, err = b.lock(short)
		Expect(err).To(MatchError(context.DeadlineExceeded))

		Expect(unlock()).To(Succeed())
		unlock, err = b.lock(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(unlock()).To(Succeed())
	}, SpecTimeout(specTimeout))
})
