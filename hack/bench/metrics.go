package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tenantry/tenantry/hack/operator"
)

const (
	metricsAccount      = "bench-metrics"
	metricsPollInterval = 100 * time.Millisecond
	metricsTimeout      = 5 * time.Minute
)

// metricsReader reads a program's metrics as somebody who may.
type metricsReader struct {
	url    string
	client *http.Client
}

// newMetricsReader reads what is at the URL, as the config says who.
func newMetricsReader(url string, config *rest.Config) (*metricsReader, error) {
	reader, err := rest.HTTPClientFor(config)
	return &metricsReader{url: url, client: reader}, err
}

func (s *site) metricsOf(ctx context.Context, manager *operator.Operator) (*metricsReader, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: metricsAccount}}
	err := s.create(ctx, account, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: metricsAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tenantry-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: operator.Namespace, Name: metricsAccount}},
	})
	if err != nil {
		return nil, err
	}
	token := &authenticationv1.TokenRequest{}
	if err := s.admin.SubResource("token").Create(ctx, account, token); err != nil {
		return nil, err
	}
	return newMetricsReader(manager.MetricsURL, &rest.Config{
		BearerToken: token.Status.Token,
		// The operator signs its certificate itself.
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
	})
}

// awaitGarbageCollector waits until the garbage collector watches Tenants, which is up to 30 seconds after
// their CRD was made. Until then it asks the API server about each tenant over and over, and about all
// that the tenant owns: the cost of a fresh CRD, not of the operator.
// See https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/garbagecollector/garbagecollector.go.
func (s *site) awaitGarbageCollector(ctx context.Context) error {
	config := s.kubernetes.Config()
	metrics, err := newMetricsReader(config.Host+"/metrics", config)
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, metricsPollInterval, metricsTimeout, true, func(ctx context.Context) (bool, error) {
		watches, err := metrics.sum(ctx, "apiserver_longrunning_requests", "resource", "tenants")
		return watches > 0, err
	})
}

// awaitReconciles waits until tenants have been looked at so often, and none is left to look at.
func (m *metricsReader) awaitReconciles(ctx context.Context, want int) error {
	var answer error
	err := wait.PollUntilContextTimeout(ctx, metricsPollInterval, metricsTimeout, true, func(ctx context.Context) (bool, error) {
		var idle bool
		// The endpoint may come up later than the operator.
		idle, answer = m.reconciledAndIdle(ctx, want)
		return idle, nil
	})
	return errors.Join(err, answer)
}

func (m *metricsReader) reconciledAndIdle(ctx context.Context, want int) (bool, error) {
	done, err := m.reconciles(ctx)
	if err != nil || int(done) < want {
		return false, err
	}
	waiting, err := m.sum(ctx, "workqueue_depth", "name", "tenant")
	if err != nil {
		return false, err
	}
	active, err := m.sum(ctx, "controller_runtime_active_workers", "controller", "tenant")
	return err == nil && waiting+active == 0, err
}

func (m *metricsReader) reconciles(ctx context.Context) (float64, error) {
	return m.sum(ctx, "controller_runtime_reconcile_total", "controller", "tenant")
}

// sum adds up the values of a metric that have the label.
func (m *metricsReader) sum(ctx context.Context, name, label, value string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := m.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answers %s", m.url, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, metric := range families[name].GetMetric() {
		if hasLabel(metric, label, value) {
			total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return total, nil
}

func hasLabel(metric *dto.Metric, label, value string) bool {
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == label && pair.GetValue() == value {
			return true
		}
	}
	return false
}
