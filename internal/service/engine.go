package service

// Engine names, in the words of those who use it, what an engine gives tenants. Errors tell by them what is
// wrong, and where to mend it.
type Engine struct {
	// Noun is what a tenant gets: database.
	Noun string
	// ServerKind is the kind of the objects that stand for its servers: DatabaseServer.
	ServerKind string
	// Field is where a Tenant asks for it: spec.database.
	Field string
}
