// Package project has the list of all images that the project runs on real nodes.
package project

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/tenantry/tenantry/hack/images"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/hack/operator"
)

// Operator, CoreDNS, Gateway, PostgreSQL and Redis are the images by the names that manifests have.
const (
	Operator = "docker.io/tenantry/manager:dev"
	CoreDNS  = "tenantry.local/coredns:1"
	Gateway  = "tenantry.local/gateway:1"
	// The versions are those of Debian 12.
	PostgreSQL = "15"
	Redis      = "7"
)

// Examples are the apps in the folder examples.
var Examples = []string{"django", "fastapi", "flask", "pyramid"}

// Cluster compiles the project's programs, and returns the images of the operator, of what real nodes need, and of the
// gateway. bin is the folder that cluster.Build returns.
func Cluster(ctx context.Context, bin string) ([]images.Image, error) {
	var programs []string
	for _, path := range []string{"./hack/images/pause", "./hack/gateway"} {
		program, err := Build(ctx, path)
		if err != nil {
			return nil, err
		}
		programs = append(programs, program)
	}
	manager, err := operator.Build(ctx)
	if err != nil {
		return nil, err
	}
	gateway := images.Static(Gateway, programs[1])
	gateway.Packages = []string{"nginx-light"}
	return []images.Image{
		images.WithAuthorities(images.Static(Operator, manager)),
		images.Static(node.PauseImage, programs[0]),
		images.Static(CoreDNS, filepath.Join(bin, "coredns")),
		gateway,
	}, nil
}

// Images returns all images: those of Cluster, of the database servers, and of the examples.
func Images(ctx context.Context, bin string) ([]images.Image, error) {
	all, err := Cluster(ctx, bin)
	if err != nil {
		return nil, err
	}
	root, err := operator.Root(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, images.PostgreSQL(PostgreSQL), images.Redis(Redis))
	for _, name := range Examples {
		app, err := images.App(fmt.Sprintf("registry.example/shop-%s:1", name), filepath.Join(root, "examples", name))
		if err != nil {
			return nil, err
		}
		all = append(all, app)
	}
	return all, nil
}

// Maker returns what makes the images, in the checkout's folder .local/images.
func Maker(ctx context.Context) (images.Maker, error) {
	root, err := operator.Root(ctx)
	return images.Maker{Dir: filepath.Join(root, ".local", "images")}, err
}

// Build compiles a program of the checkout, such as ./hack/images/pause, without symbols, and returns its path.
func Build(ctx context.Context, path string) (program string, err error) {
	return operator.Compile(ctx, path, "-ldflags=-s -w")
}
