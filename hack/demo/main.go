// Command demo runs all of Tenantry on this machine: "demo up" starts a Kubernetes control plane,
// PostgreSQL and the operator, and applies config/samples; "demo down" stops and removes it all.
//
// Where this machine can run real nodes, apps run in containers, and a gateway serves them. "demo up -nodes=fake" does
// without: pods are only reported as running, and the operator is a process of this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	errUsage := errors.New(`call it as "demo up", "demo up -nodes=fake" or "demo down"`)
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	nodes := flags.String("nodes", "", `"fake" for nodes on which no container starts`)
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
		return errUsage
	}
	if *nodes != "" && *nodes != "fake" {
		return fmt.Errorf("NODES is %q; write NODES=fake, or leave it out", *nodes)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	demo, err := newDemo(ctx)
	if err != nil {
		return err
	}
	unlock, err := demo.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	switch args[0] {
	case "up":
		return demo.up(ctx, *nodes == "fake")
	case "down":
		return demo.down()
	default:
		return errUsage
	}
}
