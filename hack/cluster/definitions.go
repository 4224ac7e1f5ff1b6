package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// ApplyDefinitions applies the CustomResourceDefinitions in files or folders of a Go module, as in
// "example.com/module@v1.2.3", and returns once the API server serves them. Without a version, it is that of go.mod.
func (c *ControlPlane) ApplyDefinitions(ctx context.Context, module string, paths ...string) error {
	output, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output() // It prints errors there, too.
	if err != nil {
		return fmt.Errorf("can't download the module %s: %w: %s", module, err, output)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(output, &downloaded); err != nil {
		return err
	}
	var files []string
	for _, path := range paths {
		files = append(files, "--filename="+filepath.Join(downloaded.Dir, path))
	}
	return c.Apply(ctx, files...)
}
