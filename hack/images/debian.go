package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// merged are the folders that Debian links to those of the same name below /usr.
var merged = []string{"bin", "lib", "lib64", "sbin"}

// unneeded are the folders that no program reads.
var unneeded = []string{"usr/share/doc/", "usr/share/info/", "usr/share/locale/", "usr/share/man/", "usr/share/lintian/", "usr/share/bug/"}

// packages are Debian packages with all that they depend on, as files of this machine's release of Debian.
type packages struct{ folder string }

// download returns the paths of the packages' files, in the folder, which keeps them.
func (p packages) download(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Join(p.folder, "partial"), 0o755); err != nil {
		return nil, err
	}
	// Where nothing is installed, apt-get resolves everything that an empty root needs.
	status := filepath.Join(p.folder, "nothing-installed")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return nil, err
	}
	aptGet := func(archives string, args ...string) ([]byte, error) {
		return output(exec.CommandContext(ctx, "apt-get", slices.Concat([]string{
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
	for _, found := range uri.FindAllSubmatch(uris, -1) {
		files = append(files, filepath.Join(p.folder, string(found[1])))
	}
	slices.Sort(files)
	return files, nil
}

// uri is a line of apt-get --print-uris: 'URI' FILE SIZE HASH.
var uri = regexp.MustCompile(`(?m)^'[^']+' (\S+\.deb) \d+ `)

// unpack writes the content of the packages as an image's files. No script of theirs runs.
func unpack(ctx context.Context, files []string, to *tar.Writer) error {
	for _, folder := range merged {
		if err := to.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "usr/" + folder + "/", Mode: 0o755}); err != nil {
			return err
		}
		if err := to.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: folder, Linkname: "usr/" + folder, Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := unpackOne(ctx, file, to); err != nil {
			return fmt.Errorf("can't unpack %s: %w", file, err)
		}
	}
	return nil
}

func unpackOne(ctx context.Context, file string, to *tar.Writer) (err error) {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	content, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_, drained := io.Copy(io.Discard, content)
		err = errors.Join(err, drained, cmd.Wait())
	}()
	from := tar.NewReader(content)
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !place(header) {
			continue
		}
		if err := to.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.Copy(to, from); err != nil {
			return err
		}
	}
}

// place sets where a file of a package goes, and reports whether it goes anywhere.
func place(header *tar.Header) bool {
	header.Name = underUsr(header.Name)
	if header.Name == "" || slices.Contains(merged, strings.TrimSuffix(header.Name, "/")) ||
		slices.ContainsFunc(unneeded, func(folder string) bool { return strings.HasPrefix(header.Name, folder) }) {
		return false
	}
	if header.Typeflag == tar.TypeLink {
		header.Linkname = underUsr(header.Linkname)
	}
	if header.Typeflag == tar.TypeDir {
		header.Name += "/"
	}
	return true
}

// underUsr returns the path without its leading "./", and below usr/ what Debian has linked there.
func underUsr(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	first, _, deeper := strings.Cut(name, "/")
	if deeper && slices.Contains(merged, first) {
		return "usr/" + name
	}
	return name
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	printed, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return printed, nil
}
