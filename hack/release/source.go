package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/tenantry/tenantry/hack/process"
)

// check returns an error if this can't be the version of a release. Build metadata (v1.2.3+4) has no place in the tag of
// an image.
func check(version string) error {
	if version == "" || semver.Canonical(version) != version {
		return fmt.Errorf("%q is no version that can be released; write it as v1.2.3, or as v1.2.3-rc.1 before that", version)
	}
	return nil
}

// source is the commit that a release is made of.
type source struct {
	commit string
	// changed says that the checkout has changes that are not in it.
	changed bool
	// time is when it was made. All files of a release have this time.
	time time.Time
}

// readSource returns the commit that is checked out. It refuses changes that are in no commit, unless told otherwise.
func readSource(ctx context.Context, root string, dirty bool) (source, error) {
	git := func(args ...string) (string, error) {
		output, err := process.Output(exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...))
		return strings.TrimSpace(output), err
	}
	changes, err := git("status", "--porcelain")
	if err != nil {
		return source{}, err
	}
	if changes != "" && !dirty {
		return source{}, fmt.Errorf("these files have changes that are in no commit, so that nobody else could make this release; commit or stash them, or add DIRTY=1 to try it out:\n%s", changes)
	}
	shown, err := git("show", "--no-patch", "--format=%H %cI", "HEAD")
	if err != nil {
		return source{}, err
	}
	commit, made, _ := strings.Cut(shown, " ")
	at, err := time.Parse(time.RFC3339, made)
	return source{commit: commit, changed: changes != "", time: at.UTC()}, err
}
