package fleet

import (
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/test/builders"
)

func TestAServerIsReachedByItsPresentSpecOnly(t *testing.T) {
	var connections Logins[database.Server]
	first := builders.DatabaseServer("shared", "pg.example").Generation(1).Build()
	second := builders.DatabaseServer("shared", "pg2.example").Generation(2).Build()
	reached := func(server *v1alpha1.DatabaseServer) string {
		access, found := connections.To(server)
		if !found {
			return ""
		}
		return access.Host
	}
	if got := reached(first); got != "" {
		t.Errorf("before anybody has logged in it is reached at %q", got)
	}
	if !connections.Put(first, database.Server{Host: "pg.example"}) {
		t.Error("the first login is no news")
	}
	if connections.Put(first, database.Server{Host: "pg.example"}) {
		t.Error("a login like the one before is news")
	}
	if got := reached(first); got != "pg.example" {
		t.Errorf("it is reached at %q", got)
	}
	if got := reached(second); got != "" {
		t.Errorf("with a new spec it is reached at %q, where nobody has logged in by that spec", got)
	}
	if !connections.Put(second, database.Server{Host: "pg2.example"}) {
		t.Error("the first login by a new spec is no news")
	}
	if got := reached(second); got != "pg2.example" {
		t.Errorf("with a new spec it is reached at %q", got)
	}
	connections.Drop("shared")
	if got := reached(second); got != "" {
		t.Errorf("after it was forgotten it is reached at %q", got)
	}
}

func TestAServerIsNotReachedByTheSpecOfAFormerOne(t *testing.T) {
	var connections Logins[database.Server]
	former := builders.DatabaseServer("shared", "pg.example").Generation(1).Build()
	former.UID = "1"
	connections.Put(former, database.Server{Host: "pg.example"})
	again := builders.DatabaseServer("shared", "pg2.example").Generation(1).Build()
	again.UID = "2"
	if access, found := connections.To(again); found {
		t.Errorf("a new server of the same name is reached at %q", access.Host)
	}
	if !connections.Put(again, database.Server{Host: "pg2.example"}) {
		t.Error("the first login to a new server of the same name is no news")
	}
}
