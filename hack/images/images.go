// Package images makes container images from static programs and from Debian's packages, without a registry and
// without Docker. An image is an OCI archive that containerd, Docker, Podman and kind load. The same content gives the
// same archive, byte by byte.
package images

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
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
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// Image is what an image is made of.
type Image struct {
	// Reference is the image's name and tag. Required.
	Reference string
	// Base are Debian packages whose files the image has, with those of all that they depend on, as a layer that it
	// shares with all images of the same Base.
	Base []string
	// Packages are further ones.
	Packages []string
	// Without is what the image doesn't need of them: packages that others depend on, by their names, and files, by
	// their absolute paths, which end with a slash for all that is in a folder.
	Without []string
	// Files are the files of the image by their absolute paths. They come after those of the packages.
	Files map[string]File
	// CompilePython is whether the Python modules of its packages and in /app are compiled.
	CompilePython bool
	// Config is how its containers run.
	Config v1.Config
	// Architecture is what its programs are for, by Go's name of it. Left out, it is that of this machine. An image for
	// another one can only have packages that are for all of them.
	Architecture string
	// Created is when it says that it was made. Left out, it doesn't say.
	Created time.Time
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

// WithAuthorities returns the image with what the base of the Dockerfile has: the certificate authorities that a
// DatabaseServer without caSecretRef trusts, and the time zones.
func WithAuthorities(image Image) Image {
	image.Packages = []string{"ca-certificates", "tzdata"}
	image.Without = []string{"openssl", "/usr/sbin/"}
	return image
}

// Maker makes images in a folder.
type Maker struct {
	// Dir is the folder for the archives, and for what they are made of. It is created. What no image has needed for a
	// day is removed from it.
	Dir string
}

// MakeAll makes the archives of images, unless they are there already, and returns their paths in the same order.
func (m Maker) MakeAll(ctx context.Context, images ...Image) ([]string, error) {
	paths := make([]string, len(images))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for number, image := range images {
		group.Go(func() (err error) {
			paths[number], err = m.Make(ctx, image)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return paths, m.removeUnused()
}

// Make makes the archive of one image, unless it is there already, and returns its path.
func (m Maker) Make(ctx context.Context, image Image) (string, error) {
	path, err := m.make(ctx, image)
	if err != nil {
		return "", fmt.Errorf("can't make the image %s: %w", image.Reference, err)
	}
	return path, nil
}

func (m Maker) make(ctx context.Context, image Image) (path string, err error) {
	end, err := m.begin()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, end()) }()
	debs, err := m.download(ctx, image)
	if err != nil {
		return "", err
	}
	digest, err := image.digest(debs)
	if err != nil {
		return "", err
	}
	path = filepath.Join(m.Dir, fmt.Sprintf("%s-%s.tar", image.fileName(), digest))
	if used(path) {
		return path, nil
	}
	return path, m.write(ctx, image, debs, path)
}

func (m Maker) layers() string { return filepath.Join(m.Dir, "layers") }

// download returns the files of the image's packages by layers: those of Base, and the others. It returns an error if one
// is for another architecture than the image.
func (m Maker) download(ctx context.Context, image Image) (layers [][]string, err error) {
	all := packages{filepath.Join(m.Dir, "packages")}
	base, err := all.download(ctx, image.Base, nil)
	if err != nil {
		return nil, err
	}
	without, _ := image.without()
	whole, err := all.download(ctx, slices.Concat(image.Base, image.Packages), without)
	if err != nil {
		return nil, err
	}
	own := slices.DeleteFunc(whole, func(deb string) bool { return slices.Contains(base, deb) })
	layers = slices.DeleteFunc([][]string{base, own}, func(debs []string) bool { return len(debs) == 0 })
	return layers, image.suits(layers)
}

// unusedLimit is how long a file stays that no image needs.
const unusedLimit = 24 * time.Hour

// used notes that a file is needed, and reports whether it is there.
func used(path string) bool { return os.Chtimes(path, time.Time{}, time.Now()) == nil }

func (m Maker) removeUnused() error {
	var errs []error
	for _, folder := range []string{m.Dir, m.layers()} {
		archives, err := filepath.Glob(filepath.Join(folder, "*.tar"))
		errs = append(errs, err)
		for _, path := range archives {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > unusedLimit {
				errs = append(errs, os.Remove(path))
			}
		}
	}
	return errors.Join(errs...)
}

// fileName is the last part of the image's name.
func (i Image) fileName() string {
	last, _, _ := strings.Cut(filepath.Base(i.Reference), ":")
	return last
}

// without returns what the image leaves out: packages by their names, and files by their paths.
func (i Image) without() (names, paths []string) {
	for _, left := range i.Without {
		if strings.HasPrefix(left, "/") {
			paths = append(paths, left)
		} else {
			names = append(names, left)
		}
	}
	return names, paths
}

// digest identifies the content of the image.
func (i Image) digest(debs [][]string) (string, error) {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode([]any{i.Reference, i.Config, i.architecture(), i.Created, debs, i.Without, i.CompilePython, installers, unneeded}); err != nil {
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

func (m Maker) write(ctx context.Context, image Image, debs [][]string, path string) (err error) {
	folder, err := os.MkdirTemp(m.Dir, unfinished)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	// No network is saved by a layer that is compressed.
	made, err := m.build(ctx, image, debs, folder, gzip.NoCompression)
	if err != nil {
		return err
	}
	archive := filepath.Join(folder, "archive")
	if err := writeTar(archive, func(to *tar.Writer) error { return writeArchive(to, image.Reference, made) }); err != nil {
		return err
	}
	return os.Rename(archive, path)
}

// build returns an image, whose layers are read from files in the folder, or from those that images share.
func (m Maker) build(ctx context.Context, image Image, debs [][]string, folder string, compression int) (v1.Image, error) {
	layers, err := m.writeLayers(ctx, image, debs, folder)
	if err != nil {
		return nil, err
	}
	made := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, path := range layers {
		layer, err := tarball.LayerFromFile(path, tarball.WithCompressionLevel(compression), tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		if made, err = mutate.AppendLayers(made, layer); err != nil {
			return nil, err
		}
	}
	return image.configure(made)
}

// writeLayers returns the paths of the layers of an image. Those that only it has are in the folder.
func (m Maker) writeLayers(ctx context.Context, image Image, debs [][]string, folder string) (layers []string, err error) {
	_, without := image.without()
	for _, files := range debs {
		layer, err := m.packageLayer(ctx, files, without)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	files := filepath.Join(folder, "files")
	if err := writeTar(files, image.writeFiles); err != nil {
		return nil, err
	}
	layers = append(layers, files)
	if !image.CompilePython {
		return layers, nil
	}
	compiled := filepath.Join(folder, "compiled")
	return append(layers, compiled), writeTar(compiled, pythonLayer(ctx, folder, layers))
}

// packageLayer returns the path of the layer with the content of the packages. It is kept, so that they are unpacked
// once.
func (m Maker) packageLayer(ctx context.Context, debs, without []string) (string, error) {
	content, err := json.Marshal([]any{debs, without, unneeded})
	if err != nil {
		return "", err
	}
	path := filepath.Join(m.layers(), digestOf(content)+".tar")
	if used(path) {
		return path, nil
	}
	layer, err := os.CreateTemp(m.layers(), unfinished)
	if err != nil {
		return "", err
	}
	defer os.Remove(layer.Name())
	err = errors.Join(layer.Close(), writeTar(layer.Name(), func(to *tar.Writer) error {
		return (&unpacking{to: to, without: without}).unpack(ctx, debs)
	}))
	if err != nil {
		return "", err
	}
	return path, os.Rename(layer.Name(), path)
}

func writeTar(path string, fill func(*tar.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(file)
	return errors.Join(fill(archive), archive.Close(), file.Close())
}

func (i Image) configure(made v1.Image) (v1.Image, error) {
	whole, err := made.ConfigFile()
	if err != nil {
		return nil, err
	}
	whole = whole.DeepCopy()
	whole.OS, whole.Architecture, whole.Config = "linux", i.architecture(), i.Config
	whole.Created = v1.Time{Time: i.Created}
	return mutate.ConfigFile(made, whole)
}

func (i Image) architecture() string { return cmp.Or(i.Architecture, runtime.GOARCH) }

// suits returns an error if a package is for another architecture than the image.
func (i Image) suits(debs [][]string) error {
	if i.architecture() == runtime.GOARCH {
		return nil
	}
	for _, deb := range slices.Concat(debs...) {
		if !strings.HasSuffix(deb, "_all.deb") {
			return fmt.Errorf("%s is not for %s; an image for another architecture than this machine's can only have packages that are for all", filepath.Base(deb), i.architecture())
		}
	}
	return nil
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
