package service

// Engine has the words with which errors name what an engine gives tenants, in the terms of its users.
type Engine struct {
	// Noun is what a tenant gets, for example database.
	Noun string
	// ServerKind is the kind of the objects for its servers, for example DatabaseServer.
	ServerKind string
	// Field is the field in which a Tenant asks for it, for example spec.database.
	Field string
}
