package main

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/tenantry/tenantry/hack/metrics"
	"github.com/tenantry/tenantry/hack/operator"
)

const (
	metricsPollInterval = 100 * time.Millisecond
	metricsTimeout      = 5 * time.Minute

	tenantController = "tenant"
)

// awaitGarbageCollector waits until the garbage collector watches Tenants, which takes up to 30 seconds after
// their CRD was created. Until then it asks the API server about each tenant, and about everything that the tenant
// owns, over and over. That is a cost of a new CRD and not of the operator. See
// https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/garbagecollector/garbagecollector.go.
func (s *site) awaitGarbageCollector(ctx context.Context) error {
	config := s.kubernetes.Config()
	reader, err := metrics.NewReader(config.Host+"/metrics", config)
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, metricsPollInterval, metricsTimeout, true, func(ctx context.Context) (bool, error) {
		watches, err := reader.Sum(ctx, "apiserver_longrunning_requests", metrics.Labels{"resource": "tenants"})
		return watches > 0, err
	})
}

// awaitReconciles waits until there were that many reconciles of tenants, and none is left in the queue.
func awaitReconciles(ctx context.Context, reader *operator.Metrics, want int) error {
	var answer error
	err := wait.PollUntilContextTimeout(ctx, metricsPollInterval, metricsTimeout, true, func(ctx context.Context) (bool, error) {
		var idle bool
		// The endpoint may come up later than the operator.
		idle, answer = reconciledAndIdle(ctx, reader, want)
		return idle, nil
	})
	return errors.Join(err, answer)
}

func reconciledAndIdle(ctx context.Context, reader *operator.Metrics, want int) (bool, error) {
	done, err := reader.Reconciles(ctx, tenantController)
	if err != nil || done < want {
		return false, err
	}
	busy, err := reader.Busy(ctx, tenantController)
	return err == nil && busy == 0, err
}
