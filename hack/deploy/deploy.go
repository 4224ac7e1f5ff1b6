// Package deploy installs what runs as pods in a cluster with real nodes: the cluster's DNS, the operator and the
// gateway, from images that it makes.
package deploy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/images"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/hack/operator"
)

const (
	// GatewayNamespace is where the gateway runs: NetworkPolicies must let it in.
	GatewayNamespace = "tenantry-demo-gateway"
	// GatewayPort is the NodePort of the gateway, for hostnames with TLS.
	GatewayPort = 30443
	// GatewayClass is the IngressClass that the gateway serves.
	GatewayClass = "tenantry-demo"

	managerImage = "docker.io/tenantry/manager:dev"
	gatewayImage = "tenantry.local/gateway:1"
	dnsImage     = "tenantry.local/coredns:1"

	rolloutTimeout = "60s"
)

// Build compiles commands of the checkout, given like "./hack/gateway", and returns the paths of the programs.
func Build(ctx context.Context, commands ...string) (programs []string, err error) {
	root, err := operator.Root(ctx)
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(root, ".local", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-ldflags=-s -w", "-o", bin + "/"}, commands...)...)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("can't build %s: %w\n%s", strings.Join(commands, ", "), err, output)
	}
	for _, command := range commands {
		programs = append(programs, filepath.Join(bin, filepath.Base(command)))
	}
	return programs, nil
}

// Images makes the images of what this package installs, of what each pod needs, and further ones. bin is what
// cluster.Build returns.
func Images(ctx context.Context, bin string, further ...images.Image) (archives []string, err error) {
	programs, err := Build(ctx, "./hack/images/pause", "./cmd/manager", "./hack/gateway")
	if err != nil {
		return nil, err
	}
	gateway := images.Static(gatewayImage, programs[2])
	gateway.Packages = []string{"nginx-light"}
	return Make(ctx, append([]images.Image{
		images.Static(node.PauseImage, programs[0]),
		images.Static(managerImage, programs[1]),
		images.Static(dnsImage, filepath.Join(bin, "coredns")),
		gateway,
	}, further...)...)
}

// Make makes images in the checkout's .local/images, and returns the paths of their archives.
func Make(ctx context.Context, wanted ...images.Image) (archives []string, err error) {
	root, err := operator.Root(ctx)
	if err != nil {
		return nil, err
	}
	maker := images.Maker{Dir: filepath.Join(root, ".local", "images")}
	archives = make([]string, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	for number, image := range wanted {
		group.Go(func() (err error) {
			archives[number], err = maker.Make(ctx, image)
			return err
		})
	}
	return archives, group.Wait()
}

// Install installs DNS, the operator and the gateway, and returns once the API of the operator is served. They may
// still be starting: see Wait.
func Install(ctx context.Context, kubernetes *cluster.ControlPlane) error {
	root, err := operator.Root(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, source := range [][]string{
		{"--filename=" + filepath.Join(root, "hack", "cluster", "addons")},
		{"--kustomize=" + filepath.Join(root, "config", "default")},
		{"--kustomize=" + filepath.Join(root, "hack", "gateway", "config")},
	} {
		group.Go(func() error { return kubernetes.Apply(ctx, source...) })
	}
	return group.Wait()
}

// Wait returns once everything that Install installs runs.
func Wait(ctx context.Context, kubernetes *cluster.ControlPlane) error {
	for _, deployment := range []struct{ namespace, name string }{
		{"kube-system", "coredns"}, {operator.Namespace, "tenantry-manager"}, {GatewayNamespace, "gateway"},
	} {
		if _, err := kubernetes.Kubectl(ctx, "rollout", "status", "deployment/"+deployment.name,
			"--namespace="+deployment.namespace, "--timeout="+rolloutTimeout); err != nil {
			return err
		}
	}
	return nil
}
