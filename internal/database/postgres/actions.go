package postgres

import (
	"fmt"
	"strconv"

	"github.com/tenantry/tenantry/internal/database"
)

// renderer has the SQL for each action, and where it runs.
type renderer struct {
	majorVersion int
	batches      []Batch
	// check is a statement that fails if the actions are void; empty if there is none.
	check string
	// unchecked says that no batch has it yet.
	unchecked bool
}

var _ database.Visitor = (*renderer)(nil)

// Register fails if the server is full, or, without Anew, if a former tenant with the same name has left
// something.
func (r *renderer) Register(a database.Register) {
	statements := checkCapacity(a.Capacity)
	if !a.Anew {
		statements = append(statements, checkFormer(a))
	}
	r.inRegistry(append(statements, fmt.Sprintf("INSERT INTO tenantry.tenants (uid, tenant, name, isolation, state, cluster) VALUES (%s, 'Active', coalesce(current_setting('%s', true), ''))",
		list(literal, a.UID, a.Tenant, a.Name, string(a.Isolation)), clusterSetting))...)
}

// Adopt fails if the server is full, or if another tenant was first.
func (r *renderer) Adopt(a database.Adopt) {
	r.inRegistry(append(checkCapacity(a.Capacity), takeOver(a))...)
}

func (r *renderer) CheckRegistered(a database.CheckRegistered) {
	r.check, r.unchecked = checkRegistered(a), true
}

func (r *renderer) Deregister(a database.Deregister) {
	r.inRegistry(fmt.Sprintf("DELETE FROM tenantry.tenants WHERE uid = %s AND name = %s", literal(a.UID), literal(a.Name)))
}

func (r *renderer) MarkSecured(a database.MarkSecured) {
	r.onDatabase(fmt.Sprintf("UPDATE tenantry.tenants SET secured = (SELECT oid FROM pg_database WHERE datname = %s), extensions = '{}' WHERE name = %s",
		literal(a.Database), literal(a.Name)))
}

func (r *renderer) UnmarkSecured(a database.UnmarkSecured) {
	r.onDatabase("UPDATE tenantry.tenants SET secured = NULL WHERE name = " + literal(a.Name))
}

// MarkExtensions also adds the schema of the extensions to the search_path of the tenant's sessions.
func (r *renderer) MarkExtensions(a database.MarkExtensions) {
	r.onDatabase(
		fmt.Sprintf("UPDATE tenantry.tenants SET extensions = extensions || ARRAY[%s]::text[] WHERE name = %s", list(literal, a.Extensions...), literal(a.Name)),
		fmt.Sprintf(`ALTER DATABASE %s SET search_path TO "$user", public, extensions`, identifier(a.Name)))
}

func (r *renderer) MarkRetained(a database.MarkRetained) {
	r.onDatabase("UPDATE tenantry.tenants SET state = 'Retained', since = now(), abandoned = " + strconv.FormatBool(a.Abandoned) +
		fmt.Sprintf(" WHERE uid = %s AND name = %s", literal(a.UID), literal(a.Name)))
}

func (r *renderer) CreateOwner(a database.CreateOwner) {
	r.inRegistry("CREATE ROLE " + identifier(a.Role) + " NOLOGIN")
}

func (r *renderer) CreateLogin(a database.CreateLogin) {
	if a.Password == "" {
		r.inRegistry(fmt.Sprintf("CREATE ROLE %s NOLOGIN IN ROLE %s", identifier(a.Login), identifier(a.Owner)))
		return
	}
	r.inRegistry(fmt.Sprintf("CREATE ROLE %s LOGIN IN ROLE %s CONNECTION LIMIT %d PASSWORD %s",
		identifier(a.Login), identifier(a.Owner), a.ConnectionLimit, verifier(a.Password)))
}

func (r *renderer) GrantOwner(a database.GrantOwner) {
	r.inRegistry(fmt.Sprintf("GRANT %s TO %s", identifier(a.Owner), identifier(a.Login)))
}

func (r *renderer) SetLoginRole(a database.SetLoginRole) {
	r.inRegistry(fmt.Sprintf("ALTER ROLE %s SET role TO %s", identifier(a.Login), identifier(a.Role)))
}

func (r *renderer) SetLoginSetting(a database.SetLoginSetting) {
	r.inRegistry(fmt.Sprintf("ALTER ROLE %s SET %s TO %s", identifier(a.Login), identifier(a.Setting), literal(a.Value)))
}

func (r *renderer) ResetLoginSetting(a database.ResetLoginSetting) {
	r.inRegistry(fmt.Sprintf("ALTER ROLE %s RESET %s", identifier(a.Login), identifier(a.Setting)))
}

func (r *renderer) ResetSettings(a database.ResetSettings) {
	r.inRegistry(resetSettings(a.Role))
}

