package database

import (
	"fmt"
	"strings"
)

// Plan returns the actions that lead from what the server has for a tenant to what the tenant
// wants; none when that is so already. The observation must be one of d.Name(). It fails with
// a [ConflictError], [AdoptNotFoundError], [AdoptInUseError] or [UnpreparedError].
func Plan(d Desired, o Observed) ([]Action, error) {
	mode, known := modes[d.Isolation]
	if !known {
		return nil, &ConflictError{fmt.Sprintf("isolation %q is not available on this server; set spec.database.isolation to %s, %s or %s",
			d.Isolation, IsolationDatabase, IsolationSchema, IsolationRow)}
	}
	actions, err := planRegistration(d, o)
	if err != nil {
		return nil, err
	}
	if err := mode.usable(o); err != nil {
		return nil, err
	}
	o, resets := withoutTampering(o)
	actions = append(actions, resets...)
	actions = append(actions, planRoles(d, o, mode)...)
	return append(actions, mode.place(d, o)...), nil
}

func planRegistration(d Desired, o Observed) ([]Action, error) {
	own, capacity := o.Registration, d.Capacity
	former := own
	switch {
	case own == nil && d.Adopt == "":
		if err := inTheWay(o); err != nil {
			return nil, err
		}
		return []Action{Register{UID: d.UID, Tenant: d.Tenant, Name: o.Name, Isolation: d.Isolation, Capacity: d.Capacity}}, nil
	case own == nil:
		if err := adoptable(d, o); err != nil {
			return nil, err
		}
		former = o.Holder
	case d.Adopt != "" && own.Name != d.Adopt:
		return nil, &ConflictError{fmt.Sprintf("the tenant already has database %s, so it can't adopt %s; leave spec.database.adopt out, or delete the tenant and create it anew with it", own.Name, d.Adopt)}
	case own.Isolation != d.Isolation:
		return nil, &ConflictError{fmt.Sprintf("database %s was made with isolation %s, which can't be changed to %s; delete the tenant and create it anew", own.Name, own.Isolation, d.Isolation)}
	case own.State == RegistrationActive:
		return nil, nil
	}
	if former.State == RegistrationActive {
		capacity = nil // It counts already.
	}
	// A session of the former tenant that outlived the disabling of its login must not stay.
	return []Action{
		TerminateSessions{Logins: Logins(o.Name)},
		Adopt{UID: d.UID, Tenant: d.Tenant, Name: o.Name, From: former.UID, Capacity: capacity},
	}, nil
}

