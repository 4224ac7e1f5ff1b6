package service_test

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/service"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// monthly is a scheduled rotation.
var monthly = service.Rotation{Interval: 720 * time.Hour, GracePeriod: time.Hour}

const password = "Zk3vX9mQ2LrT8yB5nW7cH4jD6fG1sP0a"

// server has two logins with passwords in plain text, which is all that a rotation needs of an engine.
type server [2]*login

type login struct {
	enabled  bool
	password service.Sensitive
}

func (s server) Exists(login int) bool  { return s[login] != nil }
func (s server) Enabled(login int) bool { return s[login] != nil && s[login].enabled }
func (s server) Accepts(login int, password service.Sensitive) bool {
	return s[login] != nil && s[login].password == password
}

// atRest returns a server with a disabled standby login.
func atRest() server { return server{{enabled: true, password: password}, {}} }

// loggedIn returns credentials with the first login active, generated at noon.
func loggedIn(changes ...func(*service.Credentials)) service.Credentials {
	c := service.Credentials{Password: password, RotatedAt: noon}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func TestWhenARotationStarts(t *testing.T) {
	inGrace := func(c *service.Credentials) { c.FormerUntil = noon.Add(time.Hour) }
	requested := service.Rotation{GracePeriod: time.Hour, Request: "leaked"}
	for _, test := range []struct {
		name        string
		rotation    service.Rotation
		credentials service.Credentials
		now         time.Time
		want        bool
	}{
		{"no schedule, no request", service.Rotation{}, loggedIn(), noon.Add(24 * 365 * time.Hour), false},
		{"before it is due", monthly, loggedIn(), noon.Add(720*time.Hour - time.Second), false},
		{"when it is due", monthly, loggedIn(), noon.Add(720 * time.Hour), true},
		{"a request", requested, loggedIn(), noon.Add(time.Second), true},
		{"a request that was answered", requested, loggedIn(func(c *service.Credentials) { c.Request = "leaked" }), noon.Add(time.Second), false},
		{"a request that was taken back", service.Rotation{}, loggedIn(func(c *service.Credentials) { c.Request = "leaked" }), noon.Add(time.Second), false},
		{"a request while the former login is needed", requested, loggedIn(inGrace), noon.Add(time.Minute), false},
		{"the same, later", requested, loggedIn(inGrace), noon.Add(time.Hour), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			started := test.rotation.Start(test.credentials, test.now)
			if got := service.IsGenerated(string(started.Next)); got != test.want {
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

func TestWhatIsLeftOfCredentialsThatAreNotTheRecordedOnes(t *testing.T) {
	recorded := service.Credentials{RotatedAt: noon, Request: "first"}
	rotated := server{{enabled: true, password: "former"}, {enabled: true, password: password}}
	later := noon.Add(time.Minute)
	for _, test := range []struct {
		name   string
		stored service.Credentials
		server server
		want   service.Credentials
		next   bool
	}{
		{
			"a rotation was interrupted before it was recorded",
			service.Credentials{Active: 1, Password: password, RotatedAt: later, Request: "second"}, rotated,
			service.Credentials{Active: 1, Password: password, RotatedAt: later, Request: "second", FormerUntil: later.Add(time.Hour)}, false,
		},
		{
			"the name of the login was changed by hand",
			service.Credentials{Active: 1, Password: password, RotatedAt: later}, atRest(),
			service.Credentials{Active: 0, Password: password, RotatedAt: noon, Request: "first"}, false,
		},
		{
			"the password was changed by hand",
			service.Credentials{Active: 0, Password: "Mine3vX9mQ2LrT8yB5nW7cH4jD6fG1sP0"}, atRest(), recorded, true,
		},
		{"the Secret was deleted", service.Credentials{}, atRest(), recorded, true},
		{
			"the Secret was deleted, and it has the next password already",
			service.Credentials{Next: password}, atRest(),
			service.Credentials{Next: password, RotatedAt: noon, Request: "first"}, false,
		},
		{
			"the password opens a login that is disabled", service.Credentials{Password: password},
			server{{password: password}, {}}, recorded, true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := monthly.Recover(test.stored, recorded, test.server)
			if test.next {
				if !service.IsGenerated(string(got.Next)) {
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
	changed := server{{enabled: true, password: "theirs"}, {}}
	if got := monthly.Check(loggedIn(), changed); !service.IsGenerated(string(got.Next)) {
		t.Error("no new password follows")
	}
	for label, is := range map[string]server{
		"it is as it was":        atRest(),
		"the login was dropped":  {nil, {}},
		"the login was disabled": {{password: password}, {}},
	} {
		if got := monthly.Check(loggedIn(), is); got != loggedIn() {
			t.Errorf("%s: got %+v", label, got)
		}
	}
}

func TestWhenCredentialsAreLookedAtAgain(t *testing.T) {
	for _, test := range []struct {
		name        string
		rotation    service.Rotation
		credentials service.Credentials
		want        time.Time
	}{
		{"no schedule: never", service.Rotation{}, loggedIn(), time.Time{}},
		{"when the next rotation is due", monthly, loggedIn(), noon.Add(720 * time.Hour)},
		{"a request came meanwhile: at once", service.Rotation{Request: "leaked"}, loggedIn(), noon},
		{
			"at the end of the grace period first", monthly,
			loggedIn(func(c *service.Credentials) { c.FormerUntil = noon.Add(time.Hour) }), noon.Add(time.Hour),
		},
	} {
		if got := test.rotation.NextLook(test.credentials); !got.Equal(test.want) {
			t.Errorf("%s: at %s, want %s", test.name, got, test.want)
		}
	}
}
