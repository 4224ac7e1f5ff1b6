// Package apt gets the Debian packages that tests and demo need onto this machine.
package apt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// lockTimeout makes apt-get wait up to 300 seconds for another apt-get to finish.
const lockTimeout = "DPkg::Lock::Timeout=300"

// Ensure installs those of the packages that are not installed. It needs root only if one is missing.
func Ensure(ctx context.Context, progress io.Writer, packages ...string) error {
	missing := slices.DeleteFunc(slices.Clone(packages), func(name string) bool { return installed(ctx, name) })
	if len(missing) == 0 {
		return nil
	}
	return Install(ctx, progress, missing...)
}

func installed(ctx context.Context, name string) bool {
	status, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status}", name).Output()
	return err == nil && string(status) == "installed"
}

// Install installs packages with apt-get, which needs root; for other users the error says what to do instead. It
// reports on progress in one line.
func Install(ctx context.Context, progress io.Writer, packages ...string) error {
	names := strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("there is no apt-get here; install what Debian calls %s in this system's own way", names)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root may install packages; run sudo apt-get install %s", names)
	}
	fmt.Fprintf(progress, "installing by apt-get: %s …\n", names)
	for _, args := range [][]string{{"update"}, append([]string{"install", "--yes", "--no-install-recommends"}, packages...)} {
		aptGet := exec.CommandContext(ctx, "apt-get", append([]string{"--option", lockTimeout}, args...)...)
		aptGet.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := aptGet.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get could not install %s; try it by hand: %w; it said:\n%s", names, err, bytes.TrimSpace(output))
		}
	}
	return nil
}

// Unpack downloads a package and unpacks it into a folder, unless that has it. Nothing is installed: no script of the
// package runs, and no service starts. What it depends on isn't unpacked.
func Unpack(ctx context.Context, progress io.Writer, folder, name string) error {
	done := filepath.Join(folder, name+".unpacked")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("there is no apt-get here; put the programs of what Debian calls %s into PATH", name)
	}
	fmt.Fprintf(progress, "downloading by apt-get: %s …\n", name)
	scratch, err := os.MkdirTemp("", "tenantry-apt-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := download(ctx, scratch, name); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(scratch, "*.deb"))
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("apt-get has downloaded %d files of %s, want one", len(files), name)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if output, err := exec.CommandContext(ctx, "dpkg-deb", "--extract", files[0], folder).CombinedOutput(); err != nil {
		return fmt.Errorf("can't unpack %s: %w: %s", filepath.Base(files[0]), err, bytes.TrimSpace(output))
	}
	return os.WriteFile(done, nil, 0o644)
}

// download downloads the file of a package into a folder. For root it first has apt-get learn which packages there are,
// if it doesn't know.
func download(ctx context.Context, folder, name string) error {
	try := func() ([]byte, error) {
		aptGet := exec.CommandContext(ctx, "apt-get", "--option=APT::Sandbox::User=root", "download", name)
		aptGet.Dir = folder
		return aptGet.CombinedOutput()
	}
	output, err := try()
	if err != nil && os.Geteuid() == 0 {
		update := exec.CommandContext(ctx, "apt-get", "--option", lockTimeout, "update")
		if output, err = update.CombinedOutput(); err == nil {
			output, err = try()
		}
	}
	if err != nil {
		return fmt.Errorf("apt-get could not download %s; as root, run apt-get update and try again: %w; it said:\n%s", name, err, bytes.TrimSpace(output))
	}
	return nil
}
