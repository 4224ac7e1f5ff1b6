package database_test

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/database"
)

// FuzzMatches fuzzes stored verifiers, since a tenant can give its login any password, including one in the form
// of a verifier.
func FuzzMatches(f *testing.F) {
	const password = "Zk3vX9mQ2LrT8yB5nW7cH4jD6fG1sP0a"
	for _, stored := range []string{
		database.Verifier(password), "", "too long", "md5d41d8cd98f00b204e9800998ecf8427e", "SCRAM-SHA-256$4096:$:", "SCRAM-SHA-256$-1:AA==$AA==:AA==",
		"SCRAM-SHA-256$99999:AA==$AA==:AA==", "SCRAM-SHA-256$9999999999999999999:AA==$AA==:AA==",
	} {
		f.Add(stored, password)
	}
	f.Fuzz(func(t *testing.T, stored, password string) {
		began := time.Now()
		matches := database.Matches(stored, password)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if matches && database.Matches(stored, password+"x") {
			t.Error("it matches two passwords")
		}
	})
}
