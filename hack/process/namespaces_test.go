package process_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/tenantry/tenantry/hack/process"
)

var _ = Describe("A process in namespaces of its own", func() {
	var (
		dir   string
		first *process.Process
	)

	BeforeEach(func() {
		if os.Geteuid() != 0 {
			Skip("only root may make namespaces")
		}
		dir = GinkgoT().TempDir()
		command := shell(dir, "first", "mount --make-rprivate / && mount -t tmpfs none "+dir+"/inside && touch "+dir+"/inside/file; echo pid $$; exec sleep 300")
		Expect(os.Mkdir(filepath.Join(dir, "inside"), 0o700)).To(Succeed())
		command.Unshare = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET
		var err error
		first, err = process.Start(command)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(first.Kill)
		Eventually(first.LogTail).WithArguments(1).Should(Equal("pid 1"))
	})

	within := func(name, script string) *process.Process {
		GinkgoHelper()
		command := shell(dir, name, script)
		command.Inside = first
		started, err := process.Start(command)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(started.Kill)
		return started
	}

	It("has others beside it, which see its PIDs, mounts and network", func(ctx SpecContext) {
		second := within("second", "ls "+dir+"/inside; wc --lines < /proc/net/dev; echo pid $$")
		Eventually(second.Exited()).WithContext(ctx).Should(BeClosed())
		Expect(second.LogTail(3)).To(MatchRegexp(`^file\n3\npid [2-9]$`))
		Expect(second.ExitCode()).To(BeZero())
	})

	It("leaves this program where it was", func(ctx SpecContext) {
		within("second", "exec sleep 300")
		own, err := process.Start(shell(dir, "own", "ls "+dir+"/inside; pwd; echo pid $$"))
		Expect(err).NotTo(HaveOccurred())
		Eventually(own.Exited()).WithContext(ctx).Should(BeClosed())
		here, err := os.Getwd()
		Expect(err).NotTo(HaveOccurred())
		Expect(own.LogTail(3)).To(MatchRegexp(`^` + here + `\npid \d{3,}$`))
	})

	It("takes all of them with it when it ends", func(ctx SpecContext) {
		second := within("second", "sleep 300 & exec sleep 300")
		Expect(first.Kill()).To(Succeed())
		Eventually(second.Exited()).WithContext(ctx).Should(BeClosed())
	})

	It("can't be joined once it has ended", func() {
		Expect(first.Kill()).To(Succeed())
		command := shell(dir, "second", "true")
		command.Inside = first
		_, err := process.Start(command)
		Expect(err).To(MatchError(ContainSubstring("can't start second")))
	})
})
