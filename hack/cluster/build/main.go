// Command build compiles the programs of the local Kubernetes control plane into .local/bin.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/tenantry/tenantry/hack/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	_, err := cluster.Build(ctx, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
