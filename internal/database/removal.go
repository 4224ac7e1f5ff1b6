package database

import "fmt"

// PlanRemoval returns the actions that remove a deleted tenant from the server by its reclaim
// policy; none when nothing is left to do, or when the registry knows nothing of the tenant's UID.
// What is retained is data: where there can't be any yet, also [ReclaimRetain] drops the roles. It
// fails with a [ConflictError] if the database belongs to somebody else.
func PlanRemoval(o Observed, policy ReclaimPolicy) ([]Action, error) {
	if o.Registration == nil {
		return nil, nil
	}
	mode, known := modes[o.Registration.Isolation]
	if !known {
		return nil, &ConflictError{fmt.Sprintf("%s was made with isolation %s, which this version does not know; use the version that made it", o.Name, o.Registration.Isolation)}
	}
	if err := mode.removable(o); err != nil {
		return nil, err
	}
	if policy == ReclaimRetain && mode.hasData(o) {
		return planRetain(o), nil
	}
	return planDelete(o, mode), nil
}

// planRetain marks the name as retained last, so that the mark means all of it is done.
func planRetain(o Observed) []Action {
	if o.Registration.State == RegistrationRetained {
		return nil
	}
	return append(planLockout(o), MarkRetained{Name: o.Name})
}

func planDelete(o Observed, mode mode) []Action {
	logins := Logins(o.Name)
	return append(append(planLockout(o), mode.drop(o)...),
		DropOwned{Owner: o.Name},
		DropRoles{Roles: []string{logins[0], logins[1], o.Name}},
		Deregister{UID: o.Registration.UID, Name: o.Name})
}
