package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/hack/deploy"
	"github.com/tenantry/tenantry/hack/images"
	"github.com/tenantry/tenantry/hack/process"
)

// app is what a Tenant runs.
type app struct {
	tenant string
	// sample says that the Tenant is one of config/samples, and not the example's own.
	sample bool
	// image is what the Tenant names, and example the folder that it is made from.
	image, example string
	hostname       string
	// routed says that it is exposed by an HTTPRoute, and not by an Ingress.
	routed bool
}

var apps = []app{
	{tenant: "acme", sample: true, image: "registry.example/acme/shop:1.4.2", example: "flask", hostname: "shop.acme.example"},
	{tenant: "globex", sample: true, image: "registry.example/globex/crm:2.0.0", example: "django", hostname: "crm.globex.example", routed: true},
	{tenant: "shop-fastapi", image: "registry.example/shop-fastapi:1", example: "fastapi", hostname: "fastapi.shops.example"},
	{tenant: "shop-pyramid", image: "registry.example/shop-pyramid:1", example: "pyramid", hostname: "pyramid.shops.example", routed: true},
}

// images returns the images that the Tenants name, made from the examples. They have curl, to look around with.
func (r *realDemo) images() ([]images.Image, error) {
	var all []images.Image
	for _, app := range apps {
		image, err := images.App(app.image, filepath.Join(r.root, "examples", app.example))
		if err != nil {
			return nil, err
		}
		image.Packages = append(image.Packages, "curl")
		all = append(all, image)
	}
	return all, nil
}

// overlay returns config/samples with the apps: what the examples' own Tenants have is patched into the samples that
// run them, and the others are added.
func (r *realDemo) overlay() (overlay, error) {
	var whole overlay
	for _, app := range apps {
		content, err := os.ReadFile(filepath.Join(r.root, "examples", app.example, "tenant.yaml"))
		if err != nil {
			return whole, err
		}
		tenant := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(content, tenant); err != nil {
			return whole, fmt.Errorf("the Tenant of the example %s: %w", app.example, err)
		}
		app.adapt(tenant)
		text, err := yaml.Marshal(tenant.Object)
		if err != nil {
			return whole, err
		}
		if app.sample {
			whole.patches = append(whole.patches, string(text))
		} else {
			whole.further = append(whole.further, string(text))
		}
	}
	return whole, nil
}

// adapt exposes an app by the Tenant of an example. For one of the samples it makes a patch of that Tenant, which leaves
// the sample its image and port.
func (a app) adapt(tenant *unstructured.Unstructured) {
	spec := tenant.Object["spec"].(map[string]any)
	if a.sample {
		tenant.SetName(a.tenant)
		for _, field := range [][]string{{"displayName"}, {"database"}, {"app", "image"}, {"app", "port"}} {
			unstructured.RemoveNestedField(spec, field...)
		}
		spec["config"].(map[string]any)["SHOP_NAME"] = "The shop of " + a.tenant
	}
	spec["app"].(map[string]any)["expose"] = a.exposure()
}

// exposure returns what a tenant says in app.expose.
func (a app) exposure() map[string]any {
	exposure := map[string]any{"hostnames": []any{a.hostname}}
	if a.routed {
		exposure["gatewayRef"] = map[string]any{"namespace": deploy.GatewayNamespace, "name": a.tenant}
	} else {
		exposure["ingressClassName"] = deploy.GatewayClass
		exposure["tls"] = map[string]any{"secretName": a.tenant + "-tls"}
	}
	return exposure
}

// certificate is the Secret with the certificate of an app, for the gateway.
const certificate = `---
apiVersion: v1
kind: Secret
metadata: {name: %[1]s-tls, namespace: %[3]s}
type: kubernetes.io/tls
data:
  tls.crt: %[4]s
  tls.key: %[5]s
`

// gateway is the platform's Gateway for a tenant, which has the certificate of its app.
const gateway = `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: %[1]s
  namespace: %[3]s
  annotations: {tenantry.dev/network-peers: %[3]s}
spec:
  gatewayClassName: %[6]s
  listeners:
  - name: https
    protocol: HTTPS
    port: 443
    hostname: %[2]s
    tls: {certificateRefs: [{name: %[1]s-tls}]}
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {tenantry.dev/tenant: %[1]s}}}}
`

// applyExposure applies what app.expose of the tenants refers to. The certificate of an app with an Ingress is its
// owner's; that of one with an HTTPRoute is its Gateway's.
func (r *realDemo) applyExposure(ctx context.Context) error {
	var objects strings.Builder
	for _, app := range apps {
		pair, err := r.authority.Issue(&x509.Certificate{
			Subject:     pkix.Name{CommonName: app.hostname},
			DNSNames:    []string{app.hostname},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			return err
		}
		encode := base64.StdEncoding.EncodeToString
		namespace, text := app.tenant, certificate
		if app.routed {
			namespace, text = deploy.GatewayNamespace, certificate+gateway
		} else if _, err := r.kubernetes.Kubectl(ctx, "wait", "--for=condition=NamespaceReady", "--timeout="+appsTimeout, "tenant/"+app.tenant); err != nil {
			return err
		}
		fmt.Fprintf(&objects, text, app.tenant, app.hostname, namespace, encode(pair.Certificate), encode(pair.Key), deploy.GatewayClass)
	}
	path := filepath.Join(r.local, "samples", "exposure.yaml")
	if err := os.WriteFile(path, []byte(objects.String()), 0o600); err != nil {
		return err
	}
	return r.kubernetes.Apply(ctx, "--filename="+path)
}

// awaitApps returns once the apps answer at their hostnames.
func (r *realDemo) awaitApps(ctx context.Context) error {
	if err := deploy.Wait(ctx, r.kubernetes); err != nil {
		return err
	}
	client, err := deploy.Client(r.authority, r.gateway)
	if err != nil {
		return err
	}
	for _, app := range apps {
		if err := answers(ctx, client, fmt.Sprintf("https://%s:%d/healthz", app.hostname, r.gateway)); err != nil {
			return err
		}
	}
	return nil
}

const (
	answerInterval = 200 * time.Millisecond
	answerTimeout  = time.Minute
)

// answers returns once the URL answers with 200.
func answers(ctx context.Context, client *http.Client, url string) error {
	var last error
	ask := process.Answering(client, url)
	err := wait.PollUntilContextTimeout(ctx, answerInterval, answerTimeout, true, func(ctx context.Context) (bool, error) {
		last = ask(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s doesn't answer through the gateway: %w", url, errors.Join(err, last))
	}
	return nil
}
