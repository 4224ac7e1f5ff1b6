package database_test

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/database"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// monthly is a rotation by a schedule.
var monthly = database.Rotation{Interval: 720 * time.Hour, GracePeriod: time.Hour}

// loggedIn are the credentials of desired(), made at noon.
func loggedIn(changes ...func(*database.Credentials)) database.Credentials {
	c := database.Credentials{Password: password, RotatedAt: noon}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func TestWhenARotationStarts(t *testing.T) {
	inGrace := func(c *database.Credentials) { c.FormerUntil = noon.Add(time.Hour) }
	requested := database.Rotation{GracePeriod: time.Hour, Request: "leaked"}
	for _, test := range []struct {
		name        string
		rotation    database.Rotation
		credentials database.Credentials
		now         time.Time
		want        bool
	}{
		{"no schedule, no request", database.Rotation{}, loggedIn(), noon.Add(24 * 365 * time.Hour), false},
		{"before it is due", monthly, loggedIn(), noon.Add(720*time.Hour - time.Second), false},
		{"when it is due", monthly, loggedIn(), noon.Add(720 * time.Hour), true},
		{"a request", requested, loggedIn(), noon.Add(time.Second), true},
		{"a request that was answered", requested, loggedIn(func(c *database.Credentials) { c.Request = "leaked" }), noon.Add(time.Second), false},
		{"a request that was taken back", database.Rotation{}, loggedIn(func(c *database.Credentials) { c.Request = "leaked" }), noon.Add(time.Second), false},
		{"a request while the former login is needed", requested, loggedIn(inGrace), noon.Add(time.Minute), false},
		{"the same, later", requested, loggedIn(inGrace), noon.Add(time.Hour), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			started := test.rotation.Start(test.credentials, test.now)
			if got := database.IsGenerated(string(started.Next)); got != test.want {
				t.Errorf("the next password is generated: %t, want %t", got, test.want)
			}
			if again := test.rotation.Start(started, test.now); again != started {
				t.Error("a rotation that is under way was started again")
			}
			started.Next = ""
			if started != test.credentials {
				t.Errorf("all else became %+v", started)
			}
		})
	}
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

// rotates goes through a rotation of a tenant for which the server has all.
func rotates(t *testing.T, isolation database.Isolation, state database.Observed) {
	t.Helper()
	const next = "N3xtvX9mQ2LrT8yB5nW7cH4jD6fG1sP0"
	rotation := database.Rotation{GracePeriod: time.Hour, Request: "leaked"}
	apply := func(c database.Credentials, now time.Time) {
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

	credentials := loggedIn(func(c *database.Credentials) { c.Next = next })
	apply(credentials, noon)
	if !opens(0, password) || !opens(1, next) {
		t.Fatalf("before the app hears of it, the server has %+v and %+v", state.Logins[0], state.Logins[1])
	}
	credentials = rotation.Complete(credentials, noon)
	if want := (database.Credentials{Active: 1, Password: next, RotatedAt: noon, Request: "leaked", FormerUntil: noon.Add(time.Hour)}); credentials != want {
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

func TestWhatIsLeftOfCredentialsThatAreNotTheRecordedOnes(t *testing.T) {
	recorded := database.Credentials{RotatedAt: noon, Request: "first"}
	rotated := provisioned(func(o *database.Observed) {
		*o.Logins[1] = *o.Logins[0]
		o.Logins[0] = &database.Role{CanLogin: true, ConnectionLimit: 20, Verifier: database.Sensitive(database.Verifier("former")), MemberOfOwner: true, SetRole: name}
	})
	later := noon.Add(time.Minute)
	for _, test := range []struct {
		name     string
		stored   database.Credentials
		observed database.Observed
		want     database.Credentials
		next     bool
	}{
		{
			"a rotation was interrupted before it was recorded",
			database.Credentials{Active: 1, Password: password, RotatedAt: later, Request: "second"}, rotated,
			database.Credentials{Active: 1, Password: password, RotatedAt: later, Request: "second", FormerUntil: later.Add(time.Hour)}, false,
		},
		{
			"the name of the login was changed by hand",
			database.Credentials{Active: 1, Password: password, RotatedAt: later}, provisioned(),
			database.Credentials{Active: 0, Password: password, RotatedAt: noon, Request: "first"}, false,
		},
		{
			"the password was changed by hand",
			database.Credentials{Active: 0, Password: "Mine3vX9mQ2LrT8yB5nW7cH4jD6fG1sP0"}, provisioned(), recorded, true,
		},
		{"the Secret was deleted", database.Credentials{}, provisioned(), recorded, true},
		{
			"the Secret was deleted, and it has the next password already",
			database.Credentials{Next: password}, provisioned(),
			database.Credentials{Next: password, RotatedAt: noon, Request: "first"}, false,
		},
		{
			"the password opens a login that is disabled", database.Credentials{Password: password},
			provisioned(func(o *database.Observed) { o.Logins[0].CanLogin = false }), recorded, true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := monthly.Recover(test.stored, recorded, test.observed)
			if test.next {
				if !database.IsGenerated(string(got.Next)) {
					t.Error("no new password follows")
				}
				got.Next = ""
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestAPasswordThatOthersChangedOnTheServerIsFollowedByANewOne(t *testing.T) {
	changed := provisioned(func(o *database.Observed) { o.Logins[0].Verifier = database.Sensitive(database.Verifier("theirs")) })
	if got := monthly.Check(loggedIn(), changed); !database.IsGenerated(string(got.Next)) {
		t.Error("no new password follows")
	}
	for label, observed := range map[string]database.Observed{
		"it is as it was":       provisioned(),
		"the role was dropped":  provisioned(func(o *database.Observed) { o.Logins[0] = nil }),
		"the role was disabled": provisioned(func(o *database.Observed) { o.Logins[0].CanLogin = false }),
	} {
		if got := monthly.Check(loggedIn(), observed); got != loggedIn() {
			t.Errorf("%s: got %+v", label, got)
		}
	}
}

func TestWhenCredentialsAreLookedAtAgain(t *testing.T) {
	for _, test := range []struct {
		name        string
		rotation    database.Rotation
		credentials database.Credentials
		want        time.Time
	}{
		{"no schedule: never", database.Rotation{}, loggedIn(), time.Time{}},
		{"when the next rotation is due", monthly, loggedIn(), noon.Add(720 * time.Hour)},
		{"a request came meanwhile: at once", database.Rotation{Request: "leaked"}, loggedIn(), noon},
		{
			"at the end of the grace period first", monthly,
			loggedIn(func(c *database.Credentials) { c.FormerUntil = noon.Add(time.Hour) }), noon.Add(time.Hour),
		},
	} {
		if got := test.rotation.NextLook(test.credentials); !got.Equal(test.want) {
			t.Errorf("%s: at %s, want %s", test.name, got, test.want)
		}
	}
}
