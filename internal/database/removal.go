package database

// PlanRemoval returns the actions that remove a deleted tenant from the server by its reclaim
// policy; none when nothing is left to do, or when the registry knows nothing of the tenant's UID.
// What is retained is a database: where there is none yet, also [ReclaimRetain] drops the roles. It
// fails with a [ConflictError] if the database belongs to somebody else.
func PlanRemoval(o Observed, policy ReclaimPolicy) ([]Action, error) {
	if o.Registration == nil {
		return nil, nil
	}
	if err := foreignOwner(o); err != nil {
		return nil, err
	}
	if policy == ReclaimRetain && o.Database != nil && o.Database.ConnectionLimit != InterruptedDrop {
		return planRetain(o), nil
	}
	return planDelete(o), nil
}

// planRetain marks the name as retained last, so that the mark means all of it is done.
func planRetain(o Observed) []Action {
	if o.Registration.State == RegistrationRetained {
		return nil
	}
	logins := Logins(o.Name)
	var actions []Action
	for i, role := range o.Logins {
		if role != nil && (role.CanLogin || role.Verifier != "") {
			actions = append(actions, DisableLogin{Login: logins[i]})
		}
	}
	return append(actions, TerminateSessions{Logins: logins}, MarkRetained{Name: o.Name})
}

func planDelete(o Observed) []Action {
	var actions []Action
	if o.Database != nil {
		if o.Database.IsTemplate && o.Database.ConnectionLimit != InterruptedDrop {
			actions = append(actions, UnsetTemplate{Database: o.Name})
		}
		actions = append(actions, DropDatabase{Database: o.Name})
	}
	logins := Logins(o.Name)
	return append(actions,
		DropRoles{Roles: []string{logins[0], logins[1], o.Name}},
		Deregister{UID: o.Registration.UID, Name: o.Name})
}
