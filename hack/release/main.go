// Command release makes all files of a release, without Docker, in the checkout's .local/release/VERSION: the operator's
// image for several architectures, the Helm chart, the kubectl plugin for each platform with its manifest for krew, a bill
// of materials for each program, a statement of where all of that comes from, and the checksums. The same commit gives
// the same files, byte by byte.
//
//	go run ./hack/release -version v1.2.3
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tenantry/tenantry/hack/images"
	"github.com/tenantry/tenantry/hack/process"
)

func main() {
	version := flag.String("version", "", "the version, for example v1.2.3")
	image := flag.String("image", "ghcr.io/tenantry/manager", "the name by which the operator's image will be published, without a tag")
	dirty := flag.Bool("dirty", false, "allow changes that are in no commit, to try out a release")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *version, *image, *dirty)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, version, image string, dirty bool) (err error) {
	if err := check(version); err != nil {
		return err
	}
	root, err := process.Output(exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel"))
	if err != nil {
		return err
	}
	root = strings.TrimSpace(root)
	source, err := readSource(ctx, root, dirty)
	if err != nil {
		return err
	}
	all := filepath.Join(root, ".local", "release")
	if err := os.MkdirAll(all, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(all, "new-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	release := release{
		version: version, image: image, root: root, source: source, scratch: scratch,
		folder: filepath.Join(scratch, "files"), operator: operator, plugin: plugin,
	}
	if err := release.make(ctx); err != nil {
		return err
	}
	to := filepath.Join(all, version)
	if err := errors.Join(os.RemoveAll(to), os.Rename(release.folder, to)); err != nil {
		return err
	}
	return list(to)
}

// release is what is released.
type release struct {
	// version is its version, with the v, and image the name of the operator's image, without a tag.
	version, image string
	// root is the folder of the checkout, and source the commit.
	root   string
	source source
	// operator and plugin are the programs.
	operator, plugin []program
	// folder is where the files go, and scratch where all else is made.
	folder, scratch string
	// index is what the image is made as.
	index images.Index
}

// make makes all files, in an order in which each finds what it is made of.
func (r *release) make(ctx context.Context) error {
	if err := os.Mkdir(r.folder, 0o755); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		make func(context.Context) error
	}{
		{"programs", r.compileAll},
		{"image", r.makeImage},
		{"plugin", r.makeArchives},
		{"manifest for krew", r.makeKrewManifest},
		{"chart", r.makeChart},
		{"bills of materials", r.makeBills},
		{"provenance", r.makeProvenance},
		{"checksums", r.makeSums},
	} {
		began := time.Now()
		if err := step.make(ctx); err != nil {
			return fmt.Errorf("can't make the %s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "%-18s  %s\n", step.name, time.Since(began).Round(100*time.Millisecond))
	}
	return nil
}

// list says what there is now, and what nobody has done yet.
func list(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%d\t KB\t %s\n", (info.Size()+999)/1000, entry.Name())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("\nAll of it is in %s. Nothing of it is signed, and nothing is published; docs/releasing.md says who does that.\n", folder)
	return nil
}
