// Package operator runs the operator as a local process against a local control plane, with the
// rights of its own ServiceAccount: what config/prerequisites gives it, and nothing more. Tests,
// the demo and the benchmark share it.
//
//	program, err := operator.Build(ctx)
//	…
//	err = operator.Install(ctx, kubernetes)
//	…
//	manager, err := operator.Start(ctx, operator.Options{Program: program, Kubernetes: kubernetes, Dir: dir})
//	…
//	err = manager.Stop()
package operator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/freeport"
	"github.com/tenantry/tenantry/hack/process"
)

const (
	// Namespace is where the operator's ServiceAccount is.
	Namespace = "tenantry-system"
	// ServiceAccount is the operator's ServiceAccount.
	ServiceAccount = "tenantry-manager"
	// User is the operator's user name in the API server.
	User = "system:serviceaccount:" + Namespace + ":" + ServiceAccount

	readyTimeout = time.Minute
	stopGrace    = 30 * time.Second
)

// Build compiles the operator into the checkout's .local/bin and returns the program's path.
func Build(ctx context.Context) (string, error) { return Compile(ctx, "./cmd/manager") }

// Compile compiles a program of the checkout, such as ./cmd/manager, with these flags of go build, into its .local/bin,
// and returns the program's path.
func Compile(ctx context.Context, path string, flags ...string) (string, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	program := filepath.Join(root, ".local", "bin", filepath.Base(path))
	build := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", program}, flags, []string{path})...)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as in the Dockerfile: an image has no C library
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("can't build %s: %w\n%s", path, err, output)
	}
	return program, nil
}

// Root returns the folder of the checkout that the working directory is in.
func Root(ctx context.Context) (string, error) {
	output, err := process.Output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tenantry/tenantry"))
	if err != nil {
		return "", fmt.Errorf("can't find the checkout from the working directory: %w", err)
	}
	return strings.TrimSpace(output), nil
}

// Install applies config/prerequisites: the API, the operator's namespace and its rights.
func Install(ctx context.Context, kubernetes *cluster.ControlPlane) error {
	root, err := Root(ctx)
	if err != nil {
		return err
	}
	if err := kubernetes.Apply(ctx, "-k", filepath.Join(root, "config", "prerequisites")); err != nil {
		return fmt.Errorf("can't install config/prerequisites: %w", err)
	}
	return nil
}

// Options says which operator to start.
type Options struct {
	// Program is the operator's path, as returned by Build. Required.
	Program string
	// Kubernetes is the control plane that Install has prepared. Required.
	Kubernetes *cluster.ControlPlane
	// Dir is the folder for operator.log, operator.pid and the kubeconfig. Required.
	Dir string
	// Args are further arguments.
	Args []string
	// HostsPath, if set, is the file that the operator sees as /etc/hosts, as a stand-in for the cluster's DNS. Only
	// root may set it.
	HostsPath string
	// ResolvConfPath, if set, is the file that the operator sees as /etc/resolv.conf, as a kubelet would give it to
	// its pod. Only root may set it.
	ResolvConfPath string
	// Detached lets the operator outlive the program that starts it.
	Detached bool
}

// Operator is an operator that was started.
type Operator struct {
	*process.Process
	// MetricsURL is the URL of its metrics.
	MetricsURL string
	// ProbesURL is the base URL of /healthz and /readyz.
	ProbesURL string
	pidPath   string
}

// Start starts an operator and returns once it is ready.
func Start(ctx context.Context, options Options) (*Operator, error) {
	kubeconfig := filepath.Join(options.Dir, "operator.kubeconfig")
	if err := options.Kubernetes.ServiceAccountKubeconfig(ctx, Namespace, ServiceAccount, kubeconfig); err != nil {
		return nil, err
	}
	ports, err := freeport.Find(2)
	if err != nil {
		return nil, err
	}
	probes, metrics := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	command := process.Command{
		Name: "operator",
		Path: options.Program,
		Args: append([]string{
			"--kubeconfig=" + kubeconfig,
			"--leader-election-namespace=" + Namespace,
			"--health-probe-bind-address=" + probes,
			"--metrics-bind-address=" + metrics,
		}, options.Args...),
		LogPath:    logPath(options.Dir),
		RecordPath: recordPath(options.Dir),
	}
	withFiles(&command, options)
	if !options.Detached {
		command.ParentDeathSignal = syscall.SIGKILL
	}
	started, err := process.Start(command)
	if err != nil {
		return nil, err
	}
	operator := &Operator{
		Process:    started,
		MetricsURL: "https://" + metrics + "/metrics",
		ProbesURL:  "http://" + probes,
		pidPath:    pidPath(options.Dir),
	}
	if err := operator.waitReady(ctx); err != nil {
		return nil, errors.Join(err, operator.Stop())
	}
	return operator, os.WriteFile(operator.pidPath, fmt.Appendln(nil, started.PID()), 0o644)
}

// withFiles runs the operator in a mount namespace with the files in the options.
func withFiles(command *process.Command, options Options) {
	for _, file := range [][2]string{{options.HostsPath, "/etc/hosts"}, {options.ResolvConfPath, "/etc/resolv.conf"}} {
		if file[0] == "" {
			continue
		}
		const mountAndRun = `mount --bind "$0" "$1" && shift && exec "$@"`
		command.Args = append([]string{"--mount", "sh", "-c", mountAndRun, file[0], file[1], command.Path}, command.Args...)
		command.Path = "unshare"
	}
}

func (o *Operator) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return o.WaitReady(ctx, process.Answering(http.DefaultClient, o.ProbesURL+"/readyz"))
}

// Load finds the operator that was started in a folder. The error wraps fs.ErrNotExist when there
// is none.
func Load(dir string) (*Operator, error) {
	found, err := process.Load(recordPath(dir))
	if err != nil {
		return nil, err
	}
	return &Operator{Process: found, pidPath: pidPath(dir)}, nil
}

// Stop stops the operator gracefully, and returns once it has exited.
func (o *Operator) Stop() error {
	return errors.Join(o.Process.Stop(stopGrace), o.removePID())
}

// Kill ends the operator as a crash would.
func (o *Operator) Kill() error {
	return errors.Join(o.Process.Kill(), o.removePID())
}

func (o *Operator) removePID() error {
	if err := os.Remove(o.pidPath); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func logPath(dir string) string    { return filepath.Join(dir, "logs", "operator.log") }
func recordPath(dir string) string { return filepath.Join(dir, "run", "operator.json") }
func pidPath(dir string) string    { return filepath.Join(dir, "operator.pid") }
