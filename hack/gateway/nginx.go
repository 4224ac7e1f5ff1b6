package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	program = "/usr/sbin/nginx"
	// drainTime is how long requests may take to end when the gateway does.
	drainTime = 20 * time.Second
)

// nginx is the server. It is started with its first configuration.
type nginx struct {
	folder string

	mutex   sync.Mutex
	process *exec.Cmd
	ended   chan error
	serving atomic.Bool
}

// files are the content of the files that a configuration names, by their paths.
type files map[string][]byte

// apply has nginx serve by a configuration. If nginx doesn't accept it, it goes on with the one before.
func (n *nginx) apply(ctx context.Context, configuration string, certificates files) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for path, content := range certificates {
		if err := write(path, content); err != nil {
			return err
		}
	}
	candidate, current := filepath.Join(n.folder, "candidate.conf"), filepath.Join(n.folder, "nginx.conf")
	if err := write(candidate, []byte(configuration)); err != nil {
		return err
	}
	if output, err := exec.CommandContext(ctx, program, "-t", "-q", "-e", "stderr", "-c", candidate).CombinedOutput(); err != nil {
		return fmt.Errorf("nginx doesn't accept its configuration: %w: %s", err, output)
	}
	if err := os.Rename(candidate, current); err != nil {
		return err
	}
	if n.process != nil {
		return n.process.Process.Signal(syscall.SIGHUP)
	}
	return n.start(current)
}

func (n *nginx) start(configuration string) error {
	// The context of a reconcile ends before the server may.
	n.process = exec.Command(program, "-e", "stderr", "-c", configuration)
	n.process.Stdout, n.process.Stderr = os.Stdout, os.Stderr
	if err := n.process.Start(); err != nil {
		return err
	}
	n.serving.Store(true)
	go func() { n.ended <- n.process.Wait() }()
	return nil
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// ready says whether nginx serves.
func (n *nginx) ready(*http.Request) error {
	if !n.serving.Load() {
		return errors.New("nginx has no configuration yet")
	}
	return nil
}

// Start waits until the context ends, and then until nginx has answered the requests that it has. If nginx ends first,
// so does the gateway.
func (n *nginx) Start(ctx context.Context) error {
	select {
	case err := <-n.ended:
		return fmt.Errorf("nginx has ended: %w", err)
	case <-ctx.Done():
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.process == nil {
		return nil
	}
	if err := n.process.Process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	select {
	case err := <-n.ended:
		return err
	case <-time.After(drainTime):
		return errors.Join(errors.New("requests took too long to end"), n.process.Process.Kill())
	}
}
