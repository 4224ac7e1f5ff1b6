package faults

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
)

var errStruck = errors.New("the operator was killed at this request")

// kubernetesProxy is between the operator and the API server. The steps of its fault are the operator's writes,
// except Events, which are sent asynchronously and may get lost.
type kubernetesProxy struct {
	server *httptest.Server
	next   http.RoundTripper
	fault  atomic.Pointer[fault]
	// delay is how much later the operator gets the events of watches that it begins from then on, in nanoseconds.
	delay atomic.Int64
}

func startKubernetesProxy(kubernetes *cluster.ControlPlane) (*kubernetesProxy, error) {
	config := rest.AnonymousClientConfig(kubernetes.Config())
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	proxy := &kubernetesProxy{}
	if proxy.next, err = rest.TransportFor(config); err != nil {
		return nil, err
	}
	proxy.server = httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     proxy,
		FlushInterval: -1, // The events of a watch are answers in parts.
		ErrorLog:      log.New(GinkgoWriter, "", 0),
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
	proxy.server.Config.ErrorLog = log.New(io.Discard, "", 0) // TLS handshakes that a kill cuts short.
	proxy.server.EnableHTTP2 = true
	proxy.server.StartTLS()
	return proxy, nil
}

// kubeconfig writes a kubeconfig with which the operator's ServiceAccount connects to the API server through the
// proxy, and returns its path.
func (p *kubernetesProxy) kubeconfig(ctx context.Context, kubernetes *cluster.ControlPlane, dir string) (string, error) {
	path := filepath.Join(dir, "proxied.kubeconfig")
	if err := kubernetes.ServiceAccountKubeconfig(ctx, operator.Namespace, operator.ServiceAccount, path); err != nil {
		return "", err
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return "", err
	}
	for _, cluster := range config.Clusters {
		cluster.Server = p.server.URL
		cluster.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	}
	return path, clientcmd.WriteToFile(*config, path)
}

func (p *kubernetesProxy) stop() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// RoundTrip passes a request on.
func (p *kubernetesProxy) RoundTrip(request *http.Request) (response *http.Response, err error) {
	if delay := time.Duration(p.delay.Load()); delay > 0 && request.URL.Query().Get("watch") == "true" {
		if response, err = p.next.RoundTrip(request); err == nil {
			response.Body = late(response.Body, delay)
		}
		return response, err
	}
	armed := p.fault.Load()
	if armed == nil || request.Method == http.MethodGet || strings.HasPrefix(request.URL.Path, "/apis/events.k8s.io/") {
		return p.next.RoundTrip(request)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	struck := armed.pass(request.Method+" "+request.URL.Path, request.URL.Path+string(body), func() {}, func() {
		response, err = p.next.RoundTrip(request) //nolint:bodyclose // Whoever gets it closes it.
	})
	if !struck {
		return response, err
	}
	if response != nil {
		err = response.Body.Close()
	}
	return nil, errors.Join(errStruck, err)
}
