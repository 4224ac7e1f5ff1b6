package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

const (
	// oldestVersion is the oldest supported major version of PostgreSQL.
	oldestVersion = 14

	maxConnections    = 8
	maxConnectionIdle = 5 * time.Minute
	connectTimeout    = 5 * time.Second
	// readTimeout bounds Probe and Observe, which answer within milliseconds.
	readTimeout = 10 * time.Second
	// changeTimeout bounds a transaction, which may wait for those of other tenants.
	changeTimeout = 30 * time.Second
	// databaseTimeout bounds CREATE and DROP DATABASE, which copy files and wait for a checkpoint.
	databaseTimeout = 2 * time.Minute

	// lockTimeout bounds the wait for a lock, which a tenant may hold for as long as it likes. It is longer than
	// autovacuum needs to give up its lock, which is PostgreSQL's deadlock_timeout of a second.
	lockTimeout = 2 * time.Second
	// registryTimeout bounds the wait for the registry's lock, which only operators hold.
	registryTimeout = 10 * time.Second
	// registryLockTimeout is the lock timeout of sessions that hold the registry's lock, for which others wait.
	registryLockTimeout = 500 * time.Millisecond

	// maxDatabaseChanges is how many CREATE and DROP DATABASE run concurrently. More than four finish no sooner.
	maxDatabaseChanges = 4
)

// firstWithRole has, for each major version, the first minor release in which sessions start as the role of ALTER
// ROLE … SET role, and keep it after DISCARD ALL, which connection pools send. Otherwise what an app creates would
// belong to a login, and the app would lose access to it when the password changes. Later major versions have this
// from the beginning.
var firstWithRole = map[int]int{14: 15, 15: 10, 16: 6, 17: 2}

// clusterSetting is a setting of the operator's sessions that identifies its Kubernetes cluster.
const clusterSetting = "tenantry.cluster"

// sessionSettings override what is set on a database or on the administrator's role. The first two protect against
// functions and rights of others; our SQL relies on the rest. The query that observes a tenant is planned once per
// session, to use indexes: planning takes eight times as long as running it, and a plan from a time when the
// server had few tenants would read all roles for each of many. Without sequential scans, what has to read a small table
// as a whole seems so expensive that PostgreSQL would compile it first, for 0.3 s of CPU time in each session.
var sessionSettings = map[string]string{
	"search_path":                   "pg_catalog,pg_temp",
	"role":                          "none",
	"application_name":              "tenantry",
	"client_encoding":               "UTF8",
	"default_transaction_isolation": "read committed",
	"default_transaction_read_only": "off",
	"enable_seqscan":                "off",
	"jit":                           "off",
	"lock_timeout":                  strconv.FormatInt(lockTimeout.Milliseconds(), 10),
	"plan_cache_mode":               "force_generic_plan",
	"standard_conforming_strings":   "on",
	"statement_timeout":             strconv.FormatInt(databaseTimeout.Milliseconds(), 10),
	"synchronous_commit":            "on",
}

// server has the connections to one server.
type server struct {
	address database.Server
	pool    *pgxpool.Pool
	breaker service.Breaker
	// shared has the connections to shared databases, by name; mu guards it.
	shared map[string]*pgxpool.Pool
	mu     sync.Mutex
	// users counts the calls that are running.
	users sync.WaitGroup
	// databaseChanges limits concurrent CREATE and DROP DATABASE.
	databaseChanges chan struct{}
}

func newServer(ctx context.Context, address database.Server) (*server, error) {
	config, err := poolConfig(address)
	if err != nil {
		return nil, err
	}
	made := &server{address: address, databaseChanges: make(chan struct{}, maxDatabaseChanges)}
	config.ConnConfig.AfterNetConnect = made.watchConnect
	made.pool, err = pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, &service.UnsuitableServerError{Engine: database.Engine, Server: address.Name, Problem: err.Error(), Err: err}
	}
	return made, nil
}

