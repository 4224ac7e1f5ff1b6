package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/hack/process"
)

const (
	module           = "github.com/tenantry/tenantry"
	program          = "kubernetes"
	lockPollInterval = 100 * time.Millisecond
)

// Build compiles the control plane from its Go modules unless that has been done already, and
// returns the folder of its programs, <repository>/.local/bin: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, kwok and kubectl, and what real nodes need. They call
// themselves by the version of k8s.io/kubernetes in hack/kubernetes/go.mod.
//
// The first build takes minutes and shows its progress on the writer; later calls take a moment.
// It must be called from within the repository, and may be called by many programs at once: one
// of them builds. When ctx ends, so does the build.
func Build(ctx context.Context, progress io.Writer) (string, error) {
	repository, err := goOutput(ctx, ".", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", fmt.Errorf("can't find the repository of %s; call this from within it: %w", module, err)
	}
	b := build{
		source:   filepath.Join(repository, "hack", program),
		bin:      filepath.Join(repository, ".local", "bin"),
		progress: progress,
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return "", fmt.Errorf("can't get the lock for building Kubernetes: %w", err)
	}
	if err := errors.Join(b.ensure(ctx), unlock()); err != nil {
		return "", fmt.Errorf("can't build Kubernetes from %s: %w", b.source, err)
	}
	return b.bin, nil
}

type build struct {
	source   string
	bin      string
	progress io.Writer
}

func (b build) ensure(ctx context.Context) error {
	flags, kubernetes, err := b.linkFlags(ctx)
	if err != nil {
		return err
	}
	stamp, err := b.stamp(ctx, flags)
	if err != nil {
		return err
	}
	stampPath := filepath.Join(b.bin, program+".stamp")
	if previous, err := os.ReadFile(stampPath); err == nil && string(previous) == stamp {
		return b.link()
	}
	if err := b.compile(ctx, flags, kubernetes); err != nil {
		return err
	}
	if err := b.compileVolumes(ctx); err != nil {
		return err
	}
	if err := b.link(); err != nil {
		return err
	}
	return os.WriteFile(stampPath, []byte(stamp), 0o644)
}

// linkFlags stamps the program with the version of the module: unstamped, Kubernetes calls
// itself v0.0.0 and refuses to emulate any release.
func (b build) linkFlags(ctx context.Context) (flags, kubernetes string, err error) {
	kubernetes, err = goOutput(ctx, b.source, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return "", "", err
	}
	parsed, err := version.ParseSemantic(kubernetes)
	if err != nil {
		return "", "", fmt.Errorf("k8s.io/kubernetes must be required by a release version: %w", err)
	}
	variable := "-X k8s.io/component-base/version."
	return strings.Join([]string{
		"-s -w",
		variable + "gitVersion=" + kubernetes,
		variable + fmt.Sprintf("gitMajor=%d", parsed.Major()),
		variable + fmt.Sprintf("gitMinor=%d", parsed.Minor()),
		variable + "gitTreeState=clean",
	}, " "), kubernetes, nil
}

// stamp identifies everything that the programs are built from.
func (b build) stamp(ctx context.Context, flags string) (string, error) {
	sources, err := dirhash.HashDir(b.source, program, dirhash.Hash1)
	if err != nil {
		return "", err
	}
	volumes, err := dirhash.HashDir(b.volumes(), "volumes", dirhash.Hash1)
	if err != nil {
		return "", err
	}
	toolchain, err := goOutput(ctx, b.source, "version")
	if err != nil {
		return "", err
	}
	return strings.Join([]string{sources, volumes, toolchain, flags}, "\n"), nil
}

// compile replaces each program atomically, so that a control plane that runs from it keeps running.
func (b build) compile(ctx context.Context, flags, kubernetes string) error {
	stale, err := goOutput(ctx, b.source, "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "./...")
	if err != nil {
		return err
	}
	// The lock is held, so that what is there is from a build that was killed.
	left, err := filepath.Glob(filepath.Join(b.bin, "new-*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	fresh, err := os.MkdirTemp(b.bin, "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	cmd := goCommand(ctx, b.source, "build", "-v", "-buildvcs=false", "-ldflags", flags, "-o", fresh, "./...")
	compiled := packageCounter{total: len(strings.Fields(stale)), kubernetes: kubernetes, started: time.Now()}
	cmd.Stderr = &compiled
	stop := compiled.report(b.progress)
	err = cmd.Run()
	stop()
	if err != nil {
		return fmt.Errorf("%w\n%s", cmp.Or(ctx.Err(), err), compiled.complaints())
	}
	fmt.Fprintf(b.progress, "Built Kubernetes %s in %s\n", kubernetes, compiled.elapsed())
	built, err := os.ReadDir(fresh)
	if err != nil {
		return err
	}
	for _, file := range built {
		if err := os.Rename(filepath.Join(fresh, file.Name()), filepath.Join(b.bin, file.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (b build) volumes() string { return filepath.Join(filepath.Dir(b.source), "volumes") }

// compileVolumes compiles what provides volumes on real nodes.
func (b build) compileVolumes(ctx context.Context) error {
	_, err := goOutput(ctx, b.volumes(), "build", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(b.bin, node.LocalVolumes))
	return err
}

// link links the names of all components to the program.
func (b build) link() error {
	if _, err := os.Stat(filepath.Join(b.bin, program)); err != nil {
		return fmt.Errorf("the program is gone; delete %s to build it again: %w",
			filepath.Join(b.bin, program+".stamp"), err)
	}
	for _, name := range slices.Concat(startOrder, []string{kubectl}, fabric.Programs, node.Programs) {
		path := filepath.Join(b.bin, name)
		if target, err := os.Readlink(path); err == nil && target == program {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(program, path); err != nil {
			return err
		}
	}
	return nil
}

// lock waits until no other program builds. The kernel lifts the lock of a program that dies.
func (b build) lock(ctx context.Context) (unlock func() error, err error) {
	if err := os.MkdirAll(b.bin, 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(b.bin, program+".lock"))
	if err != nil {
		return nil, err
	}
	announced := false
	err = wait.PollUntilContextCancel(ctx, lockPollInterval, true, func(context.Context) (bool, error) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err == nil, err
		}
		if !announced {
			announced = true
			fmt.Fprintln(b.progress, "Waiting for another program that builds Kubernetes")
		}
		return false, nil
	})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

// goCommand builds without cgo, whether or not there is a C compiler: installing one would otherwise recompile
// everything.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	output, err := process.Output(goCommand(ctx, dir, args...))
	return strings.TrimSpace(output), err
}
