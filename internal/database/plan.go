package database

import (
	"fmt"
	"strings"
)

// Plan returns the actions that lead from what the server has for a tenant to what the tenant
// wants; none when that is so already. The observation must be one of d.Name(). It fails with
// a [ConflictError], [AdoptNotFoundError] or [AdoptInUseError].
func Plan(d Desired, o Observed) ([]Action, error) {
	if d.Isolation != IsolationDatabase {
		return nil, &ConflictError{fmt.Sprintf("isolation %q is not available on this server; set spec.database.isolation to %s", d.Isolation, IsolationDatabase)}
	}
	actions, err := planRegistration(d, o)
	if err != nil {
		return nil, err
	}
	if err := foreignOwner(o); err != nil {
		return nil, err
	}
	actions = append(actions, planRoles(d, o)...)
	return append(actions, planDatabase(d, o)...), nil
}

func planRegistration(d Desired, o Observed) ([]Action, error) {
	own := o.Registration
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
	case d.Adopt != "" && own.Name != d.Adopt:
		return nil, &ConflictError{fmt.Sprintf("the tenant already has database %s, so it can't adopt %s; leave spec.database.adopt out, or delete the tenant and create it anew with it", own.Name, d.Adopt)}
	case own.Isolation != d.Isolation:
		return nil, &ConflictError{fmt.Sprintf("database %s was made with isolation %s, which can't be changed to %s; delete the tenant and create it anew", own.Name, own.Isolation, d.Isolation)}
	case own.State == RegistrationActive:
		return nil, nil
	}
	// A session of the former tenant that outlived the disabling of its login must not stay.
	return []Action{
		TerminateSessions{Logins: Logins(o.Name)},
		Adopt{UID: d.UID, Tenant: d.Tenant, Name: o.Name, Capacity: d.Capacity},
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

func adoptable(d Desired, o Observed) error {
	switch {
	case o.Holder == nil:
		return &AdoptNotFoundError{Name: d.Adopt}
	case o.Holder.State != RegistrationRetained:
		return &AdoptInUseError{Name: d.Adopt, Tenant: o.Holder.Tenant}
	case o.Database == nil || o.Database.ConnectionLimit == InterruptedDrop:
		return &AdoptNotFoundError{Name: d.Adopt}
	case o.Holder.Isolation != d.Isolation:
		return &ConflictError{fmt.Sprintf("database %s was made with isolation %s; adopt it with that", d.Adopt, o.Holder.Isolation)}
	}
	return nil
}

// foreignOwner returns a ConflictError if the database of a registered name was made, or taken
// over, by somebody else.
func foreignOwner(o Observed) error {
	if o.Database == nil || o.Database.Owner == PlatformOwner {
		return nil
	}
	return &ConflictError{fmt.Sprintf("database %s belongs to role %s and not to %s; rename or drop it, or, if it is the tenant's, run ALTER DATABASE %s OWNER TO %s",
		o.Name, o.Database.Owner, PlatformOwner, o.Name, PlatformOwner)}
}

func planRoles(d Desired, o Observed) []Action {
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
	for i, login := range Logins(o.Name) {
		switch {
		case i == d.Active:
			actions = append(actions, planLogin(d, o.Name, login, d.Password, o.Logins[i])...)
		case d.NextPassword != "" || d.Now.Before(d.FormerUntil):
			actions = append(actions, planLogin(d, o.Name, login, d.NextPassword, o.Logins[i])...)
		default:
			actions = append(actions, planDisabledLogin(o.Name, login, o.Logins[i])...)
		}
	}
	return actions
}

// planLogin lets a login in by the password. Without one it leaves both as they are.
func planLogin(d Desired, owner, login string, password Sensitive, role *Role) []Action {
	if role == nil {
		return []Action{
			CreateLogin{Login: login, Owner: owner, ConnectionLimit: d.ConnectionLimit, Password: password},
			SetLoginRole{Login: login, Owner: owner},
		}
	}
	actions := planMembership(owner, login, role)
	if password != "" && (!role.CanLogin || role.ConnectionLimit != d.ConnectionLimit || !Matches(string(role.Verifier), string(password))) {
		actions = append(actions, EnableLogin{Login: login, ConnectionLimit: d.ConnectionLimit, Password: password})
	}
	return actions
}

func planDisabledLogin(owner, login string, role *Role) []Action {
	if role == nil {
		return []Action{
			CreateLogin{Login: login, Owner: owner, ConnectionLimit: -1},
			SetLoginRole{Login: login, Owner: owner},
		}
	}
	actions := planMembership(owner, login, role)
	if role.CanLogin || role.Verifier != "" {
		actions = append(actions, DisableLogin{Login: login})
	}
	return actions
}

func planMembership(owner, login string, role *Role) []Action {
	var actions []Action
	if role.Privileged {
		actions = append(actions, RestrictRole{Role: login})
	}
	if !role.MemberOfOwner {
		actions = append(actions, GrantOwner{Login: login, Owner: owner})
	}
	if role.SetRole != owner {
		actions = append(actions, SetLoginRole{Login: login, Owner: owner})
	}
	return actions
}

func planDatabase(d Desired, o Observed) []Action {
	var actions []Action
	current := o.Database
	if current != nil && current.ConnectionLimit == InterruptedDrop {
		actions = append(actions, DropDatabase{Database: o.Name})
		current = nil
	}
	if current == nil {
		actions = append(actions, CreateDatabase{Database: o.Name})
		current = &Database{ConnectionLimit: -1, PublicAccess: true}
	}
	if current.PublicAccess {
		actions = append(actions, RevokePublic{Database: o.Name})
	}
	if !current.OwnerAccess {
		actions = append(actions, GrantDatabase{Database: o.Name, Owner: o.Name})
	}
	if !current.AllowConnections || current.ConnectionLimit != d.ConnectionLimit {
		actions = append(actions, OpenDatabase{Database: o.Name, ConnectionLimit: d.ConnectionLimit})
	}
	if !current.Secured {
		actions = append(actions, SecureSchema{Database: o.Name, Owner: o.Name}, MarkSecured{Name: o.Name})
	}
	return actions
}
