package database

import (
	"fmt"

	"github.com/tenantry/tenantry/internal/service"
)

// PlanRemoval returns the actions that remove a deleted tenant from the server by its reclaim policy; none if
// nothing is left to do, or if the registry has no entry for the tenant's UID. [ReclaimRetain] keeps data; if
// there can't be any yet, it drops the roles, too. PlanRemoval returns a [service.ConflictError] if the database
// belongs to somebody else.
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
		return planRetain(o, false), nil
	}
	return planDelete(o, mode), nil
}

// PlanLockout returns the actions that end a tenant's access to a server, whatever happens to its data; none if it
// has no access. They end its sessions first, since these may hold locks on its logins, and again once no new ones
// can be opened.
func PlanLockout(o Observed) []Action {
	if o.Registration == nil || o.Registration.State == service.RegistrationRetained {
		return nil
	}
	return append([]Action{TerminateSessions{Logins: Logins(o.Name)}}, planLockout(o)...)
}

// PlanAbandoned returns the actions that lock out a tenant that no longer exists and retain what is registered for
// it, whatever its reclaim policy was; none if there is nothing to do.
func PlanAbandoned(o Observed) ([]Action, error) {
	if o.Registration != nil && modes[o.Registration.Isolation].hasData != nil && modes[o.Registration.Isolation].hasData(o) {
		return planRetain(o, true), nil
	}
	return PlanRemoval(o, ReclaimRetain)
}

// planRetain marks the name as retained last, so that the mark means that everything is done.
func planRetain(o Observed, abandoned bool) []Action {
	if o.Registration.State == service.RegistrationRetained {
		return nil
	}
	return append(planLockout(o), MarkRetained{UID: o.Registration.UID, Name: o.Name, Abandoned: abandoned})
}

func planDelete(o Observed, mode mode) []Action {
	logins := Logins(o.Name)
	return append(append(planLockout(o), mode.drop(o)...),
		DropOwned{Owner: o.Name},
		DropRoles{Roles: []string{logins[0], logins[1], o.Name}},
		Deregister{UID: o.Registration.UID, Name: o.Name})
}
