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

// BinDirVariable names the environment variable that has the folder of the programs to use instead of those
// of PATH and Debian.
const BinDirVariable = "TENANTRY_POSTGRES_BIN"

// debianBinaries is where Debian puts the programs of each major version.
const debianBinaries = "/usr/lib/postgresql/*/bin"

// findBinaries returns the folder that has postgres and initdb: that of BinDirVariable, of PATH, or else the
// newest of Debian's. It has PostgreSQL installed where that is possible.
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
		// Only beside the program itself are its companions; PATH may have a link to it.
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
