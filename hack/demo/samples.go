package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/postgres"
)

// overlay is what the demo changes in config/samples, as YAML.
type overlay struct {
	patches []string
	// further are objects beside the samples.
	further []string
}

// databasePatches have the demo's own PostgreSQL: its host and port, and its user and password.
var databasePatches = [2]string{`apiVersion: tenantry.dev/v1alpha1
kind: DatabaseServer
metadata: {name: shared-eu}
spec: {host: %q, port: %d, sslMode: disable}
`, `apiVersion: v1
kind: Secret
metadata: {name: shared-eu-admin, namespace: tenantry-system}
stringData: {username: %q, password: %q}
`}

// applyOverlay applies config/samples with what the demo changes. Pods reach the server at the host and port.
func (d *demo) applyOverlay(ctx context.Context, kubernetes *cluster.ControlPlane, changes overlay, host string, port int, server *postgres.Server) error {
	folder := filepath.Join(d.local, "samples")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	resources := []string{"../../config/samples"}
	if len(changes.further) > 0 {
		const further = "further.yaml"
		resources = append(resources, further)
		if err := os.WriteFile(filepath.Join(folder, further), []byte(strings.Join(changes.further, "---\n")), 0o600); err != nil {
			return err
		}
	}
	var patches []map[string]string
	for _, patch := range append(changes.patches,
		fmt.Sprintf(databasePatches[0], host, port), fmt.Sprintf(databasePatches[1], server.Username, server.Password)) {
		patches = append(patches, map[string]string{"patch": patch})
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources, "patches": patches,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), text, 0o600); err != nil {
		return err
	}
	if output, err := kubernetes.Kubectl(ctx, "apply", "-k", folder); err != nil {
		return fmt.Errorf("can't apply the samples: %w\n%s", err, output)
	}
	return nil
}

// awaitSamples waits until all tenants and their database server are Ready, and returns what kubectl prints.
func awaitSamples(ctx context.Context, kubernetes *cluster.ControlPlane, timeout string) (string, error) {
	return kubernetes.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout="+timeout, "databaseservers,tenants", "--all")
}
