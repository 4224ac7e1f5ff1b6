package database

// Sharing is what a server offers in shared databases.
type Sharing struct {
	// Isolations are the offered ones of [IsolationSchema] and [IsolationRow].
	Isolations []Isolation
	// Extensions are the extensions of PostgreSQL that those databases have.
	Extensions []string
}

// SharingStatus is the state of the databases that tenants share.
type SharingStatus struct {
	// UnprotectedTotal is the number of tables of [IsolationRow] that aren't isolated by tenant.
	UnprotectedTotal int
	// Unprotected are the first 20 of them by name.
	Unprotected []UnprotectedTable
}

// UnprotectedTable is a table or view of [IsolationRow] that isn't isolated by tenant.
type UnprotectedTable struct {
	// Name is its name with its schema.
	Name string
	// Problem says what is wrong with it and what to do.
	Problem string
}
