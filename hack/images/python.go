package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/hack/process"
)

// modules are where an image may have modules of Python.
var modules = []string{"usr/lib/python3", "usr/lib/python3.*", "app"}

// compilePython writes the compiled modules of Python in the layers, as the image's own Python makes them. Debian
// compiles them when a package is installed, and nothing is installed here; an app that has to do it at its start, with
// a fraction of a CPU, starts several times more slowly. The folder is for what it unpacks.
func compilePython(ctx context.Context, layers []string, folder string, to *tar.Writer) error {
	for _, layer := range layers {
		if _, err := process.Output(exec.CommandContext(ctx, "tar", "--extract", "--no-same-owner", "--delay-directory-restore",
			"--file="+layer, "--directory="+folder, "--exclude=dev/*")); err != nil {
			return err
		}
	}
	compile, err := compiler(ctx, folder)
	if err != nil || compile == nil {
		return err
	}
	if _, err := process.Output(compile); err != nil {
		return err
	}
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".pyc" {
			return err
		}
		return File{From: path, Mode: 0o644}.write(to, strings.TrimPrefix(path, folder))
	})
}

// compiler returns a call of the Python in the folder that compiles its modules; nil if there is none. Python starts by
// its own loader, so that its libraries are its own, too. What it writes doesn't depend on the time, and is taken
// without a look at the source.
func compiler(ctx context.Context, folder string) (*exec.Cmd, error) {
	loaders, err := filepath.Glob(filepath.Join(folder, "usr", "lib*", "ld-linux*.so.*"))
	python := filepath.Join(folder, "usr", "bin", "python3")
	if _, missing := os.Stat(python); missing != nil || err != nil || len(loaders) == 0 {
		return nil, err
	}
	libraries, err := filepath.Glob(filepath.Join(folder, "usr", "lib", "*-linux-gnu"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, pattern := range modules {
		folders, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return nil, err
		}
		found = append(found, folders...)
	}
	cmd := exec.CommandContext(ctx, loaders[0], slices.Concat([]string{
		"--library-path", strings.Join(libraries, ":"), python, "-B", "-m", "compileall", "-q", "-f",
		"--invalidation-mode=unchecked-hash", "-s", folder, "-p", "/",
	}, found)...)
	cmd.Env = []string{"PYTHONHOME=" + filepath.Join(folder, "usr"), "PYTHONHASHSEED=0"}
	return cmd, nil
}

// pythonLayer makes a layer of the compiled modules in the other ones.
func pythonLayer(ctx context.Context, folder string, layers []string) func(*tar.Writer) error {
	return func(to *tar.Writer) (err error) {
		unpacked, err := os.MkdirTemp(folder, "root-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(unpacked)) }()
		if err := compilePython(ctx, layers, unpacked, to); err != nil {
			return fmt.Errorf("can't compile its Python modules: %w", err)
		}
		return nil
	}
}
