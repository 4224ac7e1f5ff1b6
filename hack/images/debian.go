package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// merged are the folders that Debian links to those of the same name below /usr.
var merged = []string{"bin", "lib", "lib64", "sbin"}

// unneeded are the folders that no program reads.
var unneeded = []string{"usr/share/doc/", "usr/share/info/", "usr/share/locale/", "usr/share/man/", "usr/share/lintian/", "usr/share/bug/"}

// The installation of ca-certificates joins the certificates of the authorities into a file, which TLS libraries read.
const (
	authorities     = "usr/share/ca-certificates/mozilla/"
	authoritiesFile = "etc/ssl/certs/ca-certificates.crt"
)

// unpacking writes the content of packages as a layer of an image.
type unpacking struct {
	to *tar.Writer
	// without are paths that are left out; those that end with a slash with all that is below them.
	without []string
	trusted bytes.Buffer
}

// unpack writes the content of the packages. No script of theirs runs.
func (u *unpacking) unpack(ctx context.Context, files []string) error {
	for _, folder := range merged {
		if err := u.to.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "usr/" + folder + "/", Mode: 0o755}); err != nil {
			return err
		}
		if err := u.to.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: folder, Linkname: "usr/" + folder, Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := u.unpackOne(ctx, file); err != nil {
			return fmt.Errorf("can't unpack %s: %w", file, err)
		}
	}
	if u.trusted.Len() == 0 {
		return nil
	}
	return File{Content: u.trusted.Bytes(), Mode: 0o644}.write(u.to, "/"+authoritiesFile)
}

func (u *unpacking) unpackOne(ctx context.Context, file string) (err error) {
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
		if err := u.write(header, from); err != nil {
			return err
		}
	}
}

func (u *unpacking) write(header *tar.Header, content io.Reader) error {
	if !u.place(header) {
		return nil
	}
	if err := u.to.WriteHeader(header); err != nil {
		return err
	}
	to := io.Writer(u.to)
	if header.Typeflag == tar.TypeReg && strings.HasPrefix(header.Name, authorities) {
		to = io.MultiWriter(to, &u.trusted)
	}
	_, err := io.Copy(to, content)
	return err
}

// place sets where a file of a package goes, and reports whether it goes anywhere.
func (u *unpacking) place(header *tar.Header) bool {
	header.Name = underUsr(header.Name)
	if header.Typeflag == tar.TypeDir {
		header.Name += "/"
	}
	if header.Typeflag == tar.TypeLink {
		header.Linkname = underUsr(header.Linkname)
	}
	bare := strings.TrimSuffix(header.Name, "/")
	return bare != "" && !slices.Contains(merged, bare) && !slices.ContainsFunc(slices.Concat(unneeded, u.without), func(left string) bool {
		left = strings.TrimPrefix(left, "/")
		return header.Name == left || strings.HasSuffix(left, "/") && strings.HasPrefix(header.Name, left)
	})
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
