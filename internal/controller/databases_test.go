package controller

import (
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/test/builders"
)

func TestAServerIsReachedByItsPresentSpecOnly(t *testing.T) {
	var connections Connections
	first := builders.DatabaseServer("shared", "pg.example").Generation(1).Build()
	second := builders.DatabaseServer("shared", "pg2.example").Generation(2).Build()
	reached := func(server *v1alpha1.DatabaseServer) string {
		access, found := connections.to(server)
		if !found {
			return ""
		}
		return access.Host
	}
	if got := reached(first); got != "" {
		t.Errorf("before anybody has logged in it is reached at %q", got)
	}
	if !connections.put(first, database.Server{Host: "pg.example"}) {
		t.Error("the first login is no news")
	}
	if connections.put(first, database.Server{Host: "pg.example"}) {
		t.Error("a login like the one before is news")
	}
	if got := reached(first); got != "pg.example" {
		t.Errorf("it is reached at %q", got)
	}
	if got := reached(second); got != "" {
		t.Errorf("with a new spec it is reached at %q, where nobody has logged in by that spec", got)
	}
	if !connections.put(second, database.Server{Host: "pg2.example"}) {
		t.Error("the first login by a new spec is no news")
	}
	if got := reached(second); got != "pg2.example" {
		t.Errorf("with a new spec it is reached at %q", got)
	}
	connections.drop("shared")
	if got := reached(second); got != "" {
		t.Errorf("after it was forgotten it is reached at %q", got)
	}
}

func TestWhereADatabaseIsKnownToBe(t *testing.T) {
	var known placements
	tenant := builders.Effective(t, builders.Tenant("acme").Database("shared").Build())
	if at := known.of(tenant); at != nil {
		t.Errorf("a new tenant has its database at %v", at)
	}
	provisioned := &v1alpha1.TenantDatabaseStatus{Server: "shared", Name: "t_x"}
	known.put(tenant, provisioned)
	if at := known.of(tenant); at != provisioned {
		t.Errorf("before the status says so, the database is at %v", at)
	}
	again := builders.Effective(t, builders.Tenant("acme").Database("shared").Build())
	again.UID = "another"
	if at := known.of(again); at != nil {
		t.Errorf("a new tenant of the same name has the old one's database at %v", at)
	}
	known.drop(tenant)
	tenant.Status.Database = &v1alpha1.TenantDatabaseStatus{Server: "shared", Name: "t_y"}
	if at := known.of(tenant); at == nil || at.Name != "t_y" {
		t.Errorf("the status says t_y, and the database is at %v", at)
	}
}
