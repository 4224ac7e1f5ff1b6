package postgres

import (
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/database"
)

// Batch is a group of statements that are sent together, in one round trip and one transaction. A statement that
// PostgreSQL allows only outside of transactions is alone in its batch.
type Batch struct {
	// Database is where they run; empty means the maintenance database.
	Database string
	// Login is the tenant's login in whose session they run; empty means the administrator's.
	Login string
	// Owner is the owner role of a tenant. If set, they run in each database with objects that depend on the tenant's
	// roles.
	Owner string
	// Statements are SQL without parameters. They may contain verifiers, and must not be logged.
	Statements []string

	kind batchKind
	// removes says that they take away what a tenant had: tenants' sessions that are in the way are ended.
	removes bool
}

// SQL returns the statements as one string.
func (b Batch) SQL() string { return strings.Join(b.Statements, ";\n") }

type batchKind int

const (
	// inRegistry is for changes of roles and of the registry, under its lock.
	inRegistry batchKind = iota
	// onDatabase is for changes of what belongs to one tenant only.
	onDatabase
	// inDatabase runs in the tenant's database.
	inDatabase
	// inShared runs in a database that tenants share.
	inShared
	// inPortions runs, in a shared database, the statements that the one statement returns, until it returns none.
	inPortions
	// asTenant runs the one statement, in a shared database and a session of the tenant, until it returns 0.
	asTenant
	// everywhere runs in each database with objects that depend on the tenant's roles.
	everywhere
	// alone runs in a transaction of its own.
	alone
	// databaseChange is for CREATE and DROP DATABASE.
	databaseChange
)

// takesMore reports whether consecutive actions can be in one batch of this kind.
func (k batchKind) takesMore() bool {
	switch k {
	case inPortions, asTenant, everywhere, alone, databaseChange:
		return false
	case inRegistry, onDatabase, inDatabase, inShared:
	}
	return true
}

// Statements returns the SQL that executes the actions on a server of this major version, in the order in which
// Execute sends it. Every call generates new verifiers.
func Statements(actions []database.Action, majorVersion int) []Batch {
	r := renderer{majorVersion: majorVersion}
	for _, action := range actions {
		database.Visit(action, &r)
	}
	r.checkNow()
	return r.batches
}

// add appends a batch, or adds its statements to the last batch if that is possible.
func (r *renderer) add(batch Batch) {
	if last := len(r.batches) - 1; last >= 0 {
		former := &r.batches[last]
		if former.kind == batch.kind && former.Database == batch.Database && former.removes == batch.removes && batch.kind.takesMore() {
			former.Statements = append(former.Statements, batch.Statements...)
			return
		}
	}
	if batch.kind == inRegistry {
		batch.Statements = slices.Concat(r.underLock(), batch.Statements)
	} else {
		r.checkNow()
	}
	r.batches = append(r.batches, batch)
}

// underLock returns the statements that each transaction with the registry's lock begins with.
func (r *renderer) underLock() []string {
	r.unchecked = false
	if r.check == "" {
		return []string{lockRegistry}
	}
	return []string{lockRegistry, r.check}
}

// checkNow appends a batch that only checks, unless an earlier one does.
func (r *renderer) checkNow() {
	if r.unchecked {
		r.batches = append(r.batches, Batch{kind: inRegistry, Statements: r.underLock()})
	}
}

func (r *renderer) inRegistry(statements ...string) {
	r.add(Batch{kind: inRegistry, Statements: statements})
}

// removing is inRegistry for what takes away what a tenant had.
func (r *renderer) removing(statement string) {
	r.add(Batch{kind: inRegistry, removes: true, Statements: []string{statement}})
}

func (r *renderer) onDatabase(statements ...string) {
	r.add(Batch{kind: onDatabase, Statements: statements})
}

func (r *renderer) inDatabase(name string, statements ...string) {
	r.add(Batch{kind: inDatabase, Database: name, Statements: statements})
}

func (r *renderer) inShared(name, statement string) {
	r.add(Batch{kind: inShared, Database: name, Statements: []string{statement}})
}

func (r *renderer) alone(statement string) {
	r.add(Batch{kind: alone, Statements: []string{statement}})
}

func (r *renderer) databaseChange(statement string) {
	r.add(Batch{kind: databaseChange, Statements: []string{statement}})
}
