// Package cluster runs a real Kubernetes control plane on this machine: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler, with kwok nodes that run pods to Ready. Tests, the
// demo and the benchmark share it.
//
//	bin, err := cluster.Build(ctx, os.Stderr)
//	…
//	kubernetes, err := cluster.Start(ctx, cluster.Options{Bin: bin, Dir: dir})
//	…
//	defer kubernetes.Stop()
//	c, err := client.New(kubernetes.Config(), client.Options{})
//
// What kwok can't run, it shows as a kubelet would: a container of the image missing.invalid/…
// stays waiting by ErrImagePull and ImagePullBackOff, one of crashing.invalid/… by
// CrashLoopBackOff. All other images "run".
//
// All servers listen on the loopback address only.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/hack/process"
)

const (
	// defaultNodes is how many nodes there are unless Options says otherwise.
	defaultNodes = 3
	// partStartTimeout is far more than a part needs. On a busy machine it may need tens of seconds.
	partStartTimeout = 2 * time.Minute
	// stopGrace is how long a part may take to exit by itself.
	stopGrace = 20 * time.Second
)

// Options says what control plane to start.
type Options struct {
	// Bin is the folder of the programs, as returned by Build. Required.
	Bin string
	// Dir is the folder for the kubeconfig, the logs (logs/<part>.log), certificates and data.
	// It is created; what an earlier control plane left in it is replaced. Required.
	Dir string
	// Nodes is the number of nodes, each with 1000 CPUs and room for 10000 pods. Zero means 3.
	Nodes int
	// RealNodes is the number of nodes on which containers really run, besides the others, which then have a taint.
	// They need root and what node.Missing names. The control plane then runs in a network of its own, and a relay
	// connects this machine to it.
	RealNodes int
	// Exposed are ports of other servers in that network, which the relay listens on, too.
	Exposed []int
	// NodePorts are the NodePorts of Services by the ports that the relay listens on for them.
	NodePorts map[int]int
	// Images are the paths of image archives that the real nodes are given.
	Images []string
	// AuditUsers are the users whose requests the API server writes to AuditLogPath, at level
	// Metadata, one audit.k8s.io/v1 Event in JSON a line. A watch is two events of one auditID: one
	// as it starts and one as it ends. Requests of all other users are left out.
	AuditUsers []string
	// APIServerArgs and ControllerManagerArgs are further arguments of the API server and of the controller manager.
	APIServerArgs, ControllerManagerArgs []string
	// Detached lets the control plane outlive the program that starts it, until Stop. Otherwise
	// it ends with that program, however that ends.
	Detached bool

	// extraArgs are added to the arguments of the part of that name.
	extraArgs map[string][]string
}

// ControlPlane is a running control plane, started by Start or found by Load.
type ControlPlane struct {
	layout    layout
	config    *rest.Config
	processes []*process.Process // in the order of starting
	network   *fabric.Fabric
	nodes     []*node.Node
}

// Start starts a new control plane and returns once it is usable: the API server is ready, controllers run, and
// pods can be scheduled to the nodes. When a part does not come up, the error names it and its log, with the log's
// last lines, and nothing is left running.
//
// It refuses to start where a control plane already runs: see Load and Stop.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	if options.Nodes == 0 {
		options.Nodes = defaultNodes
	}
	layout, err := newLayout(options.Dir)
	if err != nil {
		return nil, err
	}
	if err := layout.refuseRunning(); err != nil {
		return nil, err
	}
	s := starter{options: options, layout: layout}
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("can't prepare a control plane in %s: %w", layout.dir, err)
	}
	c := &ControlPlane{layout: layout, config: s.config}
	err = s.startAll(ctx)
	c.processes, c.network, c.nodes = s.processes, s.network, s.nodes
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// part is one program of the control plane.
type part struct {
	name  string
	args  []string
	ready func(context.Context) error
	// outside is whether it runs outside of the network of real nodes.
	outside bool
}

type starter struct {
	options   Options
	layout    layout
	ports     ports
	config    *rest.Config
	readiness *readiness
	processes []*process.Process
	network   *fabric.Fabric
	nodes     []*node.Node
}

func (s *starter) startAll(ctx context.Context) error {
	if s.options.RealNodes > 0 {
		if err := s.startNetwork(ctx); err != nil {
			return err
		}
	}
	for _, parts := range [][]part{{s.etcd()}, {s.apiServer()}, {s.controllerManager(), s.scheduler(), s.kwok()}} {
		if err := s.start(ctx, parts); err != nil {
			return err
		}
	}
	return s.startNodes(ctx)
}

