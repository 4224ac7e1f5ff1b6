package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tenantry/tenantry/hack/process"
)

// layout knows where the files of a control plane are. It only ever removes what it names, so
// its folder may hold other things.
type layout struct {
	dir string
}

func newLayout(dir string) (layout, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return layout{}, fmt.Errorf("can't tell where the folder %q is: %w", dir, err)
	}
	return layout{dir: absolute}, nil
}

func (l layout) kubeconfig() string                { return filepath.Join(l.dir, "kubeconfig") }
func (l layout) auditLog() string                  { return filepath.Join(l.dir, "logs", "audit.log") }
func (l layout) log(part string) string            { return filepath.Join(l.dir, "logs", part+".log") }
func (l layout) record(part string) string         { return filepath.Join(l.dir, "run", part+".json") }
func (l layout) bin() string                       { return filepath.Join(l.dir, "run", "bin") }
func (l layout) program(name string) string        { return filepath.Join(l.bin(), name) }
func (l layout) data() string                      { return filepath.Join(l.dir, "control-plane") }
func (l layout) etcdData() string                  { return filepath.Join(l.data(), "etcd") }
func (l layout) config(name string) string         { return filepath.Join(l.data(), name) }
func (l layout) partKubeconfig(part string) string { return l.config(part + ".kubeconfig") }

// reset removes what an earlier control plane has left, creates the folders and links bin to the programs.
func (l layout) reset(bin string) error {
	stale := []string{l.data(), l.bin(), l.kubeconfig(), l.auditLog()}
	for _, name := range startOrder {
		stale = append(stale, l.log(name), l.record(name))
	}
	for _, path := range stale {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	absolute, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(l.data(), 0o700),
		os.MkdirAll(filepath.Dir(l.auditLog()), 0o755),
		os.MkdirAll(filepath.Dir(l.bin()), 0o755),
		os.Symlink(absolute, l.bin()),
	)
}

// refuseRunning keeps a running control plane's data from being replaced under it.
func (l layout) refuseRunning() error {
	found, err := l.find()
	if err != nil {
		return err
	}
	running := found.processes
	for _, n := range found.nodes {
		running = append(running, n.Process())
	}
	if found.network != nil {
		running = append(running, found.network.Process())
	}
	for _, p := range running {
		if p.Alive() {
			return fmt.Errorf("a control plane already runs in %s (%s is process %d); stop it before starting another there",
				l.dir, p.Name(), p.PID())
		}
	}
	return nil
}

// processes returns the recorded processes, running or not, in the order of starting.
func (l layout) processes() ([]*process.Process, error) {
	var (
		processes []*process.Process
		errs      []error
	)
	for _, name := range startOrder {
		p, err := process.Load(l.record(name))
		switch {
		case err == nil:
			processes = append(processes, p)
		case !errors.Is(err, os.ErrNotExist):
			errs = append(errs, err)
		}
	}
	return processes, errors.Join(errs...)
}
