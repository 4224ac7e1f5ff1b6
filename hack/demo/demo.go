package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenantry/tenantry/hack/apt"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
)

// demo is an environment that outlives the program that starts it.
type demo struct {
	root  string
	local string
	begin time.Time
}

func newDemo(ctx context.Context) (*demo, error) {
	root, err := operator.Root(ctx)
	if err != nil {
		return nil, err
	}
	return &demo{root: root, local: filepath.Join(root, ".local"), begin: time.Now()}, nil
}

// lock keeps a second call in the same checkout from starting or stopping what this one does. The kernel lifts the lock
// of a program that dies.
func (d *demo) lock() (unlock func() error, err error) {
	if err := os.MkdirAll(d.local, 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(d.local, "demo.lock"))
	if err != nil {
		return nil, fmt.Errorf("can't write to the folder of the demo; run it as the user whom the folder belongs to: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another make demo or make demo-down is at work in %s; wait until it has ended, or end it", d.root), file.Close())
	}
	return file.Close, nil
}

// say prints what is done, after the time that has passed.
func (d *demo) say(what string, args ...any) {
	fmt.Printf("[%3.0fs] %s\n", time.Since(d.begin).Seconds(), fmt.Sprintf(what, args...))
}

// step does something and says how long that took. Several steps may be taken at the same time.
func (d *demo) step(what string, do func() error) error {
	begin := time.Now()
	if err := do(); err != nil {
		return err
	}
	d.say("%s: %.1f s", what, time.Since(begin).Seconds())
	return nil
}

func (d *demo) up(ctx context.Context, fake bool) error {
	if !fake {
		missing := d.missing(ctx)
		if len(missing) == 0 {
			return d.upReal(ctx)
		}
		d.say("No containers start, since this machine can't run real nodes. %s", strings.Join(missing, " "))
	}
	return d.upFake(ctx)
}

// missing says what this machine lacks for real nodes. What can be installed is.
func (d *demo) missing(ctx context.Context) []string {
	if os.Geteuid() == 0 {
		if err := apt.Ensure(ctx, os.Stdout, node.Packages...); err != nil {
			return []string{fmt.Sprintf("Packages can't be installed: %v", err)}
		}
	}
	return node.Missing(ctx, cluster.NodeDir(d.local, 1))
}

// kubectl prints what kubectl does, as if it was called by hand.
func kubectl(ctx context.Context, kubernetes *cluster.ControlPlane, args ...string) error {
	output, err := kubernetes.Kubectl(ctx, args...)
	if err != nil {
		return err
	}
	fmt.Printf("\n$ kubectl %s\n%s", strings.Join(args, " "), bytes.TrimLeft([]byte(output), "\n"))
	return nil
}

// down stops what up has started, and removes its files; the built programs and images stay.
func (d *demo) down() error {
	failures := []error{d.stop()}
	for _, name := range []string{
		"kubeconfig", "operator.kubeconfig", "operator.pid", "samples", authorityFile, "logs", "run", "control-plane", "nodes",
	} {
		failures = append(failures, os.RemoveAll(filepath.Join(d.local, name)))
	}
	return errors.Join(failures...)
}

// stop stops what up has started. Its logs stay.
func (d *demo) stop() error {
	return errors.Join(d.stopOperator(), d.removePostgres(), cluster.Stop(d.local))
}

func (d *demo) postgresDir() string { return filepath.Join(d.local, "database") }

func (d *demo) removePostgres() error {
	server, err := postgres.Load(d.postgresDir())
	if errors.Is(err, fs.ErrNotExist) {
		// What is there was not finished.
		return os.RemoveAll(d.postgresDir())
	}
	if err != nil {
		return err
	}
	return server.Remove()
}

func (d *demo) stopOperator() error {
	running, err := operator.Load(d.local)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return running.Stop()
}
