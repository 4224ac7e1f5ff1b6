package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	launcher "github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/service"
)

// fuzzed returns a new server for a fuzz target.
func fuzzed(f *testing.F) *instance {
	f.Helper()
	dir, err := os.MkdirTemp("", "tenantry-fuzz-")
	if err != nil {
		f.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		f.Fatal(err)
	}
	server, err := launcher.Start(f.Context(), launcher.Options{Dir: filepath.Join(dir, "postgres"), EndWithStarter: true})
	if err != nil {
		f.Fatal(err)
	}
	made := &instance{Server: server, servers: &postgres.Servers{}, address: database.Server{
		Name: "fuzzed", Host: server.Host, Port: int32(server.Port), SSLMode: "disable",
		Username: server.Username, Password: service.Sensitive(server.Password),
	}}
	f.Cleanup(func() {
		made.servers.Close()
		if err := errors.Join(server.Remove(), os.RemoveAll(dir)); err != nil {
			f.Error(err)
		}
	})
	if err := made.look(f.Context()); err != nil {
		f.Fatal(err)
	}
	return made
}

// look does what the operator does with a server at each probe.
func (i *instance) look(ctx context.Context) error {
	if _, err := i.servers.Probe(ctx, i.address); err != nil {
		return err
	}
	_, err := i.servers.Share(ctx, i.address, allIsolations)
	return err
}

// as runs statements in a session of a tenant, each in its own transaction, and returns the first error.
func (i *instance) as(ctx context.Context, tenant database.Desired, statements ...string) error {
	conn, err := i.loginAs(ctx, database.Logins(tenant.Name())[0], string(tenant.Password), database.ConnectTo(tenant.Isolation, tenant.Name()))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

func (i *instance) made(tb testing.TB, changes ...func(*database.Desired)) database.Desired {
	tb.Helper()
	tenant := newTenant(changes...)
	if err := i.converge(tb.Context(), tenant); err != nil {
		tb.Fatal(err)
	}
	return tenant
}

// gone removes a tenant, and expects that nothing of it is left.
func (i *instance) gone(t *testing.T, tenant database.Desired) {
	t.Helper()
	if err := i.look(t.Context()); err != nil {
		t.Errorf("the server is looked at: %v", err)
	}
	if err := i.remove(t.Context(), tenant, database.ReclaimDelete); err != nil {
		t.Fatalf("the tenant is removed: %v", err)
	}
	observed, err := i.servers.Observe(t.Context(), i.address, tenant.UID, tenant.Name())
	if err != nil || observed.Owner != nil || observed.Registration != nil {
		t.Errorf("there is left: %+v, %v", observed, err)
	}
}

// name returns an identifier from fuzzed text; empty if PostgreSQL accepts no such identifier.
func name(text string) string {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || text == "" {
		return ""
	}
	return pgx.Identifier{text}.Sanitize()
}

// FuzzNames fuzzes the names of a tenant's objects, which the operator drops one by one with isolation Schema.
func FuzzNames(f *testing.F) {
	server := fuzzed(f)
	for _, text := range []string{"orders", `a"b`, "a'b", `\`, "%I %s %1$s", "; DROP ROLE operator; --", "größer", "\n", "$$", "a.b", "pg_x", strings.Repeat("ü", 40)} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		table, column := name(first), name(second)
		if table == "" || column == "" {
			t.Skip()
		}
		tenant := server.made(t, in(database.IsolationSchema))
		comment := "'" + strings.ReplaceAll(second, "'", "''") + "'"
		for _, statement := range []string{
			fmt.Sprintf("CREATE TABLE %s (id serial PRIMARY KEY, %s text UNIQUE)", table, column),
			fmt.Sprintf("COMMENT ON TABLE %s IS %s", table, comment),
			fmt.Sprintf("CREATE VIEW %s AS SELECT 1 AS %s", column, column),
			fmt.Sprintf("CREATE TYPE %s AS ENUM (%s)", name(first+"e"), comment),
			fmt.Sprintf("CREATE DOMAIN %s AS text", name(second+"d")),
			fmt.Sprintf("CREATE FUNCTION %s(%s text, text) RETURNS int LANGUAGE sql AS 'SELECT 1'", table, column),
			fmt.Sprintf("CREATE SEQUENCE %s", name(second+"s")),
			fmt.Sprintf("CREATE TABLE %s (%s int) PARTITION BY LIST (%s)", name(first+"p"), column, column),
		} {
			// Statements that PostgreSQL refuses don't matter.
			if err := server.as(t.Context(), tenant, statement); err != nil && connectionBroken(err) {
				t.Fatal(err)
			}
		}
		server.gone(t, tenant)
	})
}

func connectionBroken(err error) bool {
	_, answered := errors.AsType[*pgconn.PgError](err)
	return !answered
}

// FuzzTables fuzzes the names of tables and columns, which the managing tenant chooses with isolation Row.
func FuzzTables(f *testing.F) {
	server := fuzzed(f)
	manager := server.made(f, managing)
	for _, text := range []string{"orders", `a"b`, "a'b", `\`, "%I %s %1$s", "(", "UNIQUE (", " USING btree (", "tenant_id", "größer", "\n", "$1", strings.Repeat("ü", 40)} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		table, column := name(first), name(second)
		if table == "" || column == "" || second == "tenant_id" { // That one is the policy's.
			t.Skip()
		}
		create := fmt.Sprintf("CREATE TABLE %[1]s (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, %[2]s text UNIQUE, parent bigint REFERENCES %[1]s)", table, column)
		if err := server.as(t.Context(), manager, create); err != nil {
			if connectionBroken(err) {
				t.Fatal(err)
			}
			t.Skip()
		}
		defer func() {
			if err := server.as(t.Context(), manager, "DROP TABLE "+table); err != nil {
				t.Error(err)
			}
		}()
		if err := server.look(t.Context()); err != nil {
			t.Errorf("the forgotten table is looked at: %v", err)
		}
		partial := fmt.Sprintf("CREATE UNIQUE INDEX ON %s (lower(%s)) WHERE %s <> '(x'", table, column, column)
		if err := server.as(t.Context(), manager, partial, "SELECT tenantry.isolate_all()", "SELECT tenantry.isolate_all()"); err != nil {
			t.Fatalf("it is isolated: %v", err)
		}
		tenant := server.made(t, in(database.IsolationRow))
		insert := fmt.Sprintf("INSERT INTO %s (id, %s, parent) SELECT n, 1 * n, n / 2 FROM generate_series(0, 3) AS n", table, column)
		if err := server.as(t.Context(), tenant, insert); err != nil {
			t.Errorf("rows are inserted: %v", err)
		}
		server.gone(t, tenant)
	})
}

