package database

// schemaMode gives a tenant a schema of its own in the shared database of the server. The schema belongs to
// [PlatformOwner], for the same reason as databases do: its owner could drop it, or let other tenants in.
var schemaMode = mode{
	usable:      prepared(IsolationSchema),
	removable:   always,
	hasData:     func(o Observed) bool { return o.Shared[IsolationSchema].Placed },
	join:        func(_ Desired, o Observed) []Action { return planJoin(IsolationSchema, o) },
	sessionRole: ownerRole,
	place:       planSchema,
	drop:        planDropSchema,
}

func planSchema(_ Desired, o Observed) []Action {
	if o.Shared[IsolationSchema].Placed {
		return nil
	}
	return []Action{CreateSchema{Schema: o.Name}, MarkSecured{Name: o.Name, Database: SharedDatabase(IsolationSchema)}}
}

func planDropSchema(o Observed) []Action {
	if _, exists := o.Shared[IsolationSchema]; !exists {
		return nil
	}
	return []Action{DropSchema{Schema: o.Name}}
}
