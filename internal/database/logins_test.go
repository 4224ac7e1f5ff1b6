package database_test

import (
	"testing"

	"github.com/tenantry/tenantry/internal/database"
)

func TestLoginRolesSayWhichPasswordTheyTake(t *testing.T) {
	for _, test := range []struct {
		name                     string
		role                     *database.Role
		exists, enabled, accepts bool
	}{
		{"in use", provisioned().Logins[0], true, true, true},
		{"disabled, with its password", provisioned(func(o *database.Observed) { o.Logins[0].CanLogin = false }).Logins[0], true, false, true},
		{"with another password", &database.Role{CanLogin: true, Verifier: "md5a6343a68d964ca596d9752250d54bb8a"}, true, true, false},
		{"without a password", &database.Role{CanLogin: true}, true, true, false},
		{"dropped", nil, false, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			roles := database.LoginRoles{nil, test.role}
			if exists, enabled := roles.Exists(1), roles.Enabled(1); exists != test.exists || enabled != test.enabled {
				t.Errorf("it exists: %t, is enabled: %t", exists, enabled)
			}
			if got := roles.Accepts(1, password); got != test.accepts {
				t.Errorf("it accepts the password: %t", got)
			}
			if roles.Exists(0) || roles.Enabled(0) || roles.Accepts(0, password) {
				t.Error("so does the other one, which is not there")
			}
		})
	}
}
