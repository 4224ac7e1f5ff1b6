package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"

	"github.com/tenantry/tenantry/hack/process"
)

// operator and plugin are what is released, for each platform.
var (
	operator = []program{{"./cmd/manager", "linux", "amd64"}, {"./cmd/manager", "linux", "arm64"}}
	plugin   = []program{
		{"./cmd/kubectl-tenantry", "linux", "amd64"}, {"./cmd/kubectl-tenantry", "linux", "arm64"},
		{"./cmd/kubectl-tenantry", "darwin", "amd64"}, {"./cmd/kubectl-tenantry", "darwin", "arm64"},
		{"./cmd/kubectl-tenantry", "windows", "amd64"}, {"./cmd/kubectl-tenantry", "windows", "arm64"},
	}
)

// program is a program of the checkout, for a platform by Go's names.
type program struct{ path, system, architecture string }

// name identifies the program among the files of a release.
func (p program) name() string {
	return fmt.Sprintf("%s_%s_%s", path.Base(p.path), p.system, p.architecture)
}

// file is the name of the program itself.
func (p program) file() string {
	if p.system == "windows" {
		return path.Base(p.path) + ".exe"
	}
	return path.Base(p.path)
}

// compiled is where the program is once it is compiled.
func (r *release) compiled(program program) string {
	return filepath.Join(r.scratch, program.name(), program.file())
}

func (r *release) programs() []program { return slices.Concat(r.operator, r.plugin) }

func (r *release) compileAll(ctx context.Context) error {
	for _, program := range r.programs() {
		if err := compile(ctx, r.root, r.version, program, r.compiled(program)); err != nil {
			return err
		}
	}
	return nil
}

// compile compiles a program of a checkout as the Dockerfile does.
func compile(ctx context.Context, root, version string, program program, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w -X main.version="+version, "-o", to, program.path)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOOS="+program.system, "GOARCH="+program.architecture)
	_, err := process.Output(build)
	return err
}

// makeArchives makes an archive of the plugin for each platform, with its license.
func (r *release) makeArchives(context.Context) error {
	for _, program := range r.plugin {
		if err := r.makeArchive(program); err != nil {
			return err
		}
	}
	return nil
}

func archiveOf(program program) string { return program.name() + ".tar.gz" }

func (r *release) makeArchive(program program) (err error) {
	file, err := os.Create(filepath.Join(r.folder, archiveOf(program)))
	if err != nil {
		return err
	}
	compressed, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	to := tar.NewWriter(compressed)
	return errors.Join(
		r.add(to, r.compiled(program), program.file(), 0o755),
		r.add(to, filepath.Join(r.root, "LICENSE"), "LICENSE", 0o644),
		to.Close(), compressed.Close(), file.Close())
}

// add adds a file to an archive, without what differs from one machine to another.
func (r *release) add(to *tar.Writer, file, name string, mode int64) error {
	from, err := os.Open(file)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: mode, Size: info.Size(), ModTime: r.source.time, Format: tar.FormatUSTAR}
	if err := to.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return err
}
