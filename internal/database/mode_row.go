package database

// rowMode lets a tenant use its rows in shared tables. The tables' policies derive from the login which rows these
// are, so a tenant needs only its roles.
var rowMode = mode{
	usable:      prepared(IsolationRow),
	removable:   always,
	hasData:     func(o Observed) bool { return o.Shared[IsolationRow].Member },
	join:        planRowJoin,
	sessionRole: rowSessionRole,
	place:       planDemotion,
	drop:        planDropRows,
}

// planRowJoin notes that a tenant manages the tables before it lets the tenant do so. If the operator crashes
// after revoking the right, the note still says that sessions must be ended.
func planRowJoin(d Desired, o Observed) []Action {
	current := o.Shared[IsolationRow]
	var actions []Action
	if d.ManagesTables && !current.Placed {
		actions = append(actions, MarkSecured{Name: o.Name, Database: SharedDatabase(IsolationRow)})
	}
	actions = append(actions, planJoin(IsolationRow, o)...)
	switch {
	case d.ManagesTables && !current.Manager:
		actions = append(actions, GrantTables{Owner: o.Name})
	case !d.ManagesTables && current.Manager:
		actions = append(actions, RevokeTables{Owner: o.Name})
	}
	return actions
}

// rowSessionRole returns TablesOwner for a tenant that manages the tables, so that what it creates belongs to no
// tenant.
func rowSessionRole(d Desired, o Observed) string {
	if d.ManagesTables {
		return TablesOwner
	}
	return o.Name
}

// planDemotion ends the sessions of a former manager of the tables, which still have that role.
func planDemotion(d Desired, o Observed) []Action {
	if d.ManagesTables || !o.Shared[IsolationRow].Placed {
		return nil
	}
	return []Action{TerminateSessions{Logins: Logins(o.Name)}, UnmarkSecured{Name: o.Name}}
}

// planDropRows has the rows deleted in a session of the tenant itself, since the tables' triggers must not run
// with more rights than the tenant has. That needs its login, which somebody may have dropped, without the
// settings that the tenant has given it.
func planDropRows(o Observed) []Action {
	if _, exists := o.Shared[IsolationRow]; !exists {
		return nil
	}
	var actions []Action
	if o.Owner == nil {
		actions = append(actions, CreateOwner{Role: o.Name})
	}
	actions = append(actions, planJoin(IsolationRow, o)...)
	login := Logins(o.Name)[0]
	switch role := o.Logins[0]; {
	case role == nil:
		actions = append(actions, CreateLogin{Login: login, Owner: o.Name, ConnectionLimit: -1})
	case !role.MemberOfOwner:
		actions = append(actions, GrantOwner{Login: login, Owner: o.Name})
	}
	return append(actions, ResetSettings{Role: login}, DeleteRows{Login: login})
}
