package cluster

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/node"
)

// NodeDir returns the folder of the real node with the number, from 1, of the control plane in a folder.
func NodeDir(dir string, number int) string {
	return filepath.Join(layout{dir: dir}.nodes(), node.Name(number))
}

func (l layout) nodes() string { return filepath.Join(l.dir, "nodes") }

// startNetwork makes the network that the control plane shares with real nodes, and the way into it.
func (s *starter) startNetwork(ctx context.Context) error {
	network, err := fabric.Start(fabric.Options{Bin: s.layout.bin(), Dir: s.layout.dir, ParentDeathSignal: s.parentDeathSignal()})
	if err != nil {
		return err
	}
	s.network = network
	return s.start(ctx, []part{s.relay()})
}

// startNodes starts the real nodes at the same time, and waits until they are Ready.
func (s *starter) startNodes(ctx context.Context) error {
	started := make([]*node.Node, s.options.RealNodes)
	var group errgroup.Group
	for index := range started {
		group.Go(func() (err error) {
			started[index], err = node.Start(ctx, node.Options{
				Number:    index + 1,
				Nodes:     s.options.RealNodes,
				Bin:       s.layout.bin(),
				Dir:       NodeDir(s.layout.dir, index+1),
				Fabric:    s.network,
				Authority: s.layout.config(authorityFile),
				Kubeconfig: func(user string) string {
					return s.layout.partKubeconfig(user)
				},
				Images:            s.options.Images,
				ParentDeathSignal: s.parentDeathSignal(),
			})
			return err
		})
	}
	err := group.Wait()
	for _, n := range started {
		if n != nil {
			s.nodes = append(s.nodes, n)
		}
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, partStartTimeout)
	defer cancel()
	for _, n := range s.nodes {
		if err := n.WaitReady(ctx, s.readiness.realNodes); err != nil {
			return err
		}
	}
	return nil
}

// findNodes finds the real nodes that another program has started, and their network.
func (c *ControlPlane) findNodes() error {
	network, err := fabric.Load(c.layout.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c.network = network
	folders, err := filepath.Glob(filepath.Join(c.layout.nodes(), "*"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		found, err := node.Load(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			c.nodes = append(c.nodes, found)
		}
	}
	return nil
}
