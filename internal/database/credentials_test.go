package database_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/tenantry/tenantry/internal/database"
)

func TestNameIsOpaqueAndValid(t *testing.T) {
	form := regexp.MustCompile(`^t_[a-z2-7]{20}$`)
	seen := map[string]string{}
	for _, uid := range []string{"", "a", "8a2f2f0e-7a6b-4a5e-9d39-0c6a5a0e4a11", "8a2f2f0e-7a6b-4a5e-9d39-0c6a5a0e4a12", `"; DROP`} {
		name := database.Name(uid)
		if !form.MatchString(name) {
			t.Errorf("Name(%q) = %q, which is not of the form %s", uid, name, form)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("Name(%q) and Name(%q) are both %q", uid, other, name)
		}
		seen[name] = uid
	}
	// Names derived from UIDs are recorded on servers, so they must not change between releases.
	if name := database.Name("8a2f2f0e-7a6b-4a5e-9d39-0c6a5a0e4a11"); name != "t_brewsrmdqcfqkxdoaomm" {
		t.Errorf("the name of a UID changed to %q", name)
	}
	if logins := database.Logins("t_x"); logins != [2]string{"t_x_0", "t_x_1"} {
		t.Errorf("Logins = %q", logins)
	}
}

func TestVerifierMatchesItsPasswordOnly(t *testing.T) {
	const password = "correcthorsebatterystaple"
	// Written by PostgreSQL 15.18 for this password.
	const ofPostgreSQL = "SCRAM-SHA-256$4096:3LdtOMjZWET1Jtrdb0U1Iw==$bwzm3hlLEp5rj5dpA6ylX+9wUKTVKk+P4PUtbXK3uY8=:E0SWKgK1eDp1M9g6ZsRv0I+zDX2Kari7XixH5wvGNB8="
	made := database.Verifier(password)
	if !regexp.MustCompile(`^SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}$`).MatchString(made) {
		t.Errorf("the form of %q is not PostgreSQL's", made)
	}
	if made == database.Verifier(password) {
		t.Error("two verifiers share their salt")
	}
	for _, test := range []struct {
		name, verifier, password string
		want                     bool
	}{
		{"of its own", made, password, true},
		{"of PostgreSQL", ofPostgreSQL, password, true},
		{"another password", made, password + "x", false},
		{"no password", made, "", false},
		{"no verifier", "", password, false},
		{"the password in the clear", password, password, false},
		{"an MD5 hash", "md5a6343a68d964ca596d9752250d54bb8a", password, false},
		{"cut off", made[:60], password, false},
		{"another server key", made[:len(made)-5] + "AAAA=", password, false},
		{"no iterations", strings.Replace(made, "4096", "0", 1), password, false},
		{"so many iterations that a tenant could keep the operator busy", withIterations(t, password, 100_001), password, false},
		{"as many iterations as an admin may have set", withIterations(t, password, 100_000), password, true},
		{"broken salt", strings.Replace(made, "4096:", "4096:*", 1), password, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := database.Matches(test.verifier, test.password); got != test.want {
				t.Errorf("Matches = %v", got)
			}
		})
	}
}

func withIterations(t *testing.T, password string, iterations int) string {
	t.Helper()
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	made, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "sixteen bytes ..", Iters: iterations})
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode([]byte(made.Salt)), encode(made.StoredKey), encode(made.ServerKey))
}

func TestSensitiveNeverPrints(t *testing.T) {
	const password = "kQ7vT2"
	values := []any{
		database.Server{Name: "s", Password: password},
		database.Desired{Password: password},
		database.CreateLogin{Login: "t_x_0", Password: password},
		&database.EnableLogin{Login: "t_x_0", Password: password},
		database.Observed{Logins: [2]*database.Role{{Verifier: password}}},
	}
	for _, value := range values {
		marshaled, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, printed := range []string{fmt.Sprintf("%v %+v %#v", value, value, value), string(marshaled)} {
			if strings.Contains(printed, password) {
				t.Errorf("%T shows the password: %s", value, printed)
			}
		}
	}
}

func TestAPairThatIsKnownIsNotComputedAgain(t *testing.T) {
	const password = "correcthorsebatterystaple"
	allocations := func(verifier, password string) float64 {
		return testing.AllocsPerRun(10, func() { database.Matches(verifier, password) })
	}
	made := database.Verifier(password)
	computed := allocations(made, password+"x") // What doesn't match is computed each time.
	if got := allocations(made, password); got > computed/2 {
		t.Errorf("the password of a verifier that was just made costs %.0f allocations, and another one %.0f", got, computed)
	}
	if found := withIterations(t, password, 4097); allocations(found, password) > computed/2 {
		t.Error("what was found to match is computed again")
	}
	for _, other := range []string{password + "x", "", strings.ToUpper(password)} {
		if database.Matches(made, other) {
			t.Errorf("the verifier is taken for that of %q", other)
		}
	}
}