// inTheWay returns a ConflictError if the server has anything of a name that isn't registered for
// the tenant.
func inTheWay(o Observed) error {
	if o.Holder != nil {
		return &ConflictError{fmt.Sprintf("the name %s is registered on the server for tenant %s with UID %s; to take over a retained database, name it in spec.database.adopt",
			o.Name, o.Holder.Tenant, o.Holder.UID)}
	}
	var found []string
	if o.Database != nil {
		found = append(found, "database "+o.Name)
	}
	if o.Owner != nil {
		found = append(found, "role "+o.Name)
	}
	for i, login := range Logins(o.Name) {
		if o.Logins[i] != nil {
			found = append(found, "role "+login)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return &ConflictError{fmt.Sprintf("the server already has %s, not made for this tenant; rename or drop it", strings.Join(found, " and "))}
}

// adoptable returns why the tenant can't take the database over; nil if it can. A server of a tenant's own
// has no other tenant: there, one that is in use is that of a backup, taken while its tenant was there.
func adoptable(d Desired, o Observed) error {
	switch {
	case o.Holder == nil:
		return &AdoptNotFoundError{Name: d.Adopt}
	case o.Holder.State != RegistrationRetained && d.Isolation != IsolationDedicated:
		return &AdoptInUseError{Name: d.Adopt, Tenant: o.Holder.Tenant}
	case o.Holder.Isolation != d.Isolation:
		return &ConflictError{fmt.Sprintf("database %s was made with isolation %s; adopt it with that", d.Adopt, o.Holder.Isolation)}
	case !modes[d.Isolation].hasData(o):
		return &AdoptNotFoundError{Name: d.Adopt}
	}
	return nil
}

// planRoles plans the owner role, what it is a member of, and its logins; in that order, because
// the sessions of the logins start as a role that they must be members of.
func planRoles(d Desired, o Observed, mode mode) []Action {
	var actions []Action
	switch {
	case o.Owner == nil:
		actions = append(actions, CreateOwner{Role: o.Name})
	case o.Owner.CanLogin:
		actions = append(actions, DisableLogin{Login: o.Name})
	}
	if o.Owner != nil && o.Owner.Privileged {
		actions = append(actions, RestrictRole{Role: o.Name})
	}
	actions = append(actions, mode.join(d, o)...)
	roles := loginRoles{owner: o.Name, session: mode.sessionRole(d, o)}
	for i, login := range Logins(o.Name) {
		switch {
		case i == d.Active:
			actions = append(actions, planLogin(d, roles, login, d.Password, o.Logins[i])...)
		case d.changingOver():
			actions = append(actions, planLogin(d, roles, login, d.NextPassword, o.Logins[i])...)
		default:
			actions = append(actions, planDisabledLogin(roles, login, o.Logins[i])...)
		}
	}
	return append(actions, planSettings(d, o)...)
}

// withoutTampering returns what there is once the settings have been reset by which a tenant could harm
// the operator or itself, and the actions that do so.
func withoutTampering(o Observed) (Observed, []Action) {
	var actions []Action
	reset := func(name string, role *Role) *Role {
		if role == nil || !role.Tampered {
			return role
		}
		actions = append(actions, ResetSettings{Role: name})
		clean := *role
		clean.SetRole, clean.Settings, clean.Tampered = "", nil, false
		return &clean
	}
	o.Owner = reset(o.Name, o.Owner)
	for i, login := range Logins(o.Name) {
		o.Logins[i] = reset(login, o.Logins[i])
	}
	return o, actions
}

// loginRoles are the roles that a login has to do with.
type loginRoles struct {
	// owner is what it is a member of.
	owner string
	// session is what its sessions start as.
	session string
}

// planLogin lets a login in by the password. Without one it leaves both as they are.
func planLogin(d Desired, roles loginRoles, login string, password Sensitive, role *Role) []Action {
	if role == nil {
		return []Action{
			CreateLogin{Login: login, Owner: roles.owner, ConnectionLimit: d.ConnectionLimit, Password: password},
			SetLoginRole{Login: login, Role: roles.session},
		}
	}
	actions := planMembership(roles, login, role)
	if password != "" && (!role.CanLogin || role.ConnectionLimit != d.ConnectionLimit || !Matches(string(role.Verifier), string(password))) {
		actions = append(actions, EnableLogin{Login: login, ConnectionLimit: d.ConnectionLimit, Password: password})
	}
	return actions
}

func planDisabledLogin(roles loginRoles, login string, role *Role) []Action {
	if role == nil {
		return []Action{
			CreateLogin{Login: login, Owner: roles.owner, ConnectionLimit: -1},
			SetLoginRole{Login: login, Role: roles.session},
		}
	}
	actions := planMembership(roles, login, role)
	if role.CanLogin || role.Verifier != "" {
		actions = append(actions, DisableLogin{Login: login})
	}
	return actions
}

func planMembership(roles loginRoles, login string, role *Role) []Action {
	var actions []Action
	if role.Privileged {
		actions = append(actions, RestrictRole{Role: login})
	}
	if !role.MemberOfOwner {
		actions = append(actions, GrantOwner{Login: login, Owner: roles.owner})
	}
	if role.SetRole != roles.session {
		actions = append(actions, SetLoginRole{Login: login, Role: roles.session})
	}
	return actions
}
