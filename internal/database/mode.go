package database

// mode is what differs between the kinds of isolation. All else, above all the roles, is the same
// for all of them.
type mode struct {
	// usable says why nothing can be made on the server for the tenant; nil if it can.
	usable func(Observed) error
	// removable says why what was made must not be removed; nil if it may.
	removable func(Observed) error
	// hasData reports whether there is anything that the tenant may have put data into.
	hasData func(Observed) bool
	// join plans what the owner role is a member of.
	join func(Desired, Observed) []Action
	// sessionRole is the role that sessions of the logins start as.
	sessionRole func(Desired, Observed) string
	// place plans what is made for the tenant besides its roles.
	place func(Desired, Observed) []Action
	// drop plans the end of what place made. The tenant has no session then.
	drop func(Observed) []Action
}

var modes = map[Isolation]mode{
	IsolationDedicated: databaseMode,
	IsolationDatabase:  databaseMode,
	IsolationSchema:    schemaMode,
	IsolationRow:       rowMode,
}

func ownerRole(_ Desired, o Observed) string { return o.Name }

// always is for what is never in the way.
func always(Observed) error { return nil }

// prepared returns a function that wants the shared database of the isolation to be ready.
func prepared(isolation Isolation) func(Observed) error {
	return func(o Observed) error {
		if !o.Shared[isolation].Ready {
			return &UnpreparedError{Isolation: isolation}
		}
		return nil
	}
}

// planJoin makes the owner role a member of those that may connect to the shared database.
func planJoin(isolation Isolation, o Observed) []Action {
	if o.Shared[isolation].Member {
		return nil
	}
	return []Action{JoinShared{Owner: o.Name, Isolation: isolation}}
}

// planLockout makes sure that the tenant has no session, and opens none, while its data is dropped: from
// a database that others go on using, or in steps of which any may fail.
func planLockout(o Observed) []Action {
	logins := Logins(o.Name)
	var actions []Action
	for i, role := range o.Logins {
		if role != nil && (role.CanLogin || role.Verifier != "") {
			actions = append(actions, DisableLogin{Login: logins[i]})
		}
	}
	return append(actions, TerminateSessions{Logins: logins})
}
