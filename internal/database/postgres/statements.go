package postgres

import (
	"strings"

	"github.com/tenantry/tenantry/internal/database"
)

// Batch is a group of statements that are sent together, in one round trip. They make up one
// transaction; a statement that PostgreSQL allows in none is alone in its batch.
type Batch struct {
	// Database is where they run; empty means the maintenance database.
	Database string
	// Login is the tenant's login whose session they run in; empty means the administrator.
	Login string
	// Owner is the tenant whose roles' dependent objects tell in which databases they run; empty means in
	// just the one.
	Owner string
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
	// inPortions : within a shared database, what the one statement returns, until it returns nothing.
	inPortions
	// asTenant : within a shared database, in a session of the tenant, the one statement until it returns 0.
	asTenant
	// everywhere : within each database that has an object that depends on the tenant's roles.
	everywhere
	// alone : a transaction of its own.
	alone
	// databaseChange : CREATE or DROP DATABASE.
	databaseChange
)

// takesMore reports whether actions that follow each other can be in one batch of this kind.
func (k batchKind) takesMore() bool {
	switch k {
	case inPortions, asTenant, everywhere, alone, databaseChange:
		return false
	case inRegistry, onDatabase, inDatabase, inShared:
	}
	return true
}

// Statements returns the SQL that carries the actions out on a server of this major version, in
// the order in which Execute sends it. Every call makes new verifiers.
func Statements(actions []database.Action, majorVersion int) []Batch {
	r := renderer{majorVersion: majorVersion}
	for _, action := range actions {
		database.Visit(action, &r)
	}
	return r.batches
}

// add appends a batch, to the last one where that is possible.
func (r *renderer) add(batch Batch) {
	if last := len(r.batches) - 1; last >= 0 {
		former := &r.batches[last]
		if former.kind == batch.kind && former.Database == batch.Database && batch.kind.takesMore() {
			former.Statements = append(former.Statements, batch.Statements...)
			return
		}
	}
	if batch.kind == inRegistry {
		batch.Statements = append([]string{lockRegistry}, batch.Statements...)
	}
	r.batches = append(r.batches, batch)
}

func (r *renderer) inRegistry(statements ...string) {
	r.add(Batch{kind: inRegistry, Statements: statements})
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
