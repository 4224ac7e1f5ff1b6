package parts_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

func secretOf(t *testing.T, in parts.Inputs) map[string]string {
	t.Helper()
	values := map[string]string{}
	for key, value := range find[*corev1.Secret](t, parts.Database, in).Data {
		values[key] = string(value)
	}
	return values
}

func databaseOn(t *testing.T, server *builders.DatabaseServerBuilder) parts.Inputs {
	t.Helper()
	return withDatabase(t, builders.Tenant("acme").Database("shared"), server)
}

func TestTheKeysOfTheDatabaseSecret(t *testing.T) {
	in := databaseOn(t, server().Port(6432).SSLMode(v1alpha1.SSLModeRequire))
	name, user, password := in.Login.Database, in.Login.Username, in.Login.Password
	uri := "postgresql://" + user + ":" + password + "@pg.example:6432/" + name + "?sslmode=require"
	want := map[string]string{
		"type": "postgresql", "provider": "tenantry",
		"host": "pg.example", "port": "6432", "dbname": name, "schema": "public", "user": user, "username": user, "password": password,
		"PGHOST": "pg.example", "PGPORT": "6432", "PGDATABASE": name, "PGUSER": user, "PGPASSWORD": password, "PGSSLMODE": "require",
		"uri": uri, "DATABASE_URL": uri,
		"jdbc-uri": "jdbc:postgresql://pg.example:6432/" + name + "?password=" + password + "&sslmode=require&user=" + user,
		"pgpass":   "pg.example:6432:" + name + ":" + user + ":" + password + "\n",
	}
	got := secretOf(t, in)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s is %q, want %q", key, got[key], want[key])
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("there are more keys: %v", got)
	}
}

func TestATenantWithoutADatabaseHasNoSecret(t *testing.T) {
	if objects := parts.Database.Objects(inputsOf(t, builders.Tenant("acme"))); len(objects) > 0 {
		t.Errorf("it has %v", list(t, objects))
	}
}

// Programs get their login from the Secret in one of four ways.
func TestProgramsLogInWithTheSecret(t *testing.T) {
	for _, host := range []string{"pg.example", "192.0.2.10", "2001:db8::10"} {
		for _, mode := range []v1alpha1.SSLMode{v1alpha1.SSLModeDisable, v1alpha1.SSLModeRequire, v1alpha1.SSLModeVerifyFull} {
			in := databaseOn(t, builders.DatabaseServer("shared", host).Port(6432).SSLMode(mode))
			values := secretOf(t, in)
			check := func(t *testing.T, way, text string) {
				t.Helper()
				config, err := pgx.ParseConfig(text)
				if err != nil {
					t.Errorf("by %s: %v", way, err)
					return
				}
				if config.Host != host || config.Port != 6432 || config.Database != in.Login.Database ||
					config.User != in.Login.Username || config.Password != in.Login.Password {
					t.Errorf("by %s, a program would log in to %s:%d/%s as %s with %q",
						way, config.Host, config.Port, config.Database, config.User, config.Password)
				}
				checkTLS(t, way, config, host, mode)
			}
			t.Run(host+" by the URI, "+string(mode), func(t *testing.T) {
				check(t, "uri", values["uri"])
				check(t, "DATABASE_URL", values["DATABASE_URL"])
			})
			t.Run(host+" by the environment, "+string(mode), func(t *testing.T) {
				for key, value := range values {
					if strings.HasPrefix(key, "PG") {
						t.Setenv(key, value)
					}
				}
				check(t, "environment", "")
			})
			t.Run(host+" by the password file, "+string(mode), func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "pgpass")
				if err := os.WriteFile(file, []byte(values["pgpass"]), 0o600); err != nil {
					t.Fatal(err)
				}
				check(t, "password file", "host="+values["host"]+" port="+values["port"]+" dbname="+values["dbname"]+
					" user="+values["user"]+" passfile="+file+" sslmode="+values["PGSSLMODE"])
			})
			t.Run(host+" by JDBC, "+string(mode), func(t *testing.T) {
				uri, err := url.Parse(strings.TrimPrefix(values["jdbc-uri"], "jdbc:"))
				if err != nil {
					t.Fatal(err)
				}
				query := uri.Query()
				if uri.Scheme != "postgresql" || uri.Hostname() != host || uri.Port() != "6432" || uri.Path != "/"+in.Login.Database ||
					query.Get("user") != in.Login.Username || query.Get("password") != in.Login.Password || query.Get("sslmode") != string(mode) {
					t.Errorf("the URI is %s", values["jdbc-uri"])
				}
			})
		}
	}
}

func checkTLS(t *testing.T, way string, config *pgx.ConnConfig, host string, mode v1alpha1.SSLMode) {
	t.Helper()
	encrypted := config.TLSConfig != nil
	if encrypted != (mode != v1alpha1.SSLModeDisable) {
		t.Errorf("by %s, a program would encrypt: %t, though sslMode is %s", way, encrypted, mode)
	}
	if len(config.Fallbacks) > 0 {
		t.Errorf("by %s, a program would fall back to another connection", way)
	}
	if mode == v1alpha1.SSLModeVerifyFull && (config.TLSConfig.InsecureSkipVerify || config.TLSConfig.ServerName != host) {
		t.Errorf("by %s, a program would not verify that it talks to %s", way, host)
	}
}

func TestTheSecretHasTheAuthoritiesAndTheURIsSayWhereTheAppFindsThem(t *testing.T) {
	bundle := authority(t)
	in := databaseOn(t, server().CABundle(bundle))
	values := secretOf(t, in)
	if values["ca.crt"] != bundle {
		t.Errorf("ca.crt is %q", values["ca.crt"])
	}
	const mounted = "/var/run/secrets/tenantry.dev/database/ca.crt"
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, []byte(values["ca.crt"]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"uri", "DATABASE_URL", "jdbc-uri"} {
		uri, err := url.Parse(strings.TrimPrefix(values[key], "jdbc:"))
		if err != nil {
			t.Fatal(err)
		}
		query := uri.Query()
		if query.Get("sslrootcert") != mounted {
			t.Errorf("%s has sslrootcert %q, want %q", key, query.Get("sslrootcert"), mounted)
		}
		query.Set("sslrootcert", file)
		uri.RawQuery = query.Encode()
		config, err := pgx.ParseConfig(uri.String())
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if config.TLSConfig.RootCAs == nil {
			t.Errorf("with %s, a program would trust authorities that the server's admin does not", key)
		}
	}
}

func TestTheLongestHostNameFits(t *testing.T) {
	host := strings.Repeat(strings.Repeat("h", 62)+".", 4)[:251] + "eu"
	values := secretOf(t, databaseOn(t, builders.DatabaseServer("shared", host)))
	config, err := pgx.ParseConfig(values["uri"])
	if err != nil || config.Host != host || strconv.Itoa(int(config.Port)) != values["port"] {
		t.Errorf("the URI is %s: %v", values["uri"], err)
	}
}

// authority returns the certificate of a new authority.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}
