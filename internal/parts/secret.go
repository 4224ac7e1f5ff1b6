package parts

import (
	"maps"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

// Keys of the tenant's Secret from whose values the others are derived.
const (
	// SecretKeyUsername has the name of the login role.
	SecretKeyUsername = "username"
	// SecretKeyPassword has its password.
	SecretKeyPassword = "password"
	// SecretKeyNextPassword has the password of the login role that will be used next. It is there from before the
	// server gets it until the app does. The app doesn't restart for it.
	SecretKeyNextPassword = "next-password"
)

const (
	secretKeyCA = "ca.crt"
	// secretKeySchema has the name of the schema, which never changes.
	secretKeySchema = "schema"
	// caMountPath is the folder in which the app finds secretKeyCA.
	caMountPath = "/var/run/secrets/tenantry.dev/database"
)

// libpqVariables are the keys of the Secret that the app gets as environment variables: those of
// libpq (https://www.postgresql.org/docs/current/libpq-envars.html) and the twelve-factor one.
var libpqVariables = []string{"DATABASE_URL", "PGDATABASE", "PGHOST", "PGPASSWORD", "PGPORT", "PGSSLMODE", "PGUSER"}

// pgpassEscape escapes what separates the fields of a password file, such as the colons of an IPv6 address.
var pgpassEscape = strings.NewReplacer(`\`, `\\`, `:`, `\:`)

// secret returns the tenant's Secret, with the keys of CloudNativePG's application Secret
// (https://cloudnative-pg.io/documentation/current/applications/), of libpq's environment, and of the Service
// Binding specification (https://servicebinding.io/spec/core/1.1.0/), and the schema for tools that ask for its
// name.
func secret(in Inputs) desired.Object {
	if in.Login == nil {
		return nil
	}
	values := connectionValues(in.Server, in.Login)
	if in.Login.Password != "" {
		maps.Copy(values, loginValues(in.Server, in.Login))
	}
	if in.Login.NextPassword != "" {
		values[SecretKeyNextPassword] = in.Login.NextPassword
	}
	data := make(map[string][]byte, len(values))
	for key, value := range values {
		data[key] = []byte(value)
	}
	metadata := meta(in.Tenant, in.Tenant.Spec.Database.Credentials.SecretName)
	metadata.ResourceVersion = in.Login.SecretVersion
	metadata.Annotations = map[string]string{naming.AnnotationRotatedAt: in.Login.RotatedAt.UTC().Format(time.RFC3339)}
	if in.Login.RotationRequest != "" {
		metadata.Annotations[v1alpha1.AnnotationRotateCredentials] = in.Login.RotationRequest
	}
	return &corev1.Secret{ObjectMeta: metadata, Type: corev1.SecretTypeOpaque, Data: data}
}

// connectionValues returns the values that don't depend on the login.
func connectionValues(server *v1alpha1.DatabaseServer, login *Login) map[string]string {
	host, port := server.Spec.Host, strconv.Itoa(int(server.Spec.Port))
	values := map[string]string{
		"type": "postgresql", "provider": "tenantry",
		"host": host, "port": port, "dbname": login.Database, secretKeySchema: login.Schema,
		"PGHOST": host, "PGPORT": port, "PGDATABASE": login.Database, "PGSSLMODE": string(server.Spec.SSLMode),
	}
	if server.Status.CABundle != "" {
		values[secretKeyCA] = server.Status.CABundle
	}
	return values
}

func loginValues(server *v1alpha1.DatabaseServer, login *Login) map[string]string {
	uri := databaseURI(server, login)
	return map[string]string{
		"user": login.Username, SecretKeyUsername: login.Username, SecretKeyPassword: login.Password,
		"uri": uri, "jdbc-uri": jdbcURI(server, login), "DATABASE_URL": uri,
		"pgpass": pgpass(server.Spec.Host, strconv.Itoa(int(server.Spec.Port)), login.Database, login.Username, login.Password),
		"PGUSER": login.Username, "PGPASSWORD": login.Password,
	}
}

// pgpass returns a line of libpq's password file (https://www.postgresql.org/docs/current/libpq-pgpass.html).
func pgpass(fields ...string) string {
	for i, field := range fields {
		fields[i] = pgpassEscape.Replace(field)
	}
	return strings.Join(fields, ":") + "\n"
}

func databaseURI(server *v1alpha1.DatabaseServer, login *Login) string {
	uri := url.URL{
		Scheme: "postgresql",
		User:   url.UserPassword(login.Username, login.Password),
		Host:   hostPort(server),
		Path:   login.Database,
	}
	uri.RawQuery = sslQuery(server).Encode()
	return uri.String()
}

func jdbcURI(server *v1alpha1.DatabaseServer, login *Login) string {
	query := sslQuery(server)
	query.Set("user", login.Username)
	query.Set("password", login.Password)
	return "jdbc:postgresql://" + hostPort(server) + "/" + login.Database + "?" + query.Encode()
}

func hostPort(server *v1alpha1.DatabaseServer) string {
	return net.JoinHostPort(server.Spec.Host, strconv.Itoa(int(server.Spec.Port)))
}

func sslQuery(server *v1alpha1.DatabaseServer) url.Values {
	query := url.Values{"sslmode": {string(server.Spec.SSLMode)}}
	if server.Status.CABundle != "" {
		query.Set("sslrootcert", caMountPath+"/"+secretKeyCA)
	}
	return query
}
