package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	launcher "github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/service"
)

// maxCreations is how many CREATE DATABASE the bare client runs concurrently, as many as the operator.
const maxCreations = 4

// bench has the connections of the operator's code and of the bare client.
type bench struct {
	version string
	major   int
	made    int

	servers postgres.Servers
	address database.Server

	pools    map[string]*pgxpool.Pool
	creating chan struct{}
}

func newBench(ctx context.Context, server *launcher.Server) (*bench, error) {
	b := &bench{
		address: database.Server{
			Name: "bench", Host: server.Host, Port: int32(server.Port), SSLMode: "disable",
			Username: server.Username, Password: service.Sensitive(server.Password),
		},
		pools:    map[string]*pgxpool.Pool{},
		creating: make(chan struct{}, maxCreations),
	}
	status, err := b.servers.Probe(ctx, b.address)
	if err != nil {
		return nil, err
	}
	b.version = status.Version
	if _, err := fmt.Sscanf(status.Version, "%d", &b.major); err != nil {
		return nil, fmt.Errorf("version %q: %w", status.Version, err)
	}
	shared := []database.Isolation{database.IsolationSchema, database.IsolationRow}
	if _, err := b.servers.Share(ctx, b.address, database.Sharing{Isolations: shared}); err != nil {
		return nil, err
	}
	for _, name := range []string{"postgres", database.SharedDatabase(shared[0]), database.SharedDatabase(shared[1])} {
		config, err := pgxpool.ParseConfig(server.URL(name))
		if err != nil {
			return nil, err
		}
		config.MaxConns = workers
		if b.pools[name], err = pgxpool.NewWithConfig(ctx, config); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) close() {
	b.servers.Close()
	for _, pool := range b.pools {
		pool.Close()
	}
}

// tenants returns new tenants of the isolation.
func (b *bench) tenants(isolation database.Isolation, count int) []database.Desired {
	all := make([]database.Desired, count)
	for n := range all {
		b.made++
		all[n] = database.Desired{
			UID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", b.made), Tenant: fmt.Sprintf("tenant-%d", b.made), Isolation: isolation,
			ConnectionLimit: 20, Password: service.Sensitive(service.GeneratePassword()),
		}
	}
	return all
}

// provision does for a tenant what the operator does.
func (b *bench) provision(ctx context.Context, tenant database.Desired) error {
	actions, err := b.plan(ctx, tenant)
	if err != nil {
		return err
	}
	return b.servers.Execute(ctx, b.address, actions)
}

// verify observes a tenant that was provisioned, and fails if there is anything left to do.
func (b *bench) verify(ctx context.Context, tenant database.Desired) error {
	actions, err := b.plan(ctx, tenant)
	if err == nil && len(actions) > 0 {
		return fmt.Errorf("%s still needs %v", tenant.Tenant, actions)
	}
	return err
}

// searchDrift accepts all tenants as they are, and then measures how long it takes to find that none
// has changed.
func (b *bench) searchDrift(ctx context.Context) (drift, error) {
	for {
		began := time.Now()
		status, err := b.servers.Probe(ctx, b.address)
		if err != nil || len(status.Drifted) == 0 {
			return drift{Tenants: status.Tenants, Seconds: time.Since(began).Seconds()}, err
		}
		if err := b.servers.Accept(ctx, b.address, status.Drifted); err != nil {
			return drift{}, err
		}
	}
}

func (b *bench) plan(ctx context.Context, tenant database.Desired) ([]database.Action, error) {
	observed, err := b.servers.Observe(ctx, b.address, tenant.UID, tenant.Name())
	if err != nil {
		return nil, err
	}
	return database.Plan(tenant, observed)
}

// provisionBare sends the SQL for a new tenant without any queries. It includes computing the password's SCRAM
// verifier.
func (b *bench) provisionBare(ctx context.Context, tenant database.Desired) error {
	actions, err := database.Plan(tenant, database.Observed{
		Name: tenant.Name(), Shared: map[database.Isolation]database.Shared{tenant.Isolation: {Ready: true}},
	})
	if err != nil {
		return err
	}
	for _, batch := range postgres.Statements(actions, b.major) {
		if err := b.send(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) send(ctx context.Context, batch postgres.Batch) error {
	name := batch.Database
	if name == "" {
		name = "postgres"
	}
	if strings.HasPrefix(batch.SQL(), "CREATE DATABASE") {
		b.creating <- struct{}{}
		defer func() { <-b.creating }()
	}
	if pool := b.pools[name]; pool != nil {
		_, err := pool.Exec(ctx, batch.SQL(), pgx.QueryExecModeSimpleProtocol)
		return err
	}
	config := b.pools["postgres"].Config().ConnConfig
	config.Database = name
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	_, err = connection.Exec(ctx, batch.SQL(), pgx.QueryExecModeSimpleProtocol)
	return err
}

// atOnce runs the function for all tenants, workers of them concurrently, and returns how long that takes.
func atOnce(ctx context.Context, tenants []database.Desired, fn func(context.Context, database.Desired) error) (time.Duration, error) {
	began := time.Now()
	queue := make(chan database.Desired, len(tenants))
	for _, tenant := range tenants {
		queue <- tenant
	}
	close(queue)
	failures := make([]error, workers)
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			for tenant := range queue {
				failures[n] = errors.Join(failures[n], fn(ctx, tenant))
			}
		})
	}
	all.Wait()
	return time.Since(began), errors.Join(failures...)
}
