package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/tenantry/tenantry/hack/apt"
)

// BinDirVariable names the environment variable with the folder of the programs to use instead of those in PATH
// and of Debian.
const BinDirVariable = "TENANTRY_POSTGRES_BIN"

// debianBinaries is where Debian puts the programs of each major version.
const debianBinaries = "/usr/lib/postgresql/*/bin"

// findBinaries returns the folder with postgres and initdb: the one in BinDirVariable, in PATH, or else the newest
// of Debian's. It installs PostgreSQL if it can.
func findBinaries(ctx context.Context, progress io.Writer) (string, error) {
	if dir := os.Getenv(BinDirVariable); dir != "" {
		if !hasInitdb(dir) {
			return "", fmt.Errorf("%s is %s, which has no initdb; set it to the folder that has the programs of PostgreSQL", BinDirVariable, dir)
		}
		return dir, nil
	}
	if dir := installedBinaries(); dir != "" {
		return dir, nil
	}
	if err := apt.Install(ctx, progress, "postgresql"); err != nil {
		return "", fmt.Errorf("PostgreSQL is not installed: %w; or put the folder of its programs postgres and initdb into PATH", err)
	}
	if dir := installedBinaries(); dir != "" {
		return dir, nil
	}
	return "", fmt.Errorf("apt-get installed the package postgresql, but there is no postgres in PATH nor in %s; put its folder into PATH", debianBinaries)
}

func installedBinaries() string {
	if path, err := exec.LookPath("postgres"); err == nil {
		// PATH may have only a link to the program; initdb is next to the program itself.
		if path, err = filepath.EvalSymlinks(path); err == nil && hasInitdb(filepath.Dir(path)) {
			return filepath.Dir(path)
		}
	}
	dirs, _ := filepath.Glob(debianBinaries) // the pattern is a constant
	slices.SortFunc(dirs, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
	if i := slices.IndexFunc(dirs, hasInitdb); i >= 0 {
		return dirs[i]
	}
	return ""
}

func hasInitdb(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "initdb"))
	return err == nil
}

// majorVersion returns the 15 of /usr/lib/postgresql/15/bin, or 0.
func majorVersion(binDir string) int {
	version, _ := strconv.Atoi(filepath.Base(filepath.Dir(binDir)))
	return version
}

// hasStatementStatistics reports whether the extension pg_stat_statements is installed with
// these programs: in lib beside bin (Debian), or in lib/postgresql.
func hasStatementStatistics(binDir string) bool {
	for _, lib := range []string{"lib", "lib/postgresql"} {
		_, err := os.Stat(filepath.Join(binDir, "..", lib, "pg_stat_statements.so"))
		if !errors.Is(err, os.ErrNotExist) {
			return true
		}
	}
	return false
}
