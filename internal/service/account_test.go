package service_test

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/service"
)

func TestWhichCredentialsAreBelieved(t *testing.T) {
	const other = "Mine3vX9mQ2LrT8yB5nW7cH4jD6fG1sP"
	record := func(changes ...func(*service.Record)) *service.Record {
		r := &service.Record{Revision: service.Revision(password), RotatedAt: noon, Request: "first"}
		for _, change := range changes {
			change(r)
		}
		return r
	}
	stored := service.Credentials{Password: password, RotatedAt: noon.Add(time.Hour)}
	known := service.Credentials{Password: password, RotatedAt: noon, Request: "first"}
	for _, test := range []struct {
		name       string
		recorded   *service.Record
		stored     service.Credentials
		want       service.Credentials
		unverified bool
	}{
		{"those of the Secret, when nothing is recorded", nil, stored, stored, false},
		{"those of the Secret, which are the recorded ones", record(), stored, known, false},
		{
			"the same in the middle of a rotation", record(), service.Credentials{Password: password, Next: other},
			service.Credentials{Password: password, Next: other, RotatedAt: noon, Request: "first"}, false,
		},
		{
			"the same in the grace period, which was changed", record(func(r *service.Record) { r.InGrace = true }), stored,
			service.Credentials{Password: password, RotatedAt: noon, Request: "first", FormerUntil: noon.Add(time.Hour)}, false,
		},
		{
			"not those of another password", record(), service.Credentials{Password: other},
			service.Credentials{RotatedAt: noon, Request: "first"}, true,
		},
		{
			"not those of the other login", record(func(r *service.Record) { r.Login = 1 }), stored,
			service.Credentials{Active: 1, RotatedAt: noon, Request: "first"}, true,
		},
		{
			"not those of a login that nobody has recorded", record(func(r *service.Record) { r.Login = -1 }), stored,
			service.Credentials{RotatedAt: noon, Request: "first"}, true,
		},
		{"none, when the Secret is gone", record(), service.Credentials{}, service.Credentials{RotatedAt: noon, Request: "first"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			account := service.Open(monthly, test.recorded, test.stored, noon.Add(time.Minute))
			if account.Credentials != test.want {
				t.Errorf("they are %#v, want %#v", account.Credentials, test.want)
			}
			if unverified := account.Unverified; (unverified != nil) != test.unverified || unverified != nil && *unverified != test.stored {
				t.Errorf("what is to be verified is %+v", unverified)
			}
		})
	}
	if first := service.Open(monthly, nil, service.Credentials{}, noon).Credentials; !service.IsGenerated(string(first.Password)) || first.RotatedAt != noon {
		t.Errorf("the first ones are %+v", first)
	}
	if due := service.Open(monthly, record(), stored, noon.Add(monthly.Interval)).Credentials; !service.IsGenerated(string(due.Next)) {
		t.Error("the rotation that is due isn't started")
	}
}

func TestWhatTheServerSaysOfAnAccount(t *testing.T) {
	inUse := server{{enabled: true, password: password}, {enabled: true, password: "another"}}
	t.Run("of one that is to be verified, which is then in use", func(t *testing.T) {
		account := service.Account{Rotation: monthly, Unverified: &service.Credentials{Password: password}}
		if account.AtRest(noon) || !account.NextLook(noon, true).IsZero() {
			t.Error("it is at rest, or wants to be looked at by itself")
		}
		account.Verify(atRest(), true)
		if account.Unverified != nil || account.Credentials.Password != password || !account.AtRest(noon) {
			t.Errorf("it became %+v", account)
		}
	})
	t.Run("of one that was never recorded", func(t *testing.T) {
		account := service.Account{Rotation: monthly, Credentials: loggedIn()}
		account.Verify(inUse, false)
		if end := noon.Add(time.Hour); !account.Credentials.FormerUntil.Equal(end) || !account.AtRest(noon) || account.AtRest(end) {
			t.Errorf("the former login is enabled until %s", account.Credentials.FormerUntil)
		}
	})
	t.Run("of one whose password somebody has changed", func(t *testing.T) {
		account := service.Account{Rotation: monthly, Credentials: loggedIn()}
		account.Verify(server{{enabled: true, password: "theirs"}, {}}, true)
		if !service.IsGenerated(string(account.Credentials.Next)) || account.AtRest(noon) {
			t.Errorf("it became %+v", account)
		}
	})
}

func TestAFormerLoginThatIsStillInUseGoesOnForAsLongAgain(t *testing.T) {
	rotation := monthly
	rotation.FormerInUse = true
	recorded := &service.Record{Revision: service.Revision(password), RotatedAt: noon, InGrace: true}
	stored := service.Credentials{Password: password}
	for _, test := range []struct {
		name string
		at   time.Duration
		due  bool
	}{
		{"as its grace period ends", time.Hour, false},
		{"just before it has passed twice", 2*time.Hour - time.Second, false},
		{"when it has passed twice", 2 * time.Hour, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := noon.Add(test.at)
			account := service.Open(rotation, recorded, stored, now)
			if got := account.FormerIsDue(now); got != test.due {
				t.Errorf("it is to be locked: %t, want %t", got, test.due)
			}
			if next := account.NextLook(now, true); next != noon.Add(2*time.Hour) {
				t.Errorf("it is looked at again at %s", next)
			}
		})
	}
	t.Run("so that a rotation that is requested meanwhile doesn't take it away", func(t *testing.T) {
		rotation.Request = "again"
		if account := service.Open(rotation, recorded, stored, noon.Add(90*time.Minute)); account.Credentials.Next != "" {
			t.Error("it gets another password")
		}
	})
	t.Run("but not if it was to end at once", func(t *testing.T) {
		rotation.GracePeriod = 0
		if account := service.Open(rotation, recorded, stored, noon); !account.FormerIsDue(noon) {
			t.Error("it goes on")
		}
	})
}
