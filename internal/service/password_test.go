package service_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/service"
)

func TestGeneratedPasswordsAreAlphanumericAndDiffer(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
	seen := map[string]bool{}
	used := map[rune]int{}
	const count = 2000
	for range count {
		password := service.GeneratePassword()
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

func TestSensitiveNeverPrints(t *testing.T) {
	const password = "kQ7vT2"
	for _, value := range []any{service.Sensitive(password), service.Credentials{Password: password, Next: password}} {
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
