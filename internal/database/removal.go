package database

import (
	"fmt"

	"github.com/tenantry/tenantry/internal/service"
)

// PlanRemoval returns the actions that remove a deleted tenant from the server by its reclaim
// policy; none when nothing is left to do, or when the registry has no entry for the tenant's UID.
// [ReclaimRetain] keeps data: where there can't be any yet, it drops the roles, too. It
// fails with a [service.ConflictError] if the database belongs to somebody else.
func PlanRemoval(o Observed, policy ReclaimPolicy) ([]Action, error) {
	if o.Registration == nil {
		return nil, nil
	}
	mode, known := modes[o.Registration.Isolation]
	if !known {
		return nil, &service.ConflictError{Problem: fmt.Sprintf("%s was made with isolation %s, which this version does not know; use the version that made it", o.Name, o.Registration.Isolation)}
	}
	if err := mode.removable(o); err != nil {
		return nil, err
	}
	if policy == ReclaimRetain && mode.hasData(o) {
		return planRetain(o), nil
	}
	return planDelete(o, mode), nil
}

// planRetain marks the name as retained in the end, so that the mark means that all else is done.
func planRetain(o Observed) []Action {
	if o.Registration.State == service.RegistrationRetained {
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
