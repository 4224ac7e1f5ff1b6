package cluster

import (
	"context"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/tenantry/tenantry/hack/process"
)

const probeTimeout = 5 * time.Second

// readiness checks that the control plane is usable.
type readiness struct {
	client kubernetes.Interface
	http   *http.Client
	// fake and real are how many nodes there are of each sort.
	fake, real int
}

func newReadiness(config *rest.Config, fakeNodes, realNodes int) (*readiness, error) {
	probing := rest.CopyConfig(config)
	probing.Timeout = probeTimeout
	httpClient, err := rest.HTTPClientFor(probing)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfigAndClient(probing, httpClient)
	if err != nil {
		return nil, err
	}
	return &readiness{client: client, http: httpClient, fake: fakeNodes, real: realNodes}, nil
}

// apiServer also waits for the namespaces that the API server itself creates.
func (r *readiness) apiServer(ctx context.Context) error {
	if err := r.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return err
	}
	for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, corev1.NamespaceNodeLease} {
		if _, err := r.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// controllers waits for the ServiceAccount and the root certificate of a namespace, which pods need and the
// controller manager creates.
func (r *readiness) controllers(ctx context.Context) error {
	core := r.client.CoreV1()
	if _, err := core.ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err
	}
	_, err := core.ConfigMaps(metav1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
	return err
}

func (r *readiness) scheduler(url string) func(context.Context) error {
	return process.Answering(r.http, url)
}

func httpReady(url string) func(context.Context) error {
	return process.Answering(&http.Client{Timeout: probeTimeout}, url)
}
