package node

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
)

// Ctr runs containerd's own client on the node, for the images and containers of Kubernetes, and returns its output.
func (n *Node) Ctr(ctx context.Context, args ...string) (string, error) {
	return output(exec.CommandContext(ctx, "ctr", append([]string{"--address=" + n.files.Socket, "--namespace=k8s.io"}, args...)...))
}

// Run runs a program in the node's network and among its mounts, and returns its output.
func (n *Node) Run(ctx context.Context, name string, args ...string) (string, error) {
	inside := append([]string{"--target", strconv.Itoa(n.keeper.PID()), "--net", "--mount", name}, args...)
	return output(exec.CommandContext(ctx, "nsenter", inside...))
}

// queueConnections has the kernel keep each new connection to or from a pod until it is allowed.
func (n *Node) queueConnections(ctx context.Context) error {
	_, err := n.Run(ctx, "iptables-restore", n.files.config(rulesFile))
	return err
}

func output(cmd *exec.Cmd) (string, error) {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	printed, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%v: %w: %s", cmd.Args, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return string(printed), nil
}
