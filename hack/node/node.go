// Package node runs real Kubernetes nodes on this machine: a kubelet with Containerd, kube-proxy and an engine for
// network policies, so that containers run and packets are dropped.
//
// Each node has namespaces of its own for processes, mounts and its network. They belong to one process, and the
// kernel ends everything on the node with it: containers, mounts, network. So a node that is stopped, or whose starter
// was killed, leaves nothing behind but files and empty cgroups, which Remove and the next Start remove.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/process"
)

// The programs of a node.
const (
	Containerd      = "containerd"
	Kubelet         = "kubelet"
	KubeProxy       = "kube-proxy"
	NetworkPolicies = "network-policies"
	// LocalVolumes provides volumes on the node. It is a program of its own.
	LocalVolumes = "local-volumes"
)

const (
	hold = "hold"
	// keeperName is what the process that the node's namespaces belong to is recorded by.
	keeperName = "keeper"

	// PauseImage is the image of the container that keeps a pod's namespaces. Options.Images must have it.
	PauseImage = "tenantry.local/pause:1"
	// DNSAddress is the address of the Service that pods ask for names.
	DNSAddress = "10.96.0.10"

	// queue is the netfilter queue in which new connections wait for the word of the engine for network policies.
	queue = 100
	// readyLimit is far more than a program needs. On a busy machine it may need tens of seconds.
	readyLimit = 2 * time.Minute
)

// Programs are the names of the programs in Options.Bin that a node needs.
var Programs = []string{hold, Kubelet, KubeProxy, NetworkPolicies}

// Options says what node to start.
type Options struct {
	// Number is the node's number, from 1, of as many as there are Nodes. Required.
	Number, Nodes int
	// Bin is the folder of the programs that cluster.Build returns. Required.
	Bin string
	// Dir is the folder for the node's files, logs and records. What an earlier node left in it is removed. Required.
	Dir string
	// Fabric is the network that the node is connected to. Required.
	Fabric *fabric.Fabric
	// Authority is the path of the certificate of the API server's authority. Required.
	Authority string
	// Kubeconfig returns the path of the kubeconfig of a user. Required.
	Kubeconfig func(user string) string
	// Images are the paths of image archives that the node is given.
	Images []string
	// ParentDeathSignal, if set, is sent to the node when this program ends.
	ParentDeathSignal syscall.Signal
}

// Name returns the name of the node with the number.
func Name(number int) string { return fmt.Sprintf("real-%d", number) }

// Users returns the users that the node with the number needs a kubeconfig for, with their groups.
func Users(number int) map[string][]string {
	return map[string][]string{
		"system:node:" + Name(number): {"system:nodes"},
		"system:kube-proxy":           nil,
		NetworkPolicies:               {"system:masters"},
		LocalVolumes:                  {"system:masters"},
	}
}

// Node is a running node.
type Node struct {
	files  files
	keeper *process.Process
	// commands and programs are what the programs were started by, and their processes, by name.
	commands map[string]process.Command
	programs map[string]*process.Process
}

// Start starts a node and returns once its programs run and it has its images. The kubelet then registers it.
func Start(ctx context.Context, options Options) (*Node, error) {
	n := &Node{files: newFiles(options), commands: map[string]process.Command{}, programs: map[string]*process.Process{}}
	if err := n.start(ctx, options); err != nil {
		return nil, fmt.Errorf("can't start node %s: %w", Name(options.Number), errors.Join(err, n.Stop()))
	}
	return n, nil
}