// FuzzRoleSettings fuzzes the settings and the password of a login, which a tenant can change.
func FuzzRoleSettings(f *testing.F) {
	server := fuzzed(f)
	for _, setting := range [][2]string{
		{"search_path", `"$user", 'x'`}, {"role", "none"}, {"row_security", "off"}, {"local_preload_libraries", "nonexistent"}, {"a.b", "x=y,{}\"\\"},
		{"statement_timeout", "1"}, {"lock_timeout", "1"}, {"default_transaction_read_only", "on"}, {"client_encoding", "LATIN1"}, {"DateStyle", "German"},
		{"standard_conforming_strings", "off"}, {"session_replication_role", "replica"}, {"default_transaction_isolation", "serializable"}, {"temp_file_limit", "1"},
		{"x.y", strings.Repeat("x", 9000)}, {"idle_session_timeout", "1"}, {"idle_in_transaction_session_timeout", "1"}, {"check_function_bodies", "off"},
	} {
		f.Add(setting[0], setting[1])
	}
	f.Fuzz(func(t *testing.T, setting, value string) {
		if name(setting) == "" || (value != "" && name(value) == "") {
			t.Skip()
		}
		tenant := server.made(t, in(database.IsolationRow))
		login := database.Logins(tenant.Name())[0]
		quoted := "'" + strings.ReplaceAll(value, "'", "''") + "'"
		for _, change := range []string{
			fmt.Sprintf("ALTER ROLE %s SET %s TO %s", login, name(setting), quoted),
			fmt.Sprintf("ALTER ROLE %s IN DATABASE tenantry_row SET %s TO %s", login, name(setting), quoted),
			fmt.Sprintf("ALTER ROLE %s PASSWORD %s", login, quoted),
		} {
			if err := server.as(t.Context(), tenant, "SET standard_conforming_strings TO on", "SET ROLE NONE", change); err != nil && connectionBroken(err) {
				t.Fatal(err)
			}
		}
		for range 3 {
			actions, err := server.step(t.Context(), tenant)
			if err != nil {
				t.Fatalf("it is put right: %v", err)
			}
			if len(actions) == 0 {
				server.gone(t, tenant)
				return
			}
		}
		t.Error("it is never put right")
	})
}

