package database_test

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// loggedIn returns the credentials of desired(), generated at noon.
func loggedIn(changes ...func(*service.Credentials)) service.Credentials {
	c := service.Credentials{Password: password, RotatedAt: noon}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func TestARotationHandsOverToTheOtherLogin(t *testing.T) {
	for _, test := range []struct {
		isolation database.Isolation
		state     database.Observed
	}{
		{database.IsolationDatabase, provisioned()},
		{database.IsolationSchema, sharing(database.IsolationSchema)},
		{database.IsolationRow, sharing(database.IsolationRow)},
	} {
		t.Run(string(test.isolation), func(t *testing.T) { rotates(t, test.isolation, test.state) })
	}
}

// rotates performs a rotation of a provisioned tenant.
func rotates(t *testing.T, isolation database.Isolation, state database.Observed) {
	t.Helper()
	const next = "N3xtvX9mQ2LrT8yB5nW7cH4jD6fG1sP0"
	rotation := service.Rotation{GracePeriod: time.Hour, Request: "leaked"}
	apply := func(c service.Credentials, now time.Time) {
		t.Helper()
		actions, err := database.Plan(desired(func(d *database.Desired) {
			d.Isolation = isolation
			d.Active, d.Password, d.NextPassword, d.FormerUntil, d.Now = c.Active, c.Password, c.Next, c.FormerUntil, now
		}), state)
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range actions {
			state = after(t, state, action)
		}
	}
	opens := func(login int, password string) bool {
		role := state.Logins[login]
		return role.CanLogin && role.ConnectionLimit == 20 && database.Matches(string(role.Verifier), password)
	}

	credentials := loggedIn(func(c *service.Credentials) { c.Next = next })
	apply(credentials, noon)
	if !opens(0, password) || !opens(1, next) {
		t.Fatalf("before the app hears of it, the server has %+v and %+v", state.Logins[0], state.Logins[1])
	}
	credentials = rotation.Complete(credentials, noon)
	if want := (service.Credentials{Active: 1, Password: next, RotatedAt: noon, Request: "leaked", FormerUntil: noon.Add(time.Hour)}); credentials != want {
		t.Fatalf("it ends with %+v", credentials)
	}
	apply(credentials, noon.Add(time.Hour-time.Second))
	if !opens(0, password) || !opens(1, next) {
		t.Fatalf("in the grace period, the server has %+v and %+v", state.Logins[0], state.Logins[1])
	}
	if look := rotation.NextLook(credentials); !look.Equal(noon.Add(time.Hour)) {
		t.Errorf("the end of the grace period leads to a look at %s", look)
	}
	apply(credentials, noon.Add(time.Hour))
	if state.Logins[0].CanLogin || state.Logins[0].Verifier != "" || !opens(1, next) {
		t.Fatalf("after the grace period, the server has %+v and %+v", state.Logins[0], state.Logins[1])
	}
}