func (n *Node) start(ctx context.Context, options Options) error {
	if problem := tooLong(options.Dir); problem != "" {
		return errors.New(problem)
	}
	if err := errors.Join(n.files.write(), makeCgroups(n.files.Cgroup)); err != nil {
		return err
	}
	if err := n.keep(ctx, options); err != nil {
		return err
	}
	if err := options.Fabric.Attach(n.keeper, options.Number, options.Nodes); err != nil {
		return err
	}
	if err := n.queueConnections(ctx); err != nil {
		return err
	}
	if err := n.run(Containerd, "/usr/bin/containerd", "--config="+n.files.config(containerdFile)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	if err := n.programs[Containerd].WaitReady(ctx, n.runtimeReady); err != nil {
		return err
	}
	return errors.Join(n.runKubernetes(options), n.importImages(ctx, options.Images))
}

// keep starts the process that the node's namespaces belong to.
func (n *Node) keep(ctx context.Context, options Options) (err error) {
	n.keeper, err = process.Start(process.Command{
		Name:              Name(options.Number),
		Path:              filepath.Join(options.Bin, hold),
		LogPath:           n.files.log(keeperName),
		RecordPath:        n.files.record(keeperName),
		ParentDeathSignal: options.ParentDeathSignal,
		Unshare:           unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
	})
	if err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	return n.keeper.WaitReady(ready, func(context.Context) error {
		if tail, err := n.keeper.LogTail(1); err != nil || tail != "ready" {
			return errors.Join(err, errors.New("it still prepares its mounts"))
		}
		return nil
	})
}

func (n *Node) runKubernetes(options Options) error {
	own := func(name string, args ...string) error { return n.run(name, filepath.Join(options.Bin, name), args...) }
	return errors.Join(
		own(Kubelet,
			"--config="+n.files.config(kubeletFile),
			"--kubeconfig="+options.Kubeconfig("system:node:"+n.files.Name),
			"--hostname-override="+n.files.Name,
			"--node-ip="+n.files.Address,
			"--root-dir="+n.files.path("kubelet"),
			"--cert-dir="+n.files.path("kubelet-pki")),
		own(KubeProxy, "--config="+n.files.config(kubeProxyFile)),
		own(NetworkPolicies, "--kubeconfig="+options.Kubeconfig(NetworkPolicies), "--node="+n.files.Name, fmt.Sprint("--queue=", queue)),
		own(LocalVolumes, "--kubeconfig="+options.Kubeconfig(LocalVolumes), "--node="+n.files.Name, "--dir="+n.files.path("volumes")),
	)
}

// run starts a program inside of the node. It ends with the node.
func (n *Node) run(name, path string, args ...string) error {
	n.commands[name] = process.Command{
		Name:       name + " of " + n.files.Name,
		Path:       path,
		Args:       args,
		LogPath:    n.files.log(name),
		RecordPath: n.files.record(name),
		Inside:     n.keeper,
	}
	return n.Restart(name)
}

// Kill ends a program of the node, as a crash would. Containers go on without it.
func (n *Node) Kill(program string) error { return n.programs[program].Kill() }

// Restart starts a program again that has ended.
func (n *Node) Restart(program string) (err error) {
	n.programs[program], err = process.Start(n.commands[program])
	return err
}

// runtimeReady dials the socket, which containerd serves when it is ready.
func (n *Node) runtimeReady(ctx context.Context) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", n.files.Socket)
	if err != nil {
		return err
	}
	return connection.Close()
}

// importImages gives the node the images of the archives.
func (n *Node) importImages(ctx context.Context, archives []string) error {
	var group errgroup.Group
	for _, archive := range archives {
		group.Go(func() error {
			_, err := n.Ctr(ctx, "images", "import", "--no-unpack=false", archive)
			return err
		})
	}
	return group.Wait()
}

// WaitReady asks ready until it returns nil. If the kubelet ends first, the error has the end of its log.
func (n *Node) WaitReady(ctx context.Context, ready func(context.Context) error) error {
	return n.programs[Kubelet].WaitReady(ctx, ready)
}

// Process returns the process that the node's namespaces belong to. The node ends with it.
func (n *Node) Process() *process.Process { return n.keeper }

// Stop ends the node at once, as if its power went off, and removes its files, but for logs.
func (n *Node) Stop() error {
	if n.keeper == nil {
		return nil
	}
	return errors.Join(n.keeper.Kill(), n.files.remove(), removeCgroups(n.files.Cgroup))
}

// Load returns the node that was started with the folder as its Dir. The error wraps fs.ErrNotExist if none was, or it
// has been stopped. Its programs can't be killed or started again one by one.
func Load(dir string) (*Node, error) {
	n := &Node{files: files{Dir: dir, Cgroup: cgroupOf(dir)}}
	var err error
	n.keeper, err = process.Load(n.files.record(keeperName))
	return n, err
}
