package database

// Use is how much a tenant uses of a server.
type Use struct {
	// Tenant and UID are the name and the UID of the Tenant.
	Tenant, UID string
	// Name is the registered name of its database or schema.
	Name string
	// Isolation is the isolation of its database.
	Isolation Isolation
	// Bytes is the size of its database on disk, or of its schema as of the last VACUUM or ANALYZE of each table. It is
	// nil for the isolation Row, whose rows are in the same files as those of others.
	Bytes *int64
	// Connections is the number of its open connections.
	Connections int32
}