// start starts the parts at the same time and waits until all are ready.
func (s *starter) start(ctx context.Context, parts []part) error {
	ctx, cancel := context.WithTimeout(ctx, partStartTimeout)
	defer cancel()
	waiting, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		started, err := process.Start(s.command(part))
		if err != nil {
			cancel()
			_ = waiting.Wait() // it only says that waiting was given up
			return err
		}
		s.processes = append(s.processes, started)
		waiting.Go(func() error { return started.WaitReady(ctx, part.ready) })
	}
	return waiting.Wait()
}

func (s *starter) command(part part) process.Command {
	command := process.Command{
		Name:       part.name,
		Path:       s.layout.program(part.name),
		Args:       append(part.args, s.options.extraArgs[part.name]...),
		Dir:        s.layout.dir,
		LogPath:    s.layout.log(part.name),
		RecordPath: s.layout.record(part.name),
	}
	if s.network != nil && !part.outside {
		command.Inside = s.network.Process()
	}
	command.ParentDeathSignal = s.parentDeathSignal()
	return command
}

func (s *starter) parentDeathSignal() syscall.Signal {
	if s.options.Detached {
		return 0
	}
	return syscall.SIGKILL
}

// Load returns the control plane that was started with the folder as its Dir, by this program or
// another. The error wraps fs.ErrNotExist when none was, or it has been stopped.
func Load(dir string) (*ControlPlane, error) {
	layout, err := newLayout(dir)
	if err != nil {
		return nil, err
	}
	c, err := layout.find()
	if err != nil {
		return nil, err
	}
	if len(c.processes) == 0 {
		return nil, fmt.Errorf("no control plane runs in %s: %w", layout.dir, fs.ErrNotExist)
	}
	if c.config, err = loadConfig(layout.kubeconfig()); err != nil {
		return nil, fmt.Errorf("can't read the kubeconfig of the control plane; stop it and start it anew: %w", err)
	}
	return c, nil
}

// find returns what of a control plane is recorded, whether it runs or not.
func (l layout) find() (*ControlPlane, error) {
	processes, err := l.processes()
	c := &ControlPlane{layout: l, processes: processes}
	return c, errors.Join(err, c.findNodes())
}

// Alive reports whether all parts and real nodes run.
func (c *ControlPlane) Alive() bool {
	for _, n := range c.nodes {
		if !n.Process().Alive() {
			return false
		}
	}
	for _, name := range startOrder {
		if name == relay {
			continue // needed only for real nodes
		}
		if !slices.ContainsFunc(c.processes, func(p *process.Process) bool { return p.Name() == name && p.Alive() }) {
			return false
		}
	}
	return true
}

// Processes returns the parts of the control plane, in the order in which they were started.
func (c *ControlPlane) Processes() []*process.Process { return slices.Clone(c.processes) }

// Network returns the process whose network the control plane runs in; nil without real nodes.
func (c *ControlPlane) Network() *process.Process {
	if c.network == nil {
		return nil
	}
	return c.network.Process()
}

// Nodes returns the real nodes.
func (c *ControlPlane) Nodes() []*node.Node { return slices.Clone(c.nodes) }

// Halt suspends the part with that name, such as "kube-controller-manager", until resume is called.
func (c *ControlPlane) Halt(name string) (resume func() error, err error) {
	for _, p := range c.processes {
		if p.Name() == name {
			return func() error { return p.Signal(syscall.SIGCONT) }, p.Signal(syscall.SIGSTOP)
		}
	}
	return nil, fmt.Errorf("the control plane has no part %s", name)
}

// Stop ends the control plane and returns once no process of it is left. Logs and data stay. It
// may be called again.
func (c *ControlPlane) Stop() error {
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.Stop())
	}
	errs = append(errs, stop(c.processes))
	if c.network != nil {
		errs = append(errs, c.network.Stop())
	}
	return errors.Join(errs...)
}

// Stop ends the control plane that was started with the folder as its Dir, if one runs there, and
// returns once no process of it is left. It needs nothing but the records in Dir/run.
func Stop(dir string) error {
	layout, err := newLayout(dir)
	if err != nil {
		return err
	}
	c, err := layout.find()
	return errors.Join(err, c.Stop())
}

func stop(processes []*process.Process) error {
	var errs []error
	for _, p := range slices.Backward(processes) {
		errs = append(errs, p.Stop(stopGrace))
	}
	return errors.Join(errs...)
}
