package images

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Index is one image for several architectures.
type Index struct {
	// Digest is the digest that a registry knows it by.
	Digest v1.Hash
	// Packages are the paths of the Debian packages that it has, each of them once.
	Packages []string
}

// MakeIndex makes the images of one reference, each for another architecture, and writes them to path as an OCI archive
// of one index, in which each node finds the image for its own. Their layers are compressed, since they are made for a
// registry.
func (m Maker) MakeIndex(ctx context.Context, path string, images ...Image) (index Index, err error) {
	end, err := m.begin()
	if err != nil {
		return Index{}, err
	}
	defer func() { err = errors.Join(err, end()) }()
	folder, err := os.MkdirTemp(m.Dir, unfinished)
	if err != nil {
		return Index{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	manifests := make([]mutate.IndexAddendum, len(images))
	for number, image := range images {
		var packages []string
		if manifests[number], packages, err = m.buildFor(ctx, image, folder); err != nil {
			return Index{}, fmt.Errorf("can't make the image %s for %s: %w", image.Reference, image.architecture(), err)
		}
		// An image for another architecture has the same ones.
		index.Packages = packages
	}
	made := mutate.AppendManifests(empty.Index, manifests...)
	if index.Digest, err = made.Digest(); err != nil {
		return Index{}, err
	}
	return index, writeIndex(path, filepath.Join(folder, "layout"), images[0].Reference, made)
}

// buildFor returns an image for its architecture, and its packages.
func (m Maker) buildFor(ctx context.Context, image Image, folder string) (made mutate.IndexAddendum, packages []string, err error) {
	folder = filepath.Join(folder, image.architecture())
	if err := os.Mkdir(folder, 0o755); err != nil {
		return mutate.IndexAddendum{}, nil, err
	}
	debs, err := m.download(ctx, image)
	if err != nil {
		return mutate.IndexAddendum{}, nil, err
	}
	built, err := m.build(ctx, image, debs, folder, gzip.BestCompression)
	return mutate.IndexAddendum{
		Add:        built,
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: image.architecture()}},
	}, slices.Concat(debs...), err
}

// writeIndex writes an OCI archive of an index, by way of a folder with its layout. The archive has the index's name as
// those of `docker buildx` do.
func writeIndex(path, folder, reference string, index v1.ImageIndex) error {
	to, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	tag := reference[strings.LastIndex(reference, ":")+1:]
	if err := to.AppendIndex(index, layout.WithAnnotations(map[string]string{containerdName: reference, ociName: tag})); err != nil {
		return err
	}
	return writeTar(path, func(archive *tar.Writer) error {
		return filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(folder, file)
			if err != nil {
				return err
			}
			return File{From: file, Mode: 0o644}.write(archive, "/"+filepath.ToSlash(name))
		})
	})
}
