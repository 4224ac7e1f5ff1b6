package node

import (
	"context"
	"os/exec"
	"strconv"

	"github.com/tenantry/tenantry/hack/process"
)

// Ctr runs containerd's own client on the node, for the images and containers of Kubernetes, and returns its output.
func (n *Node) Ctr(ctx context.Context, args ...string) (string, error) {
	return process.Output(exec.CommandContext(ctx, "ctr", append([]string{"--address=" + n.files.Socket, "--namespace=k8s.io"}, args...)...))
}

// Run runs a program in the node's network and among its mounts, and returns its output.
func (n *Node) Run(ctx context.Context, name string, args ...string) (string, error) {
	inside := append([]string{"--target", strconv.Itoa(n.keeper.PID()), "--net", "--mount", name}, args...)
	return process.Output(exec.CommandContext(ctx, "nsenter", inside...))
}

// queueConnections has the kernel keep each new connection to or from a pod until it is allowed.
func (n *Node) queueConnections(ctx context.Context) error {
	_, err := n.Run(ctx, "iptables-restore", n.files.config(rulesFile))
	return err
}
