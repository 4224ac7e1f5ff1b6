package postgres

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/database"
)

// Batch is a group of statements that are sent together, in one round trip. They make up one
// transaction; a statement that PostgreSQL allows in none is alone in its batch.
type Batch struct {
	// Database is where they run; empty means the maintenance database.
	Database string
	// Login is the tenant's login whose session they run in; empty means the administrator.
	Login string
	// Statements are SQL without parameters. They hold verifiers and don't belong in a log.
	Statements []string

	kind batchKind
}

// SQL returns the statements as one string.
func (b Batch) SQL() string { return strings.Join(b.Statements, ";\n") }

type batchKind int

const (
	// inRegistry : roles and the registry, under its lock.
	inRegistry batchKind = iota
	// onDatabase : what belongs to one tenant only.
	onDatabase
	// inDatabase : within the tenant's database.
	inDatabase
	// inShared : within a database that tenants share.
	inShared
	// asTenant : within a shared database, in a session of the tenant.
	asTenant
	// alone : a transaction of its own.
	alone
	// databaseChange : CREATE or DROP DATABASE.
	databaseChange
)

// Statements returns the SQL that carries the actions out on a server of this major version, in
// the order in which Execute sends it. Every call makes new verifiers.
func Statements(actions []database.Action, majorVersion int) []Batch {
	var batches []Batch
	for _, action := range actions {
		kind, where, statements := render(action, majorVersion)
		if rows, ok := action.(database.DeleteRows); ok {
			batches = append(batches, Batch{Database: where, Login: rows.Login, Statements: statements, kind: asTenant})
			continue
		}
		last := len(batches) - 1
		if last >= 0 && batches[last].kind == kind && batches[last].Database == where && kind != alone && kind != databaseChange {
			batches[last].Statements = append(batches[last].Statements, statements...)
			continue
		}
		if kind == inRegistry {
			statements = append([]string{lockRegistry}, statements...)
		}
		batches = append(batches, Batch{Database: where, Statements: statements, kind: kind})
	}
	return batches
}

// render returns the statements of an action, and where they run.
func render(action database.Action, majorVersion int) (kind batchKind, where string, statements []string) {
	switch a := action.(type) {
	case database.Register, database.Adopt, database.Deregister:
		return inRegistry, "", renderRegistration(action)
	case database.CreateOwner, database.CreateLogin, database.GrantOwner, database.SetLoginRole,
		database.EnableLogin, database.DisableLogin, database.RestrictRole, database.DropRoles:
		return inRegistry, "", []string{renderRole(action)}
	case database.SetLoginSetting, database.ResetLoginSetting, database.JoinShared, database.GrantTables, database.RevokeTables:
		return inRegistry, "", []string{renderMembership(action, majorVersion)}
	case database.CreateSchema, database.DropSchema, database.DropOwned, database.DeleteRows:
		where, statement := renderShared(action)
		return inShared, where, []string{statement}
	case database.CreateDatabase, database.DropDatabase:
		return databaseChange, "", []string{renderDatabaseChange(action, majorVersion)}
	case database.SecureSchema:
		return inDatabase, a.Database, []string{
			"REVOKE ALL ON SCHEMA public FROM PUBLIC",
			"ALTER SCHEMA public OWNER TO " + identifier(a.Owner),
		}
	case database.CreateExtensions:
		return inDatabase, a.Database, createExtensions(a.Owner, a.Extensions)
	case database.TerminateSessions:
		return alone, "", []string{fmt.Sprintf("SELECT pg_terminate_backend(pid, %d) FROM pg_stat_activity WHERE usename IN (%s, %s)",
			terminateTimeout.Milliseconds(), literal(a.Logins[0]), literal(a.Logins[1]))}
	default:
		return onDatabase, "", []string{renderDatabase(action)}
	}
}

func renderRegistration(action database.Action) []string {
	switch a := action.(type) {
	case database.Register:
		return append(checkCapacity(a.Capacity), fmt.Sprintf("INSERT INTO tenantry.tenants (uid, tenant, name, isolation, state) VALUES (%s, %s, %s, %s, 'Active')",
			literal(a.UID), literal(a.Tenant), literal(a.Name), literal(string(a.Isolation))))
	case database.Adopt:
		return append(checkCapacity(a.Capacity), takeOver(a))
	case database.Deregister:
		return []string{fmt.Sprintf("DELETE FROM tenantry.tenants WHERE uid = %s AND name = %s", literal(a.UID), literal(a.Name))}
	}
	panic(fmt.Sprintf("%T is not about the registry", action))
}

