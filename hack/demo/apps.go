package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tenantry/tenantry/hack/deploy"
	"github.com/tenantry/tenantry/hack/images"
)

// app is what a Tenant of config/samples runs.
type app struct {
	tenant string
	// image is what the sample names, and example the folder that it is made from.
	image, example string
	hostname       string
	// env are the app's own settings.
	env string
}

var apps = []app{
	{
		tenant: "acme", image: "registry.example/acme/shop:1.4.2", example: "flask", hostname: "shop.acme.example",
		env: "[{name: SQLALCHEMY_DATABASE_URI, value: $(DATABASE_URL)}, {name: SHOP_NAME, value: The shop of acme}]",
	},
	{
		tenant: "globex", image: "registry.example/globex/crm:2.0.0", example: "django", hostname: "crm.globex.example",
		env: "[{name: SHOP_NAME, value: The shop of globex}]",
	},
}

// images returns the images that the samples name, made from the examples. They have curl, to look around with.
func (r *realDemo) images() ([]images.Image, error) {
	var all []images.Image
	for _, app := range apps {
		image, err := images.App(app.image, filepath.Join(r.root, "examples", app.example))
		if err != nil {
			return nil, err
		}
		image.Packages = append(image.Packages, "curl")
		image.Config.Cmd = []string{"/bin/sh", "start.sh"}
		all = append(all, image)
	}
	return all, nil
}

// appPatches gives the samples what their apps need, and lets the gateway in.
func appPatches() string {
	var patches strings.Builder
	for _, app := range apps {
		fmt.Fprintf(&patches, `- patch: |
    apiVersion: tenantry.dev/v1alpha1
    kind: Tenant
    metadata: {name: %s}
    spec:
      network:
        ingress:
        - from:
          - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}
      policy:
        hostnames: [%s]
      app:
        env: %s
`, app.tenant, deploy.GatewayNamespace, app.hostname, app.env)
	}
	return patches.String()
}

// exposure is what a tenant's owner applies to have the app served: a certificate, and an Ingress.
const exposure = `---
apiVersion: v1
kind: Secret
metadata: {name: app-tls, namespace: %[1]s}
type: kubernetes.io/tls
data:
  tls.crt: %[3]s
  tls.key: %[4]s
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: app, namespace: %[1]s}
spec:
  ingressClassName: %[5]s
  tls:
  - {hosts: [%[2]s], secretName: app-tls}
  rules:
  - host: %[2]s
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: app, port: {name: http}}}}
`

// expose has the gateway serve the apps, and returns once they answer.
func (r *realDemo) expose(ctx context.Context) error {
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
		fmt.Fprintf(&objects, exposure, app.tenant, app.hostname, encode(pair.Certificate), encode(pair.Key), deploy.GatewayClass)
	}
	path := filepath.Join(r.local, "samples", "ingresses.yaml")
	if err := os.WriteFile(path, []byte(objects.String()), 0o600); err != nil {
		return err
	}
	if err := r.kubernetes.Apply(ctx, "--filename="+path); err != nil {
		return err
	}
	if err := deploy.Wait(ctx, r.kubernetes); err != nil {
		return err
	}
	client, err := r.client()
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

// client finds each hostname at the gateway, and trusts nobody but the demo's own authority.
func (r *realDemo) client() (*http.Client, error) {
	certificate, err := r.authority.PEM()
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(certificate)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(r.gateway))
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}}, nil
}

const (
	answerInterval = 200 * time.Millisecond
	answerTimeout  = time.Minute
)

// answers returns once the URL answers with 200.
func answers(ctx context.Context, client *http.Client, url string) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, answerInterval, answerTimeout, true, func(ctx context.Context) (bool, error) {
		last = ask(ctx, client, url)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s doesn't answer through the gateway: %w", url, errors.Join(err, last))
	}
	return nil
}

func ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}