func (r *renderer) EnableLogin(a database.EnableLogin) {
	r.inRegistry(fmt.Sprintf("ALTER ROLE %s LOGIN CONNECTION LIMIT %d PASSWORD %s", identifier(a.Login), a.ConnectionLimit, verifier(a.Password)))
}

// DisableLogin ends what is in its way: a session of the login can hold its row for as long as it likes.
func (r *renderer) DisableLogin(a database.DisableLogin) {
	r.removing("ALTER ROLE " + identifier(a.Login) + " NOLOGIN PASSWORD NULL")
}

// SuspendLogin ends what is in its way, as DisableLogin does.
func (r *renderer) SuspendLogin(a database.SuspendLogin) {
	r.removing("ALTER ROLE " + identifier(a.Login) + " NOLOGIN")
}

func (r *renderer) RestrictRole(a database.RestrictRole) {
	r.inRegistry("ALTER ROLE " + identifier(a.Role) + " NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
}

func (r *renderer) DropRoles(a database.DropRoles) {
	r.removing("DROP ROLE IF EXISTS " + list(identifier, a.Roles...))
}

// JoinShared grants membership only for the right to connect: nobody needs to become the role.
func (r *renderer) JoinShared(a database.JoinShared) {
	grant := fmt.Sprintf("GRANT %s TO %s", database.SharedDatabase(a.Isolation), identifier(a.Owner))
	if r.majorVersion >= firstWithGrantOptions {
		grant += " WITH INHERIT TRUE, SET FALSE"
	}
	r.inRegistry(grant)
}

func (r *renderer) GrantTables(a database.GrantTables) {
	r.inRegistry(fmt.Sprintf("GRANT %s TO %s", database.TablesOwner, identifier(a.Owner)))
}

func (r *renderer) RevokeTables(a database.RevokeTables) {
	r.inRegistry(fmt.Sprintf("REVOKE %s FROM %s", database.TablesOwner, identifier(a.Owner)))
}

// CreateDatabase copies template0, which never has sessions to wait for.
func (r *renderer) CreateDatabase(a database.CreateDatabase) {
	create := fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0 ALLOW_CONNECTIONS false", identifier(a.Database), database.PlatformOwner)
	if r.majorVersion >= firstWithStrategy {
		create += " STRATEGY file_copy"
	}
	r.databaseChange(create)
}

func (r *renderer) DropDatabase(a database.DropDatabase) {
	r.add(Batch{kind: databaseChange, removes: true, Statements: []string{"DROP DATABASE IF EXISTS " + identifier(a.Database) + " WITH (FORCE)"}})
}

func (r *renderer) RevokePublic(a database.RevokePublic) {
	r.onDatabase("REVOKE ALL ON DATABASE " + identifier(a.Database) + " FROM PUBLIC")
}

func (r *renderer) GrantDatabase(a database.GrantDatabase) {
	r.onDatabase(fmt.Sprintf("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %s TO %s", identifier(a.Database), identifier(a.Owner)))
}

func (r *renderer) OpenDatabase(a database.OpenDatabase) {
	r.onDatabase(fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true CONNECTION LIMIT %d", identifier(a.Database), a.ConnectionLimit))
}

func (r *renderer) UnsetTemplate(a database.UnsetTemplate) {
	r.onDatabase("ALTER DATABASE " + identifier(a.Database) + " IS_TEMPLATE false")
}

func (r *renderer) SecureSchema(a database.SecureSchema) {
	r.inDatabase(a.Database,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"ALTER SCHEMA public OWNER TO "+identifier(a.Owner))
}

func (r *renderer) CreateExtensions(a database.CreateExtensions) {
	r.inDatabase(a.Database, createExtensions(a.Owner, a.Extensions)...)
}

func (r *renderer) TerminateSessions(a database.TerminateSessions) {
	r.alone(fmt.Sprintf("SELECT pg_terminate_backend(pid, %d) FROM pg_stat_activity WHERE usename IN (%s)",
		terminateTimeout.Milliseconds(), list(literal, a.Logins[:]...)))
}

func (r *renderer) CreateSchema(a database.CreateSchema) {
	r.inShared(database.SharedDatabase(database.IsolationSchema), createSchema(a.Schema))
}

func (r *renderer) DropSchema(a database.DropSchema) {
	r.add(Batch{
		kind: inPortions, Database: database.SharedDatabase(database.IsolationSchema),
		Statements: []string{nextInSchema(a.Schema)},
	})
}

func (r *renderer) DropOwned(a database.DropOwned) {
	r.add(Batch{kind: everywhere, removes: true, Owner: a.Owner, Statements: []string{dropOwned(a.Owner)}})
}

func (r *renderer) DeleteRows(a database.DeleteRows) {
	r.add(Batch{
		kind: asTenant, Database: database.SharedDatabase(database.IsolationRow), Login: a.Login,
		Statements: []string{"SELECT tenantry.delete_some()"},
	})
}