// checkCapacity returns a statement that fails when the server is full. The detail of its error is
// the number of tenants.
func checkCapacity(capacity *int32) []string {
	if capacity == nil {
		return nil
	}
	return []string{"DO " + literal(fmt.Sprintf(`
DECLARE
	tenants bigint := (SELECT count(*) FROM tenantry.tenants WHERE state = 'Active');
BEGIN
	IF tenants >= %d THEN
		RAISE 'full' USING ERRCODE = '%s', DETAIL = tenants, HINT = '%d';
	END IF;
END`, *capacity, sqlstateFull, *capacity))}
}

// takeOver returns a statement that fails when another tenant was first.
func takeOver(a database.Adopt) string {
	return "DO " + literal(fmt.Sprintf(`
BEGIN
	UPDATE tenantry.tenants SET uid = %s, tenant = %s, state = 'Active', since = now() WHERE name = %s AND uid = %s;
	IF NOT FOUND THEN
		RAISE 'another tenant has the database' USING ERRCODE = '%s';
	END IF;
END`, literal(a.UID), literal(a.Tenant), literal(a.Name), literal(a.From), sqlstateChanged))
}

func renderRole(action database.Action) string {
	switch a := action.(type) {
	case database.CreateOwner:
		return "CREATE ROLE " + identifier(a.Role) + " NOLOGIN"
	case database.CreateLogin:
		if a.Password == "" {
			return fmt.Sprintf("CREATE ROLE %s NOLOGIN IN ROLE %s", identifier(a.Login), identifier(a.Owner))
		}
		return fmt.Sprintf("CREATE ROLE %s LOGIN IN ROLE %s CONNECTION LIMIT %d PASSWORD %s",
			identifier(a.Login), identifier(a.Owner), a.ConnectionLimit, verifier(a.Password))
	case database.GrantOwner:
		return fmt.Sprintf("GRANT %s TO %s", identifier(a.Owner), identifier(a.Login))
	case database.SetLoginRole:
		return fmt.Sprintf("ALTER ROLE %s SET role TO %s", identifier(a.Login), identifier(a.Role))
	case database.EnableLogin:
		return fmt.Sprintf("ALTER ROLE %s LOGIN CONNECTION LIMIT %d PASSWORD %s", identifier(a.Login), a.ConnectionLimit, verifier(a.Password))
	case database.DisableLogin:
		return "ALTER ROLE " + identifier(a.Login) + " NOLOGIN PASSWORD NULL"
	case database.RestrictRole:
		return "ALTER ROLE " + identifier(a.Role) + " NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
	case database.DropRoles:
		roles := make([]string, len(a.Roles))
		for i, role := range a.Roles {
			roles[i] = identifier(role)
		}
		return "DROP ROLE IF EXISTS " + strings.Join(roles, ", ")
	}
	panic(fmt.Sprintf("%T is not about a role", action))
}

func renderMembership(action database.Action, majorVersion int) string {
	switch a := action.(type) {
	case database.SetLoginSetting:
		return fmt.Sprintf("ALTER ROLE %s SET %s TO %s", identifier(a.Login), identifier(a.Setting), literal(a.Value))
	case database.ResetLoginSetting:
		return fmt.Sprintf("ALTER ROLE %s RESET %s", identifier(a.Login), identifier(a.Setting))
	case database.JoinShared:
		grant := fmt.Sprintf("GRANT %s TO %s", database.SharedDatabase(a.Isolation), identifier(a.Owner))
		if majorVersion >= firstWithGrantOptions {
			// To connect is all it is for; nobody needs to become the role.
			grant += " WITH INHERIT TRUE, SET FALSE"
		}
		return grant
	case database.GrantTables:
		return fmt.Sprintf("GRANT %s TO %s", database.TablesOwner, identifier(a.Owner))
	case database.RevokeTables:
		return fmt.Sprintf("REVOKE %s FROM %s", database.TablesOwner, identifier(a.Owner))
	}
	panic(fmt.Sprintf("%T is not about what a role is a member of, or starts with", action))
}

