package database

// mode has what differs between the kinds of isolation. Everything else, such as the roles, is the same for all of
// them.
type mode struct {
	// usable returns why nothing can be created on the server for the tenant; nil if it can.
	usable func(Observed) error
	// removable returns why what was created must not be removed; nil if it may be.
	removable func(Observed) error
	// hasData reports whether anything exists that may have the tenant's data.
	hasData func(Observed) bool
	// join plans the memberships of the owner role.
	join func(Desired, Observed) []Action
	// sessionRole returns the role that sessions of the logins start as.
	sessionRole func(Desired, Observed) string
	// place plans what the tenant gets in addition to its roles.
	place func(Desired, Observed) []Action
	// drop plans the removal of what place has created. The tenant has no sessions by then.
	drop func(Observed) []Action
}

var modes = map[Isolation]mode{
	IsolationDedicated: databaseMode,
	IsolationDatabase:  databaseMode,
	IsolationSchema:    schemaMode,
	IsolationRow:       rowMode,
}

func ownerRole(_ Desired, o Observed) string { return o.Name }

// always is for modes that need no check.
func always(Observed) error { return nil }

// prepared returns a function that returns an error unless the shared database of the isolation is ready.
func prepared(isolation Isolation) func(Observed) error {
	return func(o Observed) error {
		if !o.Shared[isolation].Ready {
			return &UnpreparedError{Isolation: isolation}
		}
		return nil
	}
}

// planJoin makes the owner role a member of the role that may connect to the shared database.
func planJoin(isolation Isolation, o Observed) []Action {
	if o.Shared[isolation].Member {
		return nil
	}
	return []Action{JoinShared{Owner: o.Name, Isolation: isolation}}
}

// planLockout ends the tenant's sessions and prevents new ones while its data is dropped, since others may still
// use the database, and any action of the removal may fail.
func planLockout(o Observed) []Action {
	logins := Logins(o.Name)
	actions := []Action{checkRegistered(o)}
	for i, role := range o.Logins {
		if role != nil && (role.CanLogin || role.Verifier != "") {
			actions = append(actions, DisableLogin{Login: logins[i]})
		}
	}
	return append(actions, TerminateSessions{Logins: logins})
}
