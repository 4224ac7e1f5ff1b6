package database

import (
	"fmt"

	"github.com/tenantry/tenantry/internal/service"
)

// Plan returns the actions that lead from what the server has for a tenant to what the tenant wants; none if there
// is nothing to do. The observation must be for d.Name(). It returns a [service.ConflictError],
// [service.AdoptNotFoundError], [service.AdoptInUseError] or [UnpreparedError] if that is impossible.
func Plan(d Desired, o Observed) ([]Action, error) {
	mode, known := modes[d.Isolation]
	if !known {
		return nil, &service.ConflictError{Problem: fmt.Sprintf("isolation %q is not available on this server; set spec.database.isolation to %s, %s or %s",
			d.Isolation, IsolationDatabase, IsolationSchema, IsolationRow)}
	}
	actions, err := planRegistration(d, o, mode)
	if err != nil {
		return nil, err
	}
	if err := mode.usable(o); err != nil {
		return nil, err
	}
	if len(actions) > 0 {
		o = withoutPasswords(o)
	}
	o, changes := withoutTampering(o)
	changes = append(changes, planRoles(d, o, mode)...)
	changes = append(changes, mode.place(d, o)...)
	if len(actions) == 0 && len(changes) > 0 {
		actions = []Action{checkRegistered(o)}
	}
	return append(actions, changes...), nil
}

// planRegistration plans to register the tenant's name, or to adopt it; nothing if it is the tenant's.
func planRegistration(d Desired, o Observed, mode mode) ([]Action, error) {
	claim := service.Claim{Engine: Engine, Isolation: d.Isolation, Adopt: d.Adopt, Alone: d.Isolation == IsolationDedicated}
	if d.Restored {
		claim.Restored = d.Tenant
	}
	step, former, err := claim.Settle(service.Entries{
		Name: o.Name, Own: o.Registration, Holder: o.Holder, Unregistered: named(o), HasData: mode.hasData(o),
	})
	switch {
	case err != nil || step == service.StepNone:
		return nil, err
	case step == service.StepRegister:
		return []Action{Register{UID: d.UID, Tenant: d.Tenant, Name: o.Name, Isolation: d.Isolation, Capacity: d.Capacity, Anew: d.Anew}}, nil
	}
	capacity := d.Capacity
	if former.State == service.RegistrationActive {
		capacity = nil // It counts already.
	}
	// A session of the former tenant may have outlived the disabling of its login.
	return []Action{
		TerminateSessions{Logins: Logins(o.Name)},
		Adopt{UID: d.UID, Tenant: d.Tenant, Name: o.Name, From: former.UID, Capacity: capacity},
	}, nil
}

// named returns the database and roles of the tenant's name that the server has.
func named(o Observed) []string {
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
	return found
}

// planRoles plans the owner role, its memberships and its logins, in this order, since the sessions of a login
// start as a role of which the login must be a member.
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
	if d.Suspended {
		return append(append(actions, planSuspendedLogins(roles, o)...), planSettings(d, o)...)
	}
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

// withoutPasswords returns what the server has, with passwords that nobody knows. Whoever had an adopted database may
// be locked out of it in this moment, which disables the logins, whatever was observed.
func withoutPasswords(o Observed) Observed {
	for i, role := range o.Logins {
		if role != nil && role.Verifier != "" {
			unknown := *role
			unknown.Verifier = "unknown"
			o.Logins[i] = &unknown
		}
	}
	return o
}

// withoutTampering plans to reset settings with which a tenant could harm the operator or itself, and returns what
// the server has after that.
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

// loginRoles are the roles that a login uses.
type loginRoles struct {
	// owner is the role that it is a member of.
	owner string
	// session is the role that its sessions start as.
	session string
}

// planLogin enables a login with the password. Without a password it doesn't change an existing login.
func planLogin(d Desired, roles loginRoles, login string, password service.Sensitive, role *Role) []Action {
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

// planSuspendedLogins disables the logins, and ends their sessions if one was enabled.
func planSuspendedLogins(roles loginRoles, o Observed) []Action {
	var actions []Action
	enabled := false
	for i, login := range Logins(o.Name) {
		role := o.Logins[i]
		if role == nil {
			actions = append(actions, planDisabledLogin(roles, login, role)...)
			continue
		}
		actions = append(actions, planMembership(roles, login, role)...)
		if role.CanLogin {
			actions = append(actions, SuspendLogin{Login: login})
			enabled = true
		}
	}
	if enabled {
		actions = append(actions, TerminateSessions{Logins: Logins(o.Name)})
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
