package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/procfs"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
)

// resync is often enough to see one soon, and not so often that it is all that happens.
const resync = 20 * time.Second

// measureOperator lets the operator provision tenants, rest, and start again.
func (b *bench) measureOperator(ctx context.Context, s *site) error {
	manager, err := b.startOperator(ctx, s)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	empty, err := residentBytes(manager.PID())
	if err != nil {
		return err
	}
	if err := b.provision(ctx, s); err != nil {
		return err
	}
	full, err := residentBytes(manager.PID())
	if err != nil {
		return err
	}
	b.result.RSSBytesPerTenant = (full - empty) / int64(b.tenants)
	if err := b.measureLatency(ctx, s); err != nil {
		return err
	}
	if err := s.awaitRest(ctx, b.tenants+b.samples); err != nil {
		return err
	}
	if err := manager.Stop(); err != nil {
		return err
	}
	return b.measureRest(ctx, s)
}

func (b *bench) startOperator(ctx context.Context, s *site, args ...string) (*operator.Operator, error) {
	return operator.Start(ctx, operator.Options{Program: b.program, Kubernetes: s.kubernetes, Dir: s.dir, Args: args})
}

// prepare waits until the operator's policies are checked, registers the database server, and waits
// until the operator has prepared that.
func (s *site) prepare(ctx context.Context) error {
	if err := s.awaitPolicies(ctx); err != nil {
		return err
	}
	server := s.databaseServer()
	if err := s.create(ctx, server); err != nil {
		return err
	}
	return s.await(ctx, &v1alpha1.DatabaseServerList{}, 1, "database server", func(object client.Object) bool {
		return meta.IsStatusConditionTrue(object.(*v1alpha1.DatabaseServer).Status.Conditions, v1alpha1.ConditionReady)
	})
}

// awaitRest waits until the last that is to be written has been: the number of the server's tenants,
// and in its registry what it has of each of them.
func (s *site) awaitRest(ctx context.Context, tenants int) error {
	if err := s.await(ctx, &v1alpha1.DatabaseServerList{}, 1, "count of tenants", func(object client.Object) bool {
		count := object.(*v1alpha1.DatabaseServer).Status.Tenants
		return count != nil && int(*count) == tenants
	}); err != nil {
		return err
	}
	return s.awaitDigests(ctx)
}

// awaitDigests waits until it is noted in the registry what the server has of each tenant.
func (s *site) awaitDigests(ctx context.Context) error {
	connection, err := pgx.Connect(ctx, s.postgres.URL("postgres"))
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	return wait.PollUntilContextTimeout(ctx, metricsPollInterval, metricsTimeout, true, func(ctx context.Context) (noted bool, err error) {
		err = connection.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM tenantry.tenants WHERE digest IS NULL)").Scan(&noted)
		return noted, err
	})
}

func isReady(object client.Object) bool {
	return meta.IsStatusConditionTrue(object.(*v1alpha1.Tenant).Status.Conditions, v1alpha1.ConditionReady)
}

// provision applies all tenants and takes the time until they are Ready.
func (b *bench) provision(ctx context.Context, s *site) error {
	say("operator: provisioning %d tenants", b.tenants)
	before, err := s.requests.requests(operator.User)
	if err != nil {
		return err
	}
	start := time.Now()
	err = until(ctx, func(ctx context.Context) error {
		for i := range b.tenants {
			if err := s.create(ctx, tenant(tenantName(i))); err != nil {
				return err
			}
		}
		return nil
	}, func(ctx context.Context) error {
		return s.await(ctx, &v1alpha1.TenantList{}, b.tenants, "tenants Ready", isReady)
	})
	if err != nil {
		return err
	}
	b.result.Seconds = time.Since(start).Seconds()
	after, err := s.requests.requests(operator.User)
	b.result.APIWritesPerTenant = float64(writes(after)-writes(before)) / float64(b.tenants)
	return err
}

func tenantName(i int) string { return fmt.Sprintf("tenant-%04d", i) }

// measureLatency applies tenants one after the other.
func (b *bench) measureLatency(ctx context.Context, s *site) error {
	say("operator: applying %d tenants one by one", b.samples)
	latencies := make([]float64, 0, b.samples)
	for i := range b.samples {
		name := fmt.Sprintf("single-%04d", i)
		start := time.Now()
		if err := s.create(ctx, tenant(name)); err != nil {
			return err
		}
		if err := s.await(ctx, &v1alpha1.TenantList{}, 1, name+" Ready", func(object client.Object) bool {
			return object.GetName() == name && isReady(object)
		}); err != nil {
			return err
		}
		latencies = append(latencies, time.Since(start).Seconds())
	}
	b.result.LatencySamples = len(latencies)
	if len(latencies) > 0 {
		slices.Sort(latencies)
		b.result.LatencyP50Seconds = latencies[len(latencies)/2]
		b.result.LatencyP99Seconds = latencies[(len(latencies)*99+99)/100-1]
	}
	return nil
}

// measureRest starts the operator on a site where all is done, and counts what it sends: until it
// has checked all tenants, and over a resync of all.
func (b *bench) measureRest(ctx context.Context, s *site) error {
	all := b.tenants + b.samples
	say("operator: starting again with %d tenants", all)
	before, err := s.requests.requests(operator.User)
	if err != nil {
		return err
	}
	start := time.Now()
	manager, err := b.startOperator(ctx, s, "--sync-period="+resync.String())
	if err != nil {
		return err
	}
	metrics, err := manager.Metrics(ctx, s.admin)
	if err != nil {
		return err
	}
	if err := awaitReconciles(ctx, metrics, all); err != nil {
		return err
	}
	b.result.RestartSeconds = time.Since(start).Seconds()
	if err := b.measureResync(ctx, s, metrics, all); err != nil {
		return err
	}
	after, err := s.requests.requests(operator.User)
	b.result.RestartWrites = writes(after) - writes(before)
	return err
}

func (b *bench) measureResync(ctx context.Context, s *site, metrics *operator.Metrics, all int) error {
	say("operator: waiting for a resync of all, every %s", resync)
	requestsBefore, err := s.requests.requests(operator.User)
	if err != nil {
		return err
	}
	statementsBefore, err := s.statements(ctx)
	if err != nil {
		return err
	}
	reconciles, err := metrics.Reconciles(ctx, tenantController)
	if err != nil {
		return err
	}
	if err := awaitReconciles(ctx, metrics, reconciles+all); err != nil {
		return err
	}
	requests, err := s.requests.requests(operator.User)
	if err != nil {
		return err
	}
	statements, err := s.statements(ctx)
	if err != nil {
		return err
	}
	b.result.IdleAPIRequests = len(requests) - len(requestsBefore)
	for query, calls := range statements {
		if more := calls - statementsBefore[query]; more > 0 {
			say("operator: %d times at rest: %s", more, query)
			b.result.IdleSQLStatements += more
		}
	}
	return nil
}

func residentBytes(pid int) (int64, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	status, err := process.NewStatus()
	return int64(status.VmRSS), err
}
