package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tenantry/tenantry/hack/process"
)

// installers are the packages that others depend on only for the scripts of their installation. An image has them only
// if it names them.
var installers = []string{
	"adduser", "debconf", "dpkg", "init-system-helpers", "lsb-base", "perl", "perl-base", "sysvinit-utils", "ucf",
}

// aptLists is where apt-get keeps which packages there are.
const aptLists = "/var/lib/apt/lists"

// packages are Debian packages with all that they depend on, as files of this machine's release of Debian.
type packages struct{ folder string }

// download returns the paths of the packages' files, in the folder, which keeps them. Without are packages that are not
// needed, although others depend on them.
func (p packages) download(ctx context.Context, names, without []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Join(p.folder, "partial"), 0o755); err != nil {
		return nil, err
	}
	unlock, err := p.lock()
	if err != nil {
		return nil, err
	}
	answer, err := p.answerFile(names, without)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	files, known := p.recall(answer)
	if !known {
		files, err = p.ask(ctx, answer, names, without)
	}
	return files, errors.Join(err, unlock())
}

// lock waits until no other program downloads packages into the folder.
func (p packages) lock() (unlock func() error, err error) {
	file, err := os.Create(filepath.Join(p.folder, "lock"))
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

// answerFile returns the path at which apt-get's answer to a question is kept. It is another one after each update of
// apt-get's lists.
func (p packages) answerFile(names, without []string) (string, error) {
	lists, err := os.ReadDir(aptLists)
	if err != nil {
		return "", err
	}
	question := []any{names, without, installers}
	for _, list := range lists {
		info, err := list.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // an update is under way
		}
		if err != nil {
			return "", err
		}
		question = append(question, list.Name(), info.Size(), info.ModTime().UnixNano())
	}
	encoded, err := json.Marshal(question)
	return filepath.Join(p.folder, "answers", digestOf(encoded)), err
}

// recall returns what apt-get has answered, if all packages of the answer are still there.
func (p packages) recall(answer string) (files []string, known bool) {
	content, err := os.ReadFile(answer)
	if err != nil {
		return nil, false
	}
	files = strings.Fields(string(content))
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			return nil, false
		}
	}
	return files, true
}

// ask has apt-get download the packages, and keeps its answer.
func (p packages) ask(ctx context.Context, answer string, names, without []string) ([]string, error) {
	// What is said to be installed is not downloaded, and neither is what only that depends on.
	var installed strings.Builder
	for _, name := range slices.Concat(installers, without) {
		if !slices.Contains(names, name) {
			fmt.Fprintf(&installed, "Package: %s\nStatus: install ok installed\nArchitecture: %s\nVersion: 9999:1\nMaintainer: nobody\nDescription: not needed\n\n", name, runtime.GOARCH)
		}
	}
	status := filepath.Join(p.folder, "installed")
	if err := os.WriteFile(status, []byte(installed.String()), 0o644); err != nil {
		return nil, err
	}
	aptGet := func(archives string, args ...string) (string, error) {
		return process.Output(exec.CommandContext(ctx, "apt-get", slices.Concat([]string{
			"--yes", "--no-install-recommends",
			"--option=Dir::State::status=" + status,
			"--option=Dir::Cache::archives=" + archives,
			"--option=APT::Sandbox::User=root",
			"--option=Debug::NoLocking=1",
		}, args, []string{"install"}, names)...))
	}
	uris, err := aptGet(filepath.Join(p.folder, "none"), "--print-uris")
	if err != nil {
		return nil, err
	}
	if _, err := aptGet(p.folder, "--download-only"); err != nil {
		return nil, err
	}
	var files []string
	for _, found := range uri.FindAllStringSubmatch(uris, -1) {
		files = append(files, filepath.Join(p.folder, found[1]))
	}
	slices.Sort(files)
	if err := os.MkdirAll(filepath.Dir(answer), 0o755); err != nil {
		return nil, err
	}
	return files, os.WriteFile(answer, []byte(strings.Join(files, "\n")), 0o644)
}

// uri is a line of apt-get --print-uris: 'URI' FILE SIZE HASH.
var uri = regexp.MustCompile(`(?m)^'[^']+' (\S+\.deb) \d+ `)

// digestOf identifies content, in a few characters.
func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}
