package images

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The names by which containerd, and other tools, know an image of an OCI archive.
const (
	containerdName = "io.containerd.image.name"
	ociName        = "org.opencontainers.image.ref.name"
)

// dockerManifest is what the file manifest.json has of an image.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// writeArchive writes an image as `docker save` does: an OCI archive, with a manifest.json for tools that read only
// Docker's own format. kind is one: it finds an image's name nowhere else.
func writeArchive(to *tar.Writer, reference string, image v1.Image) error {
	index := mutate.IndexMediaType(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add:        image,
		Descriptor: v1.Descriptor{Annotations: map[string]string{containerdName: reference, ociName: reference}},
	}), types.OCIImageIndex)
	encodedIndex, err := index.RawManifest()
	if err != nil {
		return err
	}
	docker := dockerManifest{RepoTags: []string{reference}}
	if docker.Config, err = writeConfig(to, image); err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		path, err := writeLayer(to, layer)
		if err != nil {
			return err
		}
		docker.Layers = append(docker.Layers, path)
	}
	encodedDocker, err := json.Marshal([]dockerManifest{docker})
	if err != nil {
		return err
	}
	return errors.Join(
		writeFile(to, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)),
		writeFile(to, "index.json", encodedIndex),
		writeFile(to, "manifest.json", encodedDocker),
	)
}

// writeConfig writes the image's configuration and manifest, and returns the path of the former.
func writeConfig(to *tar.Writer, image v1.Image) (string, error) {
	config, err := image.RawConfigFile()
	if err != nil {
		return "", err
	}
	name, err := image.ConfigName()
	if err != nil {
		return "", err
	}
	manifest, err := image.RawManifest()
	if err != nil {
		return "", err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	return blob(name), errors.Join(writeFile(to, blob(digest), manifest), writeFile(to, blob(name), config))
}

// writeLayer returns the path of the layer.
func writeLayer(to *tar.Writer, layer v1.Layer) (string, error) {
	digest, err := layer.Digest()
	if err != nil {
		return "", err
	}
	size, err := layer.Size()
	if err != nil {
		return "", err
	}
	content, err := layer.Compressed()
	if err != nil {
		return "", err
	}
	defer content.Close()
	if err := to.WriteHeader(&tar.Header{Name: blob(digest), Mode: 0o644, Size: size}); err != nil {
		return "", err
	}
	_, err = io.Copy(to, content)
	return blob(digest), err
}

func writeFile(to *tar.Writer, path string, content []byte) error {
	return File{Content: content, Mode: 0o644}.write(to, "/"+path)
}

func blob(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }
