// Package deploy installs what runs as pods in a cluster with real nodes: the cluster's DNS, the operator and the
// gateway.
package deploy

import (
	"context"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
)

const (
	// GatewayNamespace is where the gateway runs: NetworkPolicies must let it in.
	GatewayNamespace = "tenantry-demo-gateway"
	// GatewayPort is the NodePort of the gateway, for hostnames with TLS.
	GatewayPort = 30443
	// GatewayClass is the IngressClass, and the GatewayClass, that the gateway serves.
	GatewayClass = "tenantry-demo"

	// gatewayAPI is the module of the Gateway API, and gatewayDefinitions its resources that the gateway serves.
	gatewayAPI         = "sigs.k8s.io/gateway-api"
	gatewayDefinitions = "config/crd/standard/gateway.networking.k8s.io_"

	rolloutTimeout = "120s"
)

// Install installs DNS, the operator and the gateway with the Gateway API, and returns once their APIs are served. They
// may still be starting: see Wait.
func Install(ctx context.Context, kubernetes *cluster.ControlPlane) error {
	root, err := operator.Root(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, source := range []string{
		"--filename=" + filepath.Join(root, "hack", "cluster", "addons"),
		"--kustomize=" + filepath.Join(root, "config", "default"),
	} {
		group.Go(func() error { return kubernetes.Apply(ctx, source) })
	}
	group.Go(func() error {
		err := kubernetes.ApplyDefinitions(ctx, gatewayAPI,
			gatewayDefinitions+"gatewayclasses.yaml", gatewayDefinitions+"gateways.yaml", gatewayDefinitions+"httproutes.yaml")
		if err != nil {
			return err
		}
		return kubernetes.Apply(ctx, "--kustomize="+filepath.Join(root, "hack", "gateway", "config"))
	})
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
