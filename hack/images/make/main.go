// Command make makes all images of the project as OCI archives in .local/images, and says how to load them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"text/tabwriter"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/images/project"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	bin, err := cluster.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	all, err := project.Images(ctx, bin)
	if err != nil {
		return err
	}
	maker, err := project.Maker(ctx)
	if err != nil {
		return err
	}
	paths, err := maker.MakeAll(ctx, all...)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "IMAGE\tMB\tARCHIVE")
	for number, image := range all {
		info, err := os.Stat(paths[number])
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", image.Reference, info.Size()/1_000_000, paths[number])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Print(`
Each is an OCI archive. To load one, on each node with containerd:
  ctr --namespace k8s.io images import ARCHIVE
postgres and redis have the names of the official images, but only what the project uses of them.
`)
	return nil
}
