package database_test

import (
	"testing"

	"github.com/tenantry/tenantry/internal/database"
)

func TestWhatAServerDoesNotOffer(t *testing.T) {
	offer := database.Offer{Isolations: []database.Isolation{database.IsolationDatabase}, Extensions: []string{"pg_trgm", "citext"}}
	for _, test := range []struct {
		name       string
		isolation  database.Isolation
		extensions []string
		want       string
	}{
		{"all that is asked for", database.IsolationDatabase, []string{"citext"}, ""},
		{"another isolation", database.IsolationRow, []string{"citext"}, "offers no isolation Row"},
		{"one extension of two", database.IsolationDatabase, []string{"citext", "vector"}, "offers no extension vector"},
	} {
		if got := offer.Lacks(test.isolation, test.extensions); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
