// Package metrics reads the metrics of a running program.
package metrics

import (
	"context"
	"fmt"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/rest"
)

// Labels has values of labels by name.
type Labels map[string]string

// Reader reads metrics from a URL.
type Reader struct {
	url    string
	client *http.Client
}

// NewReader returns a Reader for a URL, which authenticates as the config says.
func NewReader(url string, config *rest.Config) (*Reader, error) {
	reader, err := rest.HTTPClientFor(config)
	return &Reader{url: url, client: reader}, err
}

// Sum returns the sum of the values of a counter or gauge that have all of the labels. It is 0 if there are none.
func (r *Reader) Sum(ctx context.Context, name string, labels Labels) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answers %s", r.url, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, metric := range families[name].GetMetric() {
		if hasLabels(metric, labels) {
			total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return total, nil
}

func hasLabels(metric *dto.Metric, labels Labels) bool {
	found := 0
	for _, pair := range metric.GetLabel() {
		if value, asked := labels[pair.GetName()]; asked && value == pair.GetValue() {
			found++
		}
	}
	return found == len(labels)
}
