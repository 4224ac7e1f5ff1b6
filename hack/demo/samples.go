package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tenantry/tenantry/hack/cluster"
)

// overlay is config/samples with patches.
const overlay = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../config/samples
patches:
`

// databasePatch has the demo's own PostgreSQL: its host, port, user and password.
const databasePatch = `- patch: |
    apiVersion: tenantry.dev/v1alpha1
    kind: DatabaseServer
    metadata: {name: shared-eu}
    spec: {host: %q, port: %d, sslMode: disable}
- patch: |
    apiVersion: v1
    kind: Secret
    metadata: {name: shared-eu-admin, namespace: tenantry-system}
    stringData: {username: %q, password: %q}
`

// applyOverlay applies config/samples with patches.
func (d *demo) applyOverlay(ctx context.Context, kubernetes *cluster.ControlPlane, patches string) error {
	folder := filepath.Join(d.local, "samples")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(overlay+patches), 0o600); err != nil {
		return err
	}
	if output, err := kubernetes.Kubectl(ctx, "apply", "-k", folder); err != nil {
		return fmt.Errorf("can't apply the samples: %w\n%s", err, output)
	}
	return nil
}