// FuzzDelete fuzzes the object that a tenant passes to tenantry.delete.
func FuzzDelete(f *testing.F) {
	server := fuzzed(f)
	manager := server.made(f, managing)
	const tables = `CREATE TABLE kept (tenant_id text NOT NULL DEFAULT tenantry.tenant_id(), id int, "a""b" text, data jsonb, tags text[], at timestamptz, PRIMARY KEY (tenant_id, id));
		SELECT tenantry.isolate('kept', strict => true)`
	const rows = `INSERT INTO kept VALUES (DEFAULT, 1, 'x', '{"y": 1}', '{a,b}', 'epoch'), (DEFAULT, 2, NULL, 'null', NULL, NULL), (DEFAULT, 3, '', '[]', '{}', 'infinity') ON CONFLICT (tenant_id, id) DO NOTHING`
	if err := server.as(f.Context(), manager, tables); err != nil {
		f.Fatal(err)
	}
	own, neighbor := server.made(f, in(database.IsolationRow)), server.made(f, in(database.IsolationRow))
	for _, tenant := range []database.Desired{own, neighbor} {
		if err := server.as(f.Context(), tenant, rows); err != nil {
			f.Fatal(err)
		}
	}
	session, err := server.loginAs(f.Context(), database.Logins(own.Name())[0], string(own.Password), "tenantry_row")
	if err != nil {
		f.Fatal(err)
	}
	other, err := server.loginAs(f.Context(), database.Logins(neighbor.Name())[0], string(neighbor.Password), "tenantry_row")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { session.Close(context.Background()); other.Close(context.Background()) })
	for _, match := range []string{
		`{"id": 1}`, `{}`, `[]`, `null`, `"id"`, `{"id": null}`, `{"id": [1]}`, `{"id": "1 OR true"}`, `{"id = 1 OR true --": 1}`, `{"a\"b": "x"}`, `{"data": {"y": 1}}`,
		`{"tags": ["a", "b"]}`, `{"tenant_id": "` + neighbor.Name() + `"}`, `{"at": "epoch"}`, `{"ctid": "(0,1)"}`, `{"tableoid": 1}`, `{"id": 1e400}`, `{"%1$I": 1}`, `{"id": 1, "id": 2}`, `{"": 1}`, `{"m": 1}`, `{"d": 1}`,
	} {
		f.Add(match)
	}
	f.Fuzz(func(t *testing.T, match string) {
		var deleted, left, others int
		err := session.QueryRow(t.Context(), "SELECT tenantry.delete('kept', $1::text::jsonb)", match).Scan(&deleted)
		if err != nil && !dataRefused(err) {
			t.Errorf("%q: %v", match, err)
		}
		if err := errors.Join(session.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&left), other.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&others)); err != nil {
			t.Fatal(err)
		}
		if left != 3-deleted || others != 3 {
			t.Errorf("%q deletes %d, leaves %d, and %d of the neighbor's", match, deleted, left, others)
		}
		if deleted > 0 {
			if _, err := session.Exec(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// dataRefused reports whether PostgreSQL refuses the values in the object, and not the statement that was built
// from it.
func dataRefused(err error) bool {
	answer, answered := errors.AsType[*pgconn.PgError](err)
	if !answered {
		return false
	}
	switch answer.Code {
	case "42703", "42883", "54001", "54000": // no such column, no comparison, too deep, too much
		return true
	}
	return strings.HasPrefix(answer.Code, "22") // data exceptions
}
