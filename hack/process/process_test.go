package process_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/procfs"

	"github.com/tenantry/tenantry/hack/process"
)

// starterEnv makes the test binary start a process and keep running, as a parent to kill.
const starterEnv = "PROCESS_TEST_STARTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(starterEnv); dir != "" {
		startAndStay(dir)
	}
	os.Exit(m.Run())
}

const specTimeout = 3 * time.Minute

func TestProcess(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Process")
}

func startAndStay(dir string) {
	for name, signal := range map[string]syscall.Signal{"tied": syscall.SIGKILL, "free": 0} {
		command := shell(dir, name, "exec sleep 300")
		command.ParentDeathSignal = signal
		if _, err := process.Start(command); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("started")
	select {}
}

func shell(dir, name, script string) process.Command {
	return process.Command{
		Name:       name,
		Path:       "sh",
		Args:       []string{"-c", script},
		LogPath:    filepath.Join(dir, name+".log"),
		RecordPath: filepath.Join(dir, name+".json"),
	}
}

var _ = Describe("A process", func() {
	var dir string

	BeforeEach(func() { dir = GinkgoT().TempDir() })

	start := func(command process.Command) *process.Process {
		GinkgoHelper()
		started, err := process.Start(command)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(started.Kill)
		return started
	}

	logged := func(p *process.Process, line string) func(context.Context) error {
		return func(context.Context) error {
			lines, err := p.LogTail(10)
			if err == nil && !strings.Contains(lines, line) {
				err = fmt.Errorf("%q is not in the log", line)
			}
			return err
		}
	}

	It("is stopped by its signal, and its record goes with it", func(ctx SpecContext) {
		command := shell(dir, "polite", "trap 'echo asked; exit 0' INT; echo up; while :; do sleep 0.01; done")
		command.StopSignal = syscall.SIGINT
		polite := start(command)
		Expect(polite.WaitReady(ctx, logged(polite, "up"))).To(Succeed())

		Expect(polite.Stop(time.Minute)).To(Succeed())
		Expect(polite.Alive()).To(BeFalse())
		Expect(polite.LogTail(1)).To(Equal("asked"))
		Expect(polite.ExitCode()).To(Equal(0))
		Expect(command.RecordPath).NotTo(BeAnExistingFile())
		Expect(polite.Signal(syscall.SIGTERM)).To(MatchError(os.ErrProcessDone))
	}, SpecTimeout(specTimeout))

	It("is killed when it does not stop within the grace period", func(ctx SpecContext) {
		deaf := start(shell(dir, "deaf", "trap '' TERM; echo up; while :; do sleep 0.01; done"))
		Expect(deaf.WaitReady(ctx, logged(deaf, "up"))).To(Succeed())
		Expect(deaf.ExitCode()).To(Equal(-1))
		Expect(deaf.Stop(50 * time.Millisecond)).To(Succeed())
		Expect(deaf.Alive()).To(BeFalse())
		Expect(deaf.ExitCode()).To(Equal(-1))
	}, SpecTimeout(specTimeout))

	It("says why it ended early, with the last lines of its own log", func(ctx SpecContext) {
		command := shell(dir, "broken", "echo first; echo the disk is full >&2; exit 3")
		Expect(os.WriteFile(command.LogPath, []byte("of an earlier run\n"), 0o644)).To(Succeed())
		broken := start(command)
		err := broken.WaitReady(ctx, func(context.Context) error { return errors.New("not yet") })
		Expect(err).To(MatchError(fmt.Sprintf("broken ended before it was ready (exit status 3); its log %s ends with:\n"+
			"first\nthe disk is full", command.LogPath)))
		Expect(broken.ExitCode()).To(Equal(3))
	}, SpecTimeout(specTimeout))

	It("says what it waited for when it was not ready in time", func(ctx SpecContext) {
		slow := start(shell(dir, "slow", "exec sleep 300"))
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		err := slow.WaitReady(short, func(context.Context) error { return errors.New("port 5432 refuses connections") })
		Expect(err).To(MatchError(fmt.Sprintf(
			"slow was not ready in time: port 5432 refuses connections; its log %s is empty", slow.LogPath())))
		Expect(slow.Alive()).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("tells the CPU time of its children, of those that run and of those that have ended", func(ctx SpecContext) {
		const work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
		ended := start(shell(dir, "ended", "sh -c '"+work+"'; echo done; exec sleep 300"))
		Expect(ended.WaitReady(ctx, logged(ended, "done"))).To(Succeed())
		Expect(ended.CPUTime()).To(BeNumerically(">", 50*time.Millisecond))

		running := start(shell(dir, "running", "sh -c '"+work+"; echo done; exec sleep 300' & wait"))
		DeferCleanup(func() error { return syscall.Kill(-running.PID(), syscall.SIGKILL) })
		Expect(running.WaitReady(ctx, logged(running, "done"))).To(Succeed())
		Expect(running.CPUTime()).To(BeNumerically(">", 50*time.Millisecond))
	}, SpecTimeout(specTimeout))

	It("tells how much memory it has", func(ctx SpecContext) {
		big := start(shell(dir, "big", "x=$(head -c 10000000 /dev/zero | tr '\\0' x); echo up; while :; do sleep 0.01; done"))
		Expect(big.WaitReady(ctx, logged(big, "up"))).To(Succeed())
		Expect(big.ResidentBytes()).To(BeNumerically(">", 10_000_000))
	}, SpecTimeout(specTimeout))

	It("can't be started from a file that is not there", func() {
		_, err := process.Start(process.Command{Name: "absent", Path: "/nowhere/absent", LogPath: filepath.Join(dir, "log")})
		Expect(err).To(MatchError(And(ContainSubstring("can't start absent"), ContainSubstring("/nowhere/absent"))))
	})

	It("runs as another user, in a folder and an environment of its choice", func(ctx SpecContext) {
		if os.Getuid() != 0 {
			Skip("only root may start a process as another user")
		}
		command := shell(dir, "other", "id -u; id -g; pwd; echo $COLOR; echo done")
		command.Credential = &syscall.Credential{Uid: 65534, Gid: 65533}
		command.Dir = "/usr"
		command.Env = []string{"PATH=/usr/bin:/bin", "COLOR=green"}
		other := start(command)
		Eventually(other.Exited()).WithContext(ctx).Should(BeClosed())
		Expect(other.LogTail(5)).To(Equal("65534\n65533\n/usr\ngreen\ndone"))
	}, SpecTimeout(specTimeout))

	It("is found again and stopped by its record", func(ctx SpecContext) {
		command := shell(dir, "lost", "exec sleep 300")
		lost := start(command)
		found, err := process.Load(command.RecordPath)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Alive()).To(BeTrue())
		Expect(found.PID()).To(Equal(lost.PID()))
		Expect(found.Stop(time.Minute)).To(Succeed())
		Eventually(lost.Exited()).WithContext(ctx).Should(BeClosed())

		_, err = process.Load(command.RecordPath)
		Expect(err).To(MatchError(fs.ErrNotExist))
	}, SpecTimeout(specTimeout))

	It("isn't alive once it has ended, although its parent doesn't ask how", func(ctx SpecContext) {
		// The child ends when the parent is no longer a shell, which would ask.
		command := shell(dir, "parent", `while read -r name < /proc/$$/comm && [ "$name" != sleep ]; do :; done & echo $!; exec sleep 300`)
		parent := start(command)
		var child int
		Eventually(ctx, func() error {
			printed, err := parent.LogTail(1)
			if err == nil {
				child, err = strconv.Atoi(printed)
			}
			return err
		}).Should(Succeed())
		ended, err := procfs.NewProc(child)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, ended.Stat).Should(HaveField("State", "Z"))
		stat, err := ended.Stat()
		Expect(err).NotTo(HaveOccurred())

		content, err := os.ReadFile(command.RecordPath)
		Expect(err).NotTo(HaveOccurred())
		record := map[string]any{}
		Expect(json.Unmarshal(content, &record)).To(Succeed())
		boot, _, _ := strings.Cut(record["identity"].(string), "/")
		record["pid"], record["identity"] = child, fmt.Sprintf("%s/%d", boot, stat.Starttime)
		content, err = json.Marshal(record)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(command.RecordPath, content, 0o644)).To(Succeed())
		found, err := process.Load(command.RecordPath)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Alive()).To(BeFalse())
	}, SpecTimeout(specTimeout))

	It("is never mistaken for a stranger that got its number", func() {
		command := shell(dir, "stranger", "exec sleep 300")
		stranger := start(command)
		content, err := os.ReadFile(command.RecordPath)
		Expect(err).NotTo(HaveOccurred())
		record := map[string]any{}
		Expect(json.Unmarshal(content, &record)).To(Succeed())
		record["identity"] = record["identity"].(string) + "1"
		content, err = json.Marshal(record)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(command.RecordPath, content, 0o644)).To(Succeed())

		found, err := process.Load(command.RecordPath)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Alive()).To(BeFalse())
		Expect(found.Stop(time.Minute)).To(Succeed())
		Expect(found.Kill()).To(Succeed())
		Expect(stranger.Alive()).To(BeTrue())
	})

	It("dies with its starter only when told to", func(ctx SpecContext) {
		starter := exec.CommandContext(ctx, os.Args[0])
		starter.Env = append(os.Environ(), starterEnv+"="+dir)
		output, err := starter.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(starter.Start()).To(Succeed())
		Expect(bufio.NewReader(output).ReadString('\n')).To(Equal("started\n"))
		tied, err := process.Load(filepath.Join(dir, "tied.json"))
		Expect(err).NotTo(HaveOccurred())
		free, err := process.Load(filepath.Join(dir, "free.json"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(free.Kill)
		Expect(tied.Alive()).To(BeTrue())

		Expect(starter.Process.Kill()).To(Succeed())
		_ = starter.Wait() // "signal: killed", as meant
		Eventually(tied.Exited()).WithContext(ctx).Should(BeClosed())
		Expect(free.Alive()).To(BeTrue())
	}, SpecTimeout(specTimeout))
})