func poolConfig(address database.Server) (*pgxpool.Config, error) {
	uri := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(address.Username, string(address.Password)),
		Host:     address.Address(),
		Path:     "/" + address.Maintenance(),
		RawQuery: url.Values{"sslmode": {address.SSLMode}}.Encode(),
	}
	config, err := pgxpool.ParseConfig(uri.String())
	if err != nil {
		// The cause is left out, since it quotes the URI.
		return nil, &service.UnsuitableServerError{
			Engine:  database.Engine,
			Server:  address.Name,
			Problem: fmt.Sprintf("host %q, port %d and sslMode %q make no address of PostgreSQL; correct them in its spec", address.Host, address.Port, address.SSLMode),
		}
	}
	if err := trust(config.ConnConfig, address); err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams = maps.Clone(sessionSettings)
	config.ConnConfig.RuntimeParams[clusterSetting] = address.Cluster
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.MaxConns = maxConnections
	config.MaxConnIdleTime = maxConnectionIdle
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error { return suitable(address, conn.PgConn()) }
	// A ping would cost every call a round trip. read handles what a ping would find.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	return config, nil
}

// trust makes connections trust the server's own certificate authorities only.
func trust(config *pgx.ConnConfig, address database.Server) error {
	if address.CACert == "" || config.TLSConfig == nil {
		return nil
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM([]byte(address.CACert)) {
		return &service.UnsuitableServerError{
			Engine:  database.Engine,
			Server:  address.Name,
			Problem: "the Secret that spec.caSecretRef names has no certificate in PEM form; put the certificate of the authority that signed the server's into it",
		}
	}
	config.TLSConfig.RootCAs = authorities
	return nil
}

// suitable checks what a server reports at the start of every session, so it costs no query.
func suitable(address database.Server, conn *pgconn.PgConn) error {
	var problem string
	switch {
	case majorVersion(conn) < oldestVersion:
		problem = fmt.Sprintf("it runs PostgreSQL %s; upgrade it to %d or newer", version(conn), oldestVersion)
	case minorVersion(conn) < firstWithRole[majorVersion(conn)]:
		problem = fmt.Sprintf("it runs PostgreSQL %s, in which an app's tables can come to belong to a login that the next change of the password locks out; upgrade it to %d.%d or newer",
			version(conn), majorVersion(conn), firstWithRole[majorVersion(conn)])
	case conn.ParameterStatus("is_superuser") != "on":
		problem = fmt.Sprintf("its administrator %q is not a superuser; run ALTER ROLE … SUPERUSER, or name another role in the Secret that spec.adminSecretRef names", address.Username)
	case conn.ParameterStatus("in_hot_standby") == "on":
		problem = "it is a standby and takes no changes; set spec.host to the primary"
	default:
		return nil
	}
	return &service.UnsuitableServerError{Engine: database.Engine, Server: address.Name, Problem: problem}
}

// version returns for example 15.18.
func version(conn *pgconn.PgConn) string {
	version, _, _ := strings.Cut(conn.ParameterStatus("server_version"), " ")
	return version
}

// majorVersion returns the 15 of 15.18, of 15beta1 and of 15devel.
func majorVersion(conn *pgconn.PgConn) int { return leadingNumber(version(conn)) }

// minorVersion returns the 18 of 15.18, and 0 for a release that is yet to come.
func minorVersion(conn *pgconn.PgConn) int {
	_, minor, _ := strings.Cut(version(conn), ".")
	return leadingNumber(minor)
}

func leadingNumber(text string) int {
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	number, _ := strconv.Atoi(text[:end]) // digits or empty
	return number
}

// conn is a session of a pool.
type conn = pgxpool.Conn

// majorVersion returns the server's major version, which each session has without a query.
func (s *server) majorVersion(ctx context.Context) (major int, err error) {
	err = s.acquire(ctx, changeTimeout, func(_ context.Context, conn *conn) error {
		major = majorVersion(conn.Conn().PgConn())
		return nil
	})
	return major, s.classify(ctx, err)
}

// acquire runs a function on a session in the maintenance database, for at most the timeout.
func (s *server) acquire(ctx context.Context, timeout time.Duration, fn func(context.Context, *conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.pool.AcquireFunc(ctx, func(conn *conn) error { return fn(ctx, conn) })
}

// read runs a function that changes nothing or can be repeated. If the server has closed a pooled connection since
// it was last used, that is no failure of the server, and read tries once more on a new connection.
func (s *server) read(ctx context.Context, fn func(context.Context, *conn) error) error {
	err := s.acquire(ctx, readTimeout, fn)
	if connectionLost(err) {
		s.pool.Reset()
		err = s.acquire(ctx, readTimeout, fn)
	}
	return s.classify(ctx, err)
}

// connectionLost reports whether an established connection broke.
func connectionLost(err error) bool {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return false
	}
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || answer.Code == sqlstateAdminShutdown || answer.Code == sqlstateCrashShutdown
}
