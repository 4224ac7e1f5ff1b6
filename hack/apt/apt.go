// Package apt gets the Debian packages that tests and demo need onto this machine.
package apt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
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
