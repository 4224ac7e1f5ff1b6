package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/tenantry/tenantry/hack/process"
)

// makeChart packages the chart, with the version and the image of the release. Helm's library does it, in the module
// that has it.
func (r *release) makeChart(ctx context.Context) error {
	folder := filepath.Join(r.scratch, "tenantry")
	for _, args := range [][]string{
		{"run", "./hack/chart", "-version=" + r.version, "-image=" + r.image, folder},
		{"run", "-C", "test/chart", "./package", fmt.Sprintf("-time=%d", r.source.time.Unix()), folder, r.folder},
	} {
		command := exec.CommandContext(ctx, "go", args...)
		command.Dir = r.root
		if _, err := process.Output(command); err != nil {
			return err
		}
	}
	return nil
}
