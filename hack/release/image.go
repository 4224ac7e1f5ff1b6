package main

import (
	"context"
	"path/filepath"

	"github.com/tenantry/tenantry/hack/images"
)

// imageArchive is the OCI archive with the operator's image.
const imageArchive = "manager.oci.tar"

// makeImage makes the operator's image for each architecture. It has what the Dockerfile's has.
func (r *release) makeImage(ctx context.Context) (err error) {
	var all []images.Image
	for _, program := range r.operator {
		image := images.WithAuthorities(images.Static(r.image+":"+r.version, r.compiled(program)))
		image.Architecture, image.Created = program.architecture, r.source.time
		image.Config.Labels = map[string]string{
			"org.opencontainers.image.title":    "Tenantry",
			"org.opencontainers.image.source":   repository,
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": r.source.commit,
			"org.opencontainers.image.licenses": license,
		}
		all = append(all, image)
	}
	maker := images.Maker{Dir: filepath.Join(r.root, ".local", "images")}
	r.index, err = maker.MakeIndex(ctx, filepath.Join(r.folder, imageArchive), all...)
	return err
}