// renderShared returns the database that an action is about, which tenants share, and its SQL.
func renderShared(action database.Action) (where, statement string) {
	switch a := action.(type) {
	case database.CreateSchema:
		return database.SharedDatabase(database.IsolationSchema), createSchema(a.Schema)
	case database.DropSchema:
		return database.SharedDatabase(database.IsolationSchema), dropSchema(a.Schema)
	case database.DropOwned:
		return a.Database, dropOwned(a.Owner)
	case database.DeleteRows:
		return database.SharedDatabase(database.IsolationRow), "SELECT tenantry.delete_all()"
	}
	panic(fmt.Sprintf("%T is not about a database that tenants share", action))
}

// createSchema returns a statement that fails when somebody else has a schema of that name.
func createSchema(name string) string {
	return "DO " + literal(fmt.Sprintf(`
DECLARE
	owner name := (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = %[1]s);
BEGIN
	IF owner IS NULL THEN
		CREATE SCHEMA %[2]s AUTHORIZATION %[3]s;
	ELSIF owner <> '%[3]s' THEN
		RAISE 'conflict' USING ERRCODE = '%[4]s',
			DETAIL = format('database %%s already has a schema %%s, not made for this tenant but of role %%s; rename or drop it', current_database(), %[1]s, owner);
	END IF;
	GRANT USAGE, CREATE ON SCHEMA %[2]s TO %[2]s;
END`, literal(name), identifier(name), database.PlatformOwner, sqlstateConflict))
}

// dropSchema returns a statement that leaves somebody else's schema of that name alone.
func dropSchema(name string) string {
	return "DO " + literal(fmt.Sprintf(`
BEGIN
	IF EXISTS (SELECT FROM pg_namespace WHERE nspname = %s AND nspowner = '%s'::regrole) THEN
		DROP SCHEMA %s CASCADE;
	END IF;
END`, literal(name), database.PlatformOwner, identifier(name)))
}

func dropOwned(owner string) string {
	logins := database.Logins(owner)
	return "DO " + literal(fmt.Sprintf(`
DECLARE
	role name;
BEGIN
	FOR role IN SELECT rolname FROM pg_roles WHERE rolname IN (%s, %s, %s) LOOP
		EXECUTE format('DROP OWNED BY %%I CASCADE', role);
	END LOOP;
END`, literal(owner), literal(logins[0]), literal(logins[1])))
}

func renderDatabaseChange(action database.Action, majorVersion int) string {
	switch a := action.(type) {
	case database.CreateDatabase:
		// template0 never has sessions that CREATE DATABASE would have to wait for.
		create := fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0 ALLOW_CONNECTIONS false", identifier(a.Database), database.PlatformOwner)
		if majorVersion >= firstWithStrategy {
			create += " STRATEGY file_copy"
		}
		return create
	case database.DropDatabase:
		return "DROP DATABASE IF EXISTS " + identifier(a.Database) + " WITH (FORCE)"
	}
	panic(fmt.Sprintf("%T neither creates nor drops a database", action))
}

func renderDatabase(action database.Action) string {
	switch a := action.(type) {
	case database.RevokePublic:
		return "REVOKE ALL ON DATABASE " + identifier(a.Database) + " FROM PUBLIC"
	case database.GrantDatabase:
		return fmt.Sprintf("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %s TO %s", identifier(a.Database), identifier(a.Owner))
	case database.OpenDatabase:
		return fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true CONNECTION LIMIT %d", identifier(a.Database), a.ConnectionLimit)
	case database.UnsetTemplate:
		return "ALTER DATABASE " + identifier(a.Database) + " IS_TEMPLATE false"
	case database.MarkSecured:
		return fmt.Sprintf("UPDATE tenantry.tenants SET secured = (SELECT oid FROM pg_database WHERE datname = %s), extensions = '{}' WHERE name = %s", literal(a.Database), literal(a.Name))
	case database.MarkExtensions:
		return fmt.Sprintf("UPDATE tenantry.tenants SET extensions = extensions || '{%s}' WHERE name = %s;\nALTER DATABASE %s SET search_path TO \"$user\", public, extensions",
			strings.Join(a.Extensions, ","), literal(a.Name), identifier(a.Name))
	case database.UnmarkSecured:
		return fmt.Sprintf("UPDATE tenantry.tenants SET secured = NULL WHERE name = %s", literal(a.Name))
	case database.MarkRetained:
		return fmt.Sprintf("UPDATE tenantry.tenants SET state = 'Retained', since = now() WHERE name = %s", literal(a.Name))
	}
	panic(fmt.Sprintf("there is no SQL for %T", action))
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal relies on standard_conforming_strings, which our sessions pin.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func verifier(password database.Sensitive) string {
	return literal(database.Verifier(string(password)))
}
