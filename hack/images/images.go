// Package images makes container images from static programs and from Debian's packages, without a registry and
// without Docker. An image is an archive that containerd, Docker and kind load. The same content gives the same
// archive, byte by byte.
package images

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is what an image is made of.
type Image struct {
	// Reference is the image's name and tag. Required.
	Reference string
	// Packages are the Debian packages whose files the image has, with those of all that they depend on.
	Packages []string
	// Files are the files of the image by their absolute paths. They come after those of the packages.
	Files map[string]File
	// CompilePython is whether the Python modules of its packages and in /app are compiled.
	CompilePython bool
	// Config is how its containers run.
	Config v1.Config
}

// File is a file of an image: either its content, or the path of a file on this machine that it is read from.
type File struct {
	Content []byte
	From    string
	Mode    fs.FileMode
}

// users gives the user that images run as a name and a group. Without a line for its group, a container runs with
// group 0, whatever its user.
const (
	users  = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
	groups = "root:x:0:\nnonroot:x:65532:\n"
)

// Static returns an image of one static program, which runs as a user without rights.
func Static(reference, program string, args ...string) Image {
	path := "/" + filepath.Base(program)
	return Image{
		Reference: reference,
		Files: map[string]File{
			path:          {From: program, Mode: 0o755},
			"/etc/passwd": {Content: []byte(users), Mode: 0o644},
			"/etc/group":  {Content: []byte(groups), Mode: 0o644},
		},
		Config: v1.Config{Entrypoint: append([]string{path}, args...), User: "65532:65532"},
	}
}

// Maker makes images in a folder.
type Maker struct {
	// Dir is the folder for the archives, and for what they are made of. It is created.
	Dir string
}

// Make makes the image's archive, unless it is there already, and returns its path.
func (m Maker) Make(ctx context.Context, image Image) (string, error) {
	path, err := m.make(ctx, image)
	if err != nil {
		return "", fmt.Errorf("can't make the image %s: %w", image.Reference, err)
	}
	return path, nil
}

func (m Maker) make(ctx context.Context, image Image) (string, error) {
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return "", err
	}
	debs, err := m.packages().download(ctx, image.Packages)
	if err != nil {
		return "", err
	}
	digest, err := image.digest(debs)
	if err != nil {
		return "", err
	}
	path := filepath.Join(m.Dir, fmt.Sprintf("%s-%s.tar", image.fileName(), digest))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, m.write(ctx, image, debs, path)
}

func (m Maker) packages() packages { return packages{filepath.Join(m.Dir, "packages")} }

// fileName is the last part of the image's name.
func (i Image) fileName() string {
	name, _, _ := strings.Cut(filepath.Base(i.Reference), ":")
	return name
}

// digest identifies the content of the image.
func (i Image) digest(debs []string) (string, error) {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode([]any{i.Reference, i.Config, i.CompilePython, debs}); err != nil {
		return "", err
	}
	for _, path := range slices.Sorted(maps.Keys(i.Files)) {
		fmt.Fprintf(sum, "%s %v\n", path, i.Files[path].Mode)
		content, _, err := i.Files[path].open()
		if err != nil {
			return "", err
		}
		if _, err := io.Copy(sum, content); err != nil {
			return "", errors.Join(err, content.Close())
		}
		if err := content.Close(); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func (m Maker) write(ctx context.Context, image Image, debs []string, path string) error {
	reference, err := name.ParseReference(image.Reference)
	if err != nil {
		return err
	}
	layers, err := os.MkdirTemp(m.Dir, "layers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(layers)
	made, paths := empty.Image, []string{}
	fills := []func(*tar.Writer) error{image.writeFiles}
	if len(debs) > 0 {
		fills = slices.Insert(fills, 0, func(to *tar.Writer) error { return unpack(ctx, debs, to) })
	}
	if image.CompilePython {
		fills = append(fills, func(to *tar.Writer) error { return pythonLayer(ctx, layers, paths)(to) })
	}
	for number, fill := range fills {
		path := filepath.Join(layers, strconv.Itoa(number))
		layer, err := newLayer(path, fill)
		if err != nil {
			return err
		}
		paths = append(paths, path)
		if made, err = mutate.AppendLayers(made, layer); err != nil {
			return err
		}
	}
	if made, err = configure(made, image.Config); err != nil {
		return err
	}
	unfinished := filepath.Join(layers, "image")
	if err := tarball.WriteToFile(unfinished, reference, made); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

func newLayer(path string, fill func(*tar.Writer) error) (v1.Layer, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(file)
	if err := errors.Join(fill(archive), archive.Close(), file.Close()); err != nil {
		return nil, err
	}
	return tarball.LayerFromFile(path, tarball.WithCompressionLevel(0))
}

func configure(image v1.Image, config v1.Config) (v1.Image, error) {
	whole, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	whole = whole.DeepCopy()
	whole.OS, whole.Architecture, whole.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(image, whole)
}

// writeFiles writes the files in the order of their paths, without times and owners.
func (i Image) writeFiles(archive *tar.Writer) error {
	for _, path := range slices.Sorted(maps.Keys(i.Files)) {
		if err := i.Files[path].write(archive, path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (f File) write(archive *tar.Writer, path string) error {
	content, size, err := f.open()
	if err != nil {
		return err
	}
	defer content.Close()
	if err := archive.WriteHeader(&tar.Header{Name: path[1:], Mode: int64(f.Mode.Perm()), Size: size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(archive, content)
	return err
}

func (f File) open() (content io.ReadCloser, size int64, err error) {
	if f.From == "" {
		return io.NopCloser(bytes.NewReader(f.Content)), int64(len(f.Content)), nil
	}
	file, err := os.Open(f.From)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}
