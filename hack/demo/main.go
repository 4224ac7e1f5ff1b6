// Command demo runs all of Tenantry on this machine: "demo up" starts a Kubernetes control plane,
// PostgreSQL and the operator, and applies config/samples; "demo down" stops and removes it all.
package main

import (
	"context"
	"errors"
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

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	demo, err := newDemo(ctx)
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "up":
		return demo.up(ctx)
	case len(args) == 1 && args[0] == "down":
		return demo.down()
	default:
		return errors.New(`call it as "demo up" or "demo down"`)
	}
}
