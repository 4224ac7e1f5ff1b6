package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/process"
)

// resync is short enough to see a resync soon, and long enough that the operator does other work, too.
const resync = 20 * time.Second

// operated is the side on which the operator provisions what an admin applies.
type operated struct {
	site    *site
	manager *operator.Operator
	metrics *operator.Metrics
	tenants int
	// emptyBytes is the operator's memory without tenants.
	emptyBytes int64
	// writes is the number of write requests that the operator had sent when there were no tenants.
	writes int
}

func (b *bench) startOperator(ctx context.Context, s *site, args ...string) (*operator.Operator, error) {
	return operator.Start(ctx, operator.Options{Program: b.program, Kubernetes: s.kubernetes, Dir: s.dir, Args: args})
}

// newOperated starts the operator, registers the database server and waits until the operator has prepared it.
func (b *bench) newOperated(ctx context.Context, s *site) (*operated, error) {
	manager, err := b.startOperator(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := b.awaitPolicies(ctx, s); err != nil {
		return nil, err
	}
	if err := s.create(ctx, s.databaseServer()); err != nil {
		return nil, err
	}
	if err := s.await(ctx, &v1alpha1.DatabaseServerList{}, 1, "database server", func(object client.Object) bool {
		return meta.IsStatusConditionTrue(object.(*v1alpha1.DatabaseServer).Status.Conditions, v1alpha1.ConditionReady)
	}); err != nil {
		return nil, err
	}
	o := &operated{site: s, manager: manager}
	if o.metrics, err = manager.Metrics(ctx, s.admin); err != nil {
		return nil, err
	}
	if o.emptyBytes, err = manager.ResidentBytes(); err != nil {
		return nil, err
	}
	o.writes, err = o.countWrites()
	return o, err
}

func (o *operated) String() string { return "operator" }

func (o *operated) standing() int { return o.tenants }

func (o *operated) programs() []*process.Process {
	return append(o.site.programs(), o.manager.Process)
}

func (o *operated) prepare(ctx context.Context, from, to int) (func(context.Context) error, error) {
	names := tenantNames(from, to)
	if err := o.site.makeRoom(ctx, names...); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		for _, name := range names {
			if err := o.site.create(ctx, o.site.tenant(name)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (o *operated) await(ctx context.Context, tenants int) ([]time.Time, error) {
	done, err := o.site.awaitEach(ctx, &v1alpha1.TenantList{}, tenants, "tenants Ready", isReady)
	o.tenants = tenants
	return done, err
}

func isReady(object client.Object) bool {
	return meta.IsStatusConditionTrue(object.(*v1alpha1.Tenant).Status.Conditions, v1alpha1.ConditionReady)
}

func tenantName(i int) string { return fmt.Sprintf("tenant-%04d", i) }

func tenantNames(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, tenantName(i))
	}
	return names
}

func singleName(i int) string { return fmt.Sprintf("single-%04d", i) }

// countWrites counts the requests to write that the operator has sent so far.
func (o *operated) countWrites() (int, error) {
	sent, err := o.site.requests.requests(operator.User)
	return writes(sent), err
}

// writesPerTenant returns the number of write requests that the operator has sent for each tenant.
func (o *operated) writesPerTenant() (float64, error) {
	sent, err := o.countWrites()
	return float64(sent-o.writes) / float64(o.tenants), err
}

// reconcilesPerTenant returns the number of reconciles that each tenant has had.
func (o *operated) reconcilesPerTenant(ctx context.Context) (float64, error) {
	reconciles, err := o.metrics.Reconciles(ctx, tenantController)
	return float64(reconciles) / float64(o.tenants), err
}

// bytesPerTenant returns how much memory the operator uses for each tenant.
func (o *operated) bytesPerTenant() (int64, error) {
	resident, err := o.manager.ResidentBytes()
	return (resident - o.emptyBytes) / int64(o.tenants), err
}

// latency is how long tenants take that are applied one after the other, with nothing else to do.
type latency struct {
	Samples    int     `json:"samples"`
	P50Seconds float64 `json:"p50Seconds"`
	P99Seconds float64 `json:"p99Seconds"`
	// CPUSeconds is the CPU time for one of them, by program, including what the programs do anyway.
	CPUSeconds usage `json:"cpuSeconds"`
}

func (o *operated) measureLatency(ctx context.Context, samples int) (latency, error) {
	measured := latency{Samples: samples}
	say("operator: applying %d tenants one by one, with %d in place", samples, o.tenants)
	for i := range samples {
		if err := o.site.makeRoom(ctx, singleName(o.tenants+i)); err != nil {
			return measured, err
		}
	}
	meter, err := startMeter(o.programs(), o.programs())
	if err != nil {
		return measured, err
	}
	took := make([]float64, samples)
	for i := range took {
		start := time.Now()
		if err := o.applyOne(ctx); err != nil {
			return measured, err
		}
		took[i] = time.Since(start).Seconds()
	}
	if err := awaitRest(ctx, o.programs()); err != nil {
		return measured, err
	}
	measured.CPUSeconds, _, err = meter.read()
	for program := range measured.CPUSeconds {
		measured.CPUSeconds[program] /= float64(samples)
	}
	measured.P50Seconds, measured.P99Seconds = percentiles(took)
	return measured, err
}

// applyOne applies a tenant and waits until it is Ready.
func (o *operated) applyOne(ctx context.Context) error {
	name := singleName(o.tenants)
	if err := o.site.create(ctx, o.site.tenant(name)); err != nil {
		return err
	}
	o.tenants++
	return o.site.await(ctx, &v1alpha1.TenantList{}, 1, name+" Ready", isReady, client.MatchingFields{"metadata.name": name})
}

// measureRest starts the operator on a site where everything is done, and counts what it sends until it has
// checked all tenants, and during a resync.
func (b *bench) measureRest(ctx context.Context, o *operated) error {
	if err := o.awaitAllNoted(ctx); err != nil {
		return err
	}
	if err := o.manager.Stop(); err != nil {
		return err
	}
	s, all := o.site, o.tenants
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

// awaitAllNoted waits for the last writes: the number of the server's tenants in its status, and the digest of
// each tenant in its registry.
func (o *operated) awaitAllNoted(ctx context.Context) error {
	if err := o.site.await(ctx, &v1alpha1.DatabaseServerList{}, 1, "count of tenants", func(object client.Object) bool {
		count := object.(*v1alpha1.DatabaseServer).Status.Tenants
		return count != nil && int(*count) == o.tenants
	}); err != nil {
		return err
	}
	return o.site.awaitDigests(ctx)
}

// awaitDigests waits until the server's registry has a digest of each tenant.
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
