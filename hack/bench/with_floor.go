package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/process"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/service"
)

// databaseChanges is how many CREATE DATABASE the floor runs concurrently: as many as the operator does, because
// more would be slower.
const databaseChanges = 4

// floor writes what the operator writes, in the same order, and nothing else: no finalizers, no status, no Events,
// no reads.
type floor struct {
	site   *site
	client client.Client
	pool   *pgxpool.Pool
	server *v1alpha1.DatabaseServer
	major  int
	// creating limits concurrent CREATE DATABASE to databaseChanges.
	creating chan struct{}
	tenants  int
}

func (f *floor) String() string { return "floor" }

func (f *floor) standing() int { return f.tenants }

func (f *floor) programs() []*process.Process { return f.site.programs() }

func (f *floor) prepare(ctx context.Context, from, to int) (func(context.Context) error, error) {
	specs, err := f.site.defaultedTenants(ctx, from, to)
	if err != nil {
		return nil, err
	}
	if err := f.site.makeRoom(ctx, tenantNames(from, to)...); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		writing, ctx := errgroup.WithContext(ctx)
		writing.SetLimit(concurrency)
		for _, spec := range specs {
			writing.Go(func() error { return f.provision(ctx, spec) })
		}
		return writing.Wait()
	}, nil
}

func (f *floor) await(ctx context.Context, tenants int) ([]time.Time, error) {
	done, err := f.site.awaitEach(ctx, &appsv1.DeploymentList{}, tenants*f.site.deploymentsPerTenant(), "apps available", isAvailable,
		client.MatchingLabels{naming.LabelManagedBy: naming.ManagedBy})
	f.tenants = tenants
	return done, err
}

// writesPerTenant returns the number of write requests that the bare client has sent for each tenant.
func (f *floor) writesPerTenant() (float64, error) {
	sent, err := f.site.requests.requests(floorUser)
	return float64(writes(sent)) / float64(f.tenants), err
}

func isAvailable(object client.Object) bool {
	deployment := object.(*appsv1.Deployment)
	return deployment.Status.ObservedGeneration == deployment.Generation &&
		deployment.Status.AvailableReplicas == *deployment.Spec.Replicas
}

// newFloor prepares the database server and the admission policies as the operator does, and a client
// that may do anything.
func (b *bench) newFloor(ctx context.Context, s *site) (*floor, error) {
	if err := b.createPolicies(ctx, s); err != nil {
		return nil, err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: floorAccount}}
	if err := s.create(ctx, account, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: floorAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: operator.Namespace, Name: floorAccount}},
	}); err != nil {
		return nil, err
	}
	writer, err := s.clientOf(ctx, floorAccount)
	if err != nil {
		return nil, err
	}
	servers := &postgres.Servers{}
	defer servers.Close()
	access := database.Server{
		Name: serverName, Host: s.postgres.Host, Port: int32(s.postgres.Port), SSLMode: string(v1alpha1.SSLModeDisable),
		Username: s.postgres.Username, Password: service.Sensitive(s.postgres.Password),
	}
	if _, err := servers.Probe(ctx, access); err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(ctx, s.postgres.URL("postgres")+fmt.Sprintf("&pool_max_conns=%d", concurrency))
	if err != nil {
		return nil, err
	}
	server := s.databaseServer()
	server.Spec.Port = int32(s.postgres.Port)
	server.Status.Addresses = []string{s.postgres.Host}
	var version int
	if err := pool.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&version); err != nil {
		return nil, err
	}
	return &floor{
		site: s, client: writer, pool: pool, server: server, major: version,
		creating: make(chan struct{}, databaseChanges),
	}, nil
}

// defaultedTenants returns the tenants with defaults filled in as the operator does.
func (s *site) defaultedTenants(ctx context.Context, from, to int) ([]*effective.Tenant, error) {
	dryRun := client.NewDryRunClient(s.admin)
	tenants := make([]*effective.Tenant, to-from)
	for i := range tenants {
		created := s.tenant(tenantName(from + i))
		if err := dryRun.Create(ctx, created); err != nil {
			return nil, err
		}
		tenants[i] = effective.Of(created)
	}
	return tenants, nil
}

func (f *floor) provision(ctx context.Context, tenant *effective.Tenant) error {
	want := database.Desired{
		UID: string(tenant.UID), Tenant: tenant.Name, Isolation: database.IsolationDatabase,
		ConnectionLimit: tenant.Spec.Database.ConnectionLimit,
		Password:        service.Sensitive(service.GeneratePassword()),
	}
	inputs := parts.Inputs{Tenant: tenant, Server: f.server, Login: &parts.Login{
		Database: want.Name(), Username: database.Logins(want.Name())[0], Password: string(want.Password),
	}}
	if f.site.full {
		inputs.Entrance = parts.Entrance{Classes: []string{ingressClass}, Class: theIngressClass()}
		var err error
		if inputs.Files, err = filesOf(tenant); err != nil {
			return err
		}
	}
	for _, part := range []*parts.Part{parts.Namespace, parts.Quota, parts.Network, parts.Access, parts.Database} {
		if err := f.write(ctx, part.Objects(inputs)); err != nil {
			return err
		}
	}
	if err := f.provisionDatabase(ctx, want); err != nil {
		return err
	}
	return f.release(ctx, inputs, want.Name())
}

// release writes what belongs to the app: first its storage and its migration, if it has them, and then all else. It
// doesn't wait for the migration's end.
func (f *floor) release(ctx context.Context, inputs parts.Inputs, databaseName string) error {
	migrating := parts.Migrating{Tenant: inputs.Tenant, Database: databaseName}
	inputs.Tenant, inputs.Release = parts.ReleaseOf(migrating)
	for _, claim := range parts.Claims(inputs) {
		if err := f.client.Create(ctx, claim); err != nil {
			return err
		}
	}
	first := parts.App.Objects(inputs)
	if err := f.write(ctx, first); err != nil || !inputs.Release.Held() {
		return err
	}
	for _, object := range first {
		if job, isJob := object.(*batchv1.Job); isJob {
			completed := job.DeepCopy()
			completed.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
			migrating.Jobs = append(migrating.Jobs, *completed)
		}
	}
	inputs.Tenant, inputs.Release = parts.ReleaseOf(migrating)
	return f.write(ctx, slices.DeleteFunc(parts.App.Objects(inputs), func(object desired.Object) bool {
		return slices.ContainsFunc(first, func(written desired.Object) bool {
			return reflect.TypeOf(written) == reflect.TypeOf(object) && written.GetName() == object.GetName()
		})
	}))
}

func (f *floor) write(ctx context.Context, objects []desired.Object) error {
	for _, object := range objects {
		if err := f.client.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) provisionDatabase(ctx context.Context, want database.Desired) error {
	actions, err := database.Plan(want, database.Observed{Name: want.Name()})
	if err != nil {
		return err
	}
	for _, batch := range postgres.Statements(actions, f.major) {
		switch {
		case batch.Database != "":
			err = f.runInside(ctx, batch)
		case strings.HasPrefix(batch.SQL(), "CREATE DATABASE"):
			f.creating <- struct{}{}
			_, err = f.pool.Exec(ctx, batch.SQL(), pgx.QueryExecModeSimpleProtocol)
			<-f.creating
		default:
			_, err = f.pool.Exec(ctx, batch.SQL(), pgx.QueryExecModeSimpleProtocol)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) runInside(ctx context.Context, batch postgres.Batch) error {
	config := f.pool.Config().ConnConfig
	config.Database = batch.Database
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	_, err = connection.Exec(ctx, batch.SQL(), pgx.QueryExecModeSimpleProtocol)
	return err
}
