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
	// The name of a UID is recorded on servers: it can't change from one release to the next.
	if name := database.Name("8a2f2f0e-7a6b-4a5e-9d39-0c6a5a0e4a11"); name != "t_brewsrmdqcfqkxdoaomm" {
		t.Errorf("the name of a UID changed to %q", name)
	}
	if logins := database.Logins("t_x"); logins != [2]string{"t_x_0", "t_x_1"} {
		t.Errorf("Logins = %q", logins)
	}
}

func TestGeneratedPasswordsAreAlphanumericAndDiffer(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
	seen := map[string]bool{}
	used := map[rune]int{}
	const count = 2000
	for range count {
		password := database.GeneratePassword()
		if !form.MatchString(password) {
			t.Fatalf("%q is not 32 letters and digits", password)
		}
		if seen[password] {
			t.Fatalf("%q came twice", password)
		}
		seen[password] = true
		for _, r := range password {
			used[r]++
		}
	}
	// 64000 characters over 62: 1032 of each, with a standard deviation of 32.
	if len(used) != 62 {
		t.Errorf("%d different characters are used, not 62", len(used))
	}
	for r, times := range used {
		if times < 800 || times > 1260 {
			t.Errorf("%q came %d times of %d", r, times, count*32)
		}
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
		database.Sensitive(password),
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
