package database

import "github.com/tenantry/tenantry/internal/service"

// LoginRoles are the roles of [Logins] as the server has them; nil where there is none.
type LoginRoles [2]*Role

var _ service.Logins = LoginRoles{}

// Exists reports whether the server has the role.
func (l LoginRoles) Exists(login int) bool { return l[login] != nil }

// Enabled reports whether the role has LOGIN.
func (l LoginRoles) Enabled(login int) bool { return l.Exists(login) && l[login].CanLogin }

// Accepts reports whether the verifier of the role was computed from the password.
func (l LoginRoles) Accepts(login int, password service.Sensitive) bool {
	return l.Exists(login) && Matches(string(l[login].Verifier), string(password))
}
