package environment

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/internal/effective"
)

// OperatorRole is the superuser that the operator logs in to PostgreSQL as. The test's own sessions use another
// one, so that their statements can be distinguished.
const OperatorRole = "operator"

// StartPostgres starts a PostgreSQL server with that name, in its own folder. It ends with the environment. It has
// the role OperatorRole, with the password of the server's superuser.
func (e *Environment) StartPostgres(ctx context.Context, name string) (*postgres.Server, error) {
	server, err := postgres.Start(ctx, postgres.Options{
		Dir: filepath.Join(e.Dir, "postgres", name), EndWithStarter: true, Progress: e.progress,
	})
	if err != nil {
		return nil, err
	}
	e.servers = append(e.servers, server)
	// The password is letters and digits.
	return server, Exec(ctx, server, "postgres",
		fmt.Sprintf("CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'", OperatorRole, server.Password),
		"CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
}

// RemovePostgres ends a server that StartPostgres has started, with its data.
func (e *Environment) RemovePostgres(server *postgres.Server) error {
	e.servers = slices.DeleteFunc(e.servers, func(other *postgres.Server) bool { return other == server })
	return server.Remove()
}

// Exec runs statements, each in its own transaction, as the superuser of a server.
func Exec(ctx context.Context, server *postgres.Server, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, server.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Query runs a query as the superuser of a server and returns its only column.
func Query[T any](ctx context.Context, server *postgres.Server, database, query string, args ...any) ([]T, error) {
	conn, err := pgx.Connect(ctx, server.URL(database))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[T])
}

// Statements returns the statements that the operator has sent to a server, and how often. It fails if PostgreSQL
// doesn't have the extension pg_stat_statements.
func Statements(ctx context.Context, server *postgres.Server) (map[string]int64, error) {
	conn, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT query, sum(calls)::bigint FROM pg_stat_statements
		WHERE userid = $1::regrole GROUP BY query`, OperatorRole)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	var query string
	var calls int64
	_, err = pgx.ForEachRow(rows, []any{&query, &calls}, func() error {
		counts[query] = calls
		return nil
	})
	return counts, err
}

// Login opens a session with the tenant's own Secret, as its app does.
func (e *Environment) Login(ctx context.Context, tenant *v1alpha1.Tenant) (*pgx.Conn, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: tenant.Name, Name: effective.Of(tenant).Spec.Database.Credentials.SecretName}
	if err := e.Client.Get(ctx, key, secret); err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, string(secret.Data["uri"]))
}

// ApplyDatabaseServer registers a PostgreSQL server as a DatabaseServer with that name, with the login of
// OperatorRole in the Secret <name>-admin in the operator's namespace. If the DatabaseServer exists, it sets these
// values again and keeps everything else in its spec.
func (e *Environment) ApplyDatabaseServer(ctx context.Context, name string, server *postgres.Server) (*v1alpha1.DatabaseServer, error) {
	admin := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: name + "-admin"}}
	_, err := controllerutil.CreateOrUpdate(ctx, e.Client, admin, func() error {
		admin.Type = corev1.SecretTypeBasicAuth
		admin.Data = map[string][]byte{
			corev1.BasicAuthUsernameKey: []byte(OperatorRole),
			corev1.BasicAuthPasswordKey: []byte(server.Password),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	registered := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		_, err := controllerutil.CreateOrUpdate(ctx, e.Client, registered, func() error {
			registered.Spec.Host, registered.Spec.Port = server.Host, int32(server.Port)
			registered.Spec.SSLMode = v1alpha1.SSLModeDisable
			registered.Spec.AdminSecretRef = v1alpha1.SecretReference{Namespace: admin.Namespace, Name: admin.Name}
			return nil
		})
		return err
	})
	return registered, err
}
